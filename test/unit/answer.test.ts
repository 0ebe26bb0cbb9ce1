import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import express from 'express';
import type { ErrorRequestHandler, Express, RequestHandler } from 'express';
import express4 from 'express4';
import { errorHandler, InvalidTokenError, OAuthError, problemDetails, requireScope } from '../../lib/index.js';
import type { AuthError, OnError, ResourceServerOptions } from '../../lib/index.js';
import { startApp } from '../support/app.js';
import type { TestApp } from '../support/app.js';
import { TestAuthorizationServer } from '../support/authorization-server.js';
import {
  expectRefusal,
  insufficientScope,
  MALFORMED_HEADER,
  NO_JWT,
  RESOURCE,
  unauthorized,
} from '../support/refusals.js';

const generations: [name: string, create: () => Express][] = [
  ['Express 5', express],
  ['Express 4', express4 as unknown as () => Express],
];

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

interface Setup {
  readonly onError?: OnError;
  readonly create?: () => Express;
  readonly before?: readonly RequestHandler[];
  readonly after?: ErrorRequestHandler;
  readonly issuer?: string;
}

async function start({
  onError,
  create = express,
  before = [],
  after,
  issuer = as.issuer,
}: Setup = {}): Promise<TestApp> {
  const options: ResourceServerOptions = { resource: RESOURCE, issuer, ...(onError && { onError }) };
  const routes = (app: Express) => {
    app.set('env', 'test');
    app.get('/guarded', requireScope('a'), (_req, res) => void res.json({ ran: ++ran }));
    if (after !== undefined) app.use(after);
  };
  const app = await startApp(options, routes, { before, create });
  running.push(app);
  return app;
}

describe.each(generations)('onError, %s', (_name, create) => {
  test('gets the error with status, challenge and body, from the middleware and from guards', async () => {
    const seen: AuthError[] = [];
    const app = await start({
      create,
      onError: (error, _req, res) => {
        seen.push(error);
        res.status(418).json({ mine: true });
      },
    });
    for (const answer of [await app.get('/protected', 'x'), await app.get('/guarded', as.mint())]) {
      expect([answer.status, answer.body, answer.challenge]).toEqual([418, { mine: true }, undefined]);
    }
    expect(
      seen.map(({ status, headers, body }) => ({ status, challenge: String(headers['WWW-Authenticate']), body })),
    ).toEqual([NO_JWT, insufficientScope('a')]);
    expect([seen[0] instanceof InvalidTokenError, app.handled, ran]).toEqual([true, 1, 0]);
    expect((await app.get('/guarded', as.mint({ scope: 'a' }))).status).toBe(200);
  });

  test.each<[what: string, onError: OnError]>([
    [
      'throws',
      () => {
        throw new Error('a bug of the application');
      },
    ],
    ['rejects', () => Promise.reject(new Error('a bug of the application'))],
    [
      'rejects later',
      async () => {
        await new Promise((resolve) => setTimeout(resolve, 5));
        throw new Error('a bug');
      },
    ],
  ])('that %s is a bug for Express: 500, and the handler does not run', async (_what, onError) => {
    const app = await start({ create, onError });
    expect((await app.get('/protected')).status).toBe(500);
    expect((await app.get('/guarded', as.mint())).status).toBe(500);
    expect([app.handled, ran]).toEqual([1, 0]);
    expect((await app.get('/protected', as.mint())).status).toBe(200);
  });

  test('that calls next(error): Express answers with our status and challenge, and prints no stack', async () => {
    const app = await start({
      create,
      onError: (error, _req, _res, next) => {
        next(error);
      },
    });
    for (const [answer, expected] of [
      [await app.get('/protected'), unauthorized()],
      [await app.get('/protected', 'x'), NO_JWT],
      [await app.get('/protected', undefined, { authorization: 'Bearer' }), MALFORMED_HEADER],
      [await app.get('/guarded', as.mint()), insufficientScope('a')],
    ] as const) {
      expect([answer.status, answer.challenge]).toEqual([expected.status, expected.challenge]);
      expect(answer.body).not.toContain('    at ');
    }
    expect([app.handled, ran]).toEqual([1, 0]);
  });

  test('that calls next(error), with errorHandler behind: the JSON of the default', async () => {
    const app = await start({
      create,
      after: errorHandler,
      onError: (error, _req, _res, next) => {
        next(error);
      },
    });
    expectRefusal(await app.get('/protected', 'x'), NO_JWT);
    expectRefusal(await app.get('/guarded', as.mint()), insufficientScope('a'));
    expect([app.handled, ran]).toEqual([1, 0]);
  });

  test.each([
    ['no token', '/protected', undefined, 'Unauthorized', unauthorized()],
    ['a bad token', '/protected', 'x', 'Unauthorized', NO_JWT],
    ['too little scope', '/guarded', '', 'Forbidden', insufficientScope('a')],
  ] as const)('problemDetails, %s: RFC 9457, the challenge as ever', async (_what, path, token, title, expected) => {
    const app = await start({ create, onError: problemDetails });
    const answer = await app.get(path, token === '' ? as.mint() : token);
    const { error, error_description: detail } = expected.body;
    expect([answer.status, answer.challenge]).toEqual([expected.status, expected.challenge]);
    expect(answer.headers.get('content-type')).toMatch(/^application\/problem\+json(; charset=utf-8)?$/);
    expect(answer.headers.get('cache-control')).toBe('no-store');
    expect(answer.body).toEqual({ title, status: expected.status, ...(error && { detail, error }) });
    expect(ran).toBe(0);
  });

  test('problemDetails: 400 and 503 have their titles', async () => {
    const down = await TestAuthorizationServer.start();
    const token = down.mint();
    await down.close();
    const app = await start({ create, onError: problemDetails, issuer: down.issuer });
    const malformed = await app.get('/protected', undefined, { authorization: 'Bearer' });
    expect([malformed.status, malformed.body]).toMatchObject([400, { title: 'Bad Request', error: 'invalid_request' }]);
    const unavailable = await app.get('/protected', token);
    expect([unavailable.status, unavailable.challenge, unavailable.headers.get('retry-after')]).toEqual([
      503,
      undefined,
      '5',
    ]);
    expect(unavailable.body).toMatchObject({
      title: 'Service Unavailable',
      status: 503,
      error: 'temporarily_unavailable',
    });
    expect(app.handled).toBe(0);
  });
});

