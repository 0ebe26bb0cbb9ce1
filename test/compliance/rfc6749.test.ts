import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { inspect } from 'node:util';
import { checkScope, errorHandler, requireAnyScope, requireScope } from '../../lib/index.js';
import type { AuthError, OnError } from '../../lib/index.js';
import { startApp } from '../support/app.js';
import type { TestApp } from '../support/app.js';
import { TestAuthorizationServer } from '../support/authorization-server.js';
import { movableClock } from '../support/clock.js';
import { expectRefusal, insufficientScope, invalidToken, NO_JWT, RESOURCE } from '../support/refusals.js';

const clock = movableClock();
let as: TestAuthorizationServer;
let app: TestApp;
let behindGuard = 0;
const errors: AuthError[] = [];

const remember: OnError = (error, req, res, next) => {
  errors.push(error);
  errorHandler(error, req, res, next);
};

beforeAll(async () => {
  as = await TestAuthorizationServer.start();
  app = await startApp({ resource: RESOURCE, issuer: as.issuer, clock, onError: remember }, (express) => {
    const routes = { '/read': ['read'], '/a-b': ['a', 'b'], '/b-a': ['b', 'a'], '/b': ['b'] };
    for (const [path, scopes] of Object.entries(routes)) {
      express.get(path, requireScope(...scopes), (_req, res) => void res.json({ ran: ++behindGuard }));
    }
    express.get('/any', requireAnyScope('a', 'b'), (_req, res) => void res.json({ ran: ++behindGuard }));
    express.get('/inside', (req, res) => {
      checkScope(req, 'a');
      res.json({ ran: ++behindGuard });
    });
    express.use(errorHandler);
  });
});

beforeEach(() => {
  behindGuard = 0;
  errors.length = 0;
});

afterAll(async () => {
  await app.close();
  await as.close();
});

describe('RFC 6749 3.3 access token scope', () => {
  test.each(['READ', 'Read', 'read:all', 'rea', 'reads', 'xread', 'read,write', 'read*', '*', 'write'])(
    '6749-3.3-1 a token with scope %j does not satisfy read',
    async (scope) => {
      expectRefusal(await app.get('/read', as.mint({ scope })), insufficientScope('read'));
      expect(behindGuard).toBe(0);
    },
  );

  test.each(['read', 'write read', 'read write', 'a read b', 'read read'])(
    '6749-3.3-1 a token with scope %j satisfies read',
    async (scope) => {
      expect((await app.get('/read', as.mint({ scope }))).status).toBe(200);
      expect(behindGuard).toBe(1);
    },
  );

  test.each(['a b', 'b a', 'x b y a z', 'b a b'])(
    '6749-3.3-2 %j satisfies all of a and b, however asked',
    async (scope) => {
      expect((await app.get('/a-b', as.mint({ scope }))).status).toBe(200);
      expect((await app.get('/b-a', as.mint({ scope }))).status).toBe(200);
      expect(behindGuard).toBe(2);
    },
  );

  test.each([
    'x\ta',
    'x\na',
    'x\r\na',
    'x,a',
    'x;a',
    'x+a',
    'x%20a',
    'x\u00a0a',
    'x\u2003a',
    'x\u2028a',
    '"a"',
    '\ufeffa',
  ])('6749-3.3-3 scope %j is one string, and not a', async (scope) => {
    expectRefusal(await app.get('/any', as.mint({ scope })), insufficientScope('a'));
    expect(behindGuard).toBe(0);
  });

  test.each([' a', 'a ', 'x  a', '   a   '])(
    '6749-3.3-3 scope %j: spaces too many make no scope of their own',
    async (scope) => {
      const answer = await app.get('/protected', as.mint({ scope }));
      expect(answer.body).toMatchObject({ auth: { scopes: scope.trim().split(/ +/) } });
      expect((await app.get('/any', as.mint({ scope }))).status).toBe(200);
    },
  );
});

