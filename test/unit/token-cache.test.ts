import { afterEach, describe, expect, jest, test } from '@jest/globals';
import { LRUCache } from 'lru-cache';
import { digestOf } from '../../lib/digest.js';
import { TokenCache } from '../../lib/token-cache.js';
import type { Lives, Verdict } from '../../lib/token-cache.js';
import { movableClock } from '../support/clock.js';
import { rejection } from '../support/rejection.js';

const START = 1_000_000;
const LIVES: Lives = { good: 30, bad: 5, stale: 0, tolerance: 0 };
/** The code says so, too. */
const MAX_BAD = 10_000;
const BAD: Verdict = { refused: 'The access token is not active' };

afterEach(() => {
  jest.restoreAllMocks();
});

function good(jti = 'one', exp?: number): Verdict {
  const claims = { iss: 'https://as.example.com', client_id: 'editor', jti };
  return { claims: exp === undefined ? claims : { ...claims, exp }, scopes: [], clientId: 'editor' };
}

interface OpenQuestion {
  readonly token: string;
  readonly resolve: (verdict: Verdict) => void;
  readonly reject: (error: unknown) => void;
}

async function settled(): Promise<void> {
  for (let i = 0; i < 10; i++) await Promise.resolve();
}

/** A cache, and one server whose questions end when and how the test says. */
function bench(lives: Partial<Lives> = {}, max = 100) {
  const clock = movableClock(START);
  const cache = new TokenCache(max, clock);
  const server = (own: Partial<Lives> = {}) => {
    const verdicts = cache.of({ ...LIVES, ...lives, ...own });
    const open: OpenQuestion[] = [];
    let questions = 0;
    const find = (token = 't') =>
      verdicts.find(digestOf(token), () => {
        questions++;
        return new Promise((resolve, reject) => open.push({ token, resolve, reject }));
      });
    return {
      find,
      forget: (token: string) => {
        verdicts.forget(digestOf(token));
      },
      questions: () => questions,
      /** Ends the oldest open question. */
      say: async (verdict: Verdict) => {
        open.shift()?.resolve(verdict);
        await settled();
      },
      fail: async (error: unknown = new Error('down')) => {
        open.shift()?.reject(error);
        await settled();
      },
      /** Asks, and has it answered at once. */
      learn: async (verdict: Verdict, token = 't') => {
        const found = find(token);
        open.shift()?.resolve(verdict);
        return found;
      },
    };
  };
  return { clock, cache, server, ...server() };
}

/** What those see who came at once. */
async function all(found: readonly unknown[]): Promise<unknown[]> {
  const seen: unknown[] = [];
  for (const each of found) seen.push(await each);
  return seen;
}

describe('a good verdict', () => {
  test('is used again without a promise for its time, and not at the end of it', async () => {
    const { clock, find, learn, questions } = bench();
    const verdict = good();
    expect(await learn(verdict)).toBe(verdict);
    clock.now += 29.9;
    expect(find()).toBe(verdict);
    expect(questions()).toBe(1);
    clock.now += 0.1;
    expect(find()).toBeInstanceOf(Promise);
    expect(questions()).toBe(2);
  });

  test('7662-4-3 its time counts from the question, however long the answer takes', async () => {
    const { clock, find, say, questions } = bench();
    const found = find();
    clock.now += 4;
    await say(good());
    await found;
    clock.now += 25;
    expect(find()).toEqual(good());
    clock.now += 1;
    void find();
    expect(questions()).toBe(2);
  });

  test('use does not make its time longer', async () => {
    const { clock, find, learn, questions } = bench();
    await learn(good());
    for (let second = 0; second < 29; second++) {
      clock.now += 1;
      expect(find()).toEqual(good());
    }
    clock.now += 1;
    void find();
    expect(questions()).toBe(2);
  });

  test.each([
    ['7662-4-2 not beyond exp', 0],
    ['not beyond exp and the tolerance for clocks', 3],
  ])('%s', async (_what, tolerance) => {
    const { clock, find, learn, questions } = bench({ tolerance });
    const verdict = good('one', START + 10);
    await learn(verdict);
    clock.now += 10 + tolerance - 0.1;
    expect(find()).toBe(verdict);
    clock.now += 0.1;
    void find();
    expect(questions()).toBe(2);
  });
});