describe('the default answer', () => {
  const earlier: RequestHandler = (_req, res, next) => {
    res.set({
      'WWW-Authenticate': 'Basic realm="x"',
      'Access-Control-Expose-Headers': 'X-Total',
      'Cache-Control': 'public, max-age=60',
    });
    next();
  };

  test.each<[what: string, onError: OnError | undefined]>([
    ['JSON', undefined],
    ['problemDetails', problemDetails],
  ])('%s: 9110-11.6.1-3 challenges, exposed headers of others survive; nothing is stored', async (_what, onError) => {
    const app = await start({ before: [earlier], ...(onError && { onError }) });
    const answer = await app.get('/protected');
    expect(answer.challenge).toBe(`${unauthorized().challenge}, Basic realm="x"`);
    expect(answer.headers.get('access-control-expose-headers')).toBe('X-Total, WWW-Authenticate');
    expect(answer.headers.get('cache-control')).toBe('no-store');
    expect([answer.status, app.handled]).toEqual([401, 0]);
    const passed = await app.get('/protected', as.mint());
    expect([passed.status, passed.headers.get('cache-control')]).toEqual([200, 'public, max-age=60']);
  });

  test('503: Retry-After, no challenge, no word to the client of what is wrong', async () => {
    const down = await TestAuthorizationServer.start();
    const token = down.mint();
    await down.close();
    const app = await start({ issuer: down.issuer });
    const answer = await app.get('/protected', token);
    expect([answer.status, answer.challenge, answer.headers.get('retry-after')]).toEqual([503, undefined, '5']);
    expect(answer.headers.get('cache-control')).toBe('no-store');
    expect(answer.body).toEqual({
      error: 'temporarily_unavailable',
      error_description: 'The access token cannot be verified at the moment',
    });
    expect(app.handled).toBe(0);
  });
});

describe('errorHandler', () => {
  test('hands on what is not ours, and what comes after the answer has begun', async () => {
    const passedOn: unknown[] = [];
    const options: ResourceServerOptions = { resource: RESOURCE, issuer: as.issuer };
    const app = await startApp(options, (server) => {
      server.get('/bug', () => {
        throw new RangeError('a bug of the application');
      });
      server.get('/late', (_req, res, next) => {
        res.status(202).end();
        next(new InvalidTokenError('Too late'));
      });
      server.use(errorHandler);
      server.use(((error: unknown, _req, res, next) => {
        passedOn.push(error);
        if (res.headersSent) next();
        else res.status(500).end();
      }) satisfies ErrorRequestHandler);
    });
    running.push(app);
    const [bug, late] = [await app.get('/bug', as.mint()), await app.get('/late', as.mint())];
    expect([bug.status, bug.challenge, late.status, late.challenge]).toEqual([500, undefined, 202, undefined]);
    expect(passedOn.map((error) => [error instanceof RangeError, error instanceof OAuthError])).toEqual([
      [true, false],
      [false, true],
    ]);
  });
});
