import { afterEach, describe, expect, test } from '@jest/globals';
import { VerificationUnavailableError } from '../../lib/index.js';
import { sendJson, TestAuthorizationServer } from '../support/authorization-server.js';
import {
  closeAll,
  closing,
  expectAccepted,
  expectRefused,
  expectUnavailable,
  LONGEST_WAIT,
  METADATA,
  serve,
  until,
} from '../support/faults.js';
import {
  ANSWER,
  asked,
  clientAuthentication,
  CREDENTIALS,
  fail,
  FAULTS,
  heal,
  hold,
  IN_A_ROW,
  INACTIVE,
  introspectionStage,
  many,
  MAX_BYTES,
  NO_200,
  ODD_ANSWERS,
  ok,
  paddedTo,
  REFUSES_US,
  status,
  tally,
  toldOf,
  trials,
  TTL,
  untilPaused,
} from '../support/introspection-stage.js';
import { movableClock } from '../support/clock.js';

afterEach(closeAll);

const MALFORMED =
  'The introspection endpoint takes the question for malformed (400): some servers introspect no JWTs, see "jwtLocally"; else check "clientAuthentication"';

describe.each([...FAULTS, REFUSES_US, ...ODD_ANSWERS])('7662-2.3-1 %s', (_what, listener, reason, retryAfter) => {
  test('7662-2.2-1 cached tokens pass until their ttl, others are 503, and no verdict is made of it', async () => {
    const { as, app, clock, issue } = await introspectionStage();
    const [cached, other] = [issue(), issue()];
    await expectAccepted(app, cached);
    await fail(as, listener);
    const told = await toldOf(as, async () => {
      expect(await expectUnavailable(app, other)).toBe(retryAfter ?? 5);
    });
    expect(told).toEqual([
      ['failed', reason],
      ['503', reason],
    ]);
    clock.now += TTL - 1;
    await expectAccepted(app, cached);
    clock.now += 1;
    await expectUnavailable(app, cached);
    await heal(as, listener);
    // Two failures make no pause, and are no verdict on a token.
    await expectAccepted(app, other);
    await expectAccepted(app, cached);
    await expectRefused(app, 'unknown', INACTIVE);
  });
});

describe('five in a row', () => {
  const named = FAULTS.map((fault) => [fault[0], fault] as const);
  test.each(named)('%s: a trial, a pause in which nobody asks, another trial, and recovery', async (_what, fault) => {
    const [, listener, reason, retryAfter] = fault;
    const { as, app, clock, issue } = await introspectionStage();
    const cached = issue();
    await expectAccepted(app, cached);
    await fail(as, listener);
    const told = await toldOf(as, async () => {
      await untilPaused(as, async () => {
        for (let i = 0; i < IN_A_ROW; i++) await expectUnavailable(app, issue());
      });
      await heal(as, listener);
      const before = asked(as);
      for (let i = 0; i < 3; i++) expect(await expectUnavailable(app, issue())).toBe(retryAfter ?? 1);
      await expectAccepted(app, cached);
      expect(asked(as)).toBe(before);
      clock.now += LONGEST_WAIT;
      const token = issue();
      await expectAccepted(app, token);
      expect(asked(as)).toBe(before + 2);
      const [trial, own] = as.questions.slice(-2).map(({ form }) => form.get('token'));
      expect([typeof trial, as.opaque.has(trial ?? ''), own]).toEqual(['string', false, token]);
      await expectAccepted(app, issue());
      expect(asked(as)).toBe(before + 3);
    });
    const row = many(IN_A_ROW, () => 'failed');
    expect(told.filter(([event]) => event !== '503').map(([event]) => event)).toEqual([...row, 'paused', 'recovered']);
    expect(told.filter(([event]) => event !== 'recovered').map(([, said]) => said)).toEqual(
      told.filter(([event]) => event !== 'recovered').map(() => reason),
    );
  });
});

test.each([301, 302, 303, 307, 308])('a redirect (%i) to another host is not followed', async (code) => {
  const { as, app, clock } = await introspectionStage();
  const stranger = closing(await TestAuthorizationServer.start());
  const token = stranger.issue({ iss: as.issuer }, clock.now);
  as.answers.set('/introspect', status(code, { Location: stranger.introspectionEndpoint }));
  const told = await toldOf(as, async () => {
    await expectUnavailable(app, token);
  });
  expect(told[0]).toEqual(['failed', NO_200]);
  as.answers.clear();
  await expectRefused(app, token, INACTIVE);
  expect(stranger.log).toEqual([]);
});

