import { hash } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals';
import express from 'express';
import express4 from 'express4';
import type { Express, RequestHandler } from 'express';
import { auth, requireScope, resourceServer } from '../../lib/index.js';
import type { CommonOptions, OnError } from '../../lib/index.js';
import { startApp } from '../support/app.js';
import type { TestApp } from '../support/app.js';
import { expectForgeryRefused } from '../support/attack.js';
import { TestAuthorizationServer } from '../support/authorization-server.js';
import { movableClock } from '../support/clock.js';
import { watched, watchSignatures } from '../support/hot.js';
import type { Signatures } from '../support/hot.js';
import { clientAuthentication, TTL } from '../support/introspection-stage.js';
import { sendRaw } from '../support/raw.js';
import { expectRefusal, insufficientScope, invalidRequest, invalidToken, RESOURCE } from '../support/refusals.js';
import { MALFORMED_HEADER, NO_B64TOKEN, REPEATED_HEADER, TWO_METHODS, unauthorized } from '../support/refusals.js';
import type { Refusal } from '../support/refusals.js';
import { closeAll, closing, expectAccepted, SAYS, stage } from '../support/stage.js';
import type { Stage } from '../support/stage.js';
import { base64url } from '../support/tokens.js';

let signatures: Signatures;

beforeEach(() => {
  signatures = watchSignatures();
});

afterEach(async () => {
  jest.restoreAllMocks();
  await closeAll();
});

async function expectHot(app: TestApp, token: string, path?: string): Promise<void> {
  expect(await signatures.during(() => expectAccepted(app, token, path))).toBe(0);
}

interface HotStage extends Stage {
  readonly token: string;
}

/** A token that was accepted ten times. */
async function hotStage(options: Partial<CommonOptions> = {}): Promise<HotStage> {
  const staged = await stage(options);
  const token = staged.as.mint();
  for (let i = 0; i < 10; i++) await expectAccepted(staged.app, token);
  await expectHot(staged.app, token);
  return { ...staged, token };
}

const part = (token: string, i: number) => token.split('.')[i] ?? '';
const withHeader = (token: string, change: object) => {
  const header = JSON.parse(Buffer.from(part(token, 0), 'base64url').toString()) as object;
  return [base64url({ ...header, ...change }), part(token, 1), part(token, 2)].join('.');
};
const withClaims = (token: string, change: object) => {
  const claims = JSON.parse(Buffer.from(part(token, 1), 'base64url').toString()) as object;
  return [part(token, 0), base64url({ ...claims, ...change }), part(token, 2)].join('.');
};
/** The same bytes to a reader that ignores the unused bits of the last character. */
const withUnusedBits = (token: string) => token.replace(/[AQgw]$/, (last) => String.fromCharCode(last.charCodeAt(0) + 1));
/** The first letter from `at` on in the other case. */
const otherCase = (token: string, at: number) => {
  const letter = at + token.slice(at).search(/[A-Za-z]/);
  const found = token.charAt(letter);
  const other = found === found.toLowerCase() ? found.toUpperCase() : found.toLowerCase();
  return token.slice(0, letter) + other + token.slice(letter + 1);
};
const payloadAt = (token: string) => token.indexOf('.') + 1;
const signatureAt = (token: string) => token.lastIndexOf('.') + 1;

