import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { inspect } from 'node:util';
import type { Express, Request } from 'express';
import { auth, requireScope, resourceServer } from '../../lib/index.js';
import type { ResourceServerOptions } from '../../lib/index.js';
import { startApp } from '../support/app.js';
import type { TestApp } from '../support/app.js';
import { TestAuthorizationServer } from '../support/authorization-server.js';
import { expectRefusal, insufficientScope, RESOURCE, unauthorized } from '../support/refusals.js';

let as: TestAuthorizationServer;
const running: TestApp[] = [];
let ran = 0;

beforeAll(async () => {
  as = await TestAuthorizationServer.start();
});

afterEach(async () => {
  await Promise.all(running.splice(0).map((app) => app.close()));
  ran = 0;
});

afterAll(() => as.close());

async function start(routes: (app: Express) => void, options: Partial<ResourceServerOptions> = {}): Promise<TestApp> {
  const given = { resource: RESOURCE, issuer: as.issuer, ...options } as ResourceServerOptions;
  const app = await startApp(given, (express) => {
    express.set('env', 'test'); // Express prints no error
    routes(express);
  });
  running.push(app);
  return app;
}

/** Answers with what `look` makes of the request. */
async function seen<T>(look: (req: Request) => T, claims = {}): Promise<T> {
  const found: T[] = [];
  const app = await start((express) => {
    express.get('/look', (req, res) => {
      found.push(look(req));
      res.json({});
    });
  });
  expect((await app.get('/look', as.mint(claims))).status).toBe(200);
  return found[0] as T;
}

describe('auth(req)', () => {
  test('has what the token says', async () => {
    const claims = { scope: 'a b', exp: 4_000_000_000, tenant: 'blue' };
    const found = await seen((req) => auth<{ tenant: string }>(req), claims);
    const tenant: string = found.claims.tenant; // typed by the caller
    expect(tenant).toBe('blue');
    expect(found).toMatchObject({
      scheme: 'Bearer',
      scopes: ['a', 'b'],
      clientId: 'editor',
      subject: 'alice',
      issuer: as.issuer,
      expiresAt: 4_000_000_000,
      claims: { aud: RESOURCE, sub: 'alice' },
    });
    expect(found.token.split('.')).toHaveLength(3);
  });

  test('the claims and the scopes are frozen, at any depth', async () => {
    const found = await seen((req) => auth<{ deep: { list: object[] } }>(req), { deep: { list: [{ a: 1 }] } });
    const parts = [found.scopes, found.claims, found.claims.deep, found.claims.deep.list, found.claims.deep.list[0]];
    expect(parts.map((part) => Object.isFrozen(part))).toEqual([true, true, true, true, true]);
    expect(() => found.scopes.push('admin')).toThrow(TypeError);
    expect(() => Object.assign(found.claims, { sub: 'mallory' })).toThrow(TypeError);
  });

  test('neither JSON nor the console shows the token, whoever needs it finds it', async () => {
    const shown = await seen((req) => ({
      json: JSON.stringify(auth(req)),
      console: inspect(auth(req), { depth: 5, showHidden: true }),
      token: auth(req).token,
    }));
    expect(shown.token.split('.')).toHaveLength(3);
    expect(shown.json).not.toContain(shown.token.slice(-16));
    expect(shown.console).not.toContain(shown.token.slice(-16));
    expect(JSON.parse(shown.json)).toMatchObject({ scheme: 'Bearer', subject: 'alice', scopes: ['read', 'write'] });
    expect(shown.console).toContain("subject: 'alice'");
  });

  test('the resource is a new URL each time', async () => {
    const found = await seen((req) => auth(req));
    const first = found.resource;
    first.hostname = 'changed.example';
    expect(found.resource.href).toBe(`${RESOURCE}/`);
    expect(found.resource).not.toBe(found.resource);
  });

  test('is req.auth, the same object each time', async () => {
    expect(
      await seen((req) => auth(req) === auth.optional(req) && auth(req) === (req as { auth?: unknown }).auth),
    ).toBe(true);
  });

  test.each([[undefined], [5], [['a']], [{}], ['']])('scope %j grants nothing', async (scope) => {
    expect((await seen((req) => auth(req), { scope })).scopes).toEqual([]);
  });
});

