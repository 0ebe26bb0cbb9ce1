import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import type { TokenClaims } from '../../lib/index.js';
import { startApp } from '../support/app.js';
import type { TestApp } from '../support/app.js';
import { TestAuthorizationServer } from '../support/authorization-server.js';
import { expectRefusal, invalidToken, NO_JWT, RESOURCE, unauthorized } from '../support/refusals.js';

const NOT_ACCEPTED = invalidToken('The access token is not accepted here');

let as: TestAuthorizationServer;
const running: TestApp[] = [];

beforeAll(async () => {
  as = await TestAuthorizationServer.start();
});

afterEach(async () => {
  await Promise.all(running.splice(0).map((app) => app.close()));
});

afterAll(() => as.close());

async function start(acceptToken: (claims: TokenClaims) => unknown): Promise<TestApp> {
  const hook = acceptToken as (claims: TokenClaims) => boolean;
  const app = await startApp({ resource: RESOURCE, issuer: as.issuer, acceptToken: hook }, (server) => {
    server.set('env', 'test');
  });
  running.push(app);
  return app;
}

describe('acceptToken', () => {
  test.each([
    ['true', () => true],
    ['a promise of true', () => Promise.resolve(true)],
  ])('that answers %s lets a good token pass', async (_what, hook) => {
    const app = await start(hook);
    expect((await app.get('/protected', as.mint())).status).toBe(200);
    expect(app.handled).toBe(1);
  });

  test.each<[what: string, hook: () => unknown]>([
    ['false', () => false],
    ['a promise of false', () => Promise.resolve(false)],
    ['nothing', () => undefined],
    ['a promise of nothing', () => Promise.resolve()],
    ['1', () => 1],
    ['text', () => 'true'],
    ['an object', () => ({})],
  ])('that answers %s refuses a good token', async (_what, hook) => {
    const app = await start(hook);
    expectRefusal(await app.get('/protected', as.mint()), NOT_ACCEPTED);
    expect(app.handled).toBe(0);
  });

  test.each<[what: string, hook: () => unknown]>([
    [
      'throws',
      () => {
        throw new Error('a bug of the application');
      },
    ],
    ['rejects', () => Promise.reject(new Error('a bug of the application'))],
  ])('that %s is a bug: 500, and no verdict on the token', async (_what, hook) => {
    const app = await start(hook);
    const answer = await app.get('/protected', as.mint());
    expect([answer.status, answer.challenge, app.handled]).toEqual([500, undefined, 0]);
  });

  test('is asked about good tokens only, and sees their frozen claims', async () => {
    const asked: TokenClaims[] = [];
    const app = await start((claims) => asked.push(claims) > 0);
    expectRefusal(await app.get('/protected'), unauthorized());
    expectRefusal(await app.get('/protected', 'rubbish'), NO_JWT);
    expectRefusal(await app.get('/protected', as.mint({ exp: 1 })), invalidToken('The access token expired'));
    expect(asked).toEqual([]);
    expect((await app.get('/protected', as.mint())).status).toBe(200);
    expect(asked.map((claims) => [claims.sub, Object.isFrozen(claims)])).toEqual([['alice', true]]);
  });
});
