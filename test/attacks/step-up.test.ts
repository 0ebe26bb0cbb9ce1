import { afterEach, describe, expect, test } from '@jest/globals';
import type { RequestHandler } from 'express';
import { auth, requireScope, requireStepUp } from '../../lib/index.js';
import { behind, guardStage, KINDS, stepUpRefusal } from '../support/guard-stage.js';
import { sendRaw } from '../support/raw.js';
import { expectRefusal } from '../support/refusals.js';
import { closeAll } from '../support/stage.js';

afterEach(closeAll);

const MFA = 'urn:example:mfa';
const both = requireStepUp({ acrValues: [MFA], maxAge: 60 });
const REFUSED = stepUpRefusal(`acr_values="${MFA}", max_age="60"`);

describe.each(KINDS)('times of a log-in that are none, by %s', (kind) => {
  test.each<[string, (now: number) => unknown]>([
    ['in milliseconds', (now) => now * 1000],
    ['of tomorrow', (now) => now + 86_400],
    ['of the end of time', () => Number.MAX_SAFE_INTEGER],
    ['beyond all numbers', () => 1e308],
  ])('one %s is never old, and so refused', async (_what, timeOf) => {
    const { app, mint, clock, ran } = await guardStage(kind, behind(requireStepUp({ maxAge: 60 })));
    expectRefusal(await app.get('/x', mint({ auth_time: timeOf(clock.now) })), stepUpRefusal('max_age="60"'));
    expect(ran).toEqual([]);
    expect((await app.get('/x', mint({ auth_time: clock.now }))).status).toBe(200);
  });

  test.each([-1, 0, -0, -1e308, 1e-320, Number.MIN_SAFE_INTEGER])('one of %p is old', async (auth_time) => {
    const { app, mint, clock, ran } = await guardStage(kind, behind(requireStepUp({ maxAge: 60 })));
    expectRefusal(await app.get('/x', mint({ auth_time })), stepUpRefusal('max_age="60"'));
    expect(ran).toEqual([]);
    expect((await app.get('/x', mint({ auth_time: clock.now }))).status).toBe(200);
  });
});

describe('the way to the route', () => {
  test.each(['/x', '/X', '/x/', '/x?', '/x?/../open', '/x?acr=a', 'http://api.example.com/x', 'HTTP://a/x?b'])(
    'the address %s leads to the route, meets its guards, and is told all',
    async (target) => {
      const { app, mint, clock, ran } = await guardStage('JWT', behind(requireScope('pay'), both));
      const ask = (token: string) =>
        sendRaw(app.port, [`GET ${target} HTTP/1.1`, 'Host: api.example.com', `Authorization: Bearer ${token}`]);
      const params = `acr_values="${MFA}", max_age="60", scope="pay"`;
      expectRefusal(await ask(mint()), stepUpRefusal(params));
      expect(ran).toEqual([]);
      expect((await ask(mint({ acr: MFA, auth_time: clock.now, scope: 'pay' }))).status).toBe(200);
    },
  );

  test.each(['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'OPTIONS', 'PATCH', 'QUERY', 'PROPFIND'])(
    '%s meets the guards',
    async (method) => {
      const { app, mint, clock, ran } = await guardStage('JWT', behind(both));
      const ask = (token: string) =>
        sendRaw(app.port, [`${method} /x HTTP/1.1`, 'Host: a', `Authorization: Bearer ${token}`]);
      const answer = await ask(mint());
      expect([answer.status, answer.all('www-authenticate'), ran]).toEqual([401, [REFUSED.challenge], []]);
      expect((await ask(mint({ acr: MFA, auth_time: clock.now }))).status).toBe(200);
    },
  );
});

describe('what stands in front of the guard', () => {
  test.each<[string, RequestHandler]>([
    [
      'writes into the claims',
      (req, _res, next) => {
        Object.assign(auth(req).claims, { acr: MFA });
        next();
      },
    ],
    [
      'puts a copy with better claims in the place of req.auth',
      (req, _res, next) => {
        const found = auth(req);
        Object.assign(req, { auth: { ...found, claims: { ...found.claims, acr: MFA } } });
        next();
      },
    ],
    [
      'puts an object on top of req.auth',
      (req, _res, next) => {
        Object.assign(req, { auth: Object.create(auth(req), { claims: { value: { acr: MFA } } }) as object });
        next();
      },
    ],
  ])('a middleware that %s: 500, and nothing is opened', async (_what, meddle) => {
    const { app, mint, ran } = await guardStage('JWT', (server, handler) => {
      server.get('/meddled', meddle, requireStepUp({ acrValues: [MFA] }), handler);
      server.get('/x', requireStepUp({ acrValues: [MFA] }), handler);
    });
    const { status, challenge } = await app.get('/meddled', mint());
    expect([status, challenge, ran]).toEqual([500, undefined, []]);
    expect((await app.get('/x', mint({ acr: MFA }))).status).toBe(200);
  });

  test('headers, query and body have no say', async () => {
    const { app, mint, clock, ran } = await guardStage('JWT', behind(both));
    const claims = { acr: MFA, auth_time: String(clock.now) };
    const query = new URLSearchParams(claims).toString();
    const headers = { authorization: `Bearer ${mint()}`, ...claims, 'content-type': 'application/json' };
    const answer = await app.request(`/x?${query}`, { method: 'POST', headers, body: JSON.stringify(claims) });
    expectRefusal(answer, REFUSED);
    expect(ran).toEqual([]);
    expect((await app.get('/x', mint({ acr: MFA, auth_time: clock.now }))).status).toBe(200);
  });
});

describe('hooks that go wrong while the challenge is put together', () => {
  test('an impliesScope that throws is a bug: 500, nothing is opened, and the next request is answered', async () => {
    let isBroken = true;
    const impliesScope = () => {
      if (isBroken) throw new Error('a bug of the application');
      return false;
    };
    const guards = [requireStepUp({ maxAge: 60 }), requireScope('pay')];
    const { app, mint, clock, ran } = await guardStage('JWT', behind(...guards), { impliesScope });
    const broken = await app.get('/x', mint());
    expect([broken.status, broken.challenge, ran]).toEqual([500, undefined, []]);
    isBroken = false;
    expectRefusal(await app.get('/x', mint()), stepUpRefusal('max_age="60", scope="pay"'));
    expect((await app.get('/x', mint({ auth_time: clock.now, scope: 'pay' }))).status).toBe(200);
  });

  test('many requests at once with tokens of different strength: each gets its own answer', async () => {
    const { app, mint, clock, ran } = await guardStage('JWT', behind(requireScope('pay'), both));
    const login = { acr: MFA, auth_time: clock.now };
    const kinds = [{}, { scope: 'pay' }, { ...login }, { ...login, scope: 'pay' }];
    const tokens = Array.from({ length: 80 }, (_, i) => mint(kinds[i % kinds.length]));
    const answers = await Promise.all(tokens.map((token) => app.get('/x', token)));
    const scopes = answers.map(({ status, challenges: [challenge] }) => {
      return [status, challenge?.params.has('acr_values'), challenge?.params.get('scope')];
    });
    const expected = [
      [401, true, 'pay'],
      [401, true, undefined],
      [403, false, 'pay'],
      [200, undefined, undefined],
    ];
    expect(scopes).toEqual(tokens.map((_, i) => expected[i % expected.length]));
    expect(ran).toHaveLength(20);
  });
});