describe('a bad verdict', () => {
  test('is used again for its own, shorter time', async () => {
    const { clock, find, learn, questions } = bench();
    await learn(BAD);
    clock.now += 4.9;
    expect(find()).toBe(BAD);
    clock.now += 0.1;
    void find();
    expect(questions()).toBe(2);
  });

  test('with no time for it, it is asked about each time', async () => {
    const { learn, questions } = bench({ bad: 0 });
    for (let i = 0; i < 3; i++) await learn(BAD);
    expect(questions()).toBe(3);
  });

  test('takes the place of a good one at once', async () => {
    const { clock, find, learn } = bench();
    await learn(good());
    clock.now += 30;
    await learn(BAD);
    expect(find()).toBe(BAD);
    clock.now -= 1; // the good one would be within its time
    expect(find()).toBeInstanceOf(Promise);
  });

  test('and a good one of a bad one', async () => {
    const { clock, find, learn } = bench({ good: 1 });
    await learn(BAD);
    clock.now += 5;
    const verdict = good();
    await learn(verdict);
    expect(find()).toBe(verdict);
    clock.now -= 1; // the bad one would be within its time
    expect(find()).toBeInstanceOf(Promise);
  });
});

describe('a clock that is put back', () => {
  test.each([
    ['a good', good()],
    ['a bad', BAD],
  ])('%s verdict is not used again before the time of its question, and the next one is', async (_what, verdict) => {
    const { clock, find, learn, questions } = bench();
    await learn(verdict);
    clock.now -= 1;
    expect(await learn(verdict)).toBe(verdict);
    expect(questions()).toBe(2);
    expect(find()).toBe(verdict);
  });

  test('a verdict that was found to be from the future does not come to life when the clock goes on', async () => {
    const { clock, find, learn, fail, questions } = bench();
    await learn(good());
    clock.now -= 100;
    const found = rejection(find());
    await fail();
    expect(await found).toEqual(new Error('down'));
    clock.now += 110; // a hundred and ten seconds after the question
    expect(find()).toBeInstanceOf(Promise);
    expect(questions()).toBe(3);
  });
});

describe('while it is asked', () => {
  test('all who come share the question, and its verdict', async () => {
    const { find, say, questions } = bench();
    const found = [find(), find(), find()];
    const verdict = good();
    await say(verdict);
    for (const each of await all(found)) expect(each).toBe(verdict);
    expect(questions()).toBe(1);
  });

  test('all who come share its failure, which is not remembered: the next asks anew', async () => {
    const { find, fail, say, questions } = bench();
    const found = [find(), find(), find()].map(rejection);
    const error = new Error('down');
    await fail(error);
    for (const each of await Promise.all(found)) expect(each).toBe(error);
    const next = find();
    expect(questions()).toBe(2);
    await say(good());
    expect(await next).toEqual(good());
  });

  test('another token is another question', async () => {
    const { find, say, questions } = bench();
    const found = [find('a'), find('b'), find('a b'), find('A')];
    expect(questions()).toBe(4);
    for (const name of ['a', 'b', 'a b', 'A']) await say(good(name));
    expect(await all(found)).toEqual(['a', 'b', 'a b', 'A'].map((name) => good(name)));
  });
});

