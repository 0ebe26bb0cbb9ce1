import { afterEach, describe, expect, test } from '@jest/globals';
import express from 'express';
import type { Express, RequestHandler } from 'express';
import express4 from 'express4';
import { checkScope, checkStepUp, errorHandler, InsufficientUserAuthenticationError } from '../../lib/index.js';
import { problemDetails, requireAnyScope, requireClaim, requireScope, requireStepUp } from '../../lib/index.js';
import type { StepUp } from '../../lib/index.js';
import { behind, guardStage, stepUpRefusal, WEAK_LOGIN } from '../support/guard-stage.js';
import { listen } from '../support/listen.js';
import { expectRefusal, insufficientScope, RESOURCE, unauthorized } from '../support/refusals.js';
import { closeAll, closing } from '../support/stage.js';

afterEach(closeAll);

const generations: [name: string, create: () => Express][] = [
  ['Express 5', express],
  ['Express 4', express4 as unknown as () => Express],
];

describe('construction', () => {
  test.each<[string, unknown]>([
    ['nothing', undefined],
    ['null', null],
    ['a list', ['a']],
    ['a text', 'urn:example:mfa'],
    ['an empty object', {}],
    ['two that are undefined', { acrValues: undefined, maxAge: undefined }],
    ['the name on the wire', { max_age: 5 }],
    ['one more member', { maxAge: 5, scope: 'a' }],
    ['a negative time', { maxAge: -1 }],
    ['a fraction', { maxAge: 0.5 }],
    ['no number', { maxAge: NaN }],
    ['no end', { maxAge: Infinity }],
    ['a time as a text', { maxAge: '5' }],
    ['null as a time', { maxAge: null }],
    ['a time beyond all whole numbers', { maxAge: 2 ** 53 }],
    ['no context', { acrValues: [] }],
    ['a context alone', { acrValues: 'urn:example:mfa' }],
    ['a space', { acrValues: ['urn:example:mfa urn:example:hw'] }],
    ['a quote', { acrValues: ['a"b'] }],
    ['a backslash', { acrValues: ['a\\b'] }],
    ['a line break', { acrValues: ['a\r\nb'] }],
    ['a letter beyond ASCII', { acrValues: ['\u00e9'] }],
    ['an empty context', { acrValues: ['a', ''] }],
    ['a number', { acrValues: [1] }],
    ['null among them', { acrValues: ['a', null] }],
    ['a hole among them', { acrValues: Object.assign([], { 1: 'a' }) }],
    ['a good time beside a bad context', { acrValues: [''], maxAge: 5 }],
  ])('%s is refused', (_what, stepUp) => {
    expect(() => requireStepUp(stepUp as StepUp)).toThrow(TypeError);
    expect(() => requireStepUp(stepUp as StepUp)).toThrow(/requireStepUp/);
  });

  test.each<StepUp>([
    { maxAge: 0 },
    { maxAge: 2 ** 53 - 1 },
    { acrValues: ['0'] },
    { acrValues: ['urn:example:mfa', 'https://example.com/acr?a=b&c#d'], maxAge: 5 },
  ])('%j is allowed', (stepUp) => {
    expect(() => requireStepUp(stepUp)).not.toThrow();
  });

  test('the wrong name is told the right one', () => {
    expect(() => requireStepUp({ max_age: 5 } as StepUp)).toThrow(/did you mean "maxAge"\?/);
    expect(() => requireStepUp({ acr_values: ['a'] } as StepUp)).toThrow(/did you mean "acrValues"\?/);
  });

  test('what is written into the object or its list later changes nothing', async () => {
    const stepUp = { acrValues: ['good'], maxAge: 60 };
    const { app, mint, clock, ran } = await guardStage('JWT', behind(requireStepUp(stepUp)));
    stepUp.acrValues.push('bad');
    stepUp.maxAge = 9999;
    const refusal = stepUpRefusal('acr_values="good", max_age="60"');
    expectRefusal(await app.get('/x', mint({ acr: 'bad', auth_time: clock.now })), refusal);
    expectRefusal(await app.get('/x', mint({ acr: 'good', auth_time: clock.now - 61 })), refusal);
    expect(ran).toEqual([]);
    expect((await app.get('/x', mint({ acr: 'good', auth_time: clock.now }))).status).toBe(200);
  });

  test('the error itself: status, code and parameters', () => {
    const error = new InsufficientUserAuthenticationError({ acrValues: ['a', 'b'], maxAge: 0 }, ['read', 'write']);
    expect([error.status, error.code, error.name]).toEqual([
      401,
      'insufficient_user_authentication',
      error.constructor.name,
    ]);
    expect(Object.entries(error.params)).toEqual([
      ['acr_values', 'a b'],
      ['max_age', '0'],
      ['scope', 'read write'],
    ]);
    expect(new InsufficientUserAuthenticationError({ maxAge: 1 }).params).toEqual({ max_age: '1' });
    expect(() => new InsufficientUserAuthenticationError({ maxAge: 1 }, ['a b'])).toThrow(TypeError);
  });
});

