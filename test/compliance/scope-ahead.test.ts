import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import type express from 'express';
import type { RequestHandler } from 'express';
import {
  checkScope,
  requireAnyScope,
  requireBoundToken,
  requireClaim,
  requireScope,
  resourceServer,
} from '../../lib/index.js';
import type { CommonOptions } from '../../lib/index.js';
import { TestAuthorizationServer } from '../support/authorization-server.js';
import { EXPRESSES, serve } from '../support/metadata-app.js';
import type { MetadataApp } from '../support/metadata-app.js';
import { sendRaw } from '../support/raw.js';
import { RESOURCE } from '../support/refusals.js';
import { closeAll, SAYS } from '../support/stage.js';

type Build = (app: express.Express, api: RequestHandler, handler: RequestHandler, create: typeof express) => void;

const REALM = `Bearer realm="${RESOURCE}"`;
const says = (error: string, description: string) => `, error="${error}", error_description="${description}"`;
const scopeOf = (scope: string) => (scope === '' ? '' : `, scope="${scope}"`);
const LACKS = says('insufficient_scope', 'The access token lacks a required scope');

let as: TestAuthorizationServer;

beforeAll(async () => {
  as = await TestAuthorizationServer.start();
});
afterEach(closeAll);
afterAll(() => as.close());

/** What each request is told that it needs; '' for nothing. */
const ROWS: readonly (readonly [situation: string, build: Build, asked: Readonly<Record<string, string>>])[] = [
  [
    'several guards: all in their order, each scope once',
    (app, api, handler) => {
      app.use(api, requireScope('base'));
      app.get('/a', requireScope('x', 'base'), [requireScope('y')], handler);
      app.get('/b', requireScope('z'), handler);
    },
    { 'GET /a': 'base x y', 'GET /a?b=/b': 'base x y', 'GET /b': 'base z', 'GET /nowhere': 'base', 'POST /a': 'base' },
  ],
  [
    'alternatives: the first',
    (app, api, handler) => app.use(api).get('/', requireAnyScope('p', 'q'), requireScope('r'), handler),
    { 'GET /': 'p r' },
  ],
  [
    'routers in routers, with parameters',
    (app, api, handler, create) => {
      const items = create.Router().get('/:id', requireScope('item'), handler).use(requireScope('rest'));
      const tenant = create.Router().use(requireScope('tenant')).use('/items', items).get('/', handler);
      app.use(api).get('/t/me', requireScope('me'), handler).use(['/t/:tenant', '/u'], tenant);
    },
    {
      'GET /t/me': 'me',
      'GET /t/a': 'tenant',
      'GET /t/a/items/5': 'tenant item',
      'GET /u/items/%C3%A9': 'tenant item',
      'POST /t/a/items/5': 'tenant rest',
      'GET /t': '',
    },
  ],
  [
    'the middleware in a router, and at a route',
    (app, api, handler, create) => {
      const router = create.Router().use('/in', api, requireScope('in')).get('/in/x', requireScope('x'), handler);
      app.use('/r', router).get('/one', api, requireScope('one'), handler);
    },
    { 'GET /r/in/x': 'in x', 'GET /r/in/y': 'in', 'GET /one': 'one' },
  ],
  [
    'methods of one path; HEAD is answered by GET',
    (app, api, handler) => {
      app.use(api).route('/x').get(requireScope('g'), handler).post(requireScope('p'), handler);
      app.delete('/x', requireScope('d'), handler);
    },
    { 'GET /x': 'g', 'HEAD /x': 'g', 'POST /x': 'p', 'DELETE /x': 'd', 'PUT /x': '', 'OPTIONS /x': '' },
  ],
  [
    'HEAD with a route of its own',
    (app, api, handler) => app.use(api).route('/x').head(requireScope('h'), handler).get(requireScope('g'), handler),
    { 'GET /x': 'g', 'HEAD /x': 'h' },
  ],
  [
    'route().all() before the methods, and all()',
    (app, api, handler) => {
      app.use(api).route('/x').all(requireScope('any')).get(requireScope('g'), handler).put(handler);
      app.all('/y', requireScope('y'), handler);
    },
    { 'GET /x': 'any g', 'PUT /x': 'any', 'GET /y': 'y', 'PATCH /y': 'y' },
  ],
  [
    'a route that is nothing but guards goes on to the next',
    (app, api, handler) => {
      app.use(api).all(/^\/admin/, requireScope('admin'));
      app.get('/admin/x', requireScope('x'), handler).get('/admin/x', requireScope('never'), handler);
    },
    { 'GET /admin/x': 'admin x', 'GET /admin/y': 'admin' },
  ],
  [
    'an application in an application',
    (app, api, handler, create) => {
      const inner = create()
        .use(api)
        .use('/r', create.Router().get('/x', requireScope('x'), handler));
      app.use('/outer', create().use('/inner', inner));
    },
    { 'GET /outer/inner/r/x': 'x', 'GET /outer/inner/r/y': '' },
  ],
  [
    'an application at a path with a parameter, with a slash at its end, or at several',
    (app, api, handler, create) => {
      const inner = () => create().use(api).get('/x/:y', requireScope('x'), handler);
      app.use('/t/:tenant', inner()).use('/slash/', inner()).use(['/a', '/b'], inner());
    },
    { 'GET /t/a/x/y': 'x', 'GET /t/a%20longer-name/x/y': 'x', 'GET /slash/x/y': 'x', 'GET /b/x/y': 'x' },
  ],
  [
    'a path that was rewritten before',
    (app, api, handler) => {
      app.use((req, _res, next) => {
        if (req.url === '/old') req.url = '/new?a';
        next();
      });
      app.use(api).get('/new', requireScope('new'), handler).get('/old', requireScope('old'), handler);
    },
    { 'GET /old': 'new', 'GET /new': 'new' },
  ],
  [
    'paths as Express reads them',
    (app, api, handler) =>
      app.use(api).get('/Admin', requireScope('x'), handler).get('/a%2Fb', requireScope('y'), handler),
    {
      'GET /aDMIN/': 'x',
      'GET //admin': '',
      'GET /admin//': '',
      'GET /%61dmin': '',
      'GET /a/b': '',
      'GET /constructor': '',
    },
  ],
  [
    'regular expressions: where Express does not go, nothing is asked for',
    (app, api, handler) => {
      app.use(api).use(/\/ad/, requireScope('ad')).use(/min/, requireScope('min'));
      app.get(/^\/a/, requireScope('x'), handler);
    },
    { 'GET /admin': 'x', 'GET /ad/min': 'ad x', 'GET /a': 'x', 'GET /b': '' },
  ],
];

