import { createPublicKey, X509Certificate } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals';
import type { ClientMetadata } from 'oidc-provider';
import {
  bearerToken,
  clientSecretBasic,
  clientSecretJwt,
  clientSecretPost,
  privateKeyJwt,
  tlsClientAuth,
} from '../../lib/index.js';
import type { ClientAuthentication, Fetch, IntrospectionOptions, ResourceServerOptions } from '../../lib/index.js';
import { startApp } from '../support/app.js';
import { movableClock } from '../support/clock.js';
import { diagnosticsOf } from '../support/diagnostics.js';
import * as faults from '../support/faults.js';
import { startIntrospectingProvider } from '../support/introspecting-provider.js';
import type { IntrospectingProvider, ProviderOptions } from '../support/introspecting-provider.js';
import { fetchOverTls } from '../support/mtls-fetch.js';
import { expectRefusal, insufficientScope } from '../support/refusals.js';
import { closeAll, closing, expectAccepted, expectRefused, expectUnavailable, SAYS } from '../support/stage.js';
import { listenTls, selfSigned } from '../support/tls.js';
import type { Certificate } from '../support/tls.js';
import { signingKey } from '../support/tokens.js';

const API = 'https://api.example.com';
const OTHER = 'https://other.example.com';
const JWT_API = 'https://jwt.example.com';
const RESOURCES = {
  [API]: { scope: 'read write', accessTokenFormat: 'opaque' },
  [OTHER]: { scope: 'read', accessTokenFormat: 'opaque' },
  [JWT_API]: { scope: 'read', accessTokenFormat: 'jwt', jwt: { sign: { alg: 'ES256' } } },
} as const;
// All that needs form-encoding and that oidc-provider takes: it holds secrets to printable ASCII (RFC 6749 appendix A.2).
// With letters beyond, see 6749-2.3.1-1 against the scripted server.
const SECRET = 'p%20:+/ &=~"secret-of-32-bytes-or-more';
const INACTIVE = 'The access token is not active';
const REFUSED_US = 'The introspection endpoint refused our own credentials (401): check "clientAuthentication"';
const MALFORMED =
  'The introspection endpoint takes the question for malformed (400): some servers introspect no JWTs, see "jwtLocally"; else check "clientAuthentication"';

beforeEach(() => {
  for (const method of ['warn', 'info'] as const) jest.spyOn(console, method).mockImplementation(() => undefined);
});
afterEach(async () => {
  await closeAll();
  await faults.closeAll();
  jest.restoreAllMocks();
});

/** The provider with one resource server as its client. */
async function provider(client: Partial<ClientMetadata> = {}, options: Partial<ProviderOptions> = {}) {
  const clients = [{ client_id: 'rs', client_secret: SECRET, ...client }];
  return closing(await startIntrospectingProvider({ resources: RESOURCES, clients, ...options }));
}

function optionsOf(
  as: IntrospectingProvider,
  clientAuthentication: ClientAuthentication,
  introspection: Partial<IntrospectionOptions> = {},
): ResourceServerOptions {
  return { resource: API, issuer: as.issuer, introspection: { clientAuthentication, ...introspection } };
}

/** The token passes and its scope counts; with the wrong credentials nobody can say, and the operator is told why. */
async function expectIntrospected(
  as: IntrospectingProvider,
  right: ClientAuthentication,
  wrong: ClientAuthentication,
  fetch: Fetch = globalThis.fetch,
) {
  const [reading, writing] = [await as.accessToken(API, 'read'), await as.accessToken(API, 'write')];
  expect(reading).toMatch(/^[\w-]+$/); // no JWT
  const app = closing(await startApp({ ...optionsOf(as, right), fetch }));
  const answer = await expectAccepted(app, reading, '/scoped');
  expect(answer.body).toMatchObject({ auth: { clientId: 'editor', scopes: ['read'], issuer: as.issuer } });
  expect(app.handled).toBe(1);
  expectRefusal(await app.get('/scoped', writing), insufficientScope('read'));
  await expectAccepted(app, writing);
  await expectRefused(app, 'made-up', INACTIVE);

  const misled = closing(await startApp({ ...optionsOf(as, wrong), fetch }));
  const events = await diagnosticsOf(() => expectUnavailable(misled, reading));
  expect(events).toEqual([
    { type: 'introspection', issuer: as.issuer, event: 'failed', reason: REFUSED_US },
    { type: 'refusal', status: 503, code: undefined, reason: REFUSED_US },
  ]);
}