describe.each(generations)('on a route, %s', (_name, create) => {
  test('several guards: one challenge, with the shortest time', async () => {
    const guards = [{ maxAge: 60 }, { acrValues: ['mfa'] }, { maxAge: 30 }].map(requireStepUp);
    const { app, mint, clock, ran } = await guardStage('JWT', behind(...guards), { create });
    const { now } = clock;
    expectRefusal(await app.get('/x', mint()), stepUpRefusal('acr_values="mfa", max_age="30"'));
    expectRefusal(await app.get('/x', mint({ acr: 'mfa', auth_time: now - 31 })), stepUpRefusal('max_age="30"'));
    expectRefusal(await app.get('/x', mint({ acr: 'pwd', auth_time: now })), stepUpRefusal('acr_values="mfa"'));
    expect(ran).toEqual([]);
    expect((await app.get('/x', mint({ acr: 'mfa', auth_time: now }))).status).toBe(200);
  });

  test('several lists: what is asked for satisfies all of them', async () => {
    const guards = [{ acrValues: ['a', 'b'] }, { acrValues: ['c', 'b'] }].map(requireStepUp);
    const { app, mint, ran } = await guardStage('JWT', behind(...guards), { create });
    for (const acr of ['pwd', 'a', 'c']) {
      expectRefusal(await app.get('/x', mint({ acr })), stepUpRefusal('acr_values="b"'));
    }
    expect(ran).toEqual([]);
    expect((await app.get('/x', mint({ acr: 'b' }))).status).toBe(200);
  });

  test('guards of the application and of a router count, those of other routes do not', async () => {
    const { app, mint, clock, ran } = await guardStage(
      'JWT',
      (server, handler) => {
        const router = express.Router();
        router.get('/x', requireStepUp({ acrValues: ['mfa'] }), requireScope('pay'), handler);
        router.get('/other', requireStepUp({ acrValues: ['hw'] }), requireScope('other'), handler);
        router.post('/x', requireStepUp({ maxAge: 1 }), handler);
        server.use('/in', requireStepUp({ maxAge: 60 }), router);
      },
      { create },
    );
    const all = stepUpRefusal('acr_values="mfa", max_age="60", scope="pay"');
    expectRefusal(await app.get('/in/x', mint()), all);
    expectRefusal(await app.request('/in/x', { method: 'HEAD', headers: { authorization: `Bearer ${mint()}` } }), {
      ...all,
      body: '' as unknown as Record<string, string>,
    });
    expect(ran).toEqual([]);
    expect((await app.get('/in/x', mint({ acr: 'mfa', auth_time: clock.now, scope: 'pay' }))).status).toBe(200);
  });

  test('a check inside a handler adds what the guards of the route know', async () => {
    const checks: RequestHandler = (req, _res, next) => {
      checkScope(req, 'late');
      checkStepUp(req, { maxAge: 5 });
      next();
    };
    const { app, mint, clock, ran } = await guardStage(
      'JWT',
      (server, handler) => {
        server.get('/x', requireScope('read'), requireStepUp({ acrValues: ['mfa'] }), checks, handler);
        server.use(errorHandler);
      },
      { create },
    );
    expectRefusal(await app.get('/x', mint({ acr: 'mfa' })), insufficientScope('read late'));
    expectRefusal(await app.get('/x', mint({ acr: 'mfa', scope: 'read late' })), stepUpRefusal('max_age="5"'));
    expect(ran).toEqual([]);
    expect((await app.get('/x', mint({ acr: 'mfa', scope: 'read late', auth_time: clock.now }))).status).toBe(200);
  });

  test('without resourceServer(): 500, and the handler is not reached', async () => {
    const reached: string[] = [];
    const handler: RequestHandler = (req, res) => void res.json(reached.push(req.path));
    const server = create().set('env', 'test');
    server.get('/guard', requireStepUp({ maxAge: 5 }), handler);
    const checks: RequestHandler = (req, _res, next) => {
      checkStepUp(req, { maxAge: 5 });
      next();
    };
    server.get('/check', checks, handler);
    server.get('/free', handler);
    const { url } = closing(await listen(server));
    const answers = await Promise.all(['/guard', '/check', '/free'].map((path) => fetch(url + path)));
    const seen = answers.map(({ status, headers }) => [status, headers.get('www-authenticate')]);
    expect([seen, reached]).toEqual([
      [
        [500, null],
        [500, null],
        [200, null],
      ],
      ['/free'],
    ]);
  });
});

