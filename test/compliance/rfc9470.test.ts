import { afterEach, describe, expect, test } from '@jest/globals';
import { checkStepUp, errorHandler, requireScope, requireStepUp } from '../../lib/index.js';
import type { StepUp } from '../../lib/index.js';
import { behind, guardStage, invalidTokenFor, KINDS, stepUpRefusal, weakLogin } from '../support/guard-stage.js';
import { expectChallenges } from '../support/dpop-refusals.js';
import { dpopHeaders, proofKey, prove } from '../support/proofs.js';
import { expectRefusal, insufficientScope, invalidToken, NO_JWT, RESOURCE, unauthorized } from '../support/refusals.js';
import { closeAll, SAYS } from '../support/stage.js';

afterEach(closeAll);

const MFA = 'urn:example:mfa';
const HARDWARE = 'urn:example:hw';

describe.each(KINDS)('step-up with tokens by %s', (kind) => {
  const by = kind === 'JWT' ? '9470-6.1-1' : '9470-6.2-1';

  test('9470-3-1 9470-3-2 the acr of the token is one of the list, or the whole list is asked for in its order', async () => {
    const acrValues = ['z:best', MFA, HARDWARE];
    const { app, mint, ran } = await guardStage(kind, behind(requireStepUp({ acrValues })));
    const refusal = stepUpRefusal(`acr_values="z:best ${MFA} ${HARDWARE}"`);
    for (const acr of ['pwd', '', 'URN:EXAMPLE:MFA', `${MFA} `, `${MFA} ${HARDWARE}`, 'urn:example', 'toString']) {
      expectRefusal(await app.get('/x', mint({ acr })), refusal);
    }
    expect(ran).toEqual([]);
    for (const acr of acrValues) expect((await app.get('/x', mint({ acr }))).status).toBe(200);
    expect(ran).toHaveLength(3);
  });

  test(`${by} 9470-3-1 at the last second of max_age it passes, one later it does not`, async () => {
    const { app, mint, clock, ran } = await guardStage(kind, behind(requireStepUp({ maxAge: 120 })));
    const token = mint({ auth_time: clock.now });
    clock.now += 120;
    expect((await app.get('/x', token)).status).toBe(200);
    clock.now += 1;
    expectRefusal(await app.get('/x', token), stepUpRefusal('max_age="120"'));
    expect(ran).toHaveLength(1);
    expect((await app.get('/x', mint({ auth_time: clock.now }))).status).toBe(200);
  });

  test(`${by} clockTolerance is added to max_age, and the challenge does not show it`, async () => {
    const routes = behind(requireStepUp({ maxAge: 120 }));
    const { app, mint, clock, ran } = await guardStage(kind, routes, { clockTolerance: 5 });
    const token = mint({ auth_time: clock.now });
    clock.now += 125;
    expect((await app.get('/x', token)).status).toBe(200);
    clock.now += 1;
    expectRefusal(await app.get('/x', token), stepUpRefusal('max_age="120"'));
    expect(ran).toHaveLength(1);
  });

  test('9470-3-3 max_age of 0 takes a log-in of this second, and none of the one before', async () => {
    const { app, mint, clock, ran } = await guardStage(kind, behind(requireStepUp({ maxAge: 0 })));
    expectRefusal(await app.get('/x', mint({ auth_time: clock.now - 1 })), stepUpRefusal('max_age="0"'));
    expect(ran).toEqual([]);
    expect((await app.get('/x', mint({ auth_time: clock.now }))).status).toBe(200);
  });

  test('9470-6-1 a token that says nothing of the log-in, or something else than it should, is challenged', async () => {
    const { app, mint, clock, ran } = await guardStage(kind, (server, handler) => {
      server.get('/acr', requireStepUp({ acrValues: [MFA, '1'] }), handler);
      server.get('/age', requireStepUp({ maxAge: 60 }), handler);
    });
    const { now } = clock;
    for (const acr of [undefined, null, 1, true, [MFA], { [MFA]: true }, { toString: MFA }]) {
      expectRefusal(await app.get('/acr', mint({ acr })), stepUpRefusal(`acr_values="${MFA} 1"`));
    }
    for (const auth_time of [undefined, null, String(now), true, [now], { valueOf: now }, new Date().toISOString()]) {
      expectRefusal(await app.get('/age', mint({ auth_time })), stepUpRefusal('max_age="60"'));
    }
    expect(ran).toEqual([]);
    expect((await app.get('/acr', mint({ acr: '1' }))).status).toBe(200);
    expect((await app.get('/age', mint({ auth_time: now - 0.5 }))).status).toBe(200);
  });

  test('9470-6-1 the claims count at the top level only', async () => {
    const { app, mint, clock, ran } = await guardStage(kind, behind(requireStepUp({ acrValues: [MFA], maxAge: 60 })));
    const login = { acr: MFA, auth_time: clock.now };
    for (const claims of [{ act: login }, { claims: login }, { '': login }, { ACR: MFA, authTime: clock.now }]) {
      const refusal = stepUpRefusal(`acr_values="${MFA}", max_age="60"`);
      expectRefusal(await app.get('/x', mint(claims)), refusal);
    }
    expect(ran).toEqual([]);
    expect((await app.get('/x', mint(login))).status).toBe(200);
  });

  test('9470-3-4 a route that wants both says so in one challenge, whichever is missing', async () => {
    const { app, mint, clock, ran } = await guardStage(kind, behind(requireStepUp({ acrValues: [MFA], maxAge: 60 })));
    const refusal = stepUpRefusal(`acr_values="${MFA}", max_age="60"`);
    expectRefusal(await app.get('/x', mint({ acr: MFA, auth_time: clock.now - 61 })), refusal);
    expectRefusal(await app.get('/x', mint({ acr: 'pwd', auth_time: clock.now })), refusal);
    expect(ran).toEqual([]);
    expect((await app.get('/x', mint({ acr: MFA, auth_time: clock.now }))).status).toBe(200);
  });

  test.each(['scope first', 'step-up first'])(
    '9470-3-5 scope and log-in lacking together: one challenge with both, %s',
    async (order) => {
      const guards = [requireScope('admin'), requireStepUp({ acrValues: [MFA] })];
      if (order !== 'scope first') guards.reverse();
      const { app, mint, ran } = await guardStage(kind, behind(requireScope('read'), ...guards));
      const both = stepUpRefusal(`acr_values="${MFA}", scope="read admin"`);
      expectRefusal(await app.get('/x', mint()), both);
      expectRefusal(await app.get('/x', mint({ scope: 'admin' })), both);
      expectRefusal(await app.get('/x', mint({ scope: 'read admin' })), stepUpRefusal(`acr_values="${MFA}"`));
      expectRefusal(await app.get('/x', mint({ acr: MFA })), insufficientScope('read admin'));
      expect(ran).toEqual([]);
      expect((await app.get('/x', mint({ acr: MFA, scope: 'read admin' }))).status).toBe(200);
    },
  );

  test('9470-9-1 only a good token is told how to log in', async () => {
    const guards = [requireStepUp({ acrValues: [MFA], maxAge: 60 }), requireScope('read')];
    const { app, mint, ran } = await guardStage(kind, behind(...guards), { allowMissingToken: true });
    const bad = kind === 'JWT' ? NO_JWT.body['error_description'] : 'The access token is not active';
    expectRefusal(await app.get('/x', 'rubbish'), invalidTokenFor('read', String(bad)));
    expectRefusal(await app.get('/x', mint({ exp: 1 })), invalidTokenFor('read', SAYS.expired));
    expectRefusal(await app.get('/x', mint({ aud: 'https://b.example' })), invalidTokenFor('read', SAYS.audience));
    expectRefusal(await app.get('/x'), unauthorized('read'));
    expect(ran).toEqual([]);
    expectRefusal(await app.get('/x', mint()), stepUpRefusal(`acr_values="${MFA}", max_age="60"`));
  });

  test('9470-3-1 inside a handler: the same challenge, by Express itself and by errorHandler', async () => {
    const stepUp: StepUp = { maxAge: 60 };
    const { app, mint, clock, ran } = await guardStage(kind, (server, handler) => {
      server.get('/pay/:amount', (req, res, next) => {
        if (Number(req.params.amount) > 100) checkStepUp(req, stepUp);
        handler(req, res, next);
      });
      server.use(errorHandler);
    });
    expectRefusal(await app.get('/pay/101', mint()), stepUpRefusal('max_age="60"'));
    expect(ran).toEqual([]);
    expect((await app.get('/pay/100', mint())).status).toBe(200);
    expect((await app.get('/pay/101', mint({ auth_time: clock.now }))).status).toBe(200);
  });
});