test('an answer of 64 kB is used', async () => {
  const { as, app, issue } = await introspectionStage();
  await fail(as, ok(paddedTo(MAX_BYTES)));
  await expectAccepted(app, issue());
});

describe('what never makes a pause', () => {
  test.each([400, 401, 413, 414, 422, 431])(
    '7662-2.3-1 %i, however often: 503 for this token, others pass',
    async (code) => {
      const { as, app, issue } = await introspectionStage();
      const odd = issue();
      as.onQuestion = ({ form }, res) => {
        if (form.get('token') === odd) res.writeHead(code).end();
        else sendJson(res, as.answerTo(form.get('token')));
      };
      const told = await toldOf(as, async () => {
        for (let i = 0; i < 20; i++) await expectUnavailable(app, odd);
        await expectAccepted(app, issue());
      });
      const reason = { 400: MALFORMED, 401: CREDENTIALS }[code] ?? NO_200;
      expect(told.filter(([event]) => event !== '503')).toEqual(Array(20).fill(['failed', reason]));
      expect(asked(as)).toBe(21);
      as.onQuestion = undefined;
      await expectAccepted(app, odd);
    },
  );

  test.each([REFUSES_US, ...ODD_ANSWERS])(
    '%s to all, however often: 503 for this token, others pass',
    async (_what, listener, reason) => {
      const { as, app, issue } = await introspectionStage();
      await fail(as, listener);
      const told = await toldOf(as, async () => {
        for (let i = 0; i < 20; i++) await expectUnavailable(app, issue());
        await heal(as, listener);
        await expectAccepted(app, issue());
      });
      expect(told.filter(([event]) => event !== '503')).toEqual(Array(20).fill(['failed', reason]));
      expect(asked(as)).toBe(21);
    },
  );

  test('no client identifier, however often: 503 for this token, others pass', async () => {
    const { as, app, issue } = await introspectionStage();
    const odd = issue({ client_id: undefined });
    const told = await toldOf(as, async () => {
      for (let i = 0; i < 20; i++) await expectUnavailable(app, odd);
      await expectAccepted(app, issue());
    });
    const reason = `${ANSWER} has no client identifier: name the member that has it in "clientIdClaim"`;
    expect(told.filter(([event]) => event !== '503')).toEqual(Array(20).fill(['failed', reason]));
  });
});

describe('tokens that make the server stumble, while it is well for others', () => {
  const stumbling = async () => {
    const staged = await introspectionStage();
    const { as, issue } = staged;
    const odd = many(IN_A_ROW, () => issue());
    as.onQuestion = ({ form }, res) => {
      if (odd.includes(form.get('token') ?? '')) res.writeHead(500).end();
      else sendJson(res, as.answerTo(form.get('token')));
    };
    return { ...staged, odd };
  };

  test('five of them: one trial, no pause, others pass', async () => {
    const { as, app, issue, odd } = await stumbling();
    const others = [issue(), issue()] as const;
    const told = await toldOf(as, async () => {
      for (const token of odd) await expectUnavailable(app, token);
      await until(() => asked(as) === IN_A_ROW + 1, 'the trial');
      await expectAccepted(app, others[0]);
      await expectUnavailable(app, odd[0] ?? ''); // it begins anew
      await expectAccepted(app, others[1]);
    });
    expect(told.filter(([event]) => event !== '503')).toEqual(Array(IN_A_ROW + 1).fill(['failed', NO_200]));
    expect(asked(as)).toBe(IN_A_ROW + 1 + 3);
    expect(trials(as, [...odd, ...others])).toHaveLength(1);
    as.onQuestion = undefined;
    for (const token of odd) await expectAccepted(app, token);
  });

  test('four of them: no trial', async () => {
    const { as, app, issue, odd } = await stumbling();
    for (const token of odd.slice(1)) await expectUnavailable(app, token);
    await expectAccepted(app, issue());
    await expectUnavailable(app, odd[0] ?? '');
    await expectAccepted(app, issue());
    expect(asked(as)).toBe(IN_A_ROW + 2);
  });
});

