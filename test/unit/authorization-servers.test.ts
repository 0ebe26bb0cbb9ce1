import { afterEach, describe, expect, test } from '@jest/globals';
import { resourceServer } from '../../lib/index.js';
import type { AuthorizationServer } from '../../lib/index.js';
import { startApp } from '../support/app.js';
import { TestAuthorizationServer } from '../support/authorization-server.js';
import { closeAll, closing, expectAccepted, expectRefused, expectUnavailable, SAYS } from '../support/stage.js';
import { signingKey } from '../support/tokens.js';

const API = 'https://api.example.com';

afterEach(closeAll);

async function pair() {
  const [a, b] = [await TestAuthorizationServer.start(), await TestAuthorizationServer.start()].map(closing);
  if (a === undefined || b === undefined) throw new Error('no server');
  return { a, b };
}

const appOf = async (authorizationServers: readonly AuthorizationServer[]) =>
  closing(await startApp({ resource: API, authorizationServers }));

describe('several authorization servers', () => {
  test('8725-3.8-1 each is asked for its own keys only, when its first token comes', async () => {
    const { a, b } = await pair();
    const app = await appOf([{ issuer: a.issuer }, { issuer: b.issuer, jwksUri: b.jwksUri }]);
    await expectAccepted(app, a.mint());
    expect([a.keyFetches, b.log]).toEqual([1, []]);
    await expectAccepted(app, b.mint());
    expect([a.keyFetches, b.log]).toEqual([1, ['GET /jwks']]);
    await expectRefused(app, a.mint({ iss: 'https://third.example' }), SAYS.issuer);
    expect([a.keyFetches, b.keyFetches]).toEqual([1, 1]);
  });

  test('9068-4-4 an audience of one is none of the other, and the common one serves who has none', async () => {
    const { a, b } = await pair();
    const authorizationServers = [{ issuer: a.issuer, audience: 'urn:a' }, { issuer: b.issuer }];
    const app = closing(await startApp({ resource: API, audience: 'urn:common', authorizationServers }));
    await expectAccepted(app, a.mint({ aud: 'urn:a' }));
    await expectAccepted(app, b.mint({ aud: 'urn:common' }));
    await expectRefused(app, b.mint({ aud: 'urn:a' }), SAYS.audience);
    await expectRefused(app, a.mint({ aud: 'urn:common' }), SAYS.audience);
    await expectRefused(app, a.mint({ aud: API }), SAYS.audience);
  });

  test('8725b-3.1-4 the common algorithms serve who has none of its own', async () => {
    const { a, b } = await pair();
    const authorizationServers = [{ issuer: a.issuer, algorithms: ['RS256'] }, { issuer: b.issuer }];
    const app = closing(await startApp({ resource: API, algorithms: ['ES256'], authorizationServers }));
    await expectRefused(app, a.mint(), SAYS.algorithm);
    await expectAccepted(app, b.mint());
    a.keys = [signingKey('RS256', 'rsa')];
    await expectAccepted(app, a.mint());
  });

  test('an outage of one leaves the other in service', async () => {
    const { a, b } = await pair();
    const app = await appOf([{ issuer: a.issuer }, { issuer: b.issuer }]);
    await a.close();
    await expectUnavailable(app, a.mint());
    await expectAccepted(app, b.mint());
  });

  test('keys that were given are those of then, whatever becomes of the object', async () => {
    const { a } = await pair();
    const jwks = { keys: a.keys.map((key) => ({ ...key.jwk, kty: key.jwk.kty ?? '' })) };
    const app = await appOf([{ issuer: a.issuer, jwks }]);
    const evil = signingKey('ES256', 'first');
    jwks.keys[0] = { ...evil.jwk, kty: 'EC' };
    await expectAccepted(app, a.mint());
    await expectRefused(app, a.mint({}, { key: evil }), SAYS.signature);
    expect(a.log).toEqual([]);
  });

  test.each([
    [
      'the same issuer twice',
      [{ issuer: API }, { issuer: API }],
      'the issuer "https://api.example.com" is named twice, by "issuer" or "issuerAliases"',
    ],
    ['no server', [], '"authorizationServers" must be a list such as'],
    ['an object and no list', { issuer: API }, '"authorizationServers" must be a list such as'],
    ['a string in the list', [API], 'an entry of "authorizationServers" takes an object'],
    ['null in the list', [null], 'an entry of "authorizationServers" takes an object, got null'],
    [
      'a server without issuer',
      [{ jwksUri: API }],
      '"issuer" must be an https URL such as "https://as.example.com"; it is missing',
    ],
    ['an unknown option', [{ issuer: API, jwksURI: API }], 'did you mean "jwksUri"?'],
    [
      'an option of the whole',
      [{ issuer: API, realm: 'x' }],
      'an entry of "authorizationServers" has no option "realm"',
    ],
    ['keys and their address', [{ issuer: API, jwksUri: API, jwks: { keys: [{ kty: 'EC' }] } }], 'exclude each other'],
    [
      'an address of keys without TLS',
      [{ issuer: API, jwksUri: 'http://as.example.com/jwks' }],
      '"jwksUri" must be an https URL',
    ],
    ['a key set that is a list', [{ issuer: API, jwks: [{ kty: 'EC' }] }], '"jwks" must be a JWK Set'],
    ['an empty key set', [{ issuer: API, jwks: { keys: [] } }], '"jwks" must be a JWK Set'],
    ['a key without kty', [{ issuer: API, jwks: { keys: [{}] } }], '"jwks" has a key without "kty"'],
    ['a private key', [{ issuer: API, jwks: { keys: [{ kty: 'EC', d: 'x' }] } }], '"jwks" has a secret key'],
    ['no algorithm', [{ issuer: API, algorithms: [] }], '"algorithms" got an empty list'],
    ['an empty audience', [{ issuer: API, audience: [] }], '"audience" must be a string or a list'],
  ])('%s is refused at construction', (_name, authorizationServers, says) => {
    const options = { resource: API, authorizationServers } as unknown as { resource: string; issuer: string };
    expect(() => resourceServer(options)).toThrow(TypeError);
    expect(() => resourceServer(options)).toThrow(says);
  });

  test.each(['issuer', 'jwksUri', 'jwks'])('%s beside the list is refused at construction', (name) => {
    const options = { resource: API, authorizationServers: [{ issuer: API }], [name]: API };
    expect(() => resourceServer(options as unknown as { resource: string; issuer: string })).toThrow(
      `"${name}" stands beside "authorizationServers": give it with each server`,
    );
  });

  test('issuers that differ in their last slash are two', async () => {
    const { a } = await pair();
    const app = await appOf([
      { issuer: a.issuer, jwksUri: a.jwksUri },
      { issuer: `${a.issuer}/`, jwksUri: a.jwksUri },
    ]);
    await expectAccepted(app, a.mint());
    await expectAccepted(app, a.mint({ iss: `${a.issuer}/` }));
    await expectRefused(app, a.mint({ iss: `${a.issuer}//` }), SAYS.issuer);
  });
});
