import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { startApp } from '../support/app.js';
import type { TestApp } from '../support/app.js';
import { TestAuthorizationServer } from '../support/authorization-server.js';
import { sendRaw } from '../support/raw.js';
import { expectRefusal, invalidRequest, MALFORMED_HEADER, NO_B64TOKEN, NO_JWT } from '../support/refusals.js';
import { invalidToken, RESOURCE, unauthorized } from '../support/refusals.js';
import type { Refusal } from '../support/refusals.js';

let as: TestAuthorizationServer;
let app: TestApp;

beforeAll(async () => {
  as = await TestAuthorizationServer.start();
  app = await startApp({ resource: RESOURCE, issuer: as.issuer });
});

beforeEach(() => {
  app.handled = 0;
});

afterAll(async () => {
  await app.close();
  await as.close();
});

/** Sends the value as it is, to the last space, which `fetch` would trim. */
function sendAuthorization(value: string) {
  return sendRaw(app.port, ['GET /protected HTTP/1.1', 'Host: api', `Authorization: ${value}`]);
}

describe('RFC 6750 2.1 Authorization request header field', () => {
  test('6750-2.1-1 a valid token in the header, body and query methods off, is accepted', async () => {
    const answer = await app.get('/protected', as.mint());
    expect(answer.status).toBe(200);
    expect(answer.body).toMatchObject({ auth: { scheme: 'Bearer', subject: 'alice', scopes: ['read', 'write'] } });
    expect(answer.challenge).toBeUndefined();
    expect(app.handled).toBe(1);
  });

  test.each<[value: string, expected: Refusal]>([
    ['Bearer', MALFORMED_HEADER],
    ['Bearer ', MALFORMED_HEADER],
    ['bearer', MALFORMED_HEADER],
    ['Bearer a b', MALFORMED_HEADER],
    ['Bearer  a b', MALFORMED_HEADER],
    ['Bearer, a', MALFORMED_HEADER],
    ['Bearer,Bearer a', MALFORMED_HEADER],
    ['Bearer=a', MALFORMED_HEADER],
    ['Bearer:a', MALFORMED_HEADER],
    ['Bearer a,b', NO_B64TOKEN],
    ['Bearer a,Basic', NO_B64TOKEN],
    ['Bearer "a"', NO_B64TOKEN],
    ['Bearer a=b', NO_B64TOKEN],
    ['Bearer token=a', NO_B64TOKEN],
    ['Bearer =', NO_B64TOKEN],
    ['Bearer a;b', NO_B64TOKEN],
    ['Bearer a%2Eb', NO_B64TOKEN],
    ['Bearer a\\b', NO_B64TOKEN],
    ['Bearer \xe9', NO_B64TOKEN],
    ['Bearer a\xa0b', NO_B64TOKEN],
  ])('6750-2.1-2 %j is malformed', async (value, expected) => {
    expectRefusal(await sendAuthorization(value), expected);
    expect(app.handled).toBe(0);
  });

  test.each([
    ['of section 2.1', 'mF_9.B5f-4.1JqM'],
    ['of one character', 'a'],
    ['with one equals sign', 'a='],
    ['with many equals signs', 'a==='],
    ['of punctuation', '-._~+/'],
    ['without periods', 'abc'],
    ['of 2,000 digits', '0'.repeat(2000)],
  ])('6750-2.1-2 a b64token %s is a token, though no good one', async (_label, token) => {
    expectRefusal(await sendAuthorization(`Bearer ${token}`), NO_JWT);
    expect(app.handled).toBe(0);
  });

  test.each(['Bearer  ', 'Bearer     ', 'bearer  '])(
    '6750-2.1-3 %j, several spaces, separate scheme and token',
    async (start) => {
      expect((await sendAuthorization(`${start}${as.mint()}`)).status).toBe(200);
      expect(app.handled).toBe(1);
    },
  );

  test.each<[start: string, expected: Refusal]>([
    ['Bearer\t', MALFORMED_HEADER],
    ['Bearer\t ', MALFORMED_HEADER],
    ['Bearer \t', NO_B64TOKEN],
    ['Bearer\xa0', MALFORMED_HEADER],
  ])('6750-2.1-3 %j does not separate scheme and token', async (start, expected) => {
    expectRefusal(await sendAuthorization(`${start}${as.mint()}`), expected);
    expect(app.handled).toBe(0);
  });

  test('6750-2.1-2 spaces and tabs around the field value are not part of it and pass', async () => {
    expect((await sendAuthorization(` \t Bearer ${as.mint()} \t `)).status).toBe(200);
    expect(app.handled).toBe(1);
  });

  test.each(['\0', '\r', '\x0b', '\x7f'])('6750-2.1-2 %j in the value is refused by Node already', async (odd) => {
    for (const value of [`Bearer ${odd}${as.mint()}`, `Bearer ${as.mint()}${odd}x`]) {
      expect((await sendAuthorization(value)).status).toBe(400);
    }
    expect(app.handled).toBe(0);
  });
});