describe('RFC 6749 7 accessing protected resources', () => {
  test('6749-7-1 a token is good until it expires, and invalid_token from that second on', async () => {
    const token = as.mint({ iat: clock.now, exp: clock.now + 60 }, { now: clock.now });
    const start = clock.now;
    app.handled = 0;
    try {
      clock.now = start + 59;
      expect((await app.get('/protected', token)).status).toBe(200);
      for (const later of [60, 61, 100_000]) {
        clock.now = start + later;
        expectRefusal(await app.get('/protected', token), invalidToken('The access token expired'));
      }
      expect(app.handled).toBe(1);
    } finally {
      clock.now = start;
    }
  });

  const GRANTS = ['', 'a', 'b', 'a b', 'c', 'a b c'];
  const NEEDS = [
    { path: '/a-b', named: 'a b', enough: (granted: string[]) => granted.includes('a') && granted.includes('b') },
    { path: '/b', named: 'b', enough: (granted: string[]) => granted.includes('b') },
    { path: '/any', named: 'a', enough: (granted: string[]) => granted.includes('a') || granted.includes('b') },
    { path: '/inside', named: 'a', enough: (granted: string[]) => granted.includes('a') },
    { path: '/read', named: 'read', enough: () => false },
  ];
  test.each(GRANTS.flatMap((scope) => NEEDS.map((need) => [scope, need.path, need] as const)))(
    '6749-7-2 a token with scope %j at %s: what it covers, and no more',
    async (scope, path, { named, enough }) => {
      const answer = await app.get(path, as.mint({ scope }));
      const covered = enough(scope.split(' '));
      if (covered) expect(answer.status).toBe(200);
      else expectRefusal(answer, insufficientScope(named));
      expect(behindGuard).toBe(covered ? 1 : 0);
    },
  );

  test('6749-7.2-1 the client is told which error it was', async () => {
    expectRefusal(await app.get('/protected', 'rubbish'), NO_JWT);
    expectRefusal(await app.get('/read', as.mint({ scope: 'a' })), insufficientScope('read'));
    expect((await app.get('/read', as.mint())).status).toBe(200);
  });
});

describe('RFC 6749 10.3 access tokens stay confidential', () => {
  test.each<[what: string, path: string, mint: () => string]>([
    ['expired', '/protected', () => as.mint({ exp: 1 })],
    ['for somebody else', '/protected', () => as.mint({ aud: 'https://other.example' })],
    ['with a wrong signature', '/protected', () => as.mint().slice(0, -8) + 'AAAAAAAA'],
    ['without the scope', '/read', () => as.mint({ scope: 'a' })],
    ['without the scope, found inside a handler', '/inside', () => as.mint({ scope: 'b' })],
    ['that is no JWT', '/protected', () => 'an-opaque-token-of-some-length'],
    ['with a character too many', '/protected', () => `${as.mint()}!`],
  ])('6749-10.3-1 a token %s is in no header, body, error or output', async (_what, path, mint) => {
    const token = mint();
    const written: string[] = [];
    const streams = [process.stdout, process.stderr];
    const originals = streams.map((stream) => stream.write.bind(stream));
    for (const stream of streams) stream.write = (text: string | Uint8Array) => written.push(text.toString()) > 0;
    let answer;
    try {
      answer = await app.get(path, token);
    } finally {
      streams.forEach((stream, i) => Object.assign(stream, { write: originals[i] }));
    }
    expect(answer.status).toBeGreaterThanOrEqual(400);
    expect([answer.status < 500, behindGuard]).toEqual([true, 0]);
    const everything = [
      JSON.stringify([...answer.headers]),
      JSON.stringify(answer.body),
      written.join(''),
      ...errors.map((error) => inspect(error, { depth: 10, showHidden: true })),
    ].join('\n');
    expect(everything).toContain((answer.body as { error: string }).error); // it has been looked at
    const slices = Array.from({ length: token.length - 15 }, (_, i) => token.slice(i, i + 16));
    expect(slices.filter((slice) => everything.includes(slice))).toEqual([]);
  });
});