describe('a known token is known to the last character', () => {
  test.each<[what: string, forge: (token: string) => string, says: string]>([
    ['its header says one thing more', (token) => withHeader(token, { x: 1 }), SAYS.signature],
    ['its header is in another order', (token) => withHeader(token, { typ: undefined, x: 1 }), SAYS.type],
    ['its alg is none', (token) => withHeader(token, { alg: 'none' }), SAYS.algorithm],
    ['its alg is in lower case', (token) => withHeader(token, { alg: 'es256' }), SAYS.algorithm],
    ['its alg is symmetric', (token) => withHeader(token, { alg: 'HS256' }), SAYS.algorithm],
    ['its alg is for another key', (token) => withHeader(token, { alg: 'ES384' }), SAYS.key],
    ['its kid is another one', (token) => withHeader(token, { kid: 'second' }), SAYS.key],
    ['its kid is gone', (token) => withHeader(token, { kid: undefined }), SAYS.signature],
    ['its typ is another one', (token) => withHeader(token, { typ: 'JWT' }), SAYS.type],
    ['its subject is another one', (token) => withClaims(token, { sub: 'mallory' }), SAYS.signature],
    ['its scope is wider', (token) => withClaims(token, { scope: 'read write admin' }), SAYS.signature],
    ['its exp is later', (token) => withClaims(token, { exp: Math.floor(Date.now() / 1000) + 3600 }), SAYS.signature],
    ['its claims are the same with one more', (token) => withClaims(token, { x: 1 }), SAYS.signature],
    ['its header has a letter in another case', (token) => otherCase(token, 0), SAYS.noJwt],
    ['its payload has a letter in another case', (token) => otherCase(token, payloadAt(token)), SAYS.noJwt],
    ['its signature has a letter in another case', (token) => otherCase(token, signatureAt(token)), SAYS.signature],
    ['its last character has other unused bits', withUnusedBits, SAYS.noJwt],
    ['it is in lower case', (token) => token.toLowerCase(), SAYS.noJwt],
    ['it is padded', (token) => `${token}=`, SAYS.noJwt],
    ['it is padded twice', (token) => `${token}==`, SAYS.noJwt],
    ['its parts are padded', (token) => `${part(token, 0)}=.${part(token, 1)}.${part(token, 2)}`, ''],
    ['one character follows', (token) => `${token}A`, SAYS.signature],
    ['a full stop follows', (token) => `${token}.`, SAYS.noJwt],
    ['a full stop precedes', (token) => `.${token}`, SAYS.noJwt],
    ['it stands twice', (token) => token + token, SAYS.noJwt],
    ['it stands twice, with a full stop', (token) => `${token}.${token}`, SAYS.noJwt],
    ['its last character is missing', (token) => token.slice(0, -1), SAYS.noJwt],
    ['its first character is missing', (token) => token.slice(1), SAYS.noJwt],
    ['its signature is missing', (token) => token.slice(0, signatureAt(token)), SAYS.signature],
    ['its signature and its full stop are missing', (token) => token.slice(0, signatureAt(token) - 1), SAYS.noJwt],
    ['its signature is zero', (token) => token.slice(0, signatureAt(token)) + 'A'.repeat(86), SAYS.signature],
    ['half of it is missing', (token) => token.slice(0, token.length / 2), SAYS.noJwt],
    ['it is the digest by which it is known', (token) => hash('sha256', token, 'base64'), SAYS.noJwt],
    ['it is that digest in base64url', (token) => hash('sha256', token, 'base64url'), SAYS.noJwt],
  ])('%s: refused, and it is known as before', async (_what, forge, says) => {
    const { app, token } = await hotStage();
    const forged = forge(token);
    expect(forged).not.toBe(token);
    for (let i = 0; i < 3; i++) {
      if (says === '') expectRefusal(await app.get('/protected', forged), NO_B64TOKEN);
      else await expectForgeryRefused(app, forged, says);
    }
    await expectHot(app, token);
  });
});

