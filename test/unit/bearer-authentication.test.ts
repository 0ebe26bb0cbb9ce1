import { afterEach, describe, expect, test } from '@jest/globals';
import { inspect } from 'node:util';
import { bearerToken, VerificationUnavailableError } from '../../lib/index.js';
import type { ClientAuthentication, OwnToken } from '../../lib/index.js';
import { startApp } from '../support/app.js';
import { sendJson, TestAuthorizationServer } from '../support/authorization-server.js';
import { movableClock } from '../support/clock.js';
import { complaintOf } from '../support/complaint.js';
import { diagnosticsOf } from '../support/diagnostics.js';
import { until } from '../support/faults.js';
import { closeAll, closing, expectAccepted, expectUnavailable } from '../support/stage.js';

const API = 'https://api.example.com';
const ISSUER = 'https://as.example.com';
const NOW = 1_800_000_000;
const SECRET = 'kx7Qm2Vt9Lp4Rz8Wn3Bd6Hf1Gj5Ys0Tc';
/** So long before its expiry a token is renewed. */
const MARGIN = 10;

afterEach(closeAll);

/** A function for `bearerToken` that numbers its tokens. */
function numbered(more: Partial<OwnToken> = {}) {
  const source = Object.assign((): OwnToken => ({ accessToken: `own-${String(++source.calls)}`, ...more }), {
    calls: 0,
  });
  return source;
}

/** What goes out at a time. */
async function header(by: ClientAuthentication, now = NOW): Promise<string | undefined> {
  const { headers, parameters } = await by.authenticate(ISSUER, now);
  expect(parameters).toBeUndefined();
  expect(Object.keys(headers ?? {})).toEqual(['authorization']);
  return headers?.['authorization'];
}

describe('bearerToken: what is refused at construction', () => {
  const getToken = () => ({ accessToken: 'x' });

  test.each<[what: string, given: unknown, got: string]>([
    ['nothing', undefined, 'undefined'],
    ['null', null, 'null'],
    ['an object', {}, 'a value of type object'],
    ['a promise', Promise.resolve({ accessToken: 'x' }), 'a value of type object'],
  ])('%s in place of the function', (_what, given, got) => {
    expect(complaintOf(bearerToken, given)).toBe(`bearerToken takes a function, got ${got}`);
  });

  test('a token in place of the function, which no message repeats', () => {
    const message = complaintOf(bearerToken, SECRET);
    expect(message).toMatch(/^bearerToken takes a function, got /);
    expect(message).not.toContain(SECRET.slice(0, 8));
  });

  test.each<[what: string, options: unknown, says: string]>([
    ['no object', null, 'bearerToken takes an object, got null'],
    ['an unknown one', { clientld: 'rs1' }, 'bearerToken has no option "clientld": did you mean "clientId"?'],
    ['an empty identifier', { clientId: '' }, 'clientId must be a string that is not empty'],
    ['an identifier that is no text', { clientId: 5 }, 'clientId must be a string that is not empty'],
  ])('options: %s', (_what, options, says) => {
    expect(complaintOf(bearerToken, getToken, options)).toBe(says);
  });

  test('the client identifier is there where it is named, and the function is not called yet', () => {
    const source = numbered();
    expect(bearerToken(source, { clientId: 'rs1' }).clientId).toBe('rs1');
    expect(bearerToken(source).clientId).toBeUndefined();
    expect(source.calls).toBe(0);
  });
});

