import { afterEach, describe, expect, jest, test } from '@jest/globals';
import { configure } from '../../lib/configuration.js';
import { VerificationUnavailableError } from '../../lib/errors.js';
import { sendJson } from '../support/authorization-server.js';
import { closeAll, expectAccepted, expectUnavailable, LONGEST_WAIT, TIMEOUT, until } from '../support/faults.js';
import {
  asked,
  clientAuthentication,
  hold,
  IN_A_ROW,
  introspectionStage,
  many,
  tally,
  toldOf,
  untilPaused,
} from '../support/introspection-stage.js';
import type { IntrospectionStage, Told } from '../support/introspection-stage.js';

afterEach(async () => {
  jest.restoreAllMocks();
  await closeAll();
});

/** The server answers each question with 500, and goes on as ever once `well` is called. */
function failing({ as }: IntrospectionStage) {
  as.onQuestion = (_question, res) => res.writeHead(500).end();
  return { well: () => (as.onQuestion = undefined) };
}

/** So many requests fail, one after the other. */
async function failInARow({ app, issue }: IntrospectionStage, times: number): Promise<void> {
  for (let i = 0; i < times; i++) await expectUnavailable(app, issue());
}

/** Failures in a row, a trial that fails, and the pause has begun. */
async function pause(staged: IntrospectionStage): Promise<void> {
  await untilPaused(staged.as, () => failInARow(staged, IN_A_ROW));
}

describe('one question for many requests', () => {
  test('1,000 at once with one token', async () => {
    const { as, app, issue } = await introspectionStage();
    expect(await tally(app, Array<string>(1000).fill(issue()))).toEqual({ 200: 1000 });
    expect(as.log).toEqual(['POST /introspect']);
    expect(await tally(app, Array<string>(1000).fill('bad'))).toEqual({ 401: 1000 });
    expect(asked(as)).toBe(2);
  }, 30_000);

  test('10,000 over 100 tokens, over HTTP: 100 questions', async () => {
    const { as, app, issue } = await introspectionStage();
    const tokens = many(100, () => issue());
    const visitors = many(50, (i) => String(i)).map(async () => {
      for (let i = 0; i < 100; i++) {
        // Each request of a visitor with another token, two visitors with the same at the same time.
        const { status } = await app.get(tokens[i] ?? '');
        if (status !== 200) return status;
        const again = await app.get(tokens[(i * 7) % 100] ?? '');
        if (again.status !== 200) return again.status;
      }
      return 200;
    });
    expect(new Set(await Promise.all(visitors))).toEqual(new Set([200]));
    expect({ handled: app.handled, asked: asked(as) }).toEqual({ handled: 10_000, asked: 100 });
  }, 60_000);

  test('7662-2.2-8 7662-4-3 with ttl 0 each request has its own, at the same time as well', async () => {
    const { as, app, issue } = await introspectionStage({ ttl: 0 });
    expect(await tally(app, Array<string>(100).fill(issue()))).toEqual({ 200: 100 });
    expect(asked(as)).toBe(100);
  });

  test('a hundred who share a question that fails get 503, all of them; the next asks anew', async () => {
    const { as, app, issue } = await introspectionStage();
    const token = issue();
    const held = hold(as);
    const seen = tally(app, Array<string>(100).fill(token));
    await until(() => held.questions.length > 0, 'the question');
    held.release((res) => res.writeHead(500).end());
    const counts = await seen;
    // Whoever came after the failure has asked anew, and passes.
    expect(counts[503]).toBeGreaterThan(0);
    expect((counts[503] ?? 0) + (counts[200] ?? 0)).toBe(100);
    await expectAccepted(app, token);
    expect(asked(as)).toBe(2);
  });
});

