import { afterEach, describe, expect, test } from '@jest/globals';
import { InvalidTokenError, requireClaim } from '../../lib/index.js';
import type { OnError } from '../../lib/index.js';
import { startApp } from '../support/app.js';
import type { Answer } from '../support/app.js';
import { expectForgeryRefused } from '../support/attack.js';
import { TestAuthorizationServer } from '../support/authorization-server.js';
import { closeAll, closing, expectAccepted, SAYS, stage } from '../support/stage.js';

const API = 'https://api.example.com';

afterEach(closeAll);

function outcome(answer: Answer): [number, string | undefined] {
  return [answer.status, answer.challenge];
}

describe('hooks that go wrong', () => {
  const boom = () => {
    throw new Error('hook broke');
  };
  test.each([
    ['throws', boom, 500],
    ['rejects', () => Promise.reject(new Error('hook broke')), 500],
    ['answers undefined', () => undefined, 401],
    ['answers null', () => null, 401],
    ['answers 1', () => 1, 401],
    ['answers "true"', () => 'true', 401],
    ['answers an object', () => ({ ok: true }), 401],
    ['answers a promise of "yes"', () => Promise.resolve('yes'), 401],
    ['answers false', () => false, 401],
    [
      'throws a refusal',
      () => {
        throw new InvalidTokenError(SAYS.hook);
      },
      401,
    ],
  ])('an acceptToken that %s lets nobody pass', async (_name, hook, status) => {
    let call: () => unknown = hook;
    const { as, app } = await stage({ acceptToken: (() => call()) as () => boolean });
    if (status === 401) await expectForgeryRefused(app, as.mint(), SAYS.hook);
    else expect(outcome(await app.get('/protected', as.mint()))).toEqual([status, undefined]);
    expect(app.handled).toBe(0);
    call = () => true;
    await expectAccepted(app, as.mint());
  });

  test.each([
    ['throws', boom, 500],
    ['answers a promise', () => Promise.resolve(true), 403],
    ['answers "true"', () => 'true', 403],
    ['answers 1', () => 1, 403],
  ])('an impliesScope that %s grants nothing', async (_name, hook, status) => {
    let call: () => unknown = hook;
    const { as, app } = await stage({ impliesScope: (() => call()) as () => boolean });
    const token = as.mint({ scope: 'other' });
    expect((await app.get('/scoped', token)).status).toBe(status);
    await expectAccepted(app, as.mint({ scope: 'read' }), '/scoped');
    call = () => true;
    await expectAccepted(app, token, '/scoped');
  });

  test.each([
    ['throws', boom],
    ['rejects', () => Promise.reject(new Error('handler broke'))],
    [
      'hands on',
      ((error, _req, _res, next) => {
        next(error);
      }) as OnError,
    ],
    [
      'hands on another error',
      ((_error, _req, _res, next) => {
        next(new Error('other'));
      }) as OnError,
    ],
  ])('an onError that %s lets nobody pass', async (_name, onError) => {
    const { as, app } = await stage({ onError });
    for (const [path, token] of [
      ['/protected', undefined],
      ['/protected', 'bad'],
      ['/scoped', as.mint({ scope: '' })],
    ] as const) {
      const answer = await app.get(path, token);
      expect([400, 401, 403, 500]).toContain(answer.status);
      expect(JSON.stringify(answer.body)).not.toContain('alice');
    }
    await expectAccepted(app, as.mint());
  });

  // `next(undefined)`, `next('route')` and `next('router')` are no errors for Express.
  describe.each([[undefined], [null], [0], [''], ['route'], ['router']])(
    'throwing %p, which Express takes for no error,',
    (thrown) => {
      // eslint-disable-next-line @typescript-eslint/prefer-promise-reject-errors -- as a careless hook does
      const hook = () => Promise.reject(thrown);
      const throws = () => {
        // eslint-disable-next-line @typescript-eslint/only-throw-error -- as a careless hook does
        throw thrown;
      };

      test('an acceptToken lets nobody pass', async () => {
        let call: () => Promise<boolean> = hook;
        const { as, app } = await stage({ acceptToken: () => call() });
        expect(outcome(await app.get('/protected', as.mint()))).toEqual([500, undefined]);
        expect(app.handled).toBe(0);
        call = () => Promise.resolve(true);
        await expectAccepted(app, as.mint());
      });

      test('an onError lets nobody pass', async () => {
        for (const onError of [hook, throws]) {
          const { as, app } = await stage({ onError });
          expect(outcome(await app.get('/protected'))).toEqual([500, undefined]);
          expect(outcome(await app.get('/protected', 'bad'))).toEqual([500, undefined]);
          expect(app.handled).toBe(0);
          await expectAccepted(app, as.mint());
        }
      });

      test('an impliesScope lets nobody pass', async () => {
        const { as, app } = await stage({ impliesScope: throws });
        expect(outcome(await app.get('/scoped', as.mint({ scope: 'other' })))).toEqual([500, undefined]);
        await expectAccepted(app, as.mint(), '/scoped');
      });

      test('the test of requireClaim lets nobody pass', async () => {
        const as = closing(await TestAuthorizationServer.start());
        const guard = requireClaim('vip', (vip) => vip === true || throws());
        const app = closing(
          await startApp({ resource: API, issuer: as.issuer }, (routes) => {
            routes.get('/vip', guard, (_req, res) => void res.json({}));
          }),
        );
        expect(outcome(await app.get('/vip', as.mint()))).toEqual([500, undefined]);
        expect((await app.get('/vip', as.mint({ vip: true }))).status).toBe(200);
      });

      test('a clock and a fetch let nobody pass', async () => {
        const broken = await stage({ clock: throws });
        expect(outcome(await broken.app.get('/protected', broken.as.mint()))).toEqual([500, undefined]);
        const cut = await stage({ fetch: hook });
        expect(outcome(await cut.app.get('/protected', cut.as.mint()))).toEqual([503, undefined]);
        expect(broken.app.handled + cut.app.handled).toBe(0);
      });
    },
  );

  test.each([undefined, null, 'route', 'router', 0, 'x'])(
    'an onError that forgets the error and calls next(%j) opens nothing: Express gets the refusal',
    async (passed) => {
      const { as, app } = await stage({
        onError: (_error, _req, _res, next) => {
          next(passed);
        },
      });
      expect(outcome(await app.get('/protected'))).toEqual([401, `Bearer realm="${API}"`]);
      expect(outcome(await app.get('/scoped', as.mint({ scope: 'other' })))[0]).toBe(403);
      await expectAccepted(app, as.mint(), '/scoped');
    },
  );

  test('a clock that tells no time lets no expired token pass', async () => {
    let broken = false;
    let now = Math.floor(Date.now() / 1000);
    const { as, app } = await stage({ clock: () => (broken ? NaN : now) });
    const token = as.mint({ exp: now + 10 });
    await expectAccepted(app, token);
    now += 11;
    await expectForgeryRefused(app, token, SAYS.expired);
    broken = true;
    expect((await app.get('/protected', token)).status).not.toBe(200);
    expect(app.handled).toBe(1);
  });
});
