import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals';
import express from 'express';
import express4 from 'express4';
import type { Express, RequestHandler } from 'express';
import { auth, resourceServer } from '../../lib/index.js';
import type { CommonOptions, ResourceServerOptions } from '../../lib/index.js';
import { startApp } from '../support/app.js';
import type { TestApp } from '../support/app.js';
import { expectForgeryRefused } from '../support/attack.js';
import { TestAuthorizationServer } from '../support/authorization-server.js';
import { FORGERIES, watched, watchSignatures } from '../support/hot.js';
import type { Signatures } from '../support/hot.js';
import { describeHotMiddleware } from '../support/hot-tests.js';
import { sendRaw } from '../support/raw.js';
import { expectRefusal, insufficientScope, invalidRequest, invalidToken, RESOURCE } from '../support/refusals.js';
import { MALFORMED_HEADER, NO_B64TOKEN, REPEATED_HEADER, TWO_METHODS, unauthorized } from '../support/refusals.js';
import type { Refusal } from '../support/refusals.js';
import { closeAll, closing, expectAccepted, SAYS, stage } from '../support/stage.js';
import type { Stage } from '../support/stage.js';

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

describe('a known token is known to the last character', () => {
  test.each(FORGERIES)('%s: refused, and it is known as before', async (_what, forge, says) => {
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
      sendRaw(app.port, [
        'GET /protected HTTP/1.1',
        'Host: x',
        ...fields.map((line) => line.replaceAll('TOKEN', token)),
      ]);
    const before = app.handled;
    expectRefusal(await send(lines), refusal);
    expect(app.handled).toBe(before);
    const cost = await signatures.during(async () => {
      for (const good of ['Authorization: Bearer ', 'authorization: bEARER ', 'Authorization: Bearer   ']) {
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
    const statuses: number[] = [];
    const cost = await signatures.during(async () => statuses.push(await overTls()));
    expect({ cost, statuses }).toEqual({ cost: 0, statuses: [200] });
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
  test.each<[what: string, strict: Partial<ResourceServerOptions>, says: string]>([
    ['another audience', { audience: other }, SAYS.audience],
    ['an acceptToken that says no', { acceptToken: () => false }, SAYS.hook],
    ['an acceptToken that says no later', { acceptToken: () => Promise.resolve(false) }, SAYS.hook],
    ['a claim required', { requiredClaims: { kind: 'x' } }, 'The access token is not of the accepted kind'],
    ['other algorithms', { algorithms: ['RS256'] }, SAYS.algorithm],
    ['another type', { typ: ['x+jwt'] }, SAYS.type],
  ])('with %s share nothing, one after the other and beside each other', async (_what, strict, says) => {
    const as = closing(await TestAuthorizationServer.start());
    const options = { resource: RESOURCE, issuer: as.issuer };
    const lenient = resourceServer(options);
    const guarded = resourceServer({ ...options, ...strict } as ResourceServerOptions);
    const create = () => express().use('/lenient', lenient).use('/strict', guarded).use('/both', lenient, guarded);
    const routes = (app: Express) => void app.use((_req, res) => void res.json({}));
    // What stands behind these in the app has a middleware of its own, and never runs where one of them refuses.
    const app = closing(await startApp(options, routes, { create }));
    const token = as.mint();
    for (let i = 0; i < 3; i++) {
      expect((await app.get('/lenient', token)).status).toBe(200);
      for (const path of ['/strict', '/both']) expectRefusal(await app.get(path, token), invalidToken(says));
      expect(app.handled).toBe(i + 1);
    }
    expect(await signatures.during(() => app.get('/lenient', token))).toBe(0);
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

describe('what a handler does to what it is given', () => {
  test('never shows in another request with the same token', async () => {
    const as = closing(await TestAuthorizationServer.start());
    let isMean = true;
    const seen: unknown[] = [];
    const refused: string[] = [];
    const handler: RequestHandler = (req, res) => {
      const given = auth(req);
      seen.push([structuredClone(given.claims), [...given.scopes], given.subject, given.clientId, given.actor?.sub]);
      if (isMean) for (const [what, spoil] of Object.entries(SPOILING)) if (!spoils(spoil, given)) refused.push(what);
      res.json({});
    };
    const app = await watched({ resource: RESOURCE, issuer: as.issuer }, { handler });
    const token = as.mint({ groups: ['a'], act: { sub: 'agent' } });
    for (let i = 0; i < 3; i++) expect(await app.send(token)).toMatchObject({ status: 200, synchronous: i > 0 });
    isMean = false;
    await app.send(token);
    expect(new Set(seen.map((each) => JSON.stringify(each))).size).toBe(1);
    // What is shared cannot be changed at all; what can be changed is the request's own.
    expect(refused.slice(0, refused.length / 3)).toEqual(
      Object.keys(SPOILING).filter((what) => !what.startsWith('own')),
    );
  });

  type Given = Record<string, unknown> & { claims: Record<string, unknown> & { act: object; groups: string[] } };
  const SPOILING: Readonly<Record<string, (given: Given) => unknown>> = {
    'a claim': (given) => (given.claims['sub'] = 'mallory'),
    'a new claim': (given) => (given.claims['admin'] = true),
    'a claim less': (given) => delete given.claims['iss'],
    'the expiry': (given) => (given.claims['exp'] = 1e12),
    'a list in a claim': (given) => given.claims.groups.push('admins'),
    'an object in a claim': (given) => Object.assign(given.claims.act, { sub: 'mallory' }),
    'the prototype of the claims': (given) => Object.setPrototypeOf(given.claims, { admin: true }) as unknown,
    'the scopes': (given) => (given['scopes'] as string[]).push('admin'),
    'one scope': (given) => ((given['scopes'] as string[])[0] = 'admin'),
    'own claims': (given) => Object.assign(given, { claims: { sub: 'mallory' } }),
    'own scopes': (given) => Object.assign(given, { scopes: ['admin'], subject: 'mallory', clientId: 'm' }),
  };
  const spoils = (spoil: (given: Given) => unknown, given: object) => {
    try {
      spoil(given as Given);
      return true;
    } catch (error) {
      if (error instanceof TypeError) return false;
      throw error;
    }
  };
});

describeHotMiddleware('Express 5', express);
describeHotMiddleware('Express 4', express4 as unknown as () => Express);
