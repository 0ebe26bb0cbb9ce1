import { webcrypto } from 'node:crypto';
import { afterEach, describe, expect, test } from '@jest/globals';
import { clientSecretBasic, resourceServer } from '../../lib/index.js';
import type { ClientAuthentication, IntrospectionOptions, ResourceServerOptions } from '../../lib/index.js';
import { checkedIntrospection } from '../../lib/introspection-options.js';
import { startApp } from '../support/app.js';
import { TestAuthorizationServer } from '../support/authorization-server.js';
import { complaintOf } from '../support/complaint.js';
import { closeAll, closing, expectAccepted, expectRefused, SAYS } from '../support/stage.js';

const API = 'https://api.example.com';
const [A, B, C] = ['https://a.example', 'https://b.example', 'https://c.example'] as const;
const SECRET = 'kx7Qm2Vt9Lp4Rz8Wn3Bd6Hf1Gj5Ys0Tc';
const clientAuthentication = clientSecretBasic('rs1', SECRET);
const introspection = { clientAuthentication };
const by = (more: object): unknown => ({ clientAuthentication, ...more });

afterEach(closeAll);

/** What `introspection` meets, with one server and in a list of servers. */
function complaint(given: unknown): string {
  const message = complaintOf(resourceServer, { resource: API, issuer: A, introspection: given });
  const authorizationServers = [{ issuer: B }, { issuer: A, introspection: given }];
  expect(complaintOf(resourceServer, { resource: API, authorizationServers })).toBe(message);
  expect(message).not.toContain(SECRET.slice(0, 8));
  return message;
}