describe('with staleWhileRevalidate', () => {
  test('cached tokens pass for so much longer while the server is down, and not beyond exp', async () => {
    const { as, app, clock, issue } = await introspectionStage({ staleWhileRevalidate: 300 });
    const [long, short] = [issue({ exp: clock.now + 3600 }), issue({ exp: clock.now + TTL + 10 })];
    for (const token of [long, short]) await expectAccepted(app, token);
    await as.close();
    clock.now += TTL + 9;
    for (const token of [long, short]) await expectAccepted(app, token);
    clock.now += 1;
    await expectUnavailable(app, short);
    clock.now += 289;
    await expectAccepted(app, long);
    clock.now += 1;
    await expectUnavailable(app, long);
    await as.reopen();
    clock.now += LONGEST_WAIT;
    await expectAccepted(app, long);
  });

  test('one question in the background, however many come; that the token is revoked counts at once', async () => {
    const { as, app, clock, issue } = await introspectionStage({ staleWhileRevalidate: 300 });
    const token = issue();
    await expectAccepted(app, token);
    const held = hold(as);
    clock.now += TTL;
    expect(await tally(app, Array<string>(50).fill(token))).toEqual({ 200: 50 });
    await until(() => held.questions.length > 0, 'the question');
    as.opaque.delete(token);
    held.release();
    let last = 0;
    for (let i = 0; last !== 401 && i < 100; i++) last = (await app.get(token)).status;
    expect([last, asked(as)]).toEqual([401, 2]);
  });
});

describe('a kept-alive connection that the server closes', () => {
  test('between two requests: the second succeeds', async () => {
    const { as, app, issue } = await introspectionStage();
    await expectAccepted(app, issue());
    await as.close();
    await as.reopen();
    await expectAccepted(app, issue());
    expect(asked(as)).toBe(2);
  });

  test('as the second question arrives: it is asked once more, and answered once', async () => {
    const { as, app, issue } = await introspectionStage();
    const used = new WeakSet();
    let lost = 0;
    let answered = 0;
    as.onQuestion = ({ form }, res) => {
      if (res.socket !== null && used.has(res.socket)) {
        lost++;
        res.socket.destroy();
        return;
      }
      if (res.socket !== null) used.add(res.socket);
      answered++;
      sendJson(res, as.answerTo(form.get('token')));
    };
    const told = await toldOf(as, async () => {
      await expectAccepted(app, issue());
      await expectAccepted(app, issue());
    });
    expect({ lost, answered, told }).toEqual({ lost: 1, answered: 2, told: [] });
  });

  test('each time: one more attempt, and no third', async () => {
    const { as, app, issue } = await introspectionStage();
    as.onQuestion = (_question, res) => res.socket?.destroy();
    await expectUnavailable(app, issue());
    expect(asked(as)).toBe(2);
  });
});

describe('an endpoint that is found by discovery', () => {
  const METADATA_WHAT = 'The metadata of the authorization server';
  const discovered = async () => {
    const clock = movableClock();
    const as = closing(await TestAuthorizationServer.start());
    const introspection = { clientAuthentication };
    const app = await serve({ resource: as.resource, issuer: as.issuer, clock, introspection });
    return { as, app, clock, issue: () => as.issue({}, clock.now) };
  };

  test.each([
    [
      'metadata that are down',
      (as: TestAuthorizationServer) => void as.answers.set(METADATA, status(500)),
      `${METADATA_WHAT} is at no well-known place: check "issuer", or name "introspection.endpoint"`,
    ],
    [
      'metadata without it',
      (as: TestAuthorizationServer) => void (as.metadata = { introspection_endpoint: undefined }),
      `${METADATA_WHAT} has no "introspection_endpoint" with https: name yours as "introspection.endpoint"`,
    ],
    [
      'metadata that have it without TLS',
      (as: TestAuthorizationServer) => void (as.metadata = { introspection_endpoint: 'http://as.example.com/i' }),
      `${METADATA_WHAT} has no "introspection_endpoint" with https: name yours as "introspection.endpoint"`,
    ],
  ])('%s: 503 that names the setting, then recovery', async (_what, spoil, reason) => {
    const { as, app, clock, issue } = await discovered();
    spoil(as);
    const told = await toldOf(as, async () => {
      await expectUnavailable(app, issue());
      await expectUnavailable(app, issue());
    });
    expect(told).toEqual([
      ['503', reason],
      ['503', reason],
    ]);
    expect(asked(as)).toBe(0);
    as.answers.clear();
    as.metadata = {};
    clock.now += LONGEST_WAIT;
    await expectAccepted(app, issue());
  });

  test('ready() resolves, and fetches no keys, which nobody needs', async () => {
    const { as, app, issue } = await discovered();
    await app.middleware.ready();
    await expectAccepted(app, issue());
    expect(as.log).toEqual([`GET ${METADATA}`, 'POST /introspect', 'POST /introspect']);
    as.answers.set(METADATA, status(500));
    app.middleware.purge();
    await expect(app.middleware.ready()).rejects.toThrow(VerificationUnavailableError);
  });

  test('metadata that are down later: the known place serves on', async () => {
    const { as, app, clock, issue } = await discovered();
    await expectAccepted(app, issue());
    as.answers.set(METADATA, status(500));
    for (let i = 0; i < 5; i++) {
      clock.now += 900;
      await expectAccepted(app, issue());
    }
    expect(asked(as)).toBe(6);
  });
});

