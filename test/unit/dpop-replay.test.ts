import { describe, expect, test } from '@jest/globals';
import { NONCE_LIFE, Nonces } from '../../lib/dpop-nonce.js';
import { LocalReplayStore } from '../../lib/dpop-replay.js';
import { VerificationUnavailableError } from '../../lib/errors.js';
import { movableClock } from '../support/clock.js';

const LIFE = 80;
const FULL = 'The store of used DPoP proofs is full: raise "maxProofs" of "dpop"';
const GREEDY = 'One client used more DPoP proofs than fit: raise "maxProofs" of "dpop"';

function open(max = 100) {
  const clock = movableClock(1_000_000);
  return { store: new LocalReplayStore(max, clock), clock };
}

/** Uses `count` new proofs, of one client or of each another; tells how many there was room for. */
function fill(store: LocalReplayStore, count: number, name: string, client?: string): number {
  let taken = 0;
  for (let i = 0; i < count; i++) {
    try {
      if (store.unique(`${name}-${i}`, LIFE, client ?? `${name}-client-${i}`)) taken++;
    } catch (error) {
      if (!(error instanceof VerificationUnavailableError)) throw error;
    }
  }
  return taken;
}

/** Why there is no room: what the operator is told. */
function reasonOf(use: () => boolean): string | undefined {
  try {
    use();
  } catch (error) {
    if (error instanceof VerificationUnavailableError) return error.reason;
    throw error;
  }
  return undefined;
}

describe('LocalReplayStore', () => {
  test('a proof is unique once, whoever asks again', () => {
    const { store } = open();
    expect(store.unique('a', LIFE, 'alice')).toBe(true);
    expect(store.unique('a', LIFE, 'alice')).toBe(false);
    expect(store.unique('a', LIFE, 'mallory')).toBe(false);
    expect(store.unique('b', LIFE, 'alice')).toBe(true);
  });

  test('a proof is known to the end of its time, however often it is tried, and not after', () => {
    const { store, clock } = open();
    expect(store.unique('a', LIFE, 'alice')).toBe(true);
    for (let i = 1; i < LIFE; i++) {
      clock.now += 1;
      expect(store.unique('a', LIFE, 'alice')).toBe(false);
    }
    clock.now += 0.999;
    expect(store.unique('a', LIFE, 'alice')).toBe(false);
    clock.now += 1; // it may take a second more than it must
    expect(store.unique('a', LIFE, 'alice')).toBe(true);
    expect(store.unique('a', LIFE, 'alice')).toBe(false);
  });

  test('proofs are forgotten each in its time, also those that came between', () => {
    const { store, clock } = open();
    for (let i = 0; i < LIFE; i++) {
      expect(store.unique(`p${i}`, LIFE, 'alice')).toBe(true); // half of 100: more find no room
      if (i === 49) break;
      clock.now += 1;
    }
    expect(reasonOf(() => store.unique('more', LIFE, 'alice'))).toBe(GREEDY);
    for (let i = 0; i < 50; i++) expect(store.unique(`p${i}`, LIFE, 'bob')).toBe(false);
    clock.now += LIFE - 49; // the first is over, and the second is not
    expect(store.unique('p0', LIFE, 'alice')).toBe(true);
    expect(store.unique('p1', LIFE, 'alice')).toBe(false);
  });

  test('a full store throws for all that is new, says so, and still knows what it has', () => {
    const { store, clock } = open(40);
    expect(fill(store, 40, 'a')).toBe(40);
    expect(reasonOf(() => store.unique('new', LIFE, 'bob'))).toBe(FULL);
    expect(store.unique('a-0', LIFE, 'bob')).toBe(false);
    expect(store.unique('a-39', LIFE, 'bob')).toBe(false);
    clock.now += LIFE;
    expect(store.unique('new', LIFE, 'bob')).toBe(true);
    expect(fill(store, 100, 'b')).toBe(39);
  });

  test('what was thrown for is not remembered: it passes when there is room', () => {
    const { store, clock } = open(4);
    expect(fill(store, 4, 'a')).toBe(4);
    expect(reasonOf(() => store.unique('late', LIFE, 'bob'))).toBe(FULL);
    clock.now += LIFE;
    expect(store.unique('late', LIFE, 'bob')).toBe(true);
    expect(store.unique('late', LIFE, 'bob')).toBe(false);
  });

  test('one client gets half of it; others pass, and so does the client when its own are over', () => {
    const { store, clock } = open(100);
    expect(fill(store, 1000, 'm', 'mallory')).toBe(50);
    expect(reasonOf(() => store.unique('more', LIFE, 'mallory'))).toBe(GREEDY);
    expect(fill(store, 50, 'good')).toBe(50);
    expect(reasonOf(() => store.unique('more', LIFE, 'mallory'))).toBe(GREEDY);
    expect(reasonOf(() => store.unique('more', LIFE, 'bob'))).toBe(FULL);
    clock.now += LIFE;
    expect(fill(store, 1000, 'n', 'mallory')).toBe(50);
    expect(store.unique('good-0', LIFE, 'alice')).toBe(true);
  });

  test('a known proof of a client without room is known, and takes none', () => {
    const { store } = open(8);
    expect(fill(store, 4, 'm', 'mallory')).toBe(4);
    for (let i = 0; i < 100; i++) expect(store.unique('m-0', LIFE, 'mallory')).toBe(false);
    expect(reasonOf(() => store.unique('m-4', LIFE, 'mallory'))).toBe(GREEDY);
    expect(store.unique('a', LIFE, 'alice')).toBe(true);
  });

  test.each([1, 2, 3, 4, 5])(
    'with room for %d there is room for one of each client, and for no more than that',
    (max) => {
      const { store } = open(max);
      expect(fill(store, 20, 'x')).toBe(max);
      expect(reasonOf(() => store.unique('more', LIFE, 'bob'))).toBe(FULL);
    },
  );

  test('identifiers and clients with the names of members of objects are like all others', () => {
    const { store } = open();
    for (const name of ['__proto__', 'constructor', 'toString', '', 'size']) {
      expect(store.unique(name, LIFE, name)).toBe(true);
      expect(store.unique(name, LIFE, name)).toBe(false);
    }
  });
});

