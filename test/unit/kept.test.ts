import { describe, expect, test } from '@jest/globals';
import { VerificationUnavailableError } from '../../lib/errors.js';
import { UnusableAnswerError } from '../../lib/fetch-json.js';
import { Kept } from '../../lib/kept.js';
import type { Fetched } from '../../lib/kept.js';
import { movableClock } from '../support/clock.js';
import { rejection } from '../support/rejection.js';

const START = 1_000_000;
const FRESH = 600;
const MAX_AGE = 3600;

/** A document whose loads end when and how the test says: `succeed` and `fail` end the oldest that is open. */
function bench() {
  const clock = movableClock(START);
  const open: OpenLoad[] = [];
  const events: string[] = [];
  let loads = 0;
  const load = (): Promise<Fetched<string>> => {
    loads++;
    return new Promise((resolve, reject) => open.push({ resolve, reject }));
  };
  const kept = new Kept<string>(load, clock, MAX_AGE, (event) => void events.push(event));
  const settle = async () => {
    for (let i = 0; i < 10; i++) await Promise.resolve();
  };
  return {
    ...{ clock, kept, events },
    loads: () => loads,
    succeed: async (value: string, freshFor = FRESH) => {
      open.shift()?.resolve({ value, freshFor });
      await settle();
    },
    fail: async (error: unknown = new VerificationUnavailableError('down')) => {
      open.shift()?.reject(error);
      await settle();
    },
  };
}

interface OpenLoad {
  readonly resolve: (fetched: Fetched<string>) => void;
  readonly reject: (error: unknown) => void;
}

/** One that has `first` at hand. */
async function loaded() {
  const made = bench();
  const got = made.kept.get();
  await made.succeed('first');
  await got;
  return made;
}

describe('get()', () => {
  test('loads when first asked, once for all who ask', async () => {
    const { kept, loads, succeed, events } = bench();
    expect([loads(), kept.age(), kept.snapshot]).toEqual([0, Infinity, undefined]);
    const got = [1, 2, 3].map(() => Promise.resolve(kept.get()));
    await succeed('first');
    expect(await Promise.all(got)).toEqual(['first', 'first', 'first']);
    expect([loads(), events]).toEqual([1, ['refreshed']]);
    expect(kept.snapshot).toEqual({ value: 'first', freshFor: FRESH, fetchedAt: START });
  });

  test('gives what is kept without a promise in the first half of its time', async () => {
    const { kept, clock, loads } = await loaded();
    clock.now += FRESH / 2 - 1;
    expect(kept.get()).toBe('first');
    expect(loads()).toBe(1);
  });

  test('in the second half refreshes once in the background, and gives what is kept', async () => {
    const { kept, clock, loads, succeed } = await loaded();
    clock.now += FRESH / 2;
    expect([kept.get(), kept.get()]).toEqual(['first', 'first']);
    expect(loads()).toBe(2);
    await succeed('second');
    expect(kept.get()).toBe('second');
    expect(kept.age()).toBe(0);
  });

  test('past its time waits for the refresh, unless one has failed', async () => {
    const { kept, clock, succeed, fail, events } = await loaded();
    clock.now += FRESH;
    const waits = kept.get();
    expect(waits).toBeInstanceOf(Promise);
    await succeed('second');
    expect(await waits).toBe('second');
    clock.now += FRESH;
    const fallsBack = kept.get();
    await fail();
    expect(await fallsBack).toBe('second');
    expect(kept.get()).toBe('second'); // no promise: nobody waits after a failure
    expect(events).toEqual(['refreshed', 'refreshed', 'failed', 'stale', 'stale']);
  });

  test('past the maximum age gives nothing, and the failure', async () => {
    const { kept, clock, fail, succeed } = await loaded();
    clock.now += MAX_AGE - 1;
    const last = kept.get();
    await fail();
    expect(await last).toBe('first');
    clock.now += 1;
    const late = kept.get();
    await fail();
    expect(await rejection(late)).toBeInstanceOf(VerificationUnavailableError);
    clock.now += 30;
    const recovered = kept.get();
    await succeed('second');
    expect(await recovered).toBe('second');
  });
});

