import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { createHash } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals';
import { compactDecrypt, decodeProtectedHeader, exportJWK, generateKeyPair } from 'jose';
import type { JWK } from 'jose';
import * as oauth from 'oauth4webapi';
import * as oidc from 'oidc-provider';
import { clientSecretBasic, resourceServer } from '../../lib/index.js';
import type { IntrospectionOptions, OneAuthorizationServer, SignedAnswers } from '../../lib/index.js';
import { startApp } from '../support/app.js';
import { movableClock } from '../support/clock.js';
import { diagnosticsOf } from '../support/diagnostics.js';
import { providerKey } from '../support/oidc-provider.js';
import {
  answerWith,
  authenticatedWith,
  but,
  CLIENT,
  FAULTS,
  MEDIA_TYPE,
  mixed,
  RIGHT,
  sealed,
  signedAnswer,
  signedStage,
  TYPE,
  unsigned,
} from '../support/signed-answers.js';
import type { Body } from '../support/signed-answers.js';
import { closeAll, closing, expectAccepted, expectRefused, expectUnavailable, SAYS } from '../support/stage.js';
import { signingKey } from '../support/tokens.js';

const API = 'https://api.example.com';
const JWT_API = 'https://jwt.example.com';
const INACTIVE = 'The access token is not active';
const SECRET = 'a secret that both sides know and nobody else';
// eslint-disable-next-line @typescript-eslint/no-deprecated -- its way of saying that loopback has no TLS
const insecure = { [oauth.allowInsecureRequests]: true } as const;

beforeEach(() => {
  for (const method of ['warn', 'info'] as const) jest.spyOn(console, method).mockImplementation(() => undefined);
});
afterEach(async () => {
  await closeAll();
  jest.restoreAllMocks();
});

/** What a resource server registered about the answers that it gets, and the key for it where there is one. */
interface Registered {
  readonly introspection_signed_response_alg: 'ES256' | 'RS256';
  readonly introspection_encrypted_response_alg?: 'RSA-OAEP-256' | 'ECDH-ES' | 'dir';
  readonly introspection_encrypted_response_enc?: 'A256GCM';
  readonly jwks?: { readonly keys: JWK[] };
}

