import { describe, expect, test } from '@jest/globals';
import { NONCE_LIFE, Nonces } from '../../lib/dpop-nonce.js';
import { movableClock } from '../support/clock.js';

const SECRET = Buffer.alloc(32, 1);
const RESOURCE = 'https://api.example.com';

function nonces(secret: Uint8Array = SECRET, resource = RESOURCE, now = 1_800_000_000) {
  const clock = movableClock(now);
  return { clock, nonces: new Nonces(secret, resource, clock) };
}

/** The nonce with one bit changed. */
function flip(nonce: string, bit: number): string {
  const bytes = Buffer.from(nonce, 'base64url');
  bytes[bit >> 3] = (bytes[bit >> 3] ?? 0) ^ (1 << (bit & 7));
  return bytes.toString('base64url');
}

describe('Nonces', () => {
  test('9449-8.1-1 a nonce is 43 characters of base64url, and no two are equal', () => {
    const { nonces: made } = nonces();
    const all = Array.from({ length: 100 }, () => made.issue());
    expect(all.filter((nonce) => !/^[A-Za-z0-9_-]{43}$/.test(nonce))).toEqual([]);
    expect(new Set(all).size).toBe(100);
  });

  test('the age of a nonce is counted in whole seconds, from a little before to the end of its life', () => {
    const { nonces: made, clock } = nonces();
    clock.now += 0.9;
    const issued = clock.now;
    const nonce = made.issue();
    const ageAfter = (seconds: number) => {
      clock.now = issued + seconds;
      return made.age(nonce);
    };
    expect([0, 0.05, 0.2, 10, 119, 119.05].map(ageAfter)).toEqual([0, 0, 1, 10, 119, 119]);
    expect([119.2, NONCE_LIFE, 1e6, 2 ** 32].map(ageAfter)).toEqual([undefined, undefined, undefined, undefined]);
    expect([-1, -12, -13, -1e6].map(ageAfter)).toEqual([-1, -12, undefined, undefined]);
  });

  test('a newer one is given from half of the life on', () => {
    const { nonces: made } = nonces();
    expect([-12, 0, 59].map((age) => made.renew(age))).toEqual([undefined, undefined, undefined]);
    for (const age of [60, 119]) expect(made.age(made.renew(age))).toBe(0);
  });

  test('9449-8-1 every one of its 256 bits is under the seal', () => {
    const { nonces: made } = nonces();
    const nonce = made.issue();
    const forged = Array.from({ length: 256 }, (_, bit) => flip(nonce, bit));
    expect(forged.filter((other) => made.age(other) !== undefined)).toEqual([]);
    expect(made.age(flip(flip(nonce, 100), 100))).toBe(0);
  });

  test.each<[what: string, change: (nonce: string) => unknown]>([
    ['nothing', () => undefined],
    ['null', () => null],
    ['a number', () => 1],
    ['an empty text', () => ''],
    ['a list with it', (nonce) => [nonce]],
    ['the same with padding', (nonce) => `${nonce}=`],
    ['the same and more', (nonce) => `${nonce}A`],
    ['the same but for the last character', (nonce) => nonce.slice(0, -1)],
    ['the same with a line break', (nonce) => `${nonce}\n`],
    ['the same with unused bits', (nonce) => nonce.slice(0, -1) + String.fromCharCode(nonce.charCodeAt(42) + 1)],
    ['the same in base64', () => Buffer.alloc(32, 0xff).toString('base64')],
    ['zeros', () => Buffer.alloc(32).toString('base64url')],
    ['a long text', () => 'A'.repeat(100_000)],
  ])('%s is no nonce', (_what, change) => {
    const { nonces: made } = nonces();
    const nonce = made.issue();
    expect(made.age(change(nonce))).toBeUndefined();
    expect(made.age(nonce)).toBe(0);
  });

  test('9449-9-2 the secret and the resource decide whose it is', () => {
    const { nonces: made } = nonces();
    const nonce = made.issue();
    expect(nonces(Buffer.alloc(32, 1)).nonces.age(nonce)).toBe(0);
    const others = [
      nonces(Buffer.alloc(32, 2)),
      nonces(Buffer.alloc(33, 1)),
      nonces(SECRET, `${RESOURCE}/`),
      nonces(SECRET, `${RESOURCE}\0`),
      nonces(SECRET, ''),
    ];
    expect(others.map((other) => other.nonces.age(nonce))).toEqual(others.map(() => undefined));
  });
});