describe('authentication at oidc-provider', () => {
  const { jwk, privateKey } = signingKey('ES256', 'ours');
  const [key, jwks] = [privateKey, { keys: [jwk] }];
  const anotherKey = signingKey('ES256', 'ours').privateKey;
  const wrongSecret = SECRET.replace('p', 'q');
  const ALG = { algorithm: 'ES256', keyId: 'ours' };

  type Row = [method: string, registered: Partial<ClientMetadata>, ClientAuthentication, wrong: ClientAuthentication];
  test.each<Row>([
    ['client_secret_basic', {}, clientSecretBasic('rs', SECRET), clientSecretBasic('rs', wrongSecret)],
    ['client_secret_post', {}, clientSecretPost('rs', SECRET), clientSecretPost('rs', wrongSecret)],
    ['client_secret_jwt', {}, clientSecretJwt('rs', SECRET), clientSecretJwt('rs', wrongSecret)],
    ['private_key_jwt', { jwks }, privateKeyJwt('rs', key, ALG), privateKeyJwt('rs', anotherKey, ALG)],
  ])(
    '7662-2.1-4 7662-2.2-3 7662-2.3-1 %s: tokens pass, scope counts, and wrong credentials are 503',
    async (method, registered, right, wrong) => {
      const as = await provider({
        token_endpoint_auth_method: method as NonNullable<ClientMetadata['token_endpoint_auth_method']>,
        ...registered,
      });
      await expectIntrospected(as, right, wrong);
    },
  );

  test('6749-2.3.1-1 client_secret_basic: identifier and secret arrive, whatever characters they have', async () => {
    const clientId = 'https://api.example.com/:rs +1%2B';
    const as = await provider({ client_id: clientId });
    await expectIntrospected(as, clientSecretBasic(clientId, SECRET), clientSecretBasic('rs', SECRET));
  });

  test.each([
    ['the issuer', ''],
    ['the token endpoint', '/token'],
    ['the introspection endpoint', '/token/introspection'],
  ])('7662-2.1-4 private_key_jwt with %s as audience is accepted, with a stranger refused', async (_what, path) => {
    const as = await provider({ token_endpoint_auth_method: 'private_key_jwt', jwks });
    const audience = `${as.issuer}${path}`;
    const right = privateKeyJwt('rs', key, { ...ALG, audience });
    await expectIntrospected(as, right, privateKeyJwt('rs', key, { ...ALG, audience: OTHER }));
  });

  test('7662-2.3-1 oidc-provider takes no bearer token for authentication: 503, and no word about the token', async () => {
    const as = await provider();
    const token = await as.accessToken(API);
    const own = bearerToken(() => as.accessToken(OTHER).then((accessToken) => ({ accessToken })));
    const app = closing(await startApp(optionsOf(as, own)));
    await expectUnavailable(app, token);
    expect(as.questions).toEqual([expect.stringMatching(/^Bearer [\w-]+$/)]);
    await expectAccepted(closing(await startApp(optionsOf(as, clientSecretBasic('rs', SECRET)))), token);
  });
});