describe('a known token on the wire', () => {
  const long = `Authorization: Bearer${' '.repeat(3)}`;
  test.each<[what: string, lines: string[], refusal: Refusal]>([
    ['stands in two lines', ['Authorization: Bearer TOKEN', 'Authorization: Bearer TOKEN'], REPEATED_HEADER],
    ['stands in front of another', ['Authorization: Bearer TOKEN', 'Authorization: Basic eDp5'], REPEATED_HEADER],
    ['stands after an empty line', ['Authorization:', 'authorization: Bearer TOKEN'], REPEATED_HEADER],
    ['comes twice', ['Authorization: Bearer TOKEN TOKEN'], MALFORMED_HEADER],
    ['comes twice, with a comma', ['Authorization: Bearer TOKEN,TOKEN'], NO_B64TOKEN],
    ['is in quotes', ['Authorization: Bearer "TOKEN"'], NO_B64TOKEN],
    ['is a parameter', ['Authorization: Bearer token=TOKEN'], NO_B64TOKEN],
    ['is percent-encoded', ['Authorization: Bearer %65TOKEN'], NO_B64TOKEN],
    ['has a tab before it', ['Authorization: Bearer \tTOKEN'], NO_B64TOKEN],
    ['has bytes after it', ['Authorization: Bearer TOKEN\xe9'], NO_B64TOKEN],
    ['has no scheme', ['Authorization: TOKEN'], unauthorized()],
    ['has another scheme', ['Authorization: Token TOKEN'], unauthorized()],
    ['comes as DPoP', ['Authorization: DPoP TOKEN'], unauthorized()],
    ['comes as Basic', ['Authorization: Basic TOKEN'], unauthorized()],
    ['comes in another field', ['X-Authorization: Bearer TOKEN', 'Proxy-Authorization: Bearer TOKEN'], unauthorized()],
    ['comes as a cookie', ['Cookie: access_token=TOKEN'], unauthorized()],
  ])('%s: refused, and it passes as it was', async (_what, lines, refusal) => {
    const { app, token } = await hotStage();
    const send = (fields: string[]) =>
      sendRaw(app.port, ['GET /protected HTTP/1.1', 'Host: x', ...fields.map((line) => line.replaceAll('TOKEN', token))]);
    const before = app.handled;
    expectRefusal(await send(lines), refusal);
    expect(app.handled).toBe(before);
    const cost = await signatures.during(async () => {
      for (const good of ['Authorization: Bearer ', 'authorization: bEARER ', long]) {
        expect((await send([`${good}TOKEN`])).status).toBe(200);
      }
    });
    expect(cost).toBe(0);
  });

  test('6750-2-1 6750-2.3-2 in a place that is not enabled, in two places, in the query', async () => {
    const { app: plain, as, token } = await hotStage();
    expectRefusal(await plain.get(`/protected?access_token=${token}`), unauthorized());
    const body = () => ({ method: 'POST', body: new URLSearchParams({ access_token: token }) });
    expectRefusal(await plain.request('/protected', body()), unauthorized());
    const all = { resource: RESOURCE, issuer: as.issuer, methods: ['header', 'body', 'query'] as const };
    const app = closing(await startApp(all));
    await expectAccepted(app, token);
    const cacheControls: (string | null)[] = [];
    const cost = await signatures.during(async () => {
      expectRefusal(await app.get(`/protected?access_token=${token}`, token), TWO_METHODS);
      const headers = { authorization: `Bearer ${token}` };
      expectRefusal(await app.request('/protected', { ...body(), headers }), TWO_METHODS);
      expectRefusal(await app.request(`/protected?access_token=${token}`, body()), TWO_METHODS);
      expect(app.handled).toBe(1);
      for (const path of [`/protected?access_token=${token}`, '/protected']) {
        const answer = await app.get(path, path === '/protected' ? token : undefined);
        expect(answer.status).toBe(200);
        cacheControls.push(answer.headers.get('cache-control'));
      }
      expect((await app.request('/protected', body())).status).toBe(200);
    });
    expect({ cost, cacheControls }).toEqual({ cost: 0, cacheControls: ['private', null] });
  });

  test('6750-1-1 without TLS, where it is required', async () => {
    const as = closing(await TestAuthorizationServer.start());
    const create = () => express().set('trust proxy', 'loopback');
    const options = { resource: RESOURCE, issuer: as.issuer, requireTls: true };
    const app = closing(await startApp(options, undefined, { create }));
    const token = as.mint();
    const overTls = async () => (await app.get('/protected', token, { 'x-forwarded-proto': 'https' })).status;
    expect(await overTls()).toBe(200);
    expect(await signatures.during(async () => expect(await overTls()).toBe(200))).toBe(0);
    const insecure = invalidRequest('An access token must be sent over TLS');
    expectRefusal(await app.get('/protected', token), insecure);
    expectRefusal(await app.get('/protected', token, { 'x-forwarded-proto': 'http' }), insecure);
    expect(app.handled).toBe(2);
    expect(await overTls()).toBe(200);
  });

  test('that is as long as it may be, and one character more', async () => {
    const as = closing(await TestAuthorizationServer.start());
    const token = as.mint();
    const options = { resource: RESOURCE, issuer: as.issuer, maxTokenLength: token.length };
    const app = closing(await startApp(options));
    await expectAccepted(app, token);
    expectRefusal(await app.get('/protected', `${token}A`), invalidRequest('The access token is too long'));
    await expectHot(app, token);
  });
});

