import { describe, expect, test } from '@jest/globals';
import type { Express, RequestHandler } from 'express';
import type { CommonOptions, IntrospectionOptions, OnError } from '../../lib/index.js';
import { TestAuthorizationServer } from './authorization-server.js';
import { movableClock } from './clock.js';
import { until } from './faults.js';
import { watched } from './hot.js';
import { clientAuthentication, hold, INACTIVE, INACTIVE_TTL, TTL } from './introspection-stage.js';
import { invalidToken, RESOURCE } from './refusals.js';
import { closing, SAYS } from './stage.js';

/** How the middleware deals with known tokens in one version of Express. */
export function describeHotMiddleware(express: string, create: () => Express): void {
  describe(`the middleware, in ${express}`, () => {
    const WAITED = { synchronous: false, nexts: 1, waited: true, status: 200 };
    const AT_ONCE = { synchronous: true, nexts: 1, waited: false, status: 200 };
    const EXPIRED = {
      synchronous: false,
      nexts: 0,
      waited: false,
      status: 401,
      challenge: invalidToken(SAYS.expired).challenge,
    };

    async function scene(options: Partial<CommonOptions> = {}, handler?: RequestHandler) {
      const clock = movableClock();
      const as = closing(await TestAuthorizationServer.start());
      const given = { create, ...(handler && { handler }) };
      const app = await watched({ resource: RESOURCE, issuer: as.issuer, clock, ...options }, given);
      return { as, clock, send: app.send, token: as.mint({}, { now: clock.now }) };
    }

    test('calls next() once, and for a known token before it returns; refuses it at once, too', async () => {
      const { clock, send, token } = await scene();
      expect(await send(token)).toMatchObject(WAITED);
      for (let i = 0; i < 10; i++) expect(await send(token)).toMatchObject(AT_ONCE);
      clock.now += 300;
      for (let i = 0; i < 3; i++) expect(await send(token)).toMatchObject(EXPIRED);
    });

    test.each<[where: string, handler: RequestHandler]>([
      [
        'at once',
        () => {
          throw new Error('of the handler');
        },
      ],
      [
        'to next',
        (_req, _res, next) => {
          next(new Error('of the handler'));
        },
      ],
    ])('what a handler throws, %s, is not ours', async (_where, handler) => {
      let answered = 0;
      const { clock, send, token } = await scene(
        { onError: (_error, _req, res) => (answered++, res.sendStatus(418)) },
        handler,
      );
      const bug = { status: 500, nexts: 1, body: { bug: 'of the handler' }, challenge: null };
      expect(await send(token)).toMatchObject({ ...WAITED, ...bug });
      expect(await send(token)).toMatchObject({ ...AT_ONCE, ...bug });
      expect(answered).toBe(0);
      clock.now += 300; // the twin: what we refuse is
      await send(token).catch(() => undefined); // it answers with no JSON
      expect(answered).toBe(1);
    });

    const boom = new Error('onError broke');
    test.each<[what: string, onError: OnError, body: object]>([
      [
        'throws',
        () => {
          throw boom;
        },
        { bug: 'onError broke' },
      ],
      ['rejects', () => Promise.reject(boom), { bug: 'onError broke' }],
      [
        'passes another error',
        (_error, _req, _res, next) => {
          next(boom);
        },
        { bug: 'onError broke' },
      ],
      [
        'says go on',
        (_error, _req, _res, next) => {
          next();
        },
        { bug: SAYS.expired },
      ],
      [
        'says route',
        (_error, _req, _res, next) => {
          next('route');
        },
        { bug: SAYS.expired },
      ],
    ])('an onError that %s lets no known token pass', async (_what, onError, body) => {
      const { clock, send, token } = await scene({ onError });
      for (let i = 0; i < 2; i++) expect(await send(token)).toMatchObject({ status: 200 });
      clock.now += 300;
      expect(await send(token)).toMatchObject({ status: 500, nexts: 1, body });
      clock.now -= 1;
      expect(await send(token)).toMatchObject(AT_ONCE);
    });

    async function opaqueScene(introspection: Partial<IntrospectionOptions> = {}) {
      const clock = movableClock();
      const as = closing(await TestAuthorizationServer.start());
      const asked = { clientAuthentication, endpoint: as.introspectionEndpoint, ...introspection };
      const options = { resource: RESOURCE, issuer: as.issuer, clock, introspection: asked };
      const { send, middleware } = await watched(options, { create });
      const token = as.issue({}, clock.now);
      expect(await send(token)).toMatchObject(WAITED);
      for (let i = 0; i < 10; i++) expect(await send(token)).toMatchObject(AT_ONCE);
      expect(as.questions).toHaveLength(1);
      return { as, clock, send, middleware, token };
    }
    const REFUSED = { nexts: 0, status: 401, challenge: invalidToken(INACTIVE).challenge };

    test('a known opaque token passes before it returns, until its time is over', async () => {
      const { as, clock, send, token } = await opaqueScene();
      clock.now += TTL - 0.001;
      expect(await send(token)).toMatchObject(AT_ONCE);
      clock.now += 0.001;
      expect(await send(token)).toMatchObject(WAITED);
      expect(as.questions).toHaveLength(2);
      as.opaque.delete(token);
      expect(await send(token)).toMatchObject(AT_ONCE); // revoked, and nobody has asked
      clock.now += TTL;
      expect(await send(token)).toMatchObject({ ...REFUSED, waited: true });
      expect(await send(token)).toMatchObject({ ...REFUSED, waited: false }); // that it is bad is known as well
      clock.now += INACTIVE_TTL;
      expect(await send(token)).toMatchObject({ ...REFUSED, waited: true });
      expect(as.questions).toHaveLength(4);
    });

    test('7662-4-2 a known opaque token is asked about again in the second of its exp', async () => {
      const { as, clock, send } = await opaqueScene();
      const token = as.issue({ exp: clock.now + 10 }, clock.now);
      for (const expected of [WAITED, AT_ONCE]) expect(await send(token)).toMatchObject(expected);
      clock.now += 10;
      for (const waited of [true, false]) {
        const expired = { status: 401, nexts: 0, waited, challenge: invalidToken(SAYS.expired).challenge };
        expect(await send(token)).toMatchObject(expired);
      }
    });

    test('a known opaque token is asked about at once after invalidate() and purge()', async () => {
      const { as, send, middleware, token } = await opaqueScene();
      for (const how of ['invalidate', 'purge'] as const) {
        middleware[how](token);
        for (const expected of [WAITED, AT_ONCE]) expect(await send(token)).toMatchObject(expected);
      }
      expect(as.questions).toHaveLength(3);
      as.opaque.delete(token);
      middleware.invalidate(token);
      expect(await send(token)).toMatchObject({ ...REFUSED, waited: true });
    });

    test('a stale opaque token passes before it returns, while it is asked about in the background', async () => {
      const { as, clock, send, token } = await opaqueScene({ staleWhileRevalidate: 60 });
      clock.now += TTL;
      const held = hold(as);
      for (let i = 0; i < 3; i++) expect(await send(token)).toMatchObject(AT_ONCE);
      await until(() => held.questions.length === 1, 'the question');
      as.opaque.delete(token);
      held.release();
      let last = await send(token);
      for (let i = 0; i < 50 && last.status === 200; i++) last = await send(token);
      expect(last).toMatchObject(REFUSED);
    });
  });
}
