import { KeyObject } from 'node:crypto';
import type { RequestListener } from 'node:http';
import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals';
import * as oauth from 'oauth4webapi';
import * as oidc from 'oidc-provider';
import * as client from 'openid-client';
import { clientSecretBasic } from '../../lib/index.js';
import type { OneAuthorizationServer } from '../../lib/index.js';
import { startApp } from '../support/app.js';
import { TestAuthorizationServer } from '../support/authorization-server.js';
import { movableClock } from '../support/clock.js';
import { BEARER, DPOP, dpopRefusal, failing } from '../support/dpop-refusals.js';
import { listen } from '../support/listen.js';
import { providerKey } from '../support/oidc-provider.js';
import { dpopHeaders, prove } from '../support/proofs.js';
import { expectRefusal, RESOURCE } from '../support/refusals.js';
import { closeAll, closing } from '../support/stage.js';

/** The token of the real server for this one is opaque. */
const OPAQUE = 'https://opaque.example.com';
const SECRET = { client_secret: 'secret', redirect_uris: [], response_types: [] };
/** Seconds after which a nonce is renewed, and after which it is dead. */
const [RENEWED, LIFE] = [60, 120];

beforeEach(() => {
  for (const method of ['warn', 'info'] as const) jest.spyOn(console, method).mockImplementation(() => undefined);
});

afterEach(async () => {
  await closeAll();
  jest.restoreAllMocks();
});

/** An app that asks for nonces. `fetch` finds it at its public address, and `seen` has what it answered. */
async function start(server: Pick<OneAuthorizationServer, 'issuer' | 'introspection'>, resource = RESOURCE) {
  const clock = movableClock();
  const app = closing(await startApp({ resource, clock, dpop: { nonce: 'required' }, realm: RESOURCE, ...server }));
  const seen: number[] = [];
  const fetchIt = async (url: string, init: object) => {
    const answer = await fetch(url.replace(resource, app.url), init);
    if (url.startsWith(resource)) seen.push(answer.status);
    return answer;
  };
  return { app, clock, seen: () => seen.splice(0), fetchIt, url: new URL(`${resource}/protected`) };
}

const introspection = { clientAuthentication: clientSecretBasic('rs', 'secret') };

interface Issued {
  readonly server: Parameters<typeof start>[0];
  readonly token: (jkt: string) => string;
}

/** The scripted server, with tokens that live for a day. */
async function scripted(kind: string): Promise<Issued> {
  const as = closing(await TestAuthorizationServer.start());
  const claims = (jkt: string) => ({ cnf: { jkt }, exp: Math.floor(Date.now() / 1000) + 86_400 });
  if (kind === 'a JWT') return { server: { issuer: as.issuer }, token: (jkt) => as.mint(claims(jkt)) };
  const token = (jkt: string) => as.issue({ ...claims(jkt), token_type: 'DPoP' });
  return { server: { issuer: as.issuer, introspection }, token };
}

describe.each(['a JWT', 'an opaque token'])('clients as they are, with %s of the scripted server', (kind) => {
  test('9449-9-1 9449-8.2-1 oauth4webapi learns the nonce from the refusal, and the next from an answer', async () => {
    const { server, token: issue } = await scripted(kind);
    const { app, clock, seen, fetchIt, url } = await start(server);
    const DPoP = oauth.DPoP({}, await oauth.generateKeyPair('ES256'));
    const token = issue(await DPoP.calculateThumbprint());
    const options = { DPoP, [oauth.customFetch]: fetchIt };
    const call = () => oauth.protectedResourceRequest(token, 'GET', url, new Headers(), null, options);
    expect(oauth.isDPoPNonceError(await call().catch((error: unknown) => error))).toBe(true);
    expect([seen(), app.handled]).toEqual([[401], 0]);
    await call();
    await call();
    clock.now += RENEWED;
    const renewing = await call();
    expect(renewing.headers.has('dpop-nonce')).toBe(true);
    clock.now += LIFE - RENEWED; // the first nonce is dead by now
    const { status, headers } = await call();
    expect([status, headers.has('dpop-nonce')]).toEqual([200, true]);
    expect([seen(), app.handled]).toEqual([[200, 200, 200, 200], 4]);
    clock.now += LIFE;
    expect(oauth.isDPoPNonceError(await call().catch((error: unknown) => error))).toBe(true);
    expect((await call()).status).toBe(200);
  });

  test('9449-9-1 openid-client makes the round trip by itself, once for many requests', async () => {
    const { server, token: issue } = await scripted(kind);
    const { app, clock, seen, fetchIt, url } = await start(server);
    const configuration = new client.Configuration({ issuer: server.issuer }, 'editor');
    configuration[client.customFetch] = fetchIt;
    const DPoP = client.getDPoPHandle(configuration, await client.randomDPoPKeyPair('Ed25519'));
    const token = issue(await DPoP.calculateThumbprint());
    const call = () => client.fetchProtectedResource(configuration, token, url, 'GET', null, undefined, { DPoP });
    for (const statuses of [[401, 200], [200], [200]]) {
      expect((await call()).status).toBe(200);
      expect(seen()).toEqual(statuses);
    }
    clock.now += LIFE;
    expect((await call()).status).toBe(200);
    expect([seen(), app.handled]).toEqual([[401, 200], 4]);
    await expect(client.fetchProtectedResource(configuration, token, url, 'GET')).rejects.toThrow();
    expect([seen(), app.handled]).toEqual([[401], 4]);
  });
});

