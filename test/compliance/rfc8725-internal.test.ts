import { afterEach, describe, expect, test } from '@jest/globals';
import { startApp } from '../support/app.js';
import type { TestApp } from '../support/app.js';
import { closeAll, closing, expectAccepted, expectUnavailable, stage } from '../support/stage.js';
import { signingKey, signJwt, validClaims } from '../support/tokens.js';

const API = 'https://api.example.com';
const PUBLIC = 'https://93.184.216.34';

afterEach(closeAll);

/** A world in which `issuer` says that its keys are at `jwksUri`, and every address answers. */
async function world(issuer: string, jwksUri: string) {
  const key = signingKey();
  const asked: string[] = [];
  const fetch: typeof globalThis.fetch = (input) => {
    const url = input instanceof Request ? input.url : String(input);
    asked.push(url);
    const document = url.includes('/.well-known/') ? { issuer, jwks_uri: jwksUri } : { keys: [key.jwk] };
    return Promise.resolve(Response.json(document));
  };
  const app: TestApp = closing(await startApp({ resource: API, issuer, fetch }));
  const token = signJwt({ typ: 'at+jwt', alg: key.alg, kid: key.kid }, validClaims(issuer, API), key);
  return { app, asked, token };
}

const metadata = (issuer: string) => `${issuer}/.well-known/oauth-authorization-server`;

describe('RFC 8725bis 3.10 addresses inside', () => {
  test.each([
    'https://127.0.0.1/jwks',
    'https://127.9.9.9/jwks',
    'http://127.0.0.1:9/jwks',
    'https://10.0.0.1/jwks',
    'https://172.16.0.1/jwks',
    'https://172.31.255.255/jwks',
    'https://192.168.1.1/jwks',
    'https://169.254.169.254/latest/meta-data/',
    'https://100.64.0.1/jwks',
    'https://0.0.0.0/jwks',
    'https://2130706433/jwks',
    'https://0x7f.1/jwks',
    'https://0177.0.0.1/jwks',
    'https://[::1]/jwks',
    'https://[::]/jwks',
    'https://[::ffff:10.0.0.1]/jwks',
    'https://[::ffff:7f00:1]/jwks',
    'https://[fd00::1]/jwks',
    'https://[fc00::1]/jwks',
    'https://[fe80::1]/jwks',
    'https://localhost/jwks',
    'https://localhost./jwks',
    'https://LOCALHOST/jwks',
    'https://sub.localhost/jwks',
    'https://[64:ff9b::10.0.0.1]/jwks',
    'https://[::10.0.0.1]/jwks',
  ])('8725b-3.10-3 a public issuer that points to %s answers 503, and that address is never asked', async (jwksUri) => {
    const { app, asked, token } = await world(PUBLIC, jwksUri);
    await expectUnavailable(app, token);
    expect(asked).toEqual([metadata(PUBLIC)]);
  });

  test.each([
    ['on the host of the issuer', PUBLIC, `${PUBLIC}/jwks`],
    ['on another public address', PUBLIC, 'https://1.1.1.1/jwks'],
    ['on a public address that begins like an internal one', PUBLIC, 'https://172.32.0.1/jwks'],
    ['on a public IPv6 address', PUBLIC, 'https://[2606:2800:220:1::1]/jwks'],
    ['inside, of an issuer inside', 'https://10.0.0.1', 'https://10.0.0.2/jwks'],
    ['inside, of an issuer on loopback', 'http://127.0.0.1:9', 'http://[::1]:9/jwks'],
    ['outside, of an issuer inside', 'https://10.0.0.1', 'https://1.1.1.1/jwks'],
  ])('8725b-3.10-3 a jwks_uri %s is asked, and the token passes', async (_name, issuer, jwksUri) => {
    const { app, asked, token } = await world(issuer, jwksUri);
    await expectAccepted(app, token);
    expect(asked).toEqual([metadata(issuer), jwksUri]);
  });

  test('8725b-3.10-3 an internal address that the operator named is allowed', async () => {
    const { as, app } = await stage();
    const named = closing(await startApp({ resource: API, issuer: PUBLIC, jwksUri: as.jwksUri }));
    await expectAccepted(named, as.mint({ iss: PUBLIC }));
    expect(as.log).toEqual(['GET /jwks']);
    await expectAccepted(app, as.mint());
  });
});