describe('the options of introspection', () => {
  test('have these defaults', () => {
    expect(checkedIntrospection(introspection)).toEqual({
      clientAuthentication,
      endpoint: undefined,
      signedAnswers: undefined,
      ttl: 30,
      inactiveTtl: 5,
      staleWhileRevalidate: 0,
      maxConcurrent: 50,
      maxQueued: 1000,
    });
    const signed = checkedIntrospection({ clientAuthentication, signedAnswers: {} }).signedAnswers;
    expect(signed).toEqual({ algorithm: 'RS256', audience: 'rs1', decryption: undefined });
    const key = { kty: 'oct', k: 'c2VjcmV0' };
    const signedAnswers = { algorithm: 'ES256', audience: 'us', decryption: { key, algorithm: 'dir' } };
    const encrypted = checkedIntrospection({ clientAuthentication, signedAnswers }).signedAnswers;
    expect(encrypted).toEqual({
      algorithm: 'ES256',
      audience: 'us',
      decryption: { key, algorithm: 'dir', encryption: 'A128CBC-HS256' },
    });
  });

  test.each<[what: string, options: object]>([
    ['the least', {}],
    ['undefined ones', { endpoint: undefined, jwtLocally: undefined, ttl: undefined, signedAnswers: undefined }],
    ['the lower bounds', { ttl: 0, inactiveTtl: 0, staleWhileRevalidate: 0, maxConcurrent: 1, maxQueued: 1 }],
    ['the upper bounds', { ttl: 3600, inactiveTtl: 60, staleWhileRevalidate: 300 }],
    ['parts of seconds', { ttl: 0.5, inactiveTtl: 0.5, staleWhileRevalidate: 0.5 }],
    ['an endpoint on loopback', { endpoint: 'http://127.0.0.1:1/introspect' }],
    ['an endpoint with a query', { endpoint: 'https://as.example.com/?p=introspect' }],
    ['both flags', { jwtLocally: true, requireAudience: true }],
  ])('%s are taken, and not changed', (_what, options) => {
    const given = Object.freeze({ clientAuthentication, ...options });
    expect(resourceServer({ resource: API, issuer: A, introspection: given })).toHaveLength(3);
  });

  test.each<[given: unknown, got: string]>([
    [null, 'null'],
    [true, 'true'],
    [[], 'an empty list'],
    ['x', '"x"'],
  ])('%j in place of them is refused', (given, got) => {
    expect(complaint(given)).toBe(`introspection takes an object, got ${got}`);
  });

  const NAMES =
    'clientAuthentication, endpoint, jwtLocally, requireAudience, acceptUntyped, signedAnswers, ttl, inactiveTtl, staleWhileRevalidate, ' +
    'maxConcurrent, maxQueued';
  test.each([
    ['endpont', 'did you mean "endpoint"?'],
    ['jwtLocaly', 'did you mean "jwtLocally"?'],
    ['TTL', 'did you mean "ttl"?'],
    ['clientSecret', `the options are ${NAMES}`],
  ])('a name that is none: %s', (name, hint) => {
    expect(complaint(by({ [name]: SECRET }))).toBe(`introspection has no option "${name}": ${hint}`);
  });

  test.each<[what: string, given: unknown, got: string]>([
    ['nothing', undefined, 'undefined'],
    ['null', null, 'null'],
    ['a number', 5, '5'],
    ['the secret alone', SECRET, 'a string'],
    ['a function', () => ({}), 'a value of type function'],
    ['the credentials alone', { clientId: 'rs1', clientSecret: SECRET }, 'a value of type object'],
    ['an authenticate that is none', { authenticate: SECRET }, 'a value of type object'],
  ])('clientAuthentication: %s', (_what, given, got) => {
    const wanted = `"clientAuthentication" must be one such as clientSecretBasic('rs1', secret)`;
    expect(complaint({ clientAuthentication: given })).toBe(`${wanted}, got ${got}`);
  });

  test.each<[name: string, bad: unknown]>([
    ['fetch', 'https://as.example.com'],
    ['renew', true],
    ['clientId', 5],
    ['clientId', ''],
  ])('clientAuthentication by hand: "%s" of another type', (name, bad) => {
    const byHand = { authenticate: () => ({}), [name]: bad } as ClientAuthentication;
    expect(complaint({ clientAuthentication: byHand })).toMatch(new RegExp(`${name}\\b.* must be a `));
  });

  const URL_WORDS = '"introspection.endpoint" must be an https URL such as "https://as.example.com/introspect"';
  test.each<[given: unknown, rest: string]>([
    ['http://as.example.com/introspect', ' (http only on loopback), got "http://as.example.com/introspect"'],
    ['/introspect', ', got "/introspect"'],
    ['https://as.example.com/#x', ' without "#", got "https://as.example.com/#x"'],
    [`https://rs1:${SECRET}@as.example.com/`, ' without user name and password'],
    ['', ', got ""'],
    [null, ', got null'],
    [new URL('https://as.example.com/'), ', got a value of type object'],
  ])('endpoint: %s', (given, rest) => {
    expect(complaint(by({ endpoint: given }))).toBe(`${URL_WORDS}${rest}`);
  });

  test.each(['jwtLocally', 'requireAudience'])('%s: anything but a boolean', (name) => {
    for (const [given, got] of [
      ['true', '"true"'],
      [1, '1'],
      [null, 'null'],
    ] as const) {
      expect(complaint(by({ [name]: given }))).toBe(`"${name}" must be a boolean, got ${got}`);
    }
  });

  test.each([
    ['ttl', 3600],
    ['inactiveTtl', 60],
    ['staleWhileRevalidate', 300],
  ])('%s: anything but 0 to %i seconds', (name, max) => {
    const wanted = `"${name}" must be a number of seconds from 0 to ${max}`;
    for (const bad of [-1, max + 1, NaN, Infinity, null]) {
      expect(complaint(by({ [name]: bad }))).toBe(`${wanted}, got ${String(bad)}`);
    }
    expect(complaint(by({ [name]: '30' }))).toBe(`${wanted}, got "30"`);
  });

  test.each(['maxConcurrent', 'maxQueued'])('%s: anything but a whole number from 1 on', (name) => {
    const wanted = `"${name}" must be a whole number, 1 or more`;
    for (const bad of [0, -1, 1.5, NaN, Infinity, null]) {
      expect(complaint(by({ [name]: bad }))).toBe(`${wanted}, got ${String(bad)}`);
    }
    expect(complaint(by({ [name]: '5' }))).toBe(`${wanted}, got "5"`);
  });

  const KEY = '"key" of decryption must be a CryptoKey, a JWK or a Uint8Array';
  const key = { kty: 'oct', k: 'c2VjcmV0' };
  test.each<[what: string, given: unknown, says: string]>([
    ['true', true, 'signedAnswers takes an object, got true'],
    [
      'an unknown name',
      { alg: 'RS256' },
      'signedAnswers has no option "alg": the options are algorithm, audience, decryption',
    ],
    ['an algorithm with a secret', { algorithm: 'HS256' }, '"algorithm" of signedAnswers must be one of '],
    ['no signature', { algorithm: 'none' }, '"algorithm" of signedAnswers must be one of '],
    ['an algorithm that is no text', { algorithm: null }, '"algorithm" of signedAnswers must be one of '],
    ['an empty audience', { audience: '' }, '"audience" of signedAnswers must be a string that is not empty'],
    ['audiences', { audience: ['rs1'] }, '"audience" of signedAnswers must be a string that is not empty'],
    ['decryption: true', { decryption: true }, 'decryption takes an object, got true'],
    ['decryption: another name', { decryption: { enc: 'x' } }, 'decryption has no option "enc": the options are key, '],
    ['decryption: no key', { decryption: { algorithm: 'dir' } }, KEY],
    ['decryption: a key that is null', { decryption: { key: null, algorithm: 'dir' } }, KEY],
    ['decryption: a key in a list', { decryption: { key: [key], algorithm: 'dir' } }, KEY],
    ['decryption: a key that is text', { decryption: { key: SECRET, algorithm: 'dir' } }, KEY],
    [
      'decryption: no algorithm',
      { decryption: { key } },
      '"algorithm" of decryption must be a string that is not empty',
    ],
    [
      'decryption: an encryption that is no text',
      { decryption: { key, algorithm: 'dir', encryption: 5 } },
      '"encryption" of decryption must be a string that is not empty',
    ],
  ])('signedAnswers: %s', (_what, given, says) => {
    const message = complaint(by({ signedAnswers: given }));
    expect(message.slice(0, says.length)).toBe(says);
  });

  test('signedAnswers: for whom they are is said by clientAuthentication, or by "audience"', () => {
    const nameless: ClientAuthentication = { authenticate: () => ({}) };
    expect(complaint({ clientAuthentication: nameless, signedAnswers: {} })).toBe(
      '"signedAnswers" needs an "audience": the clientAuthentication names no client identifier',
    );
    const named: IntrospectionOptions = { clientAuthentication: nameless, signedAnswers: { audience: 'rs1' } };
    expect(resourceServer({ resource: API, issuer: A, introspection: named })).toHaveLength(3);
  });

  test('signedAnswers: each kind of key for decryption is taken', async () => {
    const usages = ['encrypt', 'decrypt'] as const;
    const cryptoKey = await webcrypto.subtle.generateKey({ name: 'AES-GCM', length: 128 }, false, usages);
    for (const kind of [cryptoKey, key, new Uint8Array(16)]) {
      const signedAnswers = { decryption: { key: kind, algorithm: 'dir' } };
      const options = { clientAuthentication, signedAnswers };
      expect(resourceServer({ resource: API, issuer: A, introspection: options })).toHaveLength(3);
    }
  });
});