describe.each(EXPRESSES)('the scope that refusals name, %s', (_, create) => {
  const start = (build: Build, options: Partial<CommonOptions> = {}) =>
    serve((app, handler) => {
      build(app, resourceServer({ resource: RESOURCE, issuer: as.issuer, ...options }), handler, create);
    }, create);

  test.each(ROWS)('MCP-A6-1 MCP-A11.1-2 6750-3-7 %s', async (_situation, build, asked) => {
    const app = await start(build);
    for (const [line, scope] of Object.entries(asked)) {
      const [method = '', path = ''] = line.split(' ');
      const answer = async (token?: string) => {
        const headers: Record<string, string> = token === undefined ? {} : { authorization: `Bearer ${token}` };
        const { status, challenge } = await app.request(path, { method, headers });
        return [line, status, challenge];
      };
      expect(await answer()).toEqual([line, 401, REALM + scopeOf(scope)]);
      const bad = REALM + says('invalid_token', SAYS.noJwt) + scopeOf(scope);
      expect(await answer('bad')).toEqual([line, 401, bad]);
      if (scope !== '') expect(await answer(as.mint())).toEqual([line, 403, REALM + LACKS + scopeOf(scope)]);
      expect(app.ran).toEqual([]);
      expect((await answer(as.mint({ scope: scope === '' ? 'none' : scope })))[2]).toBeUndefined();
      (app.ran as string[]).length = 0;
    }
  });

  test('MCP-A11.1-2 403 names what is granted as well, and of alternatives the one that is', async () => {
    const app = await start((routes, api, handler) => {
      routes.use(api).get('/x', requireAnyScope('p', 'q'), requireScope('r'), requireScope('s'), handler);
    });
    const told = async (scope: string) => {
      const { status, challenge } = await app.get('/x', as.mint({ scope }));
      return [status, challenge];
    };
    expect(await told('q')).toEqual([403, `${REALM}${LACKS}, scope="q r s"`]);
    expect(await told('q r')).toEqual([403, `${REALM}${LACKS}, scope="q r s"`]);
    expect(await told('r s')).toEqual([403, `${REALM}${LACKS}, scope="p r s"`]);
    expect(app.ran).toEqual([]);
    expect(await told('q r s')).toEqual([200, undefined]);
  });

  test('MCP-A11.1-2 what a handler asks for comes on top of what its route needs', async () => {
    const app = await start((routes, api, handler) => {
      routes.use(api).get('/x', requireScope('read'), (req, res, next) => {
        try {
          checkScope(req, 'late');
          handler(req, res, next);
        } catch (error) {
          next(error);
        }
      });
    });
    const { status, challenge } = await app.get('/x', as.mint());
    expect([status, challenge, app.ran]).toEqual([403, `${REALM}${LACKS}, scope="read late"`, []]);
    expect((await app.get('/x', as.mint({ scope: 'read late' }))).status).toBe(200);
  });

  test('MCP-A6-1 allowMissingToken: the guard that meets an anonymous request names everything, too', async () => {
    const app = await start(
      (routes, api, handler) => {
        const test = () => true;
        routes.use(api).get('/x', requireClaim('role', test), requireScope('a'), requireAnyScope('b', 'c'), handler);
      },
      { allowMissingToken: true },
    );
    const { status, challenge } = await app.get('/x');
    expect([status, challenge, app.ran]).toEqual([401, `${REALM}, scope="a b"`, []]);
    expect((await app.get('/x', as.mint({ scope: 'a c' }))).status).toBe(200);
  });

  test('MCP-A6-1 a guard that answers 401 invalid_token names the scope of its route, too', async () => {
    const build: Build = (routes, api, handler) =>
      routes.use(api).get('/x', requireBoundToken(), requireScope('a'), handler);
    const app = await start(build, { clientCertificate: 'tls' });
    const { status, challenge } = await app.get('/x', as.mint());
    const unbound = says('invalid_token', 'The access token is not bound to a key');
    expect([status, challenge, app.ran]).toEqual([401, `${REALM}${unbound}, scope="a"`, []]);
  });

  test('MCP-A6-1 a path that cannot be decoded, or that no router knows, is refused without scope', async () => {
    const app = await start((routes, api, handler) => routes.use(api).get('/p/:id', requireScope('x'), handler));
    for (const path of ['/p/%zz', '/p/%', '/p/%C3', '/%zz', '*']) {
      expect([path, ...(await rawScope(app, `GET ${path}`))]).toEqual([path, 401, REALM]);
    }
    expect(await rawScope(app, 'GET /p/%41')).toEqual([401, `${REALM}, scope="x"`]);
  });

  test('MCP-A6-1 a target in absolute form, or with a fragment, is the path that Express takes it for', async () => {
    const app = await start((routes, api, handler) => routes.use(api).get('/x', requireScope('x'), handler));
    for (const target of [
      'http://api.example.com/x',
      'http://evil.example/x?y',
      'HTTPS://evil.example:1/x/',
      '/x?y#z',
    ]) {
      expect([target, ...(await rawScope(app, `GET ${target}`))]).toEqual([target, 401, `${REALM}, scope="x"`]);
    }
  });

  test('MCP-A6-1 what stands behind a function, or in another application, is found when it is met', async () => {
    const app = await start((routes, api, handler) => {
      const guard = requireScope('hidden');
      routes.use(api, requireScope('base'));
      routes.get('/f', (req, res, next) => void guard(req, res, next), requireScope('x'), handler);
      routes.use('/sub', create().get('/y', requireScope('y'), handler));
    });
    expect((await app.get('/f')).challenge).toBe(`${REALM}, scope="base x"`);
    expect((await app.get('/f', as.mint({ scope: 'base' }))).challenge).toBe(`${REALM}${LACKS}, scope="base x hidden"`);
    expect((await app.get('/sub/y')).challenge).toBe(`${REALM}, scope="base"`);
    expect((await app.get('/sub/y', as.mint({ scope: 'base' }))).challenge).toBe(`${REALM}${LACKS}, scope="y"`);
    expect(app.ran).toEqual([]);
    expect((await app.get('/sub/y', as.mint({ scope: 'base y' }))).status).toBe(200);
  });
});

test.each([requireScope, requireAnyScope])('MCP-A10-1 offline_access is refused where a guard is made', (guard) => {
  const message = `${guard.name} got "offline_access", which is between client and authorization server: leave it out`;
  expect(() => guard('read', 'offline_access')).toThrow(new TypeError(message));
  expect(guard('read', 'offline')).toHaveLength(3);
});

/** Status and challenge of a request line that no client library would send. */
async function rawScope(app: MetadataApp, line: string): Promise<unknown[]> {
  const answer = await sendRaw(app.port, [`${line} HTTP/1.1`, 'Host: api.example.com']);
  expect(app.ran).toEqual([]);
  return [answer.status, ...answer.all('www-authenticate')];
}