describe('forget() and clear()', () => {
  test.each([
    ['a good verdict', good()],
    ['a bad verdict', BAD],
  ])('%s is forgotten: the next asks', async (_what, verdict) => {
    for (const how of ['forget', 'clear'] as const) {
      const { cache, find, forget, learn, questions } = bench();
      await learn(verdict);
      expect(find()).toBe(verdict);
      if (how === 'forget') forget('t');
      else cache.clear();
      expect(await learn(verdict)).toBe(verdict);
      expect(questions()).toBe(2);
    }
  });

  test('forget() is about one token of one server, clear() about all', async () => {
    const { cache, server } = bench();
    const [a, b] = [server(), server()];
    for (const each of [a, b]) for (const token of ['t', 'u']) await each.learn(good(token), token);
    a.forget('t');
    expect([a.find('u'), b.find('t'), b.find('u')]).toEqual([good('u'), good('t'), good('u')]);
    expect(a.find('t')).toBeInstanceOf(Promise);
    cache.clear();
    for (const each of [a.find('u'), b.find('t'), b.find('u')]) expect(each).toBeInstanceOf(Promise);
  });

  test.each([
    ['forget', good('before')],
    ['clear', good('before')],
    ['forget', BAD],
    ['clear', BAD],
  ] as const)('%s() while it is asked: that answer is not kept, and who comes later asks anew', async (how, before) => {
    const { cache, find, forget, say, questions } = bench();
    const early = find();
    if (how === 'forget') forget('t');
    else cache.clear();
    const late = find();
    expect(questions()).toBe(2);
    await say(before);
    expect(await early).toBe(before); // for those who had asked it is the answer
    const later = find();
    expect(questions()).toBe(2); // the second question is still open, and shared
    const after = good('after');
    await say(after);
    expect([await late, await later, find()]).toEqual([after, after, after]);
    expect(questions()).toBe(2);
  });

  test('while it is asked, and the answers come in the other order: the later question counts', async () => {
    const { clock, cache } = bench();
    const verdicts = cache.of(LIVES);
    const answers: ((verdict: Verdict) => void)[] = [];
    const find = () => verdicts.find('t', () => new Promise((resolve) => answers.push(resolve)));
    void find();
    verdicts.forget('t');
    void find();
    answers[1]?.(BAD);
    await settled();
    answers[0]?.(good());
    await settled();
    expect(find()).toBe(BAD);
    clock.now += 5;
    expect(find()).toBeInstanceOf(Promise);
  });
});

describe('without a time for good verdicts', () => {
  test('7662-4-3 nothing is kept, and nobody shares the question of another', async () => {
    const { find, say, learn, questions } = bench({ good: 0 });
    await learn(good());
    const found = [find(), find(), find()];
    expect(questions()).toBe(4);
    const verdicts = ['one', 'two', 'three'].map((name) => good(name));
    for (const verdict of verdicts) await say(verdict);
    expect(await all(found)).toEqual(verdicts);
    await learn(good());
    expect(questions()).toBe(5);
  });
});

describe('beyond its time, while it is asked anew in the background (stale)', () => {
  const STALE = { stale: 60 };

  test('a good verdict is used on, at one question however many come; the answer takes its place', async () => {
    const { clock, find, learn, say, questions } = bench(STALE);
    const verdict = good();
    await learn(verdict);
    clock.now += 30;
    expect([find(), find(), find()]).toEqual([verdict, verdict, verdict]);
    expect(questions()).toBe(2);
    const newer = good('newer');
    await say(newer);
    clock.now += 29;
    expect(find()).toBe(newer);
    expect(questions()).toBe(2);
  });

  test.each([
    ['remembered', 5],
    ['not remembered', 0],
  ])('the answer that it is bad ends it at once, whether that is %s', async (_what, bad) => {
    const { clock, find, learn, say, questions } = bench({ ...STALE, bad });
    await learn(good());
    clock.now += 30;
    expect(find()).toEqual(good());
    await say(BAD);
    const found = find();
    if (bad === 0) await say(BAD);
    expect([await found, questions()]).toEqual([BAD, bad === 0 ? 3 : 2]);
  });

  test('a failure ends it not, and each who comes after one asks once more, until its end', async () => {
    const { clock, find, learn, fail, questions } = bench(STALE);
    await learn(good());
    clock.now += 30;
    for (let question = 2; question <= 4; question++) {
      expect([find(), find()]).toEqual([good(), good()]);
      expect(questions()).toBe(question);
      await fail();
    }
    clock.now += 59.9;
    expect(find()).toEqual(good());
    await fail();
    clock.now += 0.1;
    const late = rejection(find());
    await fail();
    expect(await late).toEqual(new Error('down'));
  });

  test('who comes at its end waits for the question that is open', async () => {
    const { clock, find, learn, say, questions } = bench(STALE);
    await learn(good());
    clock.now += 89;
    expect(find()).toEqual(good());
    clock.now += 1;
    const waits = find();
    expect(waits).toBeInstanceOf(Promise);
    const newer = good('newer');
    await say(newer);
    expect([await waits, questions()]).toEqual([newer, 2]);
  });

  test('7662-4-2 never beyond exp', async () => {
    const { clock, find, learn } = bench(STALE);
    await learn(good('one', START + 40));
    clock.now += 39.9;
    expect(find()).toEqual(good('one', START + 40));
    clock.now += 0.1;
    expect(find()).toBeInstanceOf(Promise);
  });

  test('a bad verdict is not used beyond its time', async () => {
    const { clock, find, learn } = bench(STALE);
    await learn(BAD);
    clock.now += 5;
    expect(find()).toBeInstanceOf(Promise);
  });
});