describe('requests without a token', () => {
  test('auth.optional is undefined, auth is a mistake of the program: 500', async () => {
    const app = await start(
      (express) => {
        express.get('/optional', (req, res) => void res.json({ anonymous: auth.optional(req) === undefined }));
        express.get('/auth', (req, res) => void res.json({ sub: auth(req).subject }));
      },
      { allowMissingToken: true },
    );
    const optional = await app.get('/optional');
    expect([optional.status, optional.body]).toEqual([200, { anonymous: true }]);
    expect((await app.get('/optional', as.mint())).body).toEqual({ anonymous: false });
    expect((await app.get('/auth')).status).toBe(500);
    expect((await app.get('/auth', as.mint())).body).toEqual({ sub: 'alice' });
  });

  test('outside resourceServer(), auth and auth.optional throw, and name the mistake', () => {
    const req = Object.create(null) as Request;
    expect(() => auth(req)).toThrow(/^No resourceServer\(\) has seen this request: put app\.use\(resourceServer/);
    expect(() => auth.optional(req)).toThrow(/No resourceServer\(\) has seen this request/);
  });
});

describe('a req.auth that somebody else wrote', () => {
  type Spoof = (found: unknown) => unknown;
  const spoofs: [what: string, spoof: Spoof][] = [
    ['a plain object', () => ({ scopes: ['secret'], claims: { sub: 'root' } })],
    ['a spread copy', (found) => ({ ...(found as object), scopes: ['secret'] })],
    ['a copy through JSON', (found) => JSON.parse(JSON.stringify(found ?? {})) as unknown],
    ['an heir', (found) => Object.assign(Object.create(found ?? {}) as object, { scopes: ['secret'] })],
    ['a proxy', (found) => new Proxy(found ?? {}, {})],
    ['true', () => true],
  ];

  async function spoofed(spoof: Spoof, options: Partial<ResourceServerOptions> = {}) {
    return start((express) => {
      express.use((req, _res, next) => {
        const marked = req as { auth?: unknown };
        marked.auth = spoof(marked.auth);
        next();
      });
      express.get('/secret', requireScope('secret'), (_req, res) => void res.json({ ran: ++ran }));
    }, options);
  }

  test.each(spoofs)('%s after the middleware: 500, and the handler does not run', async (_what, spoof) => {
    const app = await spoofed(spoof);
    expect((await app.get('/secret', as.mint({ scope: 'secret' }))).status).toBe(500);
    expect(ran).toBe(0);
    const honest = await spoofed((found) => found);
    expect((await honest.get('/secret', as.mint({ scope: 'secret' }))).status).toBe(200);
  });

  test.each(spoofs)('%s on an anonymous request is still anonymous', async (_what, spoof) => {
    const app = await spoofed(spoof, { allowMissingToken: true });
    expectRefusal(await app.get('/secret'), unauthorized('secret'));
    expect(ran).toBe(0);
  });

  test('a copy with the prototype of a real one, on an anonymous request, is still anonymous', async () => {
    const real = await seen((req) => auth(req), { scope: 'secret' });
    const forge = () => Object.assign(Object.create(Object.getPrototypeOf(real) as object) as object, { ...real });
    const app = await spoofed(forge, { allowMissingToken: true });
    expectRefusal(await app.get('/secret'), unauthorized('secret'));
    expect(ran).toBe(0);
  });

  test('a req.auth written before the middleware counts for nothing', async () => {
    const before = (req: Request, _res: unknown, next: () => void) => {
      Object.assign(req, { auth: { scopes: ['secret'] } });
      next();
    };
    const options = { resource: RESOURCE, issuer: as.issuer, allowMissingToken: true };
    const app = await startApp(
      options,
      (express) => {
        express.get('/secret', requireScope('secret'), (_req, res) => void res.json({ ran: ++ran }));
      },
      { before: [before] },
    );
    running.push(app);
    expectRefusal(await app.get('/secret'), unauthorized('secret'));
    expectRefusal(await app.get('/secret', as.mint()), insufficientScope('secret'));
    expect(ran).toBe(0);
    expect((await app.get('/secret', as.mint({ scope: 'secret' }))).status).toBe(200);
  });
});

describe('two resourceServers on one request', () => {
  test('the inner one decides, with its own realm and its own verdict', async () => {
    const inner = resourceServer({
      resource: RESOURCE,
      realm: 'inner',
      issuer: as.issuer,
      acceptToken: ({ sub }) => sub === 'bob',
    });
    const app = await start((express) => {
      express.use(
        '/inner',
        inner,
        requireScope('secret'),
        (req, res) => void res.json({ sub: auth(req).subject, ran: ++ran }),
      );
    });
    const refused = await app.get('/inner', as.mint());
    expect([refused.status, refused.challenges[0]?.params.get('realm')]).toEqual([401, 'inner']);
    expect((await app.get('/inner', as.mint({ sub: 'bob' }))).challenge).toBe(
      insufficientScope('secret').challenge.replace(RESOURCE, 'inner'),
    );
    expect(ran).toBe(0);
    expect((await app.get('/inner', as.mint({ sub: 'bob', scope: 'secret' }))).body).toEqual({ sub: 'bob', ran: 1 });
  });

  test('the token that the outer one found in the query is forgotten by an inner one that reads headers only', async () => {
    const inner = resourceServer({ resource: RESOURCE, issuer: as.issuer, allowMissingToken: true });
    const app = await start(
      (express) => {
        express.get('/inner', inner, requireScope('read'), (_req, res) => void res.json({ ran: ++ran }));
      },
      { methods: ['header', 'query'] },
    );
    expectRefusal(await app.get(`/inner?access_token=${as.mint()}`), unauthorized('read'));
    expect(ran).toBe(0);
    expect((await app.get('/inner', as.mint())).status).toBe(200);
  });
});