describe('step-up under DPoP', () => {
  test('9470-3-6 the challenge is in the scheme that was tried', async () => {
    const key = await proofKey();
    const routes = behind(requireStepUp({ acrValues: [MFA], maxAge: 5 }));
    const { app, mint, clock, ran } = await guardStage('JWT', routes, { dpop: { algs: ['ES256'] } });
    const middle = weakLogin(`acr_values="${MFA}", max_age="5"`);
    const [bearer, dpop] = [`Bearer realm="${RESOURCE}"`, `DPoP realm="${RESOURCE}", algs="ES256"`];
    const ask = (claims = {}) => {
      const token = mint({ cnf: { jkt: key.jkt }, ...claims });
      return app.request('/x', { headers: dpopHeaders(token, prove(key, `${RESOURCE}/x`, { token, now: clock.now })) });
    };
    await expectChallenges(await ask(), 401, dpop + middle);
    await expectChallenges(await app.get('/x', mint()), 401, bearer + middle, dpop);
    expect(ran).toEqual([]);
    const login = { acr: MFA, auth_time: clock.now };
    expect((await ask(login)).status).toBe(200);
    expect((await app.get('/x', mint(login))).status).toBe(200);
  });

  test('9470-9-1 a bound token that comes as Bearer is told that, and nothing of the log-in', async () => {
    const routes = behind(requireStepUp({ maxAge: 5 }));
    const { app, mint, clock, ran } = await guardStage('JWT', routes, { dpop: { algs: ['ES256'] } });
    const bound = invalidToken('The access token is bound to a key: send it as DPoP, with a proof');
    const dpop = `DPoP realm="${RESOURCE}", algs="ES256"`;
    await expectChallenges(await app.get('/x', mint({ cnf: { jkt: 'a'.repeat(43) } })), 401, bound.challenge, dpop);
    expect(ran).toEqual([]);
    expect((await app.get('/x', mint({ auth_time: clock.now }))).status).toBe(200);
  });
});
