import { createPublicKey, createSecretKey, webcrypto } from 'node:crypto';
import { afterEach, describe, expect, test } from '@jest/globals';
import { decodeProtectedHeader, importJWK, jwtVerify } from 'jose';
import type { CryptoKey, JWK } from 'jose';
import { clientSecretBasic, clientSecretJwt, clientSecretPost, privateKeyJwt, tlsClientAuth } from '../../lib/index.js';
import type { Authenticated, ClientAuthentication } from '../../lib/index.js';
import { startApp } from '../support/app.js';
import { TestAuthorizationServer } from '../support/authorization-server.js';
import { movableClock } from '../support/clock.js';
import { complaintOf } from '../support/complaint.js';
import { diagnosticsOf } from '../support/diagnostics.js';
import { closeAll, closing, expectAccepted, expectUnavailable } from '../support/stage.js';
import { signingKey } from '../support/tokens.js';

const API = 'https://api.example.com';
const ISSUER = 'https://as.example.com';
const NOW = 1_800_000_000;
const SECRET = 'kx7Qm2Vt9Lp4Rz8Wn3Bd6Hf1Gj5Ys0Tc';
const ASSERTION_TYPE = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer';
const FAILED = 'We could not authenticate at the authorization server: what "clientAuthentication" calls failed';
const ES256 = { algorithm: 'ES256' };
const key = signingKey('ES256', 'ours');
const jwk = { ...key.privateKey.export({ format: 'jwk' }), kty: 'EC' } satisfies JWK;

afterEach(closeAll);

const cryptoKey = (type: 'privateKey' | 'publicKey') =>
  webcrypto.subtle
    .generateKey({ name: 'ECDSA', namedCurve: 'P-256' }, true, ['sign', 'verify'])
    .then((pair) => pair[type]);

