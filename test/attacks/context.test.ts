import { afterEach, describe, expect, test } from '@jest/globals';
import type { Request, RequestHandler } from 'express';
import { auth, checkScope, requireClaim, requireScope, resourceServer } from '../../lib/index.js';
import type { ResourceServerOptions } from '../../lib/index.js';
import { startApp } from '../support/app.js';
import type { Answer } from '../support/app.js';
import { TestAuthorizationServer } from '../support/authorization-server.js';
import { closeAll, closing, SAYS } from '../support/stage.js';

const API = 'https://api.example.com';
const UNAUTHORIZED = `Bearer realm="${API}"`;

afterEach(closeAll);

const spoof = {
  token: 'x',
  scheme: 'Bearer',
  claims: { sub: 'admin', scope: 'read' },
  scopes: ['read', 'admin'],
  clientId: 'x',
  subject: 'admin',
  issuer: 'x',
  expiresAt: 9e9,
  resource: new URL(API),
};

function put(req: Request, value: unknown, how: PropertyDescriptor = { value, writable: true, configurable: true }) {
  Object.defineProperty(req, 'auth', how);
}

function outcome(answer: Answer): [number, string | undefined] {
  return [answer.status, answer.challenge];
}

describe('req.auth that somebody else wrote', () => {
  const ways: [name: string, write: (req: Request) => void][] = [
    [
      'as a plain object',
      (req) => {
        put(req, spoof);
      },
    ],
    [
      'as a getter',
      (req) => {
        put(req, spoof, { get: () => spoof, set: () => undefined });
      },
    ],
    [
      'as a constant',
      (req) => {
        put(req, spoof, { value: spoof, writable: false, configurable: false });
      },
    ],
    [
      'on the prototype',
      (req) => {
        Object.setPrototypeOf(
          req,
          Object.create(Object.getPrototypeOf(req) as object, { auth: { value: spoof, writable: true } }) as object,
        );
      },
    ],
  ];

  test.each(ways)('before the middleware, %s, opens nothing', async (_name, write) => {
    const as = closing(await TestAuthorizationServer.start());
    const before: RequestHandler = (req, _res, next) => {
      write(req);
      next();
    };
    for (const allowMissingToken of [false, true]) {
      const options = { resource: API, issuer: as.issuer, allowMissingToken };
      const app = closing(await startApp(options, undefined, { before: [before] }));
      const answer = await app.get('/scoped');
      expect([401, 500]).toContain(answer.status);
      expect(JSON.stringify(answer.body)).not.toContain('admin');
      const good = await app.get('/scoped', as.mint());
      // Where it cannot be replaced there is no answer but an error; where it can, the token counts.
      if (good.status === 200) expect(good.body).toMatchObject({ auth: { subject: 'alice' } });
      else expect(good.status).toBe(500);
    }
  });

  async function afterwards(
    write: (req: Request, real: unknown) => void,
    options: Partial<ResourceServerOptions> = {},
  ) {
    const as = closing(await TestAuthorizationServer.start());
    let real: unknown;
    const guarded: Extract<ResourceServerOptions, { issuer: string }> = { resource: API, issuer: as.issuer };
    const app = closing(
      await startApp({ ...guarded, ...(options as object) }, (routes) => {
        routes.use((req, _res, next) => {
          real ??= auth.optional(req);
          if (req.headers['x-spoof'] !== undefined) write(req, real);
          next();
        });
        routes.get('/admin', requireScope('admin'), (req, res) => void res.json({ who: auth(req).subject }));
      }),
    );
    const spoofed = { 'x-spoof': '1' };
    return { as, app, spoofed };
  }

  test('after the middleware, in place of a verified one, stops the request', async () => {
    const { as, app, spoofed } = await afterwards((req) => {
      put(req, spoof);
    });
    const answer = await app.get('/admin', as.mint(), spoofed);
    expect(answer.status).toBe(500);
    expect((await app.get('/admin', as.mint({ scope: 'admin' }))).body).toEqual({ who: 'alice' });
  });

  test('after the middleware, on an anonymous request, opens nothing', async () => {
    const { as, app, spoofed } = await afterwards(
      (req) => {
        put(req, spoof);
      },
      { allowMissingToken: true },
    );
    expect(outcome(await app.get('/admin', undefined, spoofed))).toEqual([401, `${UNAUTHORIZED}, scope="admin"`]);
    expect((await app.get('/admin', as.mint({ scope: 'admin' }))).status).toBe(200);
  });

  test('a copy with the prototype of a verified one, on an anonymous request, opens nothing', async () => {
    const { as, app, spoofed } = await afterwards(
      (req, real) => {
        // What a deep clone makes of `req.auth`.
        const copy = Object.create(Object.getPrototypeOf(real) as object) as object;
        put(req, Object.defineProperties(copy, Object.getOwnPropertyDescriptors(spoof)));
      },
      { allowMissingToken: true },
    );
    expect((await app.get('/admin', as.mint({ scope: 'admin' }))).status).toBe(200);
    expect(outcome(await app.get('/admin', undefined, spoofed))).toEqual([401, `${UNAUTHORIZED}, scope="admin"`]);
  });
});