describe('authentication at oidc-provider by certificate', () => {
  /** The certificate as a client registers it. RFC 8705 section 2.2.2. */
  function registered({ cert }: Certificate) {
    const x5c = [new X509Certificate(cert).raw.toString('base64')];
    return { keys: [{ ...createPublicKey(cert).export({ format: 'jwk' }), kid: 'certificate', x5c }] };
  }

  async function overTls(client: (ours: Certificate) => Partial<ClientMetadata>) {
    const [server, ours, another] = [selfSigned(), selfSigned(), selfSigned()];
    const reach = fetchOverTls({ ca: server.cert });
    // The authority for client certificates is ours alone: the other one is signed by nobody whom the provider knows.
    const as = await provider(client(ours), { tls: { ...server, ca: [ours.cert] }, fetch: reach });
    const showing = (shows?: Certificate) =>
      tlsClientAuth('rs', fetchOverTls({ ca: server.cert, ...(shows && { shows }) }));
    return { as, reach, right: showing(ours), wrong: showing(another), none: showing() };
  }

  test.each<[method: string, client: (ours: Certificate) => Partial<ClientMetadata>]>([
    [
      'tls_client_auth',
      () => ({ token_endpoint_auth_method: 'tls_client_auth', tls_client_auth_subject_dn: 'CN=test' }),
    ],
    [
      'self_signed_tls_client_auth',
      (ours) => ({ token_endpoint_auth_method: 'self_signed_tls_client_auth', jwks: registered(ours) }),
    ],
  ])(
    '7662-2.1-4 7662-4-1 %s: tokens pass, scope counts, and another certificate, or none, is 503',
    async (_method, client) => {
      const { as, reach, right, wrong, none } = await overTls(client);
      await expectIntrospected(as, right, wrong, reach);
      await expectIntrospected(as, right, none, reach);
    },
  );

  test('7662-2.1-4 the endpoint for clients with a certificate is asked where the metadata names one', async () => {
    const asked: (string | undefined)[] = [];
    const [server, ours] = [selfSigned(), selfSigned()];
    const at = closing(
      await listenTls(server, (req, res) => {
        asked.push(req.url);
        const plain = { issuer: at.url, introspection_endpoint: `${at.url}/plain` };
        const metadata = { ...plain, mtls_endpoint_aliases: { introspection_endpoint: `${at.url}/mtls` } };
        const answer = req.method === 'POST' ? { active: true, client_id: 'editor', token_type: 'Bearer' } : metadata;
        res.writeHead(200, { 'Content-Type': 'application/json' }).end(JSON.stringify(answer));
      }),
    );
    const [fetch, shows] = [fetchOverTls({ ca: server.cert }), fetchOverTls({ ca: server.cert, shows: ours })];
    for (const clientAuthentication of [tlsClientAuth('rs', shows), clientSecretPost('rs', 'secret')]) {
      const options = { resource: API, issuer: at.url, introspection: { clientAuthentication }, fetch };
      await expectAccepted(closing(await startApp(options)), 'token');
    }
    expect(asked.filter((path) => path?.startsWith('/.well-known') !== true)).toEqual(['/mtls', '/plain']);
  });
});

describe('tokens of oidc-provider', () => {
  const basic = clientSecretBasic('rs', SECRET);

  test('7662-2.2-5 a token for another resource is refused', async () => {
    const as = await provider();
    const app = closing(await startApp(optionsOf(as, basic)));
    await expectRefused(app, await as.accessToken(OTHER), SAYS.audience);
    await expectAccepted(app, await as.accessToken(API));
  });

  test('7662-2.2-4 6749-7-1 a token passes until it expires, and is then refused from the cache as well', async () => {
    const as = await provider();
    const clock = movableClock();
    const app = closing(await startApp({ ...optionsOf(as, basic, { ttl: 3600 }), clock }));
    const token = await as.accessToken(API);
    const { body } = await expectAccepted(app, token);
    const { exp } = (body as { auth: { claims: { exp: number } } }).auth.claims;
    clock.now = exp - 1;
    await expectAccepted(app, token);
    expect(as.questions).toHaveLength(1);
    clock.now = exp;
    await expectRefused(app, token, SAYS.expired);
  });

  test('7662-4-3 6750-3.1-3 a revoked token is refused once the ttl is over', async () => {
    const as = await provider();
    const clock = movableClock();
    const app = closing(await startApp({ ...optionsOf(as, basic), clock }));
    const [token, other] = [await as.accessToken(API), await as.accessToken(API)];
    for (const good of [token, other]) await expectAccepted(app, good);
    await as.revoke(token);
    clock.now += 29;
    await expectAccepted(app, token);
    clock.now += 1;
    await expectRefused(app, token, INACTIVE);
    await expectAccepted(app, other);
    expect(as.questions).toHaveLength(4);
  });

  test('7662-4-3 a revoked token is refused at once after invalidate, and without a cache', async () => {
    const as = await provider();
    const apps = await Promise.all([{}, { ttl: 0 }].map((more) => faults.serve(optionsOf(as, basic, more))));
    const [token, other] = [await as.accessToken(API), await as.accessToken(API)];
    for (const app of apps) for (const good of [token, other]) await faults.expectAccepted(app, good);
    const [caching, asking] = apps as [faults.App, faults.App];
    await as.revoke(token);
    await faults.expectRefused(asking, token, INACTIVE);
    await faults.expectAccepted(caching, token);
    caching.middleware.invalidate(other);
    await faults.expectAccepted(caching, token);
    caching.middleware.invalidate(token);
    await faults.expectRefused(caching, token, INACTIVE);
    for (const app of apps) await faults.expectAccepted(app, other);
  });

  test('7662-2.3-1 a JWT access token, which oidc-provider introspects for nobody, is 503; its keys verify it', async () => {
    const as = await provider();
    const options = { audience: JWT_API };
    const app = closing(await startApp({ ...optionsOf(as, basic), ...options }));
    const token = await as.accessToken(JWT_API);
    const events = await diagnosticsOf(() => expectUnavailable(app, token));
    expect(events).toEqual([
      { type: 'introspection', issuer: as.issuer, event: 'failed', reason: MALFORMED },
      { type: 'refusal', status: 503, code: undefined, reason: MALFORMED },
    ]);
    const local = closing(await startApp({ ...optionsOf(as, basic, { jwtLocally: true }), ...options }));
    as.questions.length = 0;
    await expectAccepted(local, token);
    expect(as.questions).toEqual([]);
  });

  test('7662-2.3-1 JWTs that it answers with 400 keep no other token from being introspected', async () => {
    const as = await provider();
    const app = closing(await startApp({ ...optionsOf(as, basic), audience: [API, JWT_API] }));
    for (let i = 0; i < 8; i++) await expectUnavailable(app, await as.accessToken(JWT_API));
    await expectAccepted(app, await as.accessToken(API));
    expect(as.questions).toHaveLength(9);
  });
});

