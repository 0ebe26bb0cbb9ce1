import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals';
import { decodeProtectedHeader, importJWK, SignJWT } from 'jose';
import type { JWK } from 'jose';
import * as oauth from 'oauth4webapi';
import { startApp } from '../support/app.js';
import type { TestApp } from '../support/app.js';
import { movableClock } from '../support/clock.js';
import { providerKey, startProvider } from '../support/oidc-provider.js';
import type { RealProvider } from '../support/oidc-provider.js';
import { closeAll, closing, expectAccepted, expectRefused, SAYS } from '../support/stage.js';
import { signingKey } from '../support/tokens.js';

const API = 'https://api.example.com';
const OPAQUE = 'https://opaque.example.com';

beforeEach(() => {
  for (const method of ['warn', 'info'] as const) jest.spyOn(console, method).mockImplementation(() => undefined);
});
afterEach(async () => {
  await closeAll();
  jest.restoreAllMocks();
});

async function provider(alg: 'ES256' | 'RS256' | 'PS256' | 'EdDSA' = 'ES256', accessTokenTTL = 600) {
  const key = await providerKey(alg, 'first');
  const jwt = { accessTokenFormat: 'jwt' as const, jwt: { sign: { alg } }, accessTokenTTL };
  const resources = {
    [API]: { scope: 'read write', ...jwt },
    'https://other.example.com': { scope: 'read', ...jwt },
    [OPAQUE]: { scope: 'read', accessTokenFormat: 'opaque' as const },
  };
  return { key, as: closing(await startProvider(resources, [key])) };
}

async function appOf(as: RealProvider, options: { clock?: () => number } = {}): Promise<TestApp> {
  return closing(await startApp({ resource: API, issuer: as.issuer, ...options }));
}

describe('with the tokens of oidc-provider', () => {
  test.each(['ES256', 'RS256', 'PS256', 'EdDSA'] as const)(
    '9068-4-5 an access token signed with %s passes, found by discovery, and the guard reads its scope',
    async (alg) => {
      const { as } = await provider(alg);
      const app = await appOf(as);
      const token = await as.accessToken(API);
      expect(decodeProtectedHeader(token)).toMatchObject({ alg, typ: 'at+jwt' });
      const answer = await expectAccepted(app, token, '/scoped');
      expect(answer.body).toMatchObject({ auth: { clientId: 'm2m', scopes: ['read'], issuer: as.issuer } });
    },
  );

  test('6749-7-2 a token without the scope of the route is answered with 403 and the scope', async () => {
    const { as } = await provider();
    const app = await appOf(as);
    const answer = await app.get('/scoped', await as.accessToken(API, 'write'));
    expect(answer.status).toBe(403);
    expect(answer.challenge).toBe(
      `Bearer realm="${API}", error="insufficient_scope", error_description="The access token lacks a required scope", scope="read"`,
    );
    await expectAccepted(app, await as.accessToken(API, 'write read'), '/scoped');
  });

  test('9068-4-4 a token for another resource, and an opaque one, are refused', async () => {
    const { as } = await provider();
    const app = await appOf(as);
    await expectRefused(app, await as.accessToken('https://other.example.com'), SAYS.audience);
    await expectRefused(app, await as.accessToken(OPAQUE), SAYS.noJwt);
    await expectAccepted(app, await as.accessToken(API));
  });

  test('8725-3.12-1 an ID token under the key of the provider is refused', async () => {
    const { as, key } = await provider();
    const app = await appOf(as);
    const idToken = await new SignJWT({ client_id: 'm2m', auth_time: 1 })
      .setProtectedHeader({ alg: 'ES256', kid: 'first', typ: 'JWT' })
      .setIssuer(as.issuer)
      .setSubject('alice')
      .setAudience(API)
      .setIssuedAt()
      .setJti('1')
      .setExpirationTime('5m')
      .sign(await importJWK(key as JWK, 'ES256'));
    await expectRefused(app, idToken, SAYS.type);
    await expectAccepted(app, await as.accessToken(API));
  });

  test('9068-5-1 after a hard rotation the new key is found once the cooldown is over, and the old one is bad', async () => {
    const { as } = await provider();
    const clock = movableClock();
    const app = await appOf(as, { clock });
    const old = await as.accessToken(API);
    await expectAccepted(app, old);
    as.use([await providerKey('ES256', 'second')]);
    const token = await as.accessToken(API);
    clock.now += 31;
    await expectAccepted(app, token);
    await expectRefused(app, old, SAYS.key);
  });

  test('9068-4-8 a token of the provider passes until it expires', async () => {
    const { as } = await provider('ES256', 60);
    const clock = movableClock();
    const app = await appOf(as, { clock });
    const token = await as.accessToken(API);
    clock.now += 50;
    await expectAccepted(app, token);
    clock.now += 15;
    await expectRefused(app, token, SAYS.expired);
  });
});