describe('client authentication: what is refused at construction', () => {
  const NO_TEXT = [undefined, null, '', 5, {}, ['rs1']];
  const MAKERS = { clientSecretBasic, clientSecretPost, clientSecretJwt };

  test.each(Object.entries(MAKERS))('%s: an identifier or a secret that is no text', (name, make) => {
    for (const bad of NO_TEXT) {
      const identifier = `the client identifier of ${name} must be a string that is not empty`;
      expect(complaintOf(make, bad, SECRET)).toBe(identifier);
      const secret = `${name} needs the secret of the client as its second argument: a string that is not empty`;
      expect(complaintOf(make, 'rs1', bad)).toBe(secret);
    }
    expect(make('rs1', SECRET).clientId).toBe('rs1');
  });

  test('clientSecretJwt: a secret shorter than the hash, in bytes', () => {
    const short = 'clientSecretJwt needs a secret of 32 bytes or more (RFC 7518 section 3.2)';
    for (const secret of ['x', 'x'.repeat(31), 'é'.repeat(15)]) {
      expect(complaintOf(clientSecretJwt, 'rs1', secret)).toBe(short);
    }
    for (const secret of ['x'.repeat(32), 'é'.repeat(16)]) {
      expect(clientSecretJwt('rs1', secret).clientId).toBe('rs1');
    }
  });

  test.each<[what: string, options: unknown, says: string]>([
    ['no object', 'x', 'takes an object, got "x"'],
    ['null', null, 'takes an object, got null'],
    ['an unknown one', { foo: 1 }, 'has no option "foo": the options are '],
    ['what others call it', { aud: ISSUER }, 'has no option "aud": did you mean "audience"?'],
  ])('options: %s', (_what, options, says) => {
    expect(complaintOf(clientSecretJwt, 'rs1', SECRET, options)).toContain(`clientSecretJwt ${says}`);
    expect(complaintOf(privateKeyJwt, 'rs1', jwk, options)).toContain(`privateKeyJwt ${says}`);
  });

  test('an audience that is no text', () => {
    const says = 'must be a string that is not empty';
    for (const bad of [null, '', 5, [ISSUER]]) {
      expect(complaintOf(clientSecretJwt, 'rs1', SECRET, { audience: bad })).toBe(`audience ${says}`);
      expect(complaintOf(privateKeyJwt, 'rs1', jwk, { ...ES256, audience: bad })).toBe(`audience ${says}`);
    }
  });

  test('a key identifier that is no text', () => {
    for (const bad of [null, '', 5, ['one']]) {
      const message = complaintOf(privateKeyJwt, 'rs1', jwk, { ...ES256, keyId: bad });
      expect(message).toMatch(/keyId.* must be a string that is not empty$/);
    }
  });

  const KEY = 'privateKeyJwt takes the private key: a CryptoKey, a KeyObject or a JWK with "d"';
  test.each<[what: string, key: unknown]>([
    ['nothing', undefined],
    ['null', null],
    ['a list', []],
    ['an empty object', {}],
    ['PEM', key.privateKey.export({ format: 'pem', type: 'pkcs8' })],
    ['the public KeyObject', createPublicKey(key.privateKey)],
    ['a secret KeyObject', createSecretKey(Buffer.from(SECRET))],
    ['the public CryptoKey', cryptoKey('publicKey')],
    ['the public JWK', key.jwk],
    ['a secret JWK', { kty: 'oct', k: 'c2VjcmV0', d: 'x' }],
  ])('privateKeyJwt: %s in place of the private key', async (_what, given) => {
    expect(complaintOf(privateKeyJwt, 'rs1', await given, ES256)).toBe(KEY);
  });

  test('privateKeyJwt: an algorithm that is missing, or not asymmetric', () => {
    for (const bad of ['HS256', 'none', 'es256', '', null, 5]) {
      const message = complaintOf(privateKeyJwt, 'rs1', jwk, { algorithm: bad });
      expect(message).toMatch(/^privateKeyJwt needs an "algorithm" of .*RS256.*ES256.*, got /);
    }
    expect(complaintOf(privateKeyJwt, 'rs1', jwk)).toMatch(/got undefined$/);
    expect(privateKeyJwt('rs1', { ...jwk, alg: 'ES256' }).clientId).toBe('rs1');
  });

  test('tlsClientAuth: no fetch, or none that is a function', () => {
    expect(complaintOf(tlsClientAuth, 'rs1')).toBe('tlsClientAuth needs the "fetch" that shows the certificate');
    for (const bad of [null, {}, 'x', 5]) expect(complaintOf(tlsClientAuth, 'rs1', bad)).toContain('"fetch"');
    expect(complaintOf(tlsClientAuth, '', fetch)).toMatch(/^the client identifier of tlsClientAuth must be a string/);
    expect(tlsClientAuth('rs1', fetch).fetch).toBe(fetch);
  });

  // Whatever stands in the wrong place may be the secret.
  test.each<[what: string, make: (...args: never[]) => ClientAuthentication, args: unknown[]]>([
    ['for the identifier, in a list', clientSecretBasic, [[SECRET], SECRET]],
    ['in an object', clientSecretBasic, ['rs1', { secret: SECRET }]],
    ['too short', clientSecretJwt, ['rs1', SECRET.slice(0, 16)]],
    ['for the key', privateKeyJwt, ['rs1', SECRET, ES256]],
    ['for the key, as a JWK', privateKeyJwt, ['rs1', { kty: 'oct', k: SECRET }, ES256]],
    ['for the fetch', tlsClientAuth, ['rs1', SECRET]],
  ])('no message repeats a secret: %s', (_what, make, args) => {
    expect(complaintOf(make, ...args)).not.toContain(SECRET.slice(0, 8));
  });
});