describe('who is asked about opaque tokens', () => {
  const two = [
    { issuer: A, introspection },
    { issuer: B, introspection },
  ];
  const start = (options: object) => resourceServer({ resource: API, ...options } as ResourceServerOptions);

  test('"introspection" beside "authorizationServers" is refused', () => {
    for (const authorizationServers of [two, () => undefined]) {
      expect(complaintOf(resourceServer, { resource: API, authorizationServers, introspection })).toBe(
        '"introspection" stands beside "authorizationServers": give it with each server',
      );
    }
  });

  test('several servers with introspection, and no word on which is asked: refused', () => {
    expect(complaintOf(resourceServer, { resource: API, authorizationServers: two })).toBe(
      'several servers have "introspection": say with "introspectAt" which issuers are asked about an opaque token, and in ' +
        'which order. Each of them sees the token, and could use it',
    );
    for (const introspectAt of [[A], [B, A], [], () => [A]]) {
      expect(start({ authorizationServers: two, introspectAt })).toHaveLength(3);
    }
    expect(start({ authorizationServers: [{ issuer: A, introspection }, { issuer: B }] })).toHaveLength(3);
  });

  test.each<[what: string, introspectAt: unknown, got: string]>([
    ['a stranger', [A, C], '"https://c.example"'],
    ['one that does not introspect', ['https://d.example'], '"https://d.example"'],
    ['another spelling', [`${A}/`], '"https://a.example/"'],
    ['what is no text', [5], '5'],
  ])('introspectAt with %s is refused', (_what, introspectAt, got) => {
    const authorizationServers = [...two, { issuer: 'https://d.example' }];
    expect(complaintOf(resourceServer, { resource: API, authorizationServers, introspectAt })).toBe(
      `"introspectAt" has ${got}, which is not a listed server with "introspection"`,
    );
  });

  test.each<[given: unknown, got: string]>([
    [A, '"https://a.example"'],
    [null, 'null'],
    [{}, 'a value of type object'],
    [true, 'true'],
  ])('introspectAt: %j is refused', (introspectAt, got) => {
    expect(complaintOf(resourceServer, { resource: API, authorizationServers: two, introspectAt })).toBe(
      `"introspectAt" must be a list of issuers, or a function that returns one, got ${got}`,
    );
  });

  test.each([-1, 1.5, 1_000_001, Infinity, null])('maxCachedTokens: %s is refused', (maxCachedTokens) => {
    expect(complaintOf(resourceServer, { resource: API, issuer: A, introspection, maxCachedTokens })).toBe(
      `"maxCachedTokens" must be a whole number, from 0 to 1000000, got ${String(maxCachedTokens)}`,
    );
    for (const good of [0, 1]) expect(start({ issuer: A, introspection, maxCachedTokens: good })).toHaveLength(3);
  });

  test('an empty list: opaque tokens are refused, and nobody is asked; by default the only server is', async () => {
    const as = closing(await TestAuthorizationServer.start());
    const options = { resource: API, issuer: as.issuer, introspection };
    const token = as.issue();
    await expectRefused(closing(await startApp({ ...options, introspectAt: [] })), token, SAYS.noJwt);
    expect(as.questions).toEqual([]);
    await expectAccepted(closing(await startApp(options)), token);
  });
});