describe('two middlewares', () => {
  async function twoApps(inner: object) {
    const as = closing(await TestAuthorizationServer.start());
    const app = closing(
      await startApp(
        { resource: API, issuer: as.issuer, methods: ['header', 'query'], audience: ['outer', 'both'] },
        (routes) => {
          routes.use('/inner', resourceServer({ resource: 'https://inner.example', issuer: as.issuer, ...inner }));
          routes.get('/inner/any', (req, res) => void res.json({ who: auth.optional(req)?.subject ?? null }));
          routes.get('/inner/read', requireScope('read'), (_req, res) => void res.json({}));
        },
      ),
    );
    return { as, app };
  }

  test('what the outer one accepts, and the inner one does not, is refused by the inner one', async () => {
    const { as, app } = await twoApps({ audience: ['inner', 'both'] });
    const answer = await app.get('/inner/any', as.mint({ aud: 'outer' }));
    expect(outcome(answer)).toEqual([
      401,
      `Bearer realm="https://inner.example", error="invalid_token", error_description="${SAYS.audience}"`,
    ]);
    expect((await app.get('/inner/any', as.mint({ aud: 'both' }))).body).toEqual({ who: 'alice' });
    expect((await app.get('/inner/any', as.mint({ aud: ['outer', 'inner'] }))).status).toBe(200);
  });

  test('a token that only the outer one sees is forgotten by an inner one that sees none', async () => {
    const { as, app } = await twoApps({ allowMissingToken: true, audience: 'both' });
    const token = as.mint({ aud: 'both' });
    expect((await app.get(`/inner/any?access_token=${token}`)).body).toEqual({ who: null });
    expect(outcome(await app.get(`/inner/read?access_token=${token}`))).toEqual([
      401,
      'Bearer realm="https://inner.example", scope="read"',
    ]);
    expect((await app.get('/inner/read', token)).status).toBe(200);
  });
});

describe('guards without a middleware', () => {
  const guards: [string, RequestHandler][] = [
    ['requireScope', requireScope('read')],
    ['requireClaim', requireClaim('sub', () => true)],
    ['auth', (req, res) => void res.json({ who: auth(req).subject })],
    ['auth.optional', (req, res) => void res.json({ who: auth.optional(req)?.subject })],
    [
      'checkScope',
      (req, res) => {
        checkScope(req, 'read');
        res.json({});
      },
    ],
  ];
  test.each(guards)('%s fails closed with 500, with and without a token', async (_name, guard) => {
    const as = closing(await TestAuthorizationServer.start());
    let ran = 0;
    const missing: RequestHandler = (req, res, next) => {
      if (req.path !== '/skipped') {
        next();
        return;
      }
      if (req.headers['x-spoof'] !== undefined) put(req, spoof);
      guard(req, res, (error?: unknown) => {
        if (error === undefined) ran++;
        next(error);
      });
    };
    const app = closing(
      await startApp(
        { resource: API, issuer: as.issuer },
        (routes) => {
          routes.get('/kept', guard, (_req, res) => void res.json({}));
        },
        { before: [missing] },
      ),
    );
    for (const headers of [{}, { 'x-spoof': '1' }]) {
      for (const token of [undefined, as.mint()]) {
        const answer = await app.get('/skipped', token, headers);
        expect(outcome(answer)).toEqual([500, undefined]);
      }
    }
    expect([ran, app.handled]).toEqual([0, 0]);
    expect((await app.get('/kept', as.mint())).status).toBe(200);
  });
});