describe('client authentication: what is sent', () => {
  test('client_secret_basic: both form-encoded, in the header and nowhere else', async () => {
    const basic = clientSecretBasic('rs 1:ü', 'p%20:+/é~*');
    const credentials = Buffer.from('rs+1%3A%C3%BC:p%2520%3A%2B%2F%C3%A9%7E*').toString('base64');
    expect(await basic.authenticate(ISSUER, NOW)).toEqual({ headers: { authorization: `Basic ${credentials}` } });
  });

  test('client_secret_post: both in the form, as they are', async () => {
    const parameters = { client_id: 'rs 1', client_secret: 'p%20:+/é' };
    expect(await clientSecretPost('rs 1', 'p%20:+/é').authenticate(ISSUER, NOW)).toEqual({ parameters });
  });

  test('a certificate: the identifier in the form, because the certificate does not say it', async () => {
    expect(await tlsClientAuth('rs1', fetch).authenticate(ISSUER, NOW)).toEqual({ parameters: { client_id: 'rs1' } });
  });

  /** The assertion of one call, verified; and that it travels with its type and the identifier, and with nothing else. */
  async function assertionOf(by: ClientAuthentication, verifyWith: CryptoKey | Uint8Array, audience: string) {
    const { headers, parameters = {} } = await by.authenticate(ISSUER, NOW + 0.75);
    expect(headers).toBeUndefined();
    const { client_assertion: assertion = '', ...rest } = parameters;
    expect(rest).toEqual({ client_id: 'rs1', client_assertion_type: ASSERTION_TYPE });
    const options = { issuer: 'rs1', subject: 'rs1', audience, currentDate: new Date(NOW * 1000) };
    const { payload, protectedHeader } = await jwtVerify(assertion, verifyWith, options);
    const { jti, ...claims } = payload;
    expect(jti).toMatch(/^[\da-f-]{36}$/);
    expect(claims).toEqual({ iss: 'rs1', sub: 'rs1', aud: audience, iat: NOW, exp: NOW + 60 });
    return { jti, header: protectedHeader };
  }

  const publicKey = () => importJWK(key.jwk as JWK, 'ES256') as Promise<CryptoKey>;

  test.each([
    ['the issuer by default', undefined, ISSUER],
    ['the audience of the options', `${ISSUER}/introspect`, `${ISSUER}/introspect`],
  ])('assertions: for %s, for a minute, each with a jti of its own', async (_what, audience, aud) => {
    const options = audience === undefined ? {} : { audience };
    for (const [by, verifyWith] of [
      [clientSecretJwt('rs1', SECRET, options), Buffer.from(SECRET)],
      [privateKeyJwt('rs1', key.privateKey, { ...ES256, ...options }), await publicKey()],
    ] as const) {
      const [one, two] = [await assertionOf(by, verifyWith, aud), await assertionOf(by, verifyWith, aud)];
      expect(one.jti).not.toBe(two.jti);
    }
  });

  test('client_secret_jwt is HS256, and names no key', async () => {
    const { header } = await assertionOf(clientSecretJwt('rs1', SECRET), Buffer.from(SECRET), ISSUER);
    expect(header).toEqual({ alg: 'HS256' });
  });

  test.each<[what: string, options: object, more: object, header: object]>([
    ['no kid unless it is named', ES256, {}, { alg: 'ES256' }],
    ['keyId', { ...ES256, keyId: 'one' }, {}, { alg: 'ES256', kid: 'one' }],
    ['the kid and alg of a JWK', {}, { kid: 'two', alg: 'ES256' }, { alg: 'ES256', kid: 'two' }],
    ['keyId before that of the JWK', { keyId: 'one' }, { kid: 'two', alg: 'ES256' }, { alg: 'ES256', kid: 'one' }],
  ])('private_key_jwt: %s', async (_what, options, more, header) => {
    const by = privateKeyJwt('rs1', { ...jwk, ...more }, options);
    expect((await assertionOf(by, await publicKey(), ISSUER)).header).toEqual(header);
  });

  test.each(['RS256', 'PS384', 'ES512', 'EdDSA'])('private_key_jwt signs with %s', async (algorithm) => {
    const ours = signingKey(algorithm);
    const by = privateKeyJwt('rs1', ours.privateKey, { algorithm });
    await assertionOf(by, await importJWK(ours.jwk as JWK, algorithm), ISSUER);
    expect(decodeProtectedHeader(await assertion(by)).alg).toBe(algorithm);
  });

  test('private_key_jwt takes a CryptoKey that cannot be exported', async () => {
    const ecdsa = { name: 'ECDSA', namedCurve: 'P-256' };
    const pair = await webcrypto.subtle.generateKey(ecdsa, false, ['sign', 'verify']);
    const by = privateKeyJwt('rs1', pair.privateKey, ES256);
    await assertionOf(by, pair.publicKey, ISSUER);
  });

  test('private_key_jwt leaves the JWK that it was given alone, and does not follow it', async () => {
    const given: JWK = { ...jwk };
    const by = privateKeyJwt('rs1', given, ES256);
    await assertionOf(by, await publicKey(), ISSUER);
    expect(Object.isFrozen(given)).toBe(false);
    expect(given).toEqual(jwk);
    const other = privateKeyJwt('rs1', given, ES256);
    Object.assign(given, signingKey().privateKey.export({ format: 'jwk' }));
    await assertionOf(other, await publicKey(), ISSUER);
  });

  async function assertion(by: ClientAuthentication): Promise<string> {
    return (await by.authenticate(ISSUER, NOW)).parameters?.['client_assertion'] ?? '';
  }
});

