import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import express from 'express';
import type { Express, Request, RequestHandler } from 'express';
import express4 from 'express4';
import { auth, checkAnyScope, checkClaim, checkScope, errorHandler } from '../../lib/index.js';
import { requireAnyScope, requireClaim, requireScope } from '../../lib/index.js';
import type { ClaimTest, ResourceServerOptions } from '../../lib/index.js';
import { startApp } from '../support/app.js';
import type { TestApp } from '../support/app.js';
import { TestAuthorizationServer } from '../support/authorization-server.js';
import { listen } from '../support/listen.js';
import { expectRefusal, insufficientScope, RESOURCE, unauthorized } from '../support/refusals.js';
import type { Refusal } from '../support/refusals.js';
import type { Overrides } from '../support/tokens.js';

const NO_CLAIM = insufficientScope(undefined, 'The access token lacks a required claim');
const isEditor: ClaimTest = (role) => role === 'editor';
const generations: [name: string, create: () => Express][] = [
  ['Express 5', express],
  ['Express 4', express4 as unknown as () => Express],
];

let as: TestAuthorizationServer;
const running: { close: () => Promise<void> }[] = [];
let ran = 0;

beforeAll(async () => {
  as = await TestAuthorizationServer.start();
});

afterEach(async () => {
  await Promise.all(running.splice(0).map((app) => app.close()));
  ran = 0;
});

afterAll(() => as.close());

type Case = [
  what: string,
  guard: RequestHandler,
  check: (req: Request) => void,
  good: Overrides,
  bad: Overrides,
  refusal: Refusal,
  scope: string | undefined,
];

interface Setup {
  readonly options?: Partial<ResourceServerOptions>;
  readonly create?: () => Express;
  readonly routes?: (app: Express) => void;
}

/** `/guarded` behind the guard, which may also be a check inside the handler. */
async function start(guard: RequestHandler, { options = {}, create = express, routes }: Setup = {}): Promise<TestApp> {
  const given = { resource: RESOURCE, issuer: as.issuer, ...options } as ResourceServerOptions;
  const app = await startApp(
    given,
    (server) => {
      server.set('env', 'test');
      server.get('/guarded', guard, (_req, res) => void res.json({ ran: ++ran }));
      routes?.(server);
    },
    { create },
  );
  running.push(app);
  return app;
}

const inside =
  (check: (req: Request) => void): RequestHandler =>
  (req, _res, next) => {
    check(req);
    next();
  };