describe('with oauth4webapi as a second judge', () => {
  // eslint-disable-next-line @typescript-eslint/no-deprecated -- its way of saying that loopback has no TLS
  const insecure = { [oauth.allowInsecureRequests]: true } as const;

  async function bench() {
    const { as, key } = await provider();
    const app = await appOf(as);
    const found = await oauth.discoveryRequest(new URL(as.issuer), insecure);
    const metadata = await oauth.processDiscoveryResponse(new URL(as.issuer), found);
    const now = Math.floor(Date.now() / 1000);
    const right = { iss: as.issuer, sub: 'm2m', aud: API, client_id: 'm2m', iat: now, exp: now + 300, jti: '1' };
    const sign = async (claims: Readonly<Record<string, unknown>>, header = {}, jwk: object = key) =>
      new SignJWT({ ...right, ...claims })
        .setProtectedHeader({ alg: 'ES256', kid: 'first', typ: 'at+jwt', ...header })
        .sign(await importJWK(jwk as JWK, 'ES256'));
    const verdicts = async (token: string) => {
      const request = new Request(`${app.url}/protected`, { headers: { authorization: `Bearer ${token}` } });
      const theirs = await oauth.validateJwtAccessToken(metadata, request, API, insecure).then(
        () => true,
        () => false,
      );
      const ours = await app.get('/protected', token);
      expect([200, 401]).toContain(ours.status);
      return { ours: ours.status === 200, theirs };
    };
    return { app, as, now, sign, verdicts };
  }

  const table: [name: string, claims: object, header: object, good: boolean][] = [
    ['a right token', {}, {}, true],
    ['an aud in a list', { aud: ['x', API] }, {}, true],
    ['typ application/at+jwt', {}, { typ: 'application/at+jwt' }, true],
    ['typ AT+JWT', {}, { typ: 'AT+JWT' }, true],
    ['no kid', {}, { kid: undefined }, true],
    ['an unknown claim', { x: { y: 1 } }, {}, true],
    ['an nbf in the past', { nbf: 1 }, {}, true],
    ['typ JWT', {}, { typ: 'JWT' }, false],
    ['no typ', {}, { typ: undefined }, false],
    ['an unknown kid', {}, { kid: 'other' }, false],
    ['another iss', { iss: 'https://other.example' }, {}, false],
    ['another aud', { aud: 'https://other.example' }, {}, false],
    ['no aud', { aud: undefined }, {}, false],
    ['no sub', { sub: undefined }, {}, false],
    ['no client_id', { client_id: undefined }, {}, false],
    ['no jti', { jti: undefined }, {}, false],
    ['no iat', { iat: undefined }, {}, false],
    ['no exp', { exp: undefined }, {}, false],
    ['an exp in the past', { exp: 1 }, {}, false],
    ['an exp that is a string', { exp: '9999999999' }, {}, false],
    ['an nbf in the future', { nbf: 9_999_999_999 }, {}, false],
    ['a cnf without a proof', { cnf: { jkt: 'x' } }, {}, false],
    ['a sub that is a number', { sub: 1 }, {}, false],
    ['an aud that is a number', { aud: 1 }, {}, false],
  ];
  test.each(table)('9068-4-9 %s: both judges agree', async (_name, claims, header, good) => {
    const { sign, verdicts } = await bench();
    expect(await verdicts(await sign({ ...claims }, header))).toEqual({ ours: good, theirs: good });
  });

  test('9068-4-7 the key of somebody else under the same kid: both judges agree', async () => {
    const { sign, verdicts } = await bench();
    const own = signingKey('ES256', 'first').privateKey.export({ format: 'jwk' });
    expect(await verdicts(await sign({}, {}, own))).toEqual({ ours: false, theirs: false });
    expect(await verdicts(await sign({}, {}))).toEqual({ ours: true, theirs: true });
  });

  const different: [name: string, claims: object, header: object, ours: boolean][] = [
    ['an empty jti, which says nothing', { jti: '' }, {}, false],
    ['an empty cnf, which may be a binding unknown to us', { cnf: {} }, {}, false],
  ];
  test.each(different)('9068-2.2-1 %s: we alone refuse, on purpose', async (_name, claims, header, ours) => {
    const { sign, verdicts } = await bench();
    expect(await verdicts(await sign({ ...claims }, header))).toEqual({ ours, theirs: true });
  });

  test('6750-3-1 the challenges of 401 and 403 are read by another parser', async () => {
    const { app, as } = await bench();
    const causeOf = async (path: string, token: string) => {
      const request = oauth.protectedResourceRequest(
        token,
        'GET',
        new URL(`${app.url}${path}`),
        new Headers(),
        null,
        insecure,
      );
      const error: unknown = await request.catch((thrown: unknown) => thrown);
      if (!(error instanceof oauth.WWWAuthenticateChallengeError)) throw new Error('no challenge was thrown');
      return { status: error.status, cause: error.cause };
    };
    expect(await causeOf('/protected', 'opaque')).toEqual({
      status: 401,
      cause: [{ scheme: 'bearer', parameters: { realm: API, error: 'invalid_token', error_description: SAYS.noJwt } }],
    });
    const parameters = {
      realm: API,
      error: 'insufficient_scope',
      error_description: 'The access token lacks a required scope',
      scope: 'read',
    };
    expect(await causeOf('/scoped', await as.accessToken(API, 'write'))).toEqual({
      status: 403,
      cause: [{ scheme: 'bearer', parameters }],
    });
    await expectAccepted(app, await as.accessToken(API));
  });
});
