import { afterEach, describe, expect, jest, test } from '@jest/globals';
import { BackOff } from '../../lib/back-off.js';
import { UnusableAnswerError } from '../../lib/fetch-json.js';
import { movableClock } from '../support/clock.js';

const START = 1_000_000;
const FIRST_WAIT = 1;
const LONGEST_WAIT = 30;

afterEach(() => {
  jest.restoreAllMocks();
});

function bench() {
  const clock = movableClock(START);
  return { clock, backOff: new BackOff(clock) };
}

/** Chance, from 0 for the shortest wait to just below 1 for the longest. */
function chance(value: number): void {
  jest.spyOn(Math, 'random').mockReturnValue(value);
}

function fail(backOff: BackOff, times: number, error = new Error('down')): void {
  for (let i = 0; i < times; i++) backOff.failed(error);
}

describe('without a failure', () => {
  test('nobody waits, and there is nothing to tell', () => {
    const { backOff } = bench();
    expect([backOff.left, backOff.error, backOff.isTripped, backOff.failedWithin(Infinity)]).toEqual([
      0,
      undefined,
      false,
      false,
    ]);
  });
});

describe('the wait after a failure', () => {
  test.each([
    [1, 1],
    [2, 2],
    [3, 4],
    [4, 8],
    [5, 16],
    [6, 30],
    [7, 30],
    [100, 30],
    [2000, 30], // two to the power of it is no number any more
  ])('after %i in a row: from half of %d seconds to all of them, by chance', (times, most) => {
    for (const [random, wait] of [
      [0, most / 2],
      [1, most],
    ] as const) {
      chance(random);
      const { backOff } = bench();
      fail(backOff, times);
      expect(backOff.left).toBe(wait);
    }
  });

  test('it gets shorter with the time, and is over at its end, not before', () => {
    chance(1);
    const { clock, backOff } = bench();
    fail(backOff, 2);
    clock.now += 1.5;
    expect(backOff.left).toBe(0.5);
    clock.now += 0.5;
    expect(backOff.left).toBe(0);
    clock.now += 1000;
    expect(backOff.left).toBe(0);
  });

  test('the end of a wait is no success: the next is twice as long', () => {
    chance(1);
    const { clock, backOff } = bench();
    fail(backOff, 1);
    clock.now += 1000;
    fail(backOff, 1);
    expect(backOff.left).toBe(2);
  });

  test('a success ends it and all that came before', () => {
    chance(1);
    const { backOff } = bench();
    fail(backOff, 5);
    backOff.succeeded();
    expect([backOff.left, backOff.error, backOff.isTripped, backOff.failedWithin(Infinity)]).toEqual([
      0,
      undefined,
      false,
      false,
    ]);
    fail(backOff, 1);
    expect(backOff.left).toBe(FIRST_WAIT);
  });

  test('one failure trips it, and it stays tripped when the wait is over, until the first success', () => {
    const { clock, backOff } = bench();
    fail(backOff, 1);
    expect([backOff.left > 0, backOff.isTripped]).toEqual([true, true]);
    clock.now += LONGEST_WAIT;
    expect([backOff.left, backOff.isTripped]).toEqual([0, true]);
    backOff.succeeded();
    expect([backOff.left, backOff.isTripped]).toEqual([0, false]);
  });

  test('the last failure is remembered, and is the one to tell', () => {
    const { backOff } = bench();
    const [first, second] = [new Error('first'), new Error('second')];
    backOff.failed(first);
    expect(backOff.error).toBe(first);
    backOff.failed(second);
    expect(backOff.error).toBe(second);
  });
});

describe('what the server asks for (Retry-After)', () => {
  test.each([
    ['longer than ours: as long as that', 12.5, 1, 12.5],
    ['shorter than ours: as long as ours', 2, 4, 8],
    ['longer than the longest: the longest', 3600, 1, LONGEST_WAIT],
    ['nothing: as long as ours', 0, 1, FIRST_WAIT],
  ])('%s', (_what, asked, times, wait) => {
    chance(1);
    const { backOff } = bench();
    fail(backOff, times, new UnusableAnswerError('busy', asked, 429));
    expect(backOff.left).toBe(wait);
  });

  test('it is asked for by the last failure only', () => {
    chance(1);
    const { backOff } = bench();
    fail(backOff, 1, new UnusableAnswerError('busy', 12, 429));
    fail(backOff, 1);
    expect(backOff.left).toBe(2);
  });
});

describe('paused()', () => {
  test('waits as long as it is told, does not count, and keeps what to tell', () => {
    chance(1);
    const { clock, backOff } = bench();
    const error = new Error('what this depends on is paused');
    backOff.paused(error, 7);
    expect([backOff.left, backOff.error, backOff.isTripped]).toEqual([7, error, true]);
    clock.now += 7;
    expect(backOff.left).toBe(0);
    fail(backOff, 1);
    expect(backOff.left).toBe(FIRST_WAIT);
    backOff.paused(error, 7);
    fail(backOff, 1);
    expect(backOff.left).toBe(2);
  });
});

describe('failedWithin()', () => {
  test('is true for the last failure, up to the time given, and not at its end', () => {
    const { clock, backOff } = bench();
    fail(backOff, 1);
    expect([backOff.failedWithin(10), backOff.failedWithin(0)]).toEqual([true, false]);
    clock.now += 9.9;
    expect(backOff.failedWithin(10)).toBe(true);
    clock.now += 0.1;
    expect(backOff.failedWithin(10)).toBe(false);
  });

  test('a failure that seems to come from far in the future, after a clock was put back, is not recent', () => {
    const { clock, backOff } = bench();
    fail(backOff, 1);
    clock.now -= 10;
    expect([backOff.failedWithin(11), backOff.failedWithin(10)]).toEqual([true, false]);
  });
});

describe('a clock that is put back during the wait', () => {
  test.each([
    ['by an hour: nobody waits', 3600, 0],
    ['by so much that more than the longest wait were left: nobody waits', 30, 0],
    ['by a little: never longer than the longest wait', 29, LONGEST_WAIT],
  ])('%s', (_what, back, left) => {
    chance(1);
    const { clock, backOff } = bench();
    fail(backOff, 1);
    clock.now -= back;
    expect(backOff.left).toBe(left);
  });
});