describe.each(generations)('guards and checks, %s', (_name, create) => {
  const cases: Case[] = [
    [
      'all of two',
      requireScope('a', 'b'),
      (req: Request) => {
        checkScope(req, 'a', 'b');
      },
      { scope: 'b c a' },
      { scope: 'a' },
      insufficientScope('a b'),
      'a b',
    ],
    [
      'any of two',
      requireAnyScope('a', 'b'),
      (req: Request) => {
        checkAnyScope(req, 'a', 'b');
      },
      { scope: 'c b' },
      { scope: 'c' },
      insufficientScope('a'),
      'a',
    ],
    [
      'a claim',
      requireClaim('role', isEditor),
      (req: Request) => {
        checkClaim(req, 'role', isEditor);
      },
      { role: 'editor' },
      { role: 'Editor' },
      NO_CLAIM,
      undefined,
    ],
  ];

  test.each<Case>(cases)(
    '6750-3.1-4 %s: a token that has it passes, one that has not is 403',
    async (_what, guard, _check, good, bad, refusal) => {
      const app = await start(guard, { create });
      expectRefusal(await app.get('/guarded', as.mint(bad)), refusal);
      expect(ran).toBe(0);
      expect((await app.get('/guarded', as.mint(good))).body).toEqual({ ran: 1 });
    },
  );

  test.each<Case>(cases)(
    '%s, anonymous request: 401 with the scope and no error',
    async (_what, guard, _check, good, bad, refusal, scope) => {
      const app = await start(guard, { create, options: { allowMissingToken: true } });
      expectRefusal(await app.get('/guarded'), unauthorized(scope));
      expectRefusal(await app.get('/guarded', as.mint(bad)), refusal);
      expect((await app.get('/guarded', 'rubbish')).status).toBe(401);
      expect(ran).toBe(0);
      expect((await app.get('/protected')).status).toBe(200);
      expect((await app.get('/guarded', as.mint(good))).status).toBe(200);
    },
  );

  test.each<Case>(cases)(
    '%s, checked inside a handler: status and challenge by Express itself, JSON by errorHandler',
    async (_what, _guard, check, good, bad, refusal, scope) => {
      const options = { allowMissingToken: true };
      const plain = await start(inside(check), { create, options });
      const rendered = await start(inside(check), { create, options, routes: (server) => server.use(errorHandler) });
      const byExpress = await plain.get('/guarded', as.mint(bad));
      expect([byExpress.status, byExpress.challenge]).toEqual([refusal.status, refusal.challenge]);
      expect(byExpress.body).not.toContain('    at ');
      expectRefusal(await rendered.get('/guarded', as.mint(bad)), refusal);
      const anonymous = await plain.get('/guarded');
      expect([anonymous.status, anonymous.challenge]).toEqual([401, unauthorized(scope).challenge]);
      expectRefusal(await rendered.get('/guarded'), unauthorized(scope));
      expect(ran).toBe(0);
      expect((await plain.get('/guarded', as.mint(good))).status).toBe(200);
      expect((await rendered.get('/guarded', as.mint(good))).status).toBe(200);
    },
  );

  test.each<Case>(cases)(
    '%s without resourceServer(): 500 naming the mistake, and the handler is not reached',
    async (_what, guard, check) => {
      for (const step of [guard, inside(check)]) {
        const errors: unknown[] = [];
        const server = create();
        server.get('/guarded', step, (_req, res) => void res.json({ ran: ++ran }));
        server.use(errorHandler);
        server.use(((error: unknown, _req, res, next) => {
          errors.push(error);
          if (res.headersSent) next(error);
          else res.status(500).end();
        }) satisfies typeof errorHandler);
        const app = await listen(server);
        running.push(app);
        const answer = await fetch(`${app.url}/guarded`, { headers: { authorization: `Bearer ${as.mint()}` } });
        expect([answer.status, answer.headers.has('www-authenticate'), ran]).toEqual([500, false, 0]);
        expect(errors.map(String)).toEqual([
          expect.stringMatching(/No resourceServer\(\) has seen this request: put app\.use/),
        ]);
      }
    },
  );
});

describe('impliesScope', () => {
  const impliesScope = (granted: string, required: string) => required.startsWith(`${granted}:`);

  test('a granted scope that includes the needed one passes; the reverse does not', async () => {
    const app = await start(requireScope('files:read', 'mail'), { options: { impliesScope } });
    for (const scope of ['mail:send files', 'files', 'file mail', 'files:write mail']) {
      expectRefusal(await app.get('/guarded', as.mint({ scope })), insufficientScope('files:read mail'));
    }
    expect(ran).toBe(0);
    expect((await app.get('/guarded', as.mint({ scope: 'files mail' }))).status).toBe(200);
    expect((await app.get('/guarded', as.mint({ scope: 'files:read mail' }))).status).toBe(200);
  });

  test('without the hook no scope includes another', async () => {
    const app = await start(requireAnyScope('files:read'));
    expectRefusal(await app.get('/guarded', as.mint({ scope: 'files' })), insufficientScope('files:read'));
    expect(ran).toBe(0);
  });

  test.each([1, 'yes', {}, null, undefined, Promise.resolve(true)])(
    'an answer of %p is not true and opens nothing',
    async (verdict) => {
      const app = await start(requireScope('a'), { options: { impliesScope: () => verdict as boolean } });
      expectRefusal(await app.get('/guarded', as.mint()), insufficientScope('a'));
      expect(ran).toBe(0);
    },
  );

  test('a hook that throws is a bug: 500, and nothing is opened', async () => {
    const impliesScope = () => {
      throw new Error('a bug of the application');
    };
    const app = await start(requireScope('a'), { options: { impliesScope } });
    expect((await app.get('/guarded', as.mint())).status).toBe(500);
    expect(ran).toBe(0);
    expect((await app.get('/guarded', as.mint({ scope: 'a' }))).status).toBe(200);
  });
});