describe('what an operator does', () => {
  const right = `Basic ${Buffer.from('rs1:the+secret+of+rs1').toString('base64')}`;

  test('7662-2.3-1 ready() rejects when our credentials are wrong, and resolves when they are right', async () => {
    const { as, app, issue } = await introspectionStage();
    let wanted = 'Basic other';
    as.onQuestion = ({ headers, form }, res) => {
      if (headers.authorization !== wanted) res.writeHead(401).end();
      else sendJson(res, as.answerTo(form.get('token')));
    };
    const error: unknown = await app.middleware.ready().catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(VerificationUnavailableError);
    expect(error).toMatchObject({ reason: CREDENTIALS });
    wanted = right;
    await app.middleware.ready();
    await expectAccepted(app, issue());
    const tokens = as.questions.map(({ form }) => form.get('token'));
    expect(new Set(tokens).size).toBe(3); // no question is a repetition, and what it asked about exists nowhere
    expect(as.opaque.has(tokens[1] ?? '')).toBe(false);
  });

  test('ready() rejects while the server is down, and the middleware recovers without it', async () => {
    const { as, app, issue } = await introspectionStage();
    await as.close();
    await expect(app.middleware.ready()).rejects.toThrow(VerificationUnavailableError);
    await as.reopen();
    await expectAccepted(app, issue());
  });

  test('7662-4-3 purge() forgets good and bad tokens, also one that is being asked about', async () => {
    const { as, app, issue } = await introspectionStage();
    const [good, other] = [issue(), issue()];
    await expectAccepted(app, good);
    await expectRefused(app, 'bad', INACTIVE);
    const held = hold(as);
    const early = app.get(other);
    await until(() => held.questions.length === 1, 'the question');
    app.middleware.purge();
    held.release();
    expect((await early).status).toBe(200);
    expect(asked(as)).toBe(3);
    for (const token of [good, other]) await expectAccepted(app, token);
    await expectRefused(app, 'bad', INACTIVE);
    expect(asked(as)).toBe(6);
    await as.close();
    await expectAccepted(app, good);
    app.middleware.purge();
    await expectUnavailable(app, good);
  });

  test('7662-4-3 invalidate() forgets one token, and it is refused from then on; another stays', async () => {
    const { as, app, issue } = await introspectionStage();
    const [revoked, other] = [issue(), issue()];
    for (const token of [revoked, other]) await expectAccepted(app, token);
    as.opaque.clear();
    await expectAccepted(app, revoked); // the control: it is remembered
    app.middleware.invalidate(revoked);
    app.middleware.invalidate('unknown');
    await expectRefused(app, revoked, INACTIVE);
    await expectAccepted(app, other);
    expect(asked(as)).toBe(3);
  });

  test('7662-4-3 invalidate() while it is being asked about: that answer serves nobody who comes later', async () => {
    const { as, app, issue } = await introspectionStage();
    const token = issue();
    const held = hold(as);
    const early = app.get(token);
    await until(() => held.questions.length === 1, 'the question');
    app.middleware.invalidate(token);
    const late = app.get(token);
    await until(() => held.questions.length === 2, 'the second question');
    held.release();
    expect([(await early).status, (await late).status]).toEqual([200, 200]);
    as.opaque.delete(token);
    await expectAccepted(app, token); // remembered from the second question
    expect(asked(as)).toBe(2);
  });
});