describe('a clock that is set', () => {
  test('back: nothing is forgotten early, and used proofs stay used', () => {
    const { store, clock } = open();
    expect(store.unique('a', LIFE, 'alice')).toBe(true);
    for (const back of [1, 60, 3600]) {
      clock.now -= back;
      expect(store.unique('a', LIFE, 'alice')).toBe(false);
      expect(store.unique(`after-${back}`, LIFE, 'alice')).toBe(true);
      expect(store.unique(`after-${back}`, LIFE, 'alice')).toBe(false);
    }
    clock.now += 3661 + LIFE - 1;
    expect(store.unique('a', LIFE, 'alice')).toBe(false);
    clock.now += 1;
    expect(store.unique('a', LIFE, 'alice')).toBe(true);
  });

  test('back: the bound holds, and the reason is told', () => {
    const { store, clock } = open(10);
    for (let i = 0; i < 10; i++) {
      clock.now -= 100;
      expect(store.unique(`p${i}`, LIFE, `c${i}`)).toBe(true);
    }
    expect(reasonOf(() => store.unique('more', LIFE, 'bob'))).toBe(FULL);
    clock.now += 1000 + LIFE;
    expect(fill(store, 20, 'x')).toBe(10);
  });

  test('forward: all is forgotten, and the shares with it', () => {
    const { store, clock } = open(8);
    expect(fill(store, 8, 'm', 'mallory')).toBe(4);
    clock.now += 1e9;
    expect(fill(store, 8, 'm', 'mallory')).toBe(4);
  });
});

describe('nonces that are not ours', () => {
  const API = 'https://api.example.com';
  const secret = Buffer.alloc(32, 7);
  const clock = () => 1_000_000;
  const nonces = new Nonces(secret, API, clock);

  test('of another resource, of another secret, of another time, in another spelling: none; ours is', () => {
    const ours = nonces.issue();
    const others: unknown[] = [
      new Nonces(secret, `${API}/`, clock).issue(),
      new Nonces(secret, '', clock).issue(),
      new Nonces(Buffer.alloc(32, 8), API, clock).issue(),
      new Nonces(secret, API, () => clock() - NONCE_LIFE).issue(),
      new Nonces(secret, API, () => clock() + NONCE_LIFE / 10 + 1).issue(),
      ...[ours.slice(1), ours.slice(0, -1), `${ours}A`, `${ours}=`, ` ${ours}`, `${ours}\n`, ours.toLowerCase()],
      ...[Buffer.from(ours, 'base64url').toString('base64'), Buffer.alloc(32).toString('base64url'), '', 'x'],
      ...[undefined, null, 1, true, [ours], { nonce: ours }, `${ours},${ours}`, 'A'.repeat(100_000)],
    ];
    expect(others.filter((nonce) => nonce === ours || nonces.age(nonce) !== undefined)).toEqual([]);
    expect(new Nonces(secret, API, clock).age(ours)).toBe(0);
  });

  test('with any of its bits flipped, or cut anywhere: none', () => {
    const ours = nonces.issue();
    const flipped = Array.from({ length: 256 }, (_, bit) => {
      const bytes = Buffer.from(ours, 'base64url');
      bytes[bit >> 3] = (bytes[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      return bytes.toString('base64url');
    });
    const cut = Array.from(ours, (_, length) => ours.slice(0, length));
    expect([...flipped, ...cut].filter((nonce) => nonces.age(nonce) !== undefined)).toEqual([]);
    expect(nonces.age(ours)).toBe(0);
  });
});