describe('maxConcurrent', () => {
  test.each([1, 7])(
    '%i questions at the server at the same time, never more',
    async (maxConcurrent) => {
      const { as, app, issue } = await introspectionStage({ maxConcurrent });
      const open: (() => void)[] = [];
      let most = 0;
      as.onQuestion = ({ form }, res) => {
        open.push(() => {
          sendJson(res, as.answerTo(form.get('token')));
        });
        most = Math.max(most, open.length);
        if (open.length !== maxConcurrent && asked(as) !== 40) return;
        setTimeout(() => {
          for (const answer of open.splice(0)) answer(); // all that came, also those too many
        }, 10);
      };
      const tokens = many(40, (i) => (i % 2 === 0 ? issue() : `bad-${i}`));
      expect(await tally(app, tokens)).toEqual({ 200: 20, 401: 20 });
      expect({ most, asked: asked(as) }).toEqual({ most: maxConcurrent, asked: 40 });
    },
    30_000,
  );

  test('a cached token passes at once while a thousand bad ones wait', async () => {
    const { as, app, issue } = await introspectionStage();
    const token = issue();
    await expectAccepted(app, token);
    const held = hold(as);
    const bad = tally(
      app,
      many(1000, (i) => `bad-${i}`),
    );
    await until(() => held.questions.length === 50, 'the questions');
    for (let i = 0; i < 20; i++) await expectAccepted(app, token);
    expect(held.questions).toHaveLength(50); // still not answered
    held.release();
    const counts = await bad;
    expect(counts[200]).toBeUndefined();
    expect((counts[401] ?? 0) + (counts[503] ?? 0)).toBe(1000); // 503 where their time was over first
    expect(counts[401]).toBeGreaterThanOrEqual(50);
    expect(app.handled).toBe(21);
  }, 30_000);
});

describe('maxQueued', () => {
  test('what comes on top is 503 at once, and the operator hears why; the others get their turn', async () => {
    const { as, app, issue } = await introspectionStage({ maxConcurrent: 2, maxQueued: 3 });
    const held = hold(as);
    const statuses: number[] = [];
    const told = await toldOf(as, async () => {
      const all = many(10, () => issue()).map(async (token) => {
        statuses.push((await app.get(token)).status);
      });
      await until(() => statuses.length === 5, 'the five that find no room');
      expect(statuses).toEqual([503, 503, 503, 503, 503]);
      await until(() => held.questions.length === 2, 'the two questions');
      await expectUnavailable(app, issue());
      held.release();
      await Promise.all(all);
    });
    expect(statuses.slice(5)).toEqual([200, 200, 200, 200, 200]);
    const reason =
      'More tokens wait for introspection than "maxQueued" allows: the authorization server is slow, or "maxConcurrent" is low';
    expect(told).toEqual(Array(6).fill(['503', reason])); // no failure of the server
    await expectAccepted(app, issue());
  });

  test('a question that waits until its time is over is 503, and is never sent', async () => {
    // The first holds the only place longer than its own time: its connection is lost shortly before the end of it, and the
    // wait before the second attempt, which chance makes as long as it can be, ends after it.
    jest.spyOn(Math, 'random').mockReturnValue(0.99);
    const sent: (string | null)[] = [];
    const answered: typeof globalThis.fetch = (_url, init) => {
      const token = new URLSearchParams(init?.body as string).get('token');
      sent.push(token);
      if (token !== 'first')
        return Promise.resolve(Response.json({ active: true, client_id: 'editor', token_type: 'Bearer' }));
      return new Promise((_resolve, reject) => {
        setTimeout(() => {
          reject(new TypeError('fetch failed'));
        }, TIMEOUT - 120);
      });
    };
    const { verify } = configure({
      ...{ resource: 'https://api.example.com', issuer: 'https://as.example.com', fetch: answered },
      introspection: { clientAuthentication, endpoint: 'https://as.example.com/introspect', maxConcurrent: 1 },
    });
    const seen = await Promise.allSettled([verify('first'), verify('second'), verify('third')]);
    for (const each of seen) {
      expect(each.status === 'rejected' && each.reason).toBeInstanceOf(VerificationUnavailableError);
    }
    expect(await verify('fourth')).toMatchObject({ clientId: 'editor' });
    expect(sent).toEqual(['first', 'fourth']);
  }, 15_000);
});