describe('acceptToken', () => {
  test('is asked each time, about the same frozen claims; its word counts at once', async () => {
    const asked: object[] = [];
    let answer = true;
    const acceptToken = (claims: object) => (asked.push(claims), answer);
    const { app, as, token } = await hotStage({ acceptToken });
    expect(asked).toHaveLength(11);
    expect(asked.every((claims) => Object.isFrozen(claims))).toBe(true);
    answer = false;
    await expectForgeryRefused(app, token, SAYS.hook);
    await expectForgeryRefused(app, as.mint(), SAYS.hook);
    answer = true;
    await expectHot(app, token);
    expect(asked).toHaveLength(14);
  });
});

describe('two middlewares', () => {
  const other = 'https://other.example';
  test.each<[what: string, strict: Partial<CommonOptions & { audience: string }>, says: string]>([
    ['another audience', { audience: other }, SAYS.audience],
    ['an acceptToken that says no', { acceptToken: () => false }, SAYS.hook],
    ['bound tokens required', { requireBoundTokens: true }, 'The access token is not bound to a key'],
    ['a claim required', { requiredClaims: { kind: 'x' } }, 'The access token is not of the accepted kind'],
    ['other algorithms', { algorithms: ['RS256'] }, SAYS.algorithm],
    ['another type', { types: ['x+jwt'] } as object, SAYS.type],
  ])('with %s share nothing, one after the other and beside each other', async (_what, strict, says) => {
    const as = closing(await TestAuthorizationServer.start());
    const options = { resource: RESOURCE, issuer: as.issuer };
    const [lenient, guarded] = [resourceServer(options), resourceServer({ ...options, ...strict })];
    const app = express().use('/lenient', lenient).use('/strict', guarded).use('/both', lenient, guarded);
    app.use((_req, res) => void res.json({}));
    const server = closing(await startApp(options, undefined, { create: () => express().use(app) }));
    const token = as.mint();
    for (let i = 0; i < 3; i++) {
      expect((await server.get('/lenient', token)).status).toBe(200);
      for (const path of ['/strict', '/both']) {
        const answer = await server.get(path, token);
        const { challenge, body } = invalidToken(says);
        expect({ status: answer.status, body: answer.body }).toEqual({ status: 401, body });
        expect(answer.challenge).toBe(challenge);
      }
    }
    expect(await signatures.during(async () => void (await server.get('/lenient', token)))).toBe(0);
  });

  test('guards see the scopes of their own request', async () => {
    const { app, as, token } = await hotStage();
    const poor = as.mint({ scope: 'write' });
    await expectAccepted(app, poor);
    for (let i = 0; i < 3; i++) {
      await expectHot(app, token, '/scoped');
      expectRefusal(await app.get('/scoped', poor), insufficientScope('read'));
      await expectHot(app, poor);
    }
  });
});