describe('client authentication by hand', () => {
  async function appWith(clientAuthentication: ClientAuthentication) {
    const [clock, as] = [movableClock(), closing(await TestAuthorizationServer.start())];
    const introspection = { clientAuthentication };
    return { as, clock, app: closing(await startApp({ resource: API, issuer: as.issuer, introspection, clock })) };
  }

  test('is asked for each question, with the issuer and the time, and cannot replace the token', async () => {
    const asked: unknown[] = [];
    const { as, app, clock } = await appWith({
      authenticate: (...args) => {
        asked.push(args);
        const parameters = { who: 'a&b=c', token: 'another', token_type_hint: 'x' };
        return Promise.resolve({ headers: { 'x-api-key': `key ${String(asked.length)}` }, parameters });
      },
    });
    const tokens = [as.issue(), as.issue()];
    for (const token of tokens) await expectAccepted(app, token);
    expect(asked).toEqual([1, 2].map(() => [as.issuer, clock.now]));
    expect(as.questions.map(({ headers, form }) => [headers['x-api-key'], ...form])).toEqual(
      tokens.map((token, i) => [
        `key ${String(i + 1)}`,
        ['who', 'a&b=c'],
        ['token', token],
        ['token_type_hint', 'access_token'],
      ]),
    );
  });

  test('its own fetch is used for questions, and for nothing else', async () => {
    const fetched: string[] = [];
    const { as, app } = await appWith({
      authenticate: () => ({}),
      fetch: (input, init) => {
        fetched.push(`${init?.method ?? 'GET'} ${new URL(input).pathname}`);
        return fetch(input, init);
      },
    });
    await expectAccepted(app, as.issue());
    expect(fetched).toEqual(['POST /introspect']);
  });

  test('renew is called with what was refused, and the question asked once more, and not again', async () => {
    const renewed: Authenticated[] = [];
    const { as, app } = await appWith({
      authenticate: () => ({ headers: { authorization: `Key ${String(renewed.length)}` } }),
      renew: (refused) => renewed.push(refused),
    });
    let good = 'Key 1';
    as.onQuestion = ({ headers, form }, res) => {
      const answer = JSON.stringify(as.answerTo(form.get('token')));
      const status = headers.authorization === good ? 200 : 401;
      res.writeHead(status, { 'Content-Type': 'application/json' }).end(answer);
    };
    await expectAccepted(app, as.issue());
    expect(renewed).toEqual([{ headers: { authorization: 'Key 0' } }]);
    expect(as.questions).toHaveLength(2);
    good = 'Key 99';
    await expectUnavailable(app, as.issue());
    expect(as.questions).toHaveLength(4);
  });

  test.each<[what: string, authenticate: () => unknown]>([
    [
      'that throws',
      () => {
        throw new Error('the words of another server');
      },
    ],
    ['that rejects', () => Promise.reject(new Error('the words of another server'))],
    ['that gives nothing', () => undefined],
    ['that gives text', () => 'the words of another server'],
  ])('one %s is 503, and its words go nowhere', async (_what, authenticate) => {
    let isBroken = true;
    const { as, app } = await appWith({
      authenticate: () => (isBroken ? (authenticate() as Authenticated) : { parameters: { who: 'rs1' } }),
    });
    const events = await diagnosticsOf(() => expectUnavailable(app, as.issue()));
    expect(events).toEqual([
      { type: 'introspection', issuer: as.issuer, event: 'failed', reason: FAILED },
      { type: 'refusal', status: 503, code: undefined, reason: FAILED },
    ]);
    expect(as.questions).toEqual([]);
    isBroken = false;
    await expectAccepted(app, as.issue());
  });
});