describe('tokens of oidc-provider that are no access tokens', () => {
  const basic = clientSecretBasic('rs', SECRET);

  test('7662-2.2-2 the access token of a person passes, and the ID token never does', async () => {
    const as = await provider();
    const { access_token, id_token } = await as.logIn(API);
    const app = closing(await startApp(optionsOf(as, basic)));
    const { body } = await expectAccepted(app, access_token);
    expect(body).toMatchObject({ auth: { subject: 'alice', scopes: ['read'], claims: { token_type: 'Bearer' } } });
    expect(as.questions).toHaveLength(1);
    await expectRefused(app, id_token, SAYS.audience); // by its own words: it is for the client
    expect(as.questions).toHaveLength(1);
    // For somebody who takes tokens for that client as well its audience is right, and oidc-provider introspects no JWT.
    const both = closing(await startApp({ ...optionsOf(as, basic), audience: [API, 'editor'] }));
    await expectUnavailable(both, id_token);
    await expectAccepted(both, access_token);
    const local = closing(await startApp(optionsOf(as, basic, { jwtLocally: true })));
    await expectRefused(local, id_token, SAYS.type);
    await expectAccepted(local, access_token);
  });

  // The provider says of it neither what it is nor whom it is for.
  test('7662-2.2-2 a refresh token is active, and refused unless untyped answers are accepted', async () => {
    const as = await provider();
    const { access_token, refresh_token } = await as.logIn(API);
    const app = closing(await startApp(optionsOf(as, basic)));
    await expectRefused(app, refresh_token, SAYS.type);
    await expectAccepted(app, access_token);
    const lax = closing(await startApp(optionsOf(as, basic, { acceptUntyped: true })));
    const { body } = await expectAccepted(lax, refresh_token);
    const { claims } = (body as { auth: { claims: object } }).auth;
    expect(Object.keys(claims).sort()).toEqual(['active', 'client_id', 'exp', 'iat', 'iss', 'scope', 'sub']);
  });

  test('7662-2.2-2 where untyped answers are accepted, requiredClaims and requireAudience stop a refresh token', async () => {
    const as = await provider();
    const { access_token, refresh_token } = await as.logIn(API);
    const lax = { acceptUntyped: true };
    const byKind = { ...optionsOf(as, basic, lax), requiredClaims: { token_type: 'Bearer' } };
    const ofAKind = closing(await startApp(byKind));
    await expectRefused(ofAKind, refresh_token, 'The access token is not of the accepted kind');
    await expectAccepted(ofAKind, access_token);
    const forUs = closing(await startApp(optionsOf(as, basic, { ...lax, requireAudience: true })));
    await expectRefused(forUs, refresh_token, SAYS.audience);
    await expectAccepted(forUs, access_token);
  });
});