describe('bearerToken: the token at hand', () => {
  test('one without expiry is used until it is refused', async () => {
    const source = numbered();
    const by = bearerToken(source);
    expect([await header(by), await header(by, NOW + 1e9)]).toEqual(['Bearer own-1', 'Bearer own-1']);
    by.renew?.(await by.authenticate(ISSUER, NOW));
    expect([await header(by), await header(by)]).toEqual(['Bearer own-2', 'Bearer own-2']);
    expect(source.calls).toBe(2);
  });

  test('one with an expiry is renewed shortly before it', async () => {
    const source = numbered({ expiresIn: 300 });
    const by = bearerToken(source);
    expect(await header(by)).toBe('Bearer own-1');
    expect(await header(by, NOW + 300 - MARGIN - 0.5)).toBe('Bearer own-1');
    expect(await header(by, NOW + 300 - MARGIN)).toBe('Bearer own-2');
    // Its life counts from when it was fetched.
    expect(await header(by, NOW + 2 * (300 - MARGIN) - 0.5)).toBe('Bearer own-2');
    expect(await header(by, NOW + 2 * (300 - MARGIN))).toBe('Bearer own-3');
  });

  test('one that lives shorter than that is used for what waits for it', async () => {
    const source = numbered({ expiresIn: 5 });
    const by = bearerToken(source);
    expect(await Promise.all([header(by), header(by)])).toEqual(['Bearer own-1', 'Bearer own-1']);
    expect(await header(by)).toBe('Bearer own-2');
  });

  test('who come at the same time share one call, also at the renewal', async () => {
    const waiting: ((token: OwnToken) => void)[] = [];
    const by = bearerToken(() => new Promise<OwnToken>((resolve) => waiting.push(resolve)));
    for (const [accessToken, now] of [
      ['one', NOW],
      ['two', NOW + 60],
    ] as const) {
      const all = Promise.all(Array.from({ length: 20 }, () => header(by, now)));
      await until(() => waiting.length > 0, 'the function is called');
      expect(waiting).toHaveLength(1);
      waiting.pop()?.({ accessToken, expiresIn: 60 });
      expect(new Set(await all)).toEqual(new Set([`Bearer ${accessToken}`]));
    }
    expect(waiting).toEqual([]);
  });

  test('a refusal of an older token does not cost the newer one', async () => {
    const source = numbered();
    const by = bearerToken(source);
    const old = await by.authenticate(ISSUER, NOW);
    for (const refusal of [old, old, {}, { headers: {} }]) {
      by.renew?.(refusal);
      expect(await header(by)).toBe('Bearer own-2');
    }
    expect(source.calls).toBe(2);
  });

  test('a failure is passed on, and not remembered', async () => {
    const failures = [new Error('no'), undefined];
    const by = bearerToken(() => {
      const failure = failures.shift();
      if (failure !== undefined) throw failure;
      return Promise.resolve({ accessToken: 'own-1' });
    });
    const both = await Promise.allSettled([header(by), header(by)]);
    expect(both.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    expect(await header(by)).toBe('Bearer own-1');
  });

  test('a function that never returns is given up, and asked anew', async () => {
    const answers = [new Promise<OwnToken>(() => undefined), Promise.resolve({ accessToken: 'own-1' })];
    const by = bearerToken(() => answers.shift() ?? Promise.reject(new Error('no more')));
    await expect(header(by)).rejects.toMatchObject({ status: 503 });
    expect(await header(by)).toBe('Bearer own-1');
  }, 30_000);
});

describe('bearerToken: what its function may not return', () => {
  test.each<[what: string, given: unknown]>([
    ['nothing', undefined],
    ['null', null],
    ['the token alone', SECRET],
    ['the answer of a token endpoint as it is', { access_token: SECRET, token_type: 'Bearer', expires_in: 60 }],
    ['no token', { expiresIn: 60 }],
    ['an empty token', { accessToken: '' }],
    ['a token with a space', { accessToken: `${SECRET} x` }],
    ['a token with another header line', { accessToken: `${SECRET}\r\nx-evil: 1` }],
    ['a token with a line break at its end', { accessToken: `${SECRET}\n` }],
    ['a token with letters beyond ASCII', { accessToken: `${SECRET}é` }],
    ['a token in a list', { accessToken: [SECRET] }],
    ['a life that is text', { accessToken: SECRET, expiresIn: '3600' }],
    ['a life that is null', { accessToken: SECRET, expiresIn: null }],
    ['a life that is no number', { accessToken: SECRET, expiresIn: NaN }],
  ])('%s: an error without the token in it, and nothing is remembered', async (_what, given) => {
    const answers: unknown[] = [given, { accessToken: 'own-1' }];
    const by = bearerToken(() => answers.shift() as OwnToken);
    const error = await header(by).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(VerificationUnavailableError);
    const { reason } = error as VerificationUnavailableError;
    expect(reason).toMatch(/^The function of bearerToken returned /);
    expect(inspect(error)).not.toContain(SECRET.slice(0, 8));
    expect(await header(by)).toBe('Bearer own-1');
  });
});

describe('bearerToken at an introspection endpoint', () => {
  /** Takes this token for authentication, and no other. */
  async function staged(getToken: () => OwnToken | Promise<OwnToken>) {
    const [clock, as] = [movableClock(), closing(await TestAuthorizationServer.start())];
    const introspection = { clientAuthentication: bearerToken(getToken) };
    const app = closing(await startApp({ resource: API, issuer: as.issuer, introspection, clock }));
    const accepts = { token: 'own-1' };
    as.onQuestion = ({ headers, form }, res) => {
      const isOurs = headers.authorization === `Bearer ${accepts.token}`;
      sendJson(res, as.answerTo(form.get('token')), isOurs ? 200 : 401);
    };
    const sent = () => as.questions.splice(0).map(({ headers }) => headers.authorization);
    return { as, app, clock, accepts, sent };
  }

  test('7662-2.1-4 the token goes in the header, for question after question', async () => {
    const source = numbered();
    const { as, app, sent } = await staged(source);
    for (const token of [as.issue(), as.issue()]) await expectAccepted(app, token);
    expect(as.questions.map(({ form }) => [...form.keys()])).toEqual([1, 2].map(() => ['token', 'token_type_hint']));
    expect(sent()).toEqual(['Bearer own-1', 'Bearer own-1']);
    expect(source.calls).toBe(1);
  });

  test('7662-2.1-4 before it expires it is renewed, by the clock of the middleware', async () => {
    const { as, app, clock, accepts, sent } = await staged(numbered({ expiresIn: 120 }));
    await expectAccepted(app, as.issue());
    clock.now += 120 - MARGIN - 1;
    await expectAccepted(app, as.issue());
    clock.now += 1;
    accepts.token = 'own-2';
    await expectAccepted(app, as.issue());
    expect(sent()).toEqual(['Bearer own-1', 'Bearer own-1', 'Bearer own-2']);
  });

  test('7662-2.3-1 after 401 it is renewed, and the question asked once more: the caller notices nothing', async () => {
    const { as, app, accepts, sent } = await staged(numbered());
    await expectAccepted(app, as.issue());
    accepts.token = 'own-2';
    const events = await diagnosticsOf(async () => {
      await expectAccepted(app, as.issue());
    });
    expect(events).toEqual([]);
    expect(sent()).toEqual(['Bearer own-1', 'Bearer own-1', 'Bearer own-2']);
  });

  test('7662-2.3-1 when the new one is refused as well, it is 503, and one refusal costs one new token', async () => {
    const source = numbered();
    const { as, app, accepts, sent } = await staged(source);
    accepts.token = 'none of ours';
    const token = as.issue();
    const events = await diagnosticsOf(() => expectUnavailable(app, token));
    const reason = 'The introspection endpoint refused our own credentials (401): check "clientAuthentication"';
    expect(events).toEqual([
      { type: 'introspection', issuer: as.issuer, event: 'failed', reason },
      { type: 'refusal', status: 503, code: undefined, reason },
    ]);
    expect(sent()).toEqual(['Bearer own-1', 'Bearer own-2']);
    expect(source.calls).toBe(2);
    accepts.token = 'own-2';
    await expectAccepted(app, token);
    expect(source.calls).toBe(2);
  });

  test('7662-2.1-4 questions at the same time share one call, and so do renewals', async () => {
    const source = numbered();
    const { as, app, accepts, sent } = await staged(() => Promise.resolve(source()));
    const burst = () => Promise.all(Array.from({ length: 10 }, () => app.get('/protected', as.issue())));
    for (const current of ['own-1', 'own-2']) {
      accepts.token = current;
      expect((await burst()).map(({ status }) => status)).toEqual(Array(10).fill(200));
      expect(`own-${String(source.calls)}`).toBe(current);
    }
    const all = sent();
    expect(all.filter((line) => line === 'Bearer own-2')).toHaveLength(10);
    expect(new Set(all)).toEqual(new Set(['Bearer own-1', 'Bearer own-2']));
  });

  test('7662-2.3-1 a function that fails is 503, without a question; its words go nowhere', async () => {
    const answers = [() => Promise.reject(new Error(SECRET)), () => ({ accessToken: 'own-1' })];
    const { as, app } = await staged(() => answers.shift()?.() ?? { accessToken: 'own-1' });
    const token = as.issue();
    const events = await diagnosticsOf(() => expectUnavailable(app, token));
    const reason = 'We could not authenticate at the authorization server: what "clientAuthentication" calls failed';
    expect(events).toEqual([
      { type: 'introspection', issuer: as.issuer, event: 'failed', reason },
      { type: 'refusal', status: 503, code: undefined, reason },
    ]);
    expect(as.questions).toEqual([]);
    await expectAccepted(app, token);
  });
});