describe('claim tests', () => {
  test('the test sees the value, undefined when the token has none, and the whole auth', async () => {
    const given: unknown[] = [];
    const app = await start(requireClaim('role', (value, found) => given.push([value, found.subject]) > 0));
    await app.get('/guarded', as.mint({ role: ['x'] }));
    await app.get('/guarded', as.mint());
    expect(given).toEqual([
      [['x'], 'alice'],
      [undefined, 'alice'],
    ]);
  });

  test('the test sees the value at the end of a path, and undefined where the path leads nowhere', async () => {
    const given: unknown[] = [];
    const app = await start(requireClaim(['realm_access', 'roles'], (value) => given.push(value) > 0));
    for (const realm_access of [{ roles: ['x'] }, { role: 1 }, null, 'roles', [], undefined]) {
      expect((await app.get('/guarded', as.mint({ realm_access }))).status).toBe(200);
    }
    await app.get('/guarded', as.mint({ 'realm_access.roles': ['x'] }));
    expect(given).toEqual([['x'], ...Array.from({ length: 6 }, () => undefined)]);
  });

  test.each(['constructor', 'toString', '__proto__', 'hasOwnProperty'])(
    'the claim %s is not inherited',
    async (name) => {
      const app = await start(requireClaim(name, (value) => value !== undefined));
      expectRefusal(await app.get('/guarded', as.mint()), NO_CLAIM);
      const below = await start(requireClaim(['role', name], (value) => value !== undefined));
      expectRefusal(await below.get('/guarded', as.mint({ role: {} })), NO_CLAIM);
      expect(ran).toBe(0);
    },
  );

  test.each([
    ['a promise of true', () => Promise.resolve(true)],
    ['1', () => 1],
    ['text', () => 'true'],
    ['an object', () => ({})],
    ['nothing', () => undefined],
    ['false', () => false],
  ])('a test that answers %s does not open the door', async (_what, answer) => {
    const app = await start(requireClaim('sub', answer as unknown as ClaimTest));
    expectRefusal(await app.get('/guarded', as.mint()), NO_CLAIM);
    expect(ran).toBe(0);
  });

  test('a test that throws is a bug: 500, and the door stays shut', async () => {
    const fail = () => {
      throw new TypeError('a bug of the application');
    };
    const app = await start(requireClaim('sub', fail));
    const answer = await app.get('/guarded', as.mint());
    expect([answer.status, answer.challenge, ran]).toEqual([500, undefined, 0]);
  });
});

describe('guards in a row', () => {
  test('in a router of their own they find what the middleware left', async () => {
    const router = express.Router();
    router.get('/x', requireScope('a'), requireClaim('role', isEditor), (req, res) => void res.json(auth(req).subject));
    const app = await start(requireScope('a'), { routes: (server) => server.use('/sub', router) });
    expectRefusal(await app.get('/sub/x', as.mint({ role: 'editor' })), insufficientScope('a'));
    expectRefusal(await app.get('/sub/x', as.mint({ scope: 'a' })), NO_CLAIM);
    expect((await app.get('/sub/x', as.mint({ scope: 'a', role: 'editor' }))).body).toBe('alice');
  });

  test('a scope that is given twice is named once', async () => {
    const app = await start(requireScope('a', 'b', 'a'));
    expectRefusal(await app.get('/guarded', as.mint()), insufficientScope('a b'));
  });

  test('an error of the handler behind a guard is not the guard’s', async () => {
    const app = await start(requireScope('read'), {
      routes: (server) => {
        server.get('/broken', requireScope('read'), () => {
          throw new RangeError('a bug of the application');
        });
      },
    });
    const answer = await app.get('/broken', as.mint());
    expect([answer.status, answer.challenge]).toEqual([500, undefined]);
  });
});