/** oidc-provider itself, with signed and encrypted introspection. With its keys it forgets its opaque tokens. */
async function startProvider(registered: Registered) {
  let handle: http.RequestListener = () => undefined;
  let keyFetches = 0;
  const server = http.createServer((req, res) => {
    if (req.url === '/jwks') keyFetches++;
    handle(req, res);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  server.unref();
  const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const opaque = { scope: 'read write', audience: API, accessTokenFormat: 'opaque' } as const;
  const jwt = { scope: 'read', audience: JWT_API, accessTokenFormat: 'jwt', jwt: { sign: { alg: 'ES256' } } } as const;
  const client = { client_secret: SECRET, redirect_uris: [], response_types: [] };
  const use = (keys: readonly oidc.JWK[]) => {
    const provider = new oidc.Provider(issuer, {
      jwks: { keys: [...keys] },
      clients: [
        {
          ...client,
          client_id: 'm2m',
          grant_types: ['client_credentials'],
          introspection_signed_response_alg: 'ES256',
        },
        { ...client, client_id: CLIENT, grant_types: [], ...registered },
      ],
      clientDefaults: { id_token_signed_response_alg: 'ES256' },
      enabledJWA: {
        introspectionEncryptionAlgValues: ['RSA-OAEP-256', 'ECDH-ES', 'dir'],
        introspectionEncryptionEncValues: ['A128CBC-HS256', 'A256GCM'],
      },
      features: {
        devInteractions: { enabled: false },
        clientCredentials: { enabled: true },
        encryption: { enabled: true },
        introspection: { enabled: true, allowedPolicy: () => true },
        jwtIntrospection: { enabled: true },
        revocation: { enabled: true },
        resourceIndicators: {
          enabled: true,
          getResourceServerInfo: (_ctx, indicator) => (indicator === API ? opaque : jwt),
        },
      },
    });
    const callback = provider.callback();
    handle = (req, res) => void callback(req, res);
  };
  const post = (path: string, form: Record<string, string>) => {
    const basic = Buffer.from(`m2m:${encodeURIComponent(SECRET)}`).toString('base64');
    const body = new URLSearchParams(form);
    return fetch(`${issuer}${path}`, { method: 'POST', headers: { authorization: `Basic ${basic}` }, body });
  };
  return closing({
    issuer,
    use,
    keyFetches: () => keyFetches,
    accessToken: async (resource = API) => {
      const answer = await post('/token', { grant_type: 'client_credentials', resource, scope: 'read' });
      return ((await answer.json()) as { access_token: string }).access_token;
    },
    revoke: async (token: string) => {
      expect((await post('/token/revocation', { token })).status).toBe(200);
    },
    close: () =>
      new Promise<void>((resolve) => {
        server.closeAllConnections();
        server.close(() => {
          resolve();
        });
      }),
  });
}

type Decryption = NonNullable<SignedAnswers['decryption']>;

/** A provider with these terms, keys for both algorithms, and apps that agreed to what the test says. */
async function bench(registered: Registered) {
  const as = await startProvider(registered);
  as.use([await providerKey('ES256', 'first'), await providerKey('RS256', 'rsa')]);
  const clock = movableClock();
  const options = (decryption?: Decryption, more: Partial<IntrospectionOptions> = {}): OneAuthorizationServer => {
    const algorithm = registered.introspection_signed_response_alg;
    const signedAnswers: SignedAnswers = { algorithm, ...(decryption && { decryption }) };
    const clientAuthentication = clientSecretBasic(CLIENT, SECRET);
    return {
      issuer: as.issuer,
      introspection: { clientAuthentication, signedAnswers, ttl: 0, inactiveTtl: 0, ...more },
    };
  };
  const app = async (decryption?: Decryption, more?: Partial<IntrospectionOptions>) =>
    closing(await startApp({ resource: API, clock, ...options(decryption, more) }));
  /** The same question by another author's client, and the answer as it came. */
  const theirs = async (token: string, decryption?: Decryption) => {
    const found = await oauth.discoveryRequest(new URL(as.issuer), insecure);
    const metadata = await oauth.processDiscoveryResponse(new URL(as.issuer), found);
    const { introspection_signed_response_alg } = registered;
    const client = { client_id: CLIENT, introspection_signed_response_alg };
    const secret = oauth.ClientSecretBasic(SECRET);
    const asked = { requestJwtResponse: true, ...insecure };
    const response = await oauth.introspectionRequest(metadata, client, secret, token, asked);
    const raw = await response.clone().text();
    const result = await oauth.processIntrospectionResponse(metadata, client, response, {
      [oauth.jweDecrypt]: async (jwe) => {
        const { plaintext } = await compactDecrypt(jwe, decryption?.key ?? new Uint8Array());
        return new TextDecoder().decode(plaintext);
      },
    });
    await oauth.validateApplicationLevelSignature(metadata, response, insecure);
    return { result, raw, type: response.headers.get('content-type') };
  };
  return { as, app, clock, options, theirs };
}

/** A key pair of ours, of which the provider is told the public half. */
async function encryptionKey(algorithm: 'RSA-OAEP-256' | 'ECDH-ES'): Promise<{ decryption: Decryption; jwk: JWK }> {
  const { publicKey, privateKey } = await generateKeyPair(algorithm, { extractable: true });
  return {
    decryption: { key: privateKey, algorithm },
    jwk: { ...(await exportJWK(publicKey)), alg: algorithm, use: 'enc' },
  };
}

describe('with the signed answers of oidc-provider', () => {
  test.each(['ES256', 'RS256'] as const)(
    '9701-5-1 9701-5-4 an active token passes, an unknown and a revoked one are refused, by answers under %s',
    async (alg) => {
      const { as, app, theirs } = await bench({ introspection_signed_response_alg: alg });
      const ours = await app();
      const token = await as.accessToken();
      const { body } = await expectAccepted(ours, token, '/scoped');
      expect(body).toMatchObject({
        auth: { clientId: 'm2m', scopes: ['read'], issuer: as.issuer, claims: { aud: API } },
      });
      const { result, raw, type } = await theirs(token);
      expect(decodeProtectedHeader(raw)).toMatchObject({ alg, typ: TYPE });
      expect(type).toBe(`${MEDIA_TYPE}; charset=utf-8`);
      expect(result).toMatchObject({ active: true, client_id: 'm2m' });
      await expectRefused(ours, 'unknown', INACTIVE);
      expect((await theirs('unknown')).result).toEqual({ active: false });
      await as.revoke(token);
      await expectRefused(ours, token, INACTIVE);
      expect((await theirs(token)).result).toEqual({ active: false });
    },
  );

  test('9701-5-4 an answer under an algorithm that was not agreed is useless', async () => {
    const { as, app } = await bench({ introspection_signed_response_alg: 'RS256' });
    const token = await as.accessToken();
    const misled = await app(undefined, { signedAnswers: { algorithm: 'ES256' } });
    const events = await diagnosticsOf(() => expectUnavailable(misled, token));
    expect(events).toContainEqual({ type: 'refusal', status: 503, code: undefined, reason: FAULTS.algorithm });
    await expectAccepted(await app(undefined, { signedAnswers: {} }), token);
  });

  test('9701-5-2 an answer for another client is useless', async () => {
    const { as, app } = await bench({ introspection_signed_response_alg: 'ES256' });
    const token = await as.accessToken();
    const clientAuthentication = clientSecretBasic('m2m', SECRET);
    const signedAnswers = { algorithm: 'ES256', audience: CLIENT };
    await expectUnavailable(await app(undefined, { clientAuthentication, signedAnswers }), token);
    await expectAccepted(await app(undefined, { clientAuthentication, signedAnswers: { algorithm: 'ES256' } }), token);
  });

  test('9701-5-4 after the provider exchanged its keys, one fetch finds the new one', async () => {
    const { as, app, clock } = await bench({ introspection_signed_response_alg: 'ES256' });
    const ours = await app();
    const old = await as.accessToken();
    await expectAccepted(ours, old);
    expect(as.keyFetches()).toBe(1);
    as.use([await providerKey('ES256', 'second')]);
    clock.now += 2;
    for (let i = 0; i < 3; i++) await expectAccepted(ours, await as.accessToken());
    await expectRefused(ours, old, INACTIVE);
    expect(as.keyFetches()).toBe(2);
  });

  test('9701-8.1-1 its answer, sent as an access token, is refused by its typ where JWTs are verified here', async () => {
    const { as, app, theirs } = await bench({ introspection_signed_response_alg: 'ES256' });
    const { raw } = await theirs(await as.accessToken());
    const local = await app(undefined, { jwtLocally: true });
    await expectRefused(local, raw, SAYS.type);
    await expectRefused(local, await as.accessToken(JWT_API), SAYS.audience); // a JWT of its own, but for another
    await expectAccepted(local, await as.accessToken());
  });

  // Asked about it the provider says 400, as for every JWT, and that is 503: it must not come so far.
  test('9701-8.1-1 its answer is refused by its typ where JWTs are introspected, too', async () => {
    const { as, app, theirs } = await bench({ introspection_signed_response_alg: 'ES256' });
    const { raw } = await theirs(await as.accessToken());
    const ours = await app();
    await expectRefused(ours, raw, SAYS.type);
    await expectRefused(ours, await as.accessToken(JWT_API), SAYS.audience); // a JWT of its own, but for another
    await expectAccepted(ours, await as.accessToken());
  });
});

describe('with the encrypted answers of oidc-provider', () => {
  const agreed: [algorithm: 'RSA-OAEP-256' | 'ECDH-ES', enc: 'the default' | 'A256GCM'][] = [
    ['RSA-OAEP-256', 'the default'],
    ['RSA-OAEP-256', 'A256GCM'],
    ['ECDH-ES', 'the default'],
    ['ECDH-ES', 'A256GCM'],
  ];
  test.each(agreed)(
    '9701-5-5 answers that are signed, then encrypted with %s and %s, are read',
    async (algorithm, enc) => {
      const { decryption, jwk } = await encryptionKey(algorithm);
      const { as, app, theirs, options } = await bench({
        introspection_signed_response_alg: 'ES256',
        introspection_encrypted_response_alg: algorithm,
        ...(enc === 'A256GCM' && { introspection_encrypted_response_enc: enc }),
        jwks: { keys: [jwk] },
      });
      const asAgreed = { ...decryption, ...(enc === 'A256GCM' && { encryption: enc }) };
      const ours = await app(asAgreed);
      const token = await as.accessToken();
      await expectAccepted(ours, token, '/scoped');
      await expectRefused(ours, 'unknown', INACTIVE);
      const { result, raw } = await theirs(token, asAgreed);
      expect(result).toMatchObject({ active: true, client_id: 'm2m' });
      expect(raw.split('.')).toHaveLength(5);
      await expectUnavailable(await app(), token); // we do not know that it is encrypted
      await expectUnavailable(await app({ ...asAgreed, encryption: 'A192GCM' }), token);
      await expectUnavailable(await app({ ...asAgreed, key: (await encryptionKey(algorithm)).decryption.key }), token);
      await expect(resourceServer({ resource: API, ...options(asAgreed) }).ready()).resolves.toBeUndefined();
      await expect(resourceServer({ resource: API, ...options() }).ready()).rejects.toMatchObject({ status: 503 });
    },
  );

  test('9701-5-5 answers encrypted with the shared secret are read', async () => {
    const { as, app } = await bench({
      introspection_signed_response_alg: 'RS256',
      introspection_encrypted_response_alg: 'dir',
    });
    // OpenID Connect Core 10.2: the key is the digest of the client secret, as long as the algorithm wants it.
    const key = createHash('sha256').update(SECRET).digest();
    const token = await as.accessToken();
    await expectAccepted(await app({ key, algorithm: 'dir' }), token);
    await expectUnavailable(await app({ key: createHash('sha256').update('x').digest(), algorithm: 'dir' }), token);
  });

  test('9701-5-5 answers that are only signed are useless where encryption was agreed', async () => {
    const { as, app } = await bench({ introspection_signed_response_alg: 'ES256' });
    const token = await as.accessToken();
    const { decryption } = await encryptionKey('ECDH-ES');
    await expectUnavailable(await app(decryption), token);
    await expectAccepted(await app(), token);
  });
});

describe('with oauth4webapi as a second judge of the scripted server', () => {
  const RSA = signingKey('RS256', 'rsa');
  const MALLORY = signingKey('ES256', 'first');

  const passes = (work: Promise<unknown>) =>
    work.then(
      () => true,
      () => false,
    );

  /** Who uses the answer: we, they as they read it, and they once they have verified the signature, which is a call apart. */
  async function verdicts(body: Body, type?: string, decryption?: { key: Uint8Array; algorithm: string }) {
    const { as, app } = await signedStage({ signedAnswers: { algorithm: 'ES256', ...(decryption && { decryption }) } });
    as.keys.push(RSA);
    answerWith(as, body, type);
    const token = as.issue();
    const metadata = { ...as.document, issuer: as.issuer };
    const client = { client_id: CLIENT, introspection_signed_response_alg: 'ES256' };
    const secret = oauth.ClientSecretBasic('the secret');
    const asked = { requestJwtResponse: true, ...insecure };
    const response = await oauth.introspectionRequest(metadata, client, secret, token, asked);
    const jweDecrypt: oauth.JweDecryptFunction = async (jwe) => {
      return new TextDecoder().decode((await compactDecrypt(jwe, decryption?.key ?? new Uint8Array())).plaintext);
    };
    const options = decryption === undefined ? {} : { [oauth.jweDecrypt]: jweDecrypt };
    const theirs = await passes(oauth.processIntrospectionResponse(metadata, client, response, options));
    const verified = theirs && (await passes(oauth.validateApplicationLevelSignature(metadata, response, insecure)));
    const { status } = await app.get('/protected', token);
    expect([200, 503]).toContain(status);
    return { ours: status === 200, theirs, verified };
  }

  const USED = { ours: true, theirs: true, verified: true };
  const REFUSED = { ours: false, theirs: false, verified: false };
  /** They see it only by the signature. */
  const FORGED = { ours: false, theirs: true, verified: false };
  const table: [what: string, body: Body, expected: typeof USED][] = [
    ['a right answer', RIGHT, USED],
    ['typ application/token-introspection+jwt', but({ header: { typ: MEDIA_TYPE } }), USED],
    ['typ in capitals', but({ header: { typ: TYPE.toUpperCase() } }), USED],
    ['no kid', but({ header: { kid: undefined } }), USED],
    ['a list of aud with ours', but({ claims: { aud: ['x', CLIENT] } }), USED],
    ['claims that nobody knows', but({ claims: { x: 1 } }), USED],
    ['an iat long ago', but({ claims: { iat: 1 } }), USED],
    ['a line end after the JWT', (as, token) => `${signedAnswer(as, token)}\n`, USED],
    ['an exp to come', but({ claims: { exp: 9_999_999_999 } }), USED],
    ['an exp in the past', but({ claims: { exp: 1 } }), REFUSED],
    ['an nbf to come', but({ claims: { nbf: 9_999_999_999 } }), REFUSED],
    ['typ JWT', but({ header: { typ: 'JWT' } }), REFUSED],
    ['no typ', but({ header: { typ: undefined } }), REFUSED],
    ['alg none', unsigned({ alg: 'none' }), REFUSED],
    ['another algorithm', but({ key: RSA }), REFUSED],
    ['a secret as key', authenticatedWith(() => 'the secret'), REFUSED],
    ['crit', but({ header: { crit: ['x'], x: 1 } }), REFUSED],
    ['an empty crit', but({ header: { crit: [] } }), REFUSED],
    ['a foreign iss', but({ claims: { iss: 'https://other.example' } }), REFUSED],
    ['no iss', but({ claims: { iss: undefined } }), REFUSED],
    ['a foreign aud', but({ claims: { aud: 'rs2' } }), REFUSED],
    ['a list of foreign aud', but({ claims: { aud: ['rs2'] } }), REFUSED],
    ['a list in a list as aud', but({ claims: { aud: [[CLIENT]] } }), REFUSED],
    ['no aud', but({ claims: { aud: undefined } }), REFUSED],
    ['no iat', but({ claims: { iat: undefined } }), REFUSED],
    ['an iat that is a string', but({ claims: { iat: '1' } }), REFUSED],
    ['no token_introspection', but({ claims: { token_introspection: undefined, active: true } }), REFUSED],
    ['a token_introspection that is a list', but({ claims: { token_introspection: [] } }), REFUSED],
    ['a token_introspection that is a string', but({ claims: { token_introspection: 'x' } }), REFUSED],
    ['an "active" that is a string', but({ members: { active: 'true' } }), REFUSED],
    ['no "active"', but({ members: { active: undefined } }), REFUSED],
    ['no JWT', () => 'x', REFUSED],
    ['encryption that nobody agreed on', sealed({ alg: 'dir', key: new Uint8Array(32) }), REFUSED],
    ['an unknown kid', but({ header: { kid: 'other' } }), FORGED],
    ['the key of somebody else', but({ key: MALLORY }), FORGED],
    ['the signature of another answer', mixed(2), FORGED],
    ['no signature', unsigned({ alg: 'ES256' }), FORGED],
    ['padding after the signature', (as, token) => `${signedAnswer(as, token)}=`, FORGED],
  ];
  test.each(table)('9701-5-2 9701-5-4 %s: both judges agree', async (_what, body, expected) => {
    expect(await verdicts(body)).toEqual(expected);
  });

  test('9701-5-6 plain JSON, and what is not encrypted as agreed: they take it, and we do not', async () => {
    const plain: Body = (as, token) => JSON.stringify(as.answerTo(token));
    expect(await verdicts(plain, 'application/json')).toEqual(FORGED);
    const decryption = { key: new Uint8Array(32), algorithm: 'dir' };
    expect(await verdicts(RIGHT, MEDIA_TYPE, decryption)).toEqual({ ...USED, ours: false });
    expect(await verdicts(sealed({ alg: 'dir', key: new Uint8Array(32) }), MEDIA_TYPE, decryption)).toEqual(USED);
  });

  test('9701-5-1 a media type in capitals: we take it, and they do not', async () => {
    expect(await verdicts(RIGHT, 'Application/Token-Introspection+JWT')).toEqual({ ...REFUSED, ours: true });
  });

  test('9701-5-4 no kid among several keys of the algorithm: we try them, and they do not', async () => {
    const body: Body = (as, token) => {
      if (as.keys.length === 2) as.keys.push(MALLORY);
      return signedAnswer(as, token, { header: { kid: undefined } });
    };
    expect(await verdicts(body)).toEqual({ ...USED, verified: false });
  });
});