describe('RFC 6750 1 and 5 transport, integrity, storage', () => {
  test('6750-1-1 requireTls: a valid token over plain HTTP is refused before anything is fetched', async () => {
    const fresh = await TestAuthorizationServer.start();
    const secure = await startApp({ resource: RESOURCE, issuer: fresh.issuer, requireTls: true });
    try {
      expectRefusal(
        await secure.get('/protected', fresh.mint()),
        invalidRequest('An access token must be sent over TLS'),
      );
      expectRefusal(await secure.get('/protected'), unauthorized());
      expect(secure.handled).toBe(0);
      expect(fresh.log).toEqual([]);
    } finally {
      await secure.close();
      await fresh.close();
    }
  });

  test('6750-5.2-2 requireTls: X-Forwarded-Proto counts from a trusted proxy only', async () => {
    const forwarded = { 'x-forwarded-proto': 'https' };
    const options = { resource: RESOURCE, issuer: as.issuer, requireTls: true } as const;
    const direct = await startApp(options);
    const proxied = await startApp(options, (express) => express.set('trust proxy', 'loopback'));
    try {
      expectRefusal(
        await direct.get('/protected', as.mint(), forwarded),
        invalidRequest('An access token must be sent over TLS'),
      );
      expect(direct.handled).toBe(0);
      expect((await proxied.get('/protected', as.mint(), forwarded)).status).toBe(200);
      expectRefusal(
        await proxied.get('/protected', as.mint(), { 'x-forwarded-proto': 'http' }),
        invalidRequest('An access token must be sent over TLS'),
      );
      expect(proxied.handled).toBe(1);
    } finally {
      await direct.close();
      await proxied.close();
    }
  });

  const WRONG_SIGNATURE = 'The access token has a wrong signature';
  test.each([
    ['the first byte of the header', 0, 0, NO_JWT],
    [
      'the key name in the header',
      0,
      -3,
      invalidToken('The access token is signed with a key that its issuer does not have'),
    ],
    ['the first byte of the payload', 1, 0, NO_JWT],
    ['the last byte of the payload', 1, -1, NO_JWT],
    ['the jti in the payload', 1, -3, invalidToken(WRONG_SIGNATURE)],
    ['the first byte of the signature', 2, 0, invalidToken(WRONG_SIGNATURE)],
    ['the middle of the signature', 2, 32, invalidToken(WRONG_SIGNATURE)],
    ['the last byte of the signature', 2, -1, invalidToken(WRONG_SIGNATURE)],
  ] as const)('6750-5.2-1 one bit flipped in %s is refused', async (_where, index, at, expected) => {
    const segments = as.mint().split('.');
    expect((await app.get('/protected', segments.join('.'))).status).toBe(200);
    const bytes = Buffer.from(segments[index] ?? '', 'base64url');
    const position = (at + bytes.length) % bytes.length;
    bytes[position] = (bytes[position] ?? 0) ^ 1;
    expectRefusal(await app.get('/protected', segments.with(index, bytes.toString('base64url')).join('.')), expected);
    expect(app.handled).toBe(1);
  });

  test.each([
    { cookie: 'access_token=' },
    { cookie: 'Authorization=Bearer ' },
    { 'x-access-token': '' },
    { 'x-auth-token': '' },
    { 'proxy-authorization': 'Bearer ' },
    { authentication: 'Bearer ' },
  ])('6750-5.3-1 a valid token after %j is not looked at, and no answer sets a cookie', async (place) => {
    const headers = Object.fromEntries(Object.entries(place).map(([name, start]) => [name, `${start}${as.mint()}`]));
    const refused = await app.get('/protected', undefined, headers);
    expectRefusal(refused, unauthorized());
    expect(app.handled).toBe(0);
    const passed = await app.get('/protected', as.mint(), headers);
    expect(passed.status).toBe(200);
    expect([refused, passed].map((answer) => answer.headers.has('set-cookie'))).toEqual([false, false]);
  });

  test('6750-5.3-2 by default a token in the URL counts for nothing and is not repeated', async () => {
    const token = as.mint();
    const answer = await app.request(`/protected?access_token=${token}`, { redirect: 'manual' });
    expectRefusal(answer, unauthorized());
    expect(answer.headers.has('location')).toBe(false);
    expect(JSON.stringify([...answer.headers])).not.toContain(token.slice(-16));
    expect(app.handled).toBe(0);
  });
});