describe('after a failure', () => {
  test('nobody asks before the wait is over, and it is told how long that is', async () => {
    const { kept, clock, fail, succeed, loads } = bench();
    const first = kept.get();
    await fail(new UnusableAnswerError('busy', 12.5));
    expect(await rejection(first)).toMatchObject({ reason: 'busy' });
    expect(await rejection(kept.get())).toMatchObject({
      reason: 'busy',
      retryAfter: 12.5,
      headers: { 'Retry-After': '13' },
    });
    clock.now += 12;
    expect(await rejection(kept.refresh())).toMatchObject({ retryAfter: 0.5, headers: { 'Retry-After': '1' } });
    expect(loads()).toBe(1);
    clock.now += 0.5;
    const again = kept.get();
    await succeed('value');
    expect(await again).toBe('value');
  });

  test.each([
    [0, 0.5, 1],
    [1, 1, 2],
    [2, 2, 4],
    [3, 4, 8],
    [4, 8, 16],
    [5, 15, 30],
    [6, 15, 30],
    [60, 15, 30],
  ])('after %i failures before it, the wait is from %d to %d seconds', async (before, least, most) => {
    const { kept, clock, fail } = bench();
    for (let i = 0; i <= before; i++) {
      clock.now += 30;
      const got = rejection(kept.get());
      await fail();
      await got;
    }
    const { retryAfter } = (await rejection(kept.get())) as VerificationUnavailableError;
    expect(retryAfter).toBeGreaterThanOrEqual(least);
    expect(retryAfter).toBeLessThanOrEqual(most);
  });

  test('the server may ask for half a minute at most; less than our wait does not shorten it', async () => {
    for (const [asked, least, most] of [
      [3600, 30, 30],
      [0.001, 0.5, 1],
    ] as const) {
      const { kept, fail } = bench();
      const got = rejection(kept.get());
      await fail(new UnusableAnswerError('busy', asked));
      await got;
      const { retryAfter } = (await rejection(kept.get())) as VerificationUnavailableError;
      expect(retryAfter).toBeGreaterThanOrEqual(least);
      expect(retryAfter).toBeLessThanOrEqual(most);
    }
  });

  test('a success begins anew: the next failure waits a second at most', async () => {
    const { kept, clock, fail, succeed } = bench();
    for (let i = 0; i < 8; i++) {
      clock.now += 30;
      const got = rejection(kept.get());
      await fail();
      await got;
    }
    clock.now += 30;
    const got = kept.get();
    await succeed('value');
    await got;
    clock.now += FRESH / 2;
    expect(kept.get()).toBe('value');
    await fail();
    const { retryAfter } = (await rejection(kept.refresh())) as VerificationUnavailableError;
    expect(retryAfter).toBeLessThanOrEqual(1);
  });

  test('an error that is a bug goes to the caller as it is, and what is no Error becomes one', async () => {
    for (const [thrown, seen] of [
      [new RangeError('a bug'), new RangeError('a bug')],
      ['text', new Error('a load threw what is no Error')],
    ] as const) {
      const { kept, fail } = bench();
      const got = rejection(kept.get());
      await fail(thrown);
      expect(await got).toEqual(seen);
      expect(await rejection(kept.get())).toEqual(seen);
    }
  });
});

describe('a clock that is put back', () => {
  test('leaves the document at the end of its fresh time, from where it ages on', async () => {
    const { kept, clock, fail } = await loaded();
    clock.now = START - 10_000;
    expect(kept.age()).toBe(FRESH);
    const got = kept.get();
    await fail();
    expect(await got).toBe('first');
    clock.now += MAX_AGE - FRESH;
    expect(kept.age()).toBe(MAX_AGE);
  });

  test('ends a wait that would be longer than the longest', async () => {
    const { kept, clock, fail, succeed } = bench();
    const got = rejection(kept.get());
    await fail();
    await got;
    clock.now -= 10_000;
    const again = kept.get();
    await succeed('value');
    expect(await again).toBe('value');
  });
});

describe('restore() and purge()', () => {
  test('restores what is newer, not what is older, as old, or of the future', async () => {
    const { kept, clock } = await loaded();
    clock.now += 100;
    for (const [value, fetchedAt] of [
      ['older', START - 1],
      ['as old', START],
      ['of the future', START + 101],
    ] as const) {
      kept.restore({ value, freshFor: FRESH, fetchedAt });
      expect(kept.get()).toBe('first');
    }
    kept.restore({ value: 'newer', freshFor: FRESH, fetchedAt: START + 50 });
    expect([kept.get(), kept.age()]).toEqual(['newer', 50]);
  });

  test('purge forgets the document and the failure', async () => {
    const { kept, clock, fail, succeed, loads } = await loaded();
    clock.now += FRESH / 2;
    expect(kept.get()).toBe('first');
    await fail();
    kept.purge();
    expect([kept.age(), kept.snapshot]).toEqual([Infinity, undefined]);
    const got = kept.get();
    expect(loads()).toBe(3);
    await succeed('second');
    expect(await got).toBe('second');
  });

  test('a load from before a purge that succeeds is not kept', async () => {
    const { kept, succeed } = bench();
    const before = kept.get();
    kept.purge();
    const after = kept.get();
    await succeed('withdrawn');
    expect(await before).toBe('withdrawn');
    await succeed('new');
    expect(await after).toBe('new');
    expect(kept.get()).toBe('new');
  });

  test('a load from before a purge that fails makes nobody wait', async () => {
    const { kept, fail, succeed } = bench();
    const before = rejection(kept.get());
    kept.purge();
    await fail();
    expect(await before).toBeInstanceOf(VerificationUnavailableError);
    const after = kept.get();
    await succeed('new');
    expect(await after).toBe('new');
  });

  test('who waits for a refresh while there is a purge does not get what was purged', async () => {
    const { kept, clock, fail } = await loaded();
    clock.now += FRESH;
    const waiting = rejection(kept.get());
    kept.purge();
    await fail();
    expect(await waiting).toBeInstanceOf(VerificationUnavailableError);
  });
});