describe('7662-2.2-9 two servers', () => {
  test('see nothing of each other: not the verdicts, not the questions', async () => {
    const { server } = bench();
    const [a, b] = [server({ good: 10 }), server({ good: 20 })];
    const [found, other] = [a.find(), b.find()];
    expect([a.questions(), b.questions()]).toEqual([1, 1]);
    await a.say(good());
    await b.say(BAD);
    expect([await found, await other, a.find(), b.find()]).toEqual([good(), BAD, good(), BAD]);
  });
});

describe('bounds', () => {
  test('of good tokens so many as were said are remembered; the longest unused is forgotten first', async () => {
    const { find, learn } = bench({}, 3);
    for (const token of ['a', 'b', 'c']) await learn(good(token), token);
    expect(find('a')).toEqual(good('a'));
    await learn(good('d'), 'd');
    expect(['a', 'c', 'd'].map((token) => find(token))).toEqual(['a', 'c', 'd'].map((token) => good(token)));
    expect(find('b')).toBeInstanceOf(Promise);
  });

  test('bad tokens have a place of their own, and evict no good one', async () => {
    const { find, learn } = bench({}, 3);
    for (const token of ['a', 'b', 'c']) await learn(good(token), token);
    for (let i = 0; i <= MAX_BAD; i++) await learn(BAD, `bad-${i}`);
    expect(['a', 'b', 'c'].map((token) => find(token))).toEqual(['a', 'b', 'c'].map((token) => good(token)));
    expect([find('bad-1'), find(`bad-${MAX_BAD}`)]).toEqual([BAD, BAD]);
    expect(find('bad-0')).toBeInstanceOf(Promise);
  });

  test('no token is kept, whole or in part: neither as a key nor in what is kept under it', async () => {
    const spies = [jest.spyOn(Map.prototype, 'set'), jest.spyOn(LRUCache.prototype, 'set')];
    const { learn, find, say } = bench();
    await learn(good(), 'secret-good-token');
    await learn(BAD, 'secret-bad-token');
    void find('secret-pending-token');
    const kept: unknown[] = spies.flatMap(({ mock }) => mock.calls.flat() as unknown[]);
    const texts = kept.map((each) => (typeof each === 'string' ? each : JSON.stringify(each)));
    // The control: a key and a verdict have been seen, of each of the three stores.
    expect(texts.filter((text) => /^[\0-\xff]{32} 0$/.test(text)).length).toBeGreaterThanOrEqual(5);
    expect(texts.some((text) => text.includes('editor'))).toBe(true);
    expect(texts.filter((text) => text.includes('secret'))).toEqual([]);
    await say(BAD);
  });
});
