import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import cors from 'cors';
import type { RequestHandler } from 'express';
import { startApp } from '../support/app.js';
import type { TestApp } from '../support/app.js';
import { TestAuthorizationServer } from '../support/authorization-server.js';
import { expectRefusal, insufficientScope, NO_JWT, RESOURCE, unauthorized } from '../support/refusals.js';

const ORIGIN = 'https://app.example';
const PREFLIGHT = {
  method: 'OPTIONS',
  headers: {
    origin: ORIGIN,
    'access-control-request-method': 'GET',
    'access-control-request-headers': 'authorization',
  },
};

let as: TestAuthorizationServer;
const running: TestApp[] = [];

beforeAll(async () => {
  as = await TestAuthorizationServer.start();
});

afterEach(async () => {
  await Promise.all(running.splice(0).map((app) => app.close()));
});

afterAll(() => as.close());

async function start(before: readonly RequestHandler[]): Promise<TestApp> {
  const app = await startApp({ resource: RESOURCE, issuer: as.issuer }, undefined, { before });
  running.push(app);
  return app;
}

describe('cross-origin requests (Fetch: preflight, exposed headers)', () => {
  test('with cors before the middleware a preflight passes and lets Authorization through', async () => {
    const app = await start([cors({ origin: ORIGIN })]);
    const answer = await app.request('/protected', PREFLIGHT);
    expect([answer.status, answer.challenge, app.handled]).toEqual([204, undefined, 0]);
    expect(answer.headers.get('access-control-allow-origin')).toBe(ORIGIN);
    expect(answer.headers.get('access-control-allow-headers')).toBe('authorization');
  });

  test('without cors a preflight is refused like any request without a token', async () => {
    const app = await start([]);
    const answer = await app.request('/protected', PREFLIGHT);
    expectRefusal(answer, unauthorized());
    expect(answer.headers.has('access-control-allow-origin')).toBe(false);
    expect(app.handled).toBe(0);
  });

  test.each([
    ['with cors', [cors({ origin: ORIGIN })]],
    ['without cors', []],
  ] as const)(
    '%s a preflight opens nothing for the requests after it, nor for look-alikes of it',
    async (_title, before) => {
      const app = await start(before);
      await app.request('/protected', PREFLIGHT);
      for (const method of ['GET', 'POST', 'PUT', 'PATCH', 'DELETE']) {
        expectRefusal(await app.request('/protected', { ...PREFLIGHT, method }), unauthorized());
        const overridden = { 'x-http-method-override': 'OPTIONS', origin: ORIGIN };
        expectRefusal(await app.request('/protected', { method, headers: overridden }), unauthorized());
      }
      expect(app.handled).toBe(0);
      expect((await app.get('/protected', as.mint(), { origin: ORIGIN })).status).toBe(200);
    },
  );

  test.each([
    ['without a token', '/protected', undefined, unauthorized()],
    ['with a bad token', '/protected', 'rubbish', NO_JWT],
    ['with a token that lacks the scope', '/scoped', '', insufficientScope('read')],
  ] as const)(
    'a script of another origin may read the challenge of a request %s',
    async (_title, path, token, expected) => {
      const app = await start([cors({ origin: ORIGIN, exposedHeaders: ['X-Total'] })]);
      const answer = await app.get(path, token === '' ? as.mint({ scope: 'other' }) : token, { origin: ORIGIN });
      expectRefusal(answer, expected);
      const exposed = answer.headers.get('access-control-expose-headers')?.split(/, ?/);
      expect(exposed).toEqual(['X-Total', 'WWW-Authenticate']);
      expect(answer.headers.get('access-control-allow-origin')).toBe(ORIGIN);
    },
  );

  test('a script of another origin may read Retry-After when the authorization server is down', async () => {
    const down = await TestAuthorizationServer.start();
    const app = await startApp({ resource: RESOURCE, issuer: down.issuer }, undefined, { before: [cors()] });
    running.push(app);
    const token = down.mint();
    await down.close();
    const answer = await app.get('/protected', token, { origin: ORIGIN });
    expect([answer.status, answer.challenge, app.handled]).toEqual([503, undefined, 0]);
    expect(answer.headers.get('access-control-expose-headers')).toBe('Retry-After');
    expect(answer.headers.get('retry-after')).toBe('5');
  });
});