/** oidc-provider itself, with nonces of its own, opaque tokens, and introspection. */
async function startProvider(): Promise<string> {
  let handle: RequestListener = () => undefined;
  const { url: issuer } = closing(
    await listen((req, res) => {
      handle(req, res);
    }),
  );
  const jwt = { accessTokenFormat: 'jwt' as const, jwt: { sign: { alg: 'ES256' as const } } };
  const resources: Record<string, oidc.ResourceServer> = {
    [RESOURCE]: { scope: 'read', audience: RESOURCE, ...jwt },
    [OPAQUE]: { scope: 'read', audience: OPAQUE, accessTokenFormat: 'opaque' },
  };
  const provider = new oidc.Provider(issuer, {
    jwks: { keys: [await providerKey()] },
    clients: [
      { ...SECRET, client_id: 'm2m', grant_types: ['client_credentials'] },
      { ...SECRET, client_id: 'rs', grant_types: [] },
    ],
    clientDefaults: { id_token_signed_response_alg: 'ES256' },
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      introspection: { enabled: true, allowedPolicy: () => true },
      dPoP: { enabled: true, nonceSecret: Buffer.alloc(32, 7), requireNonce: () => true },
      resourceIndicators: {
        enabled: true,
        getResourceServerInfo: (_ctx, indicator) => {
          const found = resources[indicator];
          if (found === undefined) throw new oidc.errors.InvalidTarget();
          return found;
        },
      },
    },
  });
  const callback = provider.callback();
  handle = (req, res) => void callback(req, res);
  return issuer;
}

describe.each([
  ['a JWT', RESOURCE, undefined],
  ['an opaque token', OPAQUE, introspection],
] as const)('the real oidc-provider with nonces of its own, openid-client, and %s', (_kind, resource, asked) => {
  // eslint-disable-next-line @typescript-eslint/no-deprecated -- its way of saying that loopback has no TLS
  const execute = [client.allowInsecureRequests];

  async function bench() {
    const issuer = await startProvider();
    const api = await start({ issuer, ...(asked !== undefined && { introspection: asked }) }, resource);
    const nonces: string[] = [];
    const configuration = await client.discovery(new URL(issuer), 'm2m', 'secret', undefined, { execute });
    configuration[client.customFetch] = async (url, init) => {
      const answer = await api.fetchIt(url, init);
      if (url.startsWith(issuer)) nonces.push(answer.headers.get('dpop-nonce') ?? '');
      return answer;
    };
    const keys = await client.randomDPoPKeyPair('ES256', { extractable: true });
    const DPoP = client.getDPoPHandle(configuration, keys);
    const grant = await client.clientCredentialsGrant(configuration, { resource, scope: 'read' }, { DPoP });
    expect(grant.token_type).toBe('dpop');
    const call = (path: string, options = {}) =>
      client.fetchProtectedResource(
        configuration,
        grant.access_token,
        new URL(path, resource),
        'GET',
        null,
        undefined,
        options,
      );
    return { ...api, issuer, keys, DPoP, token: grant.access_token, call, nonces };
  }

  test('9449-9-1 9449-6-1 two servers, two nonces, one client, and access', async () => {
    const { call, DPoP, seen, app } = await bench();
    const answer = await call('/scoped', { DPoP });
    const jkt = await DPoP.calculateThumbprint();
    expect(await answer.json()).toMatchObject({ auth: { scheme: 'DPoP', clientId: 'm2m', claims: { cnf: { jkt } } } });
    expect(seen()).toEqual([401, 200]);
    expect((await call('/scoped', { DPoP })).status).toBe(200);
    expect([seen(), app.handled]).toEqual([[200], 2]);
  });

  test('9449-9-2 9449-4.3-10 the nonce of the authorization server is none of ours', async () => {
    const { app, keys, DPoP, token, nonces, url } = await bench();
    const nonce = nonces.filter((value) => value !== '').at(-1);
    expect(nonce).toMatch(/^.{8,}$/);
    const [privateKey, publicKey] = [KeyObject.from(keys.privateKey), KeyObject.from(keys.publicKey)];
    const publicJwk = { ...publicKey.export({ format: 'jwk' }) };
    const jwk = { ...publicJwk, kid: 'a', alg: 'ES256', use: 'sig' };
    const holder = { alg: 'ES256', kid: 'a', privateKey, jwk, publicJwk, jkt: await DPoP.calculateThumbprint() };
    const ask = (given = '') => {
      const proof = prove(holder, url.href, { token, nonce: given });
      return app.request('/protected', { headers: dpopHeaders(token, proof) });
    };
    const refused = await ask(nonce);
    expectRefusal(refused, dpopRefusal('use_dpop_nonce', 'The DPoP proof must have a current nonce of this resource'));
    expect(app.handled).toBe(0);
    expect((await ask(refused.headers.get('dpop-nonce') ?? '')).status).toBe(200);
  });

  test('9449-7.2-1 9449-4.3-12 the token is worth nothing as bearer token, nor with the key of another', async () => {
    const { app, call, token, DPoP } = await bench();
    const bearer = await app.get('/protected', token);
    const says = 'The access token is bound to a key: send it as DPoP, with a proof';
    expect([bearer.status, bearer.challenge]).toEqual([401, `${failing(BEARER, 'invalid_token', says)}, ${DPOP}`]);
    const thief = oauth.DPoP({}, await oauth.generateKeyPair('ES256'));
    const stolen = await call('/protected', { DPoP: thief }).catch((error: unknown) => error);
    const { cause } = stolen as { readonly cause: readonly oauth.WWWAuthenticateChallenge[] };
    expect(cause.map(({ scheme, parameters }) => [scheme, parameters.error, parameters.error_description])).toEqual([
      ['dpop', 'invalid_token', 'The access token is bound to another key'],
    ]);
    expect(app.handled).toBe(0);
    expect((await call('/protected', { DPoP })).status).toBe(200);
  });
});