describe('a server that fails is left alone', () => {
  /** What the operator heard of the server itself. */
  const eventsOf = (told: readonly Told[]) => told.map(([event]) => event).filter((event) => event !== '503');
  const ROW = many(IN_A_ROW, () => 'failed');

  test('four failures in a row are bad luck; after the fifth there is a trial, and it makes the pause', async () => {
    const staged = await introspectionStage();
    const { as, app, issue } = staged;
    const told = await toldOf(as, async () => {
      for (let round = 0; round < 3; round++) {
        const { well } = failing(staged);
        await failInARow(staged, IN_A_ROW - 1);
        well();
        await expectAccepted(app, issue());
      }
      expect(asked(as)).toBe(3 * IN_A_ROW); // no trial among them
      failing(staged);
      await pause(staged);
      await failInARow(staged, 1);
    });
    expect(eventsOf(told)).toEqual([...many(3 * (IN_A_ROW - 1), () => 'failed'), ...ROW, 'paused']);
    expect(asked(as)).toBe(4 * IN_A_ROW + 1);
  });

  test.each([400, 401])('an answer that says nothing of its health (%i) between them begins anew', async (code) => {
    const staged = await introspectionStage();
    const { as, app, issue } = staged;
    const told = await toldOf(as, async () => {
      for (const answer of [500, code, 500]) {
        as.onQuestion = (_question, res) => res.writeHead(answer).end();
        await failInARow(staged, IN_A_ROW - 1);
      }
      as.onQuestion = undefined;
      await expectAccepted(app, issue());
    });
    expect(eventsOf(told)).toEqual(many(3 * (IN_A_ROW - 1), () => 'failed'));
    expect(asked(as)).toBe(3 * (IN_A_ROW - 1) + 1);
  });

  test('nobody asks in the pause; at its end fifty at once wait for one trial, and then ask', async () => {
    const staged = await introspectionStage({ ttl: 3600 });
    const { as, app, clock, issue } = staged;
    const cached = issue();
    await expectAccepted(app, cached);
    const { well } = failing(staged);
    const told = await toldOf(as, async () => {
      await pause(staged);
      well();
      const early = many(50, () => issue());
      expect(await tally(app, early)).toEqual({ 503: 50 });
      expect(asked(as)).toBe(1 + IN_A_ROW + 1);
      clock.now += LONGEST_WAIT;
      const held = hold(as);
      const statuses: number[] = [];
      const tokens = many(50, () => issue());
      const all = tokens.map(async (token) => {
        statuses.push((await app.get(token)).status);
      });
      await until(() => held.questions.length === 1, 'the trial');
      for (let i = 0; i < 20; i++) await expectAccepted(app, cached);
      expect(statuses).toEqual([]);
      held.release();
      await Promise.all(all);
      expect(held.questions).toHaveLength(1);
      expect(statuses).toEqual(Array(50).fill(200));
      const [trial, ...own] = as.questions.slice(-51).map(({ form }) => form.get('token') ?? '');
      expect(as.opaque.has(trial ?? '')).toBe(false);
      expect(own.sort()).toEqual(tokens.sort());
      expect(await tally(app, early)).toEqual({ 200: 50 });
      expect(asked(as)).toBe(1 + IN_A_ROW + 2 + 100);
    });
    expect(eventsOf(told)).toEqual([...ROW, 'paused', 'recovered']);
  });

  test('fifty at once with the same token share the trial and the question, and pass', async () => {
    const staged = await introspectionStage();
    const { as, app, clock, issue } = staged;
    const { well } = failing(staged);
    await pause(staged);
    well();
    clock.now += LONGEST_WAIT;
    expect(await tally(app, Array<string>(50).fill(issue()))).toEqual({ 200: 50 });
    expect(asked(as)).toBe(IN_A_ROW + 1 + 2);
  });

  test('the trial fails: 503 for all who waited, a longer pause, and again one trial at its end', async () => {
    const staged = await introspectionStage();
    const { as, app, clock, issue } = staged;
    const { well } = failing(staged);
    const told = await toldOf(as, async () => {
      await pause(staged);
      for (let trial = 1; trial <= 4; trial++) {
        clock.now += LONGEST_WAIT;
        const tokens = many(20, () => issue());
        expect(await tally(app, tokens)).toEqual({ 503: 20 });
        await failInARow(staged, 3);
        expect(asked(as)).toBe(IN_A_ROW + 1 + trial);
      }
      // Sixteen seconds, less up to half of it by chance, after the fifth trial.
      const left = await expectUnavailable(app, issue());
      expect(left).toBeGreaterThanOrEqual(8);
      expect(left).toBeLessThanOrEqual(16);
      well();
      clock.now += 16;
      await expectAccepted(app, issue());
    });
    expect(eventsOf(told)).toEqual([...ROW, ...many(5, () => 'paused'), 'recovered']);
    expect(asked(as)).toBe(IN_A_ROW + 1 + 4 + 2);
  });

  test.each([400, 401])('the trial is answered by %i: the server is back, and the operator hears it', async (code) => {
    const staged = await introspectionStage();
    const { as, app, clock, issue } = staged;
    const { well } = failing(staged);
    const told = await toldOf(as, async () => {
      await pause(staged);
      clock.now += LONGEST_WAIT;
      as.onQuestion = (_question, res) => res.writeHead(code).end();
      await expectUnavailable(app, issue());
      well();
      await expectAccepted(app, issue());
    });
    expect(eventsOf(told)).toEqual([...ROW, 'paused', 'recovered', 'failed']);
    expect(asked(as)).toBe(IN_A_ROW + 1 + 2 + 1);
  });

  test.each([400, 401])('the trial after five failures is answered by %i: no pause', async (code) => {
    const staged = await introspectionStage();
    const { as, app, issue } = staged;
    const issued = many(IN_A_ROW, () => issue());
    as.onQuestion = ({ form }, res) => res.writeHead(issued.includes(form.get('token') ?? '') ? 500 : code).end();
    const told = await toldOf(as, async () => {
      for (const token of issued) await expectUnavailable(app, token);
      await until(() => asked(as) === IN_A_ROW + 1, 'the trial');
      as.onQuestion = undefined;
      for (const token of issued) await expectAccepted(app, token);
    });
    expect(eventsOf(told)).toEqual(ROW);
    expect(asked(as)).toBe(IN_A_ROW + 1 + IN_A_ROW);
  });

  test('fifty that fail at the same time are one failure: one trial, one pause, the shortest', async () => {
    const staged = await introspectionStage();
    const { as, app, clock, issue } = staged;
    const held = hold(as);
    const told = await toldOf(as, async () => {
      const tokens = many(50, () => issue());
      const seen = tally(app, tokens);
      await until(() => held.questions.length === 50, 'the questions');
      await untilPaused(as, async () => {
        held.release((res) => res.writeHead(500).end());
        failing(staged);
        expect(await seen).toEqual({ 503: 50 });
      });
      expect(await expectUnavailable(app, issue())).toBe(1);
      expect(asked(as)).toBe(50 + 1);
      as.onQuestion = undefined;
      clock.now += 1;
      await expectAccepted(app, issue());
    });
    // The trial may end before the last of them has failed.
    const events = eventsOf(told);
    expect(events.at(-1)).toBe('recovered');
    expect(events.sort()).toEqual([...many(50, () => 'failed'), 'paused', 'recovered']);
  });

  test('questions under way that fail when the pause has begun set off no other trial, and make it no longer', async () => {
    const staged = await introspectionStage();
    const { as, app, clock, issue } = staged;
    const held = hold(as);
    const told = await toldOf(as, async () => {
      const tokens = many(10, () => issue());
      const late = tally(app, tokens);
      await until(() => held.questions.length === 10, 'the questions');
      failing(staged);
      await pause(staged);
      held.release((res) => res.writeHead(500).end());
      const { well } = failing(staged);
      expect(await late).toEqual({ 503: 10 });
      for (let i = 0; i < 5; i++) expect(await expectUnavailable(app, issue())).toBe(1);
      expect(asked(as)).toBe(10 + IN_A_ROW + 1);
      well();
      clock.now += 1;
      await expectAccepted(app, issue());
    });
    expect(eventsOf(told)).toEqual([...ROW, 'paused', ...many(10, () => 'failed'), 'recovered']);
  });

  test('a good answer that was under way when the pause began ends it, and the operator hears it', async () => {
    const staged = await introspectionStage();
    const { as, app, issue } = staged;
    const held = hold(as);
    const told = await toldOf(as, async () => {
      const slow = app.get(issue());
      await until(() => held.questions.length === 1, 'the slow question');
      failing(staged);
      await pause(staged);
      held.release();
      expect((await slow).status).toBe(200);
      await expectAccepted(app, issue());
    });
    expect(eventsOf(told)).toEqual([...ROW, 'paused', 'recovered']);
    expect(asked(as)).toBe(1 + IN_A_ROW + 1 + 1);
  });
});