describe('with other guards and options', () => {
  test('the scope that is named is the whole of the route, of alternatives one', async () => {
    const guards = [requireStepUp({ maxAge: 5 }), requireAnyScope('a', 'b'), requireScope('c')];
    const { app, mint, clock, ran } = await guardStage('JWT', behind(...guards));
    expectRefusal(await app.get('/x', mint()), stepUpRefusal('max_age="5", scope="a c"'));
    expectRefusal(await app.get('/x', mint({ scope: 'b' })), stepUpRefusal('max_age="5", scope="b c"'));
    expectRefusal(await app.get('/x', mint({ scope: 'b c' })), stepUpRefusal('max_age="5"'));
    expect(ran).toEqual([]);
    expect((await app.get('/x', mint({ scope: 'b c', auth_time: clock.now }))).status).toBe(200);
  });

  test('a scope that is implied is not lacking', async () => {
    const impliesScope = (granted: string, required: string) => required.startsWith(`${granted}:`);
    const guards = [requireStepUp({ maxAge: 5 }), requireScope('files:read')];
    const { app, mint, clock } = await guardStage('JWT', behind(...guards), { impliesScope });
    expectRefusal(await app.get('/x', mint({ scope: 'files' })), stepUpRefusal('max_age="5"'));
    expect((await app.get('/x', mint({ scope: 'files', auth_time: clock.now }))).status).toBe(200);
  });

  test('what no log-in can mend is told as it is', async () => {
    const guards = [requireClaim('role', (role) => role === 'admin'), requireStepUp({ maxAge: 5 })];
    const { app, mint, clock } = await guardStage('JWT', behind(...guards));
    const noClaim = insufficientScope(undefined, 'The access token lacks a required claim');
    expectRefusal(await app.get('/x', mint()), noClaim);
    expectRefusal(await app.get('/x', mint({ role: 'admin' })), stepUpRefusal('max_age="5"'));
    expect((await app.get('/x', mint({ role: 'admin', auth_time: clock.now }))).status).toBe(200);
  });

  test('an anonymous request is 401 with nothing about the log-in', async () => {
    const routes = behind(requireStepUp({ maxAge: 5, acrValues: ['a'] }));
    const { app, mint, clock } = await guardStage('JWT', routes, { allowMissingToken: true });
    expectRefusal(await app.get('/x'), unauthorized());
    expect((await app.get('/x', mint({ acr: 'a', auth_time: clock.now }))).status).toBe(200);
  });

  test('without descriptions, and as Problem Details, the parameters stay', async () => {
    const more = { errorDescription: false, onError: problemDetails, errorUri: 'https://api.example.com/errors' };
    const { app, mint, clock } = await guardStage('JWT', behind(requireStepUp({ maxAge: 5 })), more);
    const { status, challenge, body } = await app.get('/x', mint());
    const error = 'insufficient_user_authentication';
    const said = `error="${error}", error_uri="https://api.example.com/errors", max_age="5"`;
    expect([status, challenge]).toEqual([401, `Bearer realm="${RESOURCE}", ${said}`]);
    expect(body).toEqual({ title: 'Unauthorized', status: 401, error });
    expect(JSON.stringify(body)).not.toContain(WEAK_LOGIN);
    expect((await app.get('/x', mint({ auth_time: clock.now }))).status).toBe(200);
  });
});
