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
} from '../support/introspection-stage.js';
import type { IntrospectionStage } from '../support/introspection-stage.js';

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
  test('four failures in a row are bad luck, the fifth makes a pause', async () => {
    const staged = await introspectionStage();
    const { as, app, issue } = staged;
    const told = await toldOf(as, async () => {
      for (let round = 0; round < 3; round++) {
        const { well } = failing(staged);
        await failInARow(staged, IN_A_ROW - 1);
        well();
        await expectAccepted(app, issue());
      }
      failing(staged);
      await failInARow(staged, IN_A_ROW);
      await failInARow(staged, 1);
    });
    expect(told.filter(([event]) => event === 'paused')).toHaveLength(1);
    expect(asked(as)).toBe(3 * IN_A_ROW + IN_A_ROW);
  });

  test('an answer about one token between them begins anew', async () => {
    const staged = await introspectionStage();
    const { as, app, issue } = staged;
    const told = await toldOf(as, async () => {
      for (const code of [500, 400, 500]) {
        as.onQuestion = (_question, res) => res.writeHead(code).end();
        await failInARow(staged, IN_A_ROW - 1);
      }
      as.onQuestion = undefined;
      await expectAccepted(app, issue());
    });
    expect(told.filter(([event]) => event === 'paused')).toEqual([]);
  });

  test('nobody asks in the pause; at its end, of fifty at once, one; it succeeds, and all is well', async () => {
    const staged = await introspectionStage();
    const { as, app, clock, issue } = staged;
    const { well } = failing(staged);
    const told = await toldOf(as, async () => {
      await failInARow(staged, IN_A_ROW);
      well();
      expect(
        await tally(
          app,
          many(50, () => issue()),
        ),
      ).toEqual({ 503: 50 });
      expect(asked(as)).toBe(IN_A_ROW);
      clock.now += LONGEST_WAIT;
      const held = hold(as);
      const statuses: number[] = [];
      const all = many(50, () => issue()).map(async (token) => {
        statuses.push((await app.get(token)).status);
      });
      await until(() => statuses.length === 49, 'the 49 who do not wait');
      expect(new Set(statuses)).toEqual(new Set([503]));
      await until(() => held.questions.length === 1, 'the question');
      held.release();
      await Promise.all(all);
      expect(statuses[49]).toBe(200);
      expect(
        await tally(
          app,
          many(50, () => issue()),
        ),
      ).toEqual({ 200: 50 });
      expect(asked(as)).toBe(IN_A_ROW + 1 + 50);
    });
    const events = told.map(([event]) => event).filter((event) => event !== '503');
    expect(events).toEqual([...many(IN_A_ROW, () => 'failed'), 'paused', 'recovered']);
  });

  test('fifty at once with the same token share the one question, and pass', async () => {
    const staged = await introspectionStage();
    const { as, app, clock, issue } = staged;
    const { well } = failing(staged);
    await failInARow(staged, IN_A_ROW);
    well();
    clock.now += LONGEST_WAIT;
    expect(await tally(app, Array<string>(50).fill(issue()))).toEqual({ 200: 50 });
    expect(asked(as)).toBe(IN_A_ROW + 1);
  });

  test('the one question fails: the next pause is longer, and again one question at its end', async () => {
    const staged = await introspectionStage();
    const { as, app, clock, issue } = staged;
    const { well } = failing(staged);
    await failInARow(staged, IN_A_ROW);
    for (let trial = 1; trial <= 4; trial++) {
      clock.now += LONGEST_WAIT;
      await failInARow(staged, 3);
      expect(asked(as)).toBe(IN_A_ROW + trial);
    }
    // Sixteen seconds, less up to half of it by chance, after the fifth pause.
    const left = await expectUnavailable(app, issue());
    expect(left).toBeGreaterThanOrEqual(8);
    expect(left).toBeLessThanOrEqual(16);
    well();
    clock.now += 16;
    await expectAccepted(app, issue());
  });

  test('the one question is an answer about its token only: the server is back, and the operator hears it', async () => {
    const staged = await introspectionStage();
    const { as, app, clock, issue } = staged;
    const { well } = failing(staged);
    const told = await toldOf(as, async () => {
      await failInARow(staged, IN_A_ROW);
      clock.now += LONGEST_WAIT;
      as.onQuestion = (_question, res) => res.writeHead(400).end();
      await expectUnavailable(app, issue());
      well();
      await expectAccepted(app, issue());
    });
    expect(told.map(([event]) => event).filter((event) => event === 'recovered')).toHaveLength(1);
  });

  test('fifty that fail at the same time are one failure: one pause, the shortest', async () => {
    const { as, app, clock, issue } = await introspectionStage();
    const held = hold(as);
    const told = await toldOf(as, async () => {
      const seen = tally(
        app,
        many(50, () => issue()),
      );
      await until(() => held.questions.length === 50, 'the questions');
      held.release((res) => res.writeHead(500).end());
      expect(await seen).toEqual({ 503: 50 });
      expect(await expectUnavailable(app, issue())).toBe(1);
      clock.now += 1;
      await expectAccepted(app, issue());
    });
    expect(told.filter(([event]) => event === 'failed')).toHaveLength(50);
    expect(told.filter(([event]) => event === 'paused')).toHaveLength(1);
  });

  test('a good answer that was under way when the pause began ends it, and the operator hears it', async () => {
    const staged = await introspectionStage();
    const { as, app, issue } = staged;
    const held = hold(as);
    const told = await toldOf(as, async () => {
      const slow = app.get(issue());
      await until(() => held.questions.length === 1, 'the slow question');
      failing(staged);
      await failInARow(staged, IN_A_ROW);
      held.release();
      expect((await slow).status).toBe(200);
      await expectAccepted(app, issue());
    });
    const events = told.map(([event]) => event).filter((event) => event !== '503');
    expect(events).toEqual([...many(IN_A_ROW, () => 'failed'), 'paused', 'recovered']);
  });
});
