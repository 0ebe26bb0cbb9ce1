import { hash, randomBytes } from 'node:crypto';
import { describe, expect, test } from '@jest/globals';
import { ProofKeys } from '../../lib/dpop-key.js';
import { Nonces } from '../../lib/dpop-nonce.js';
import { LocalReplayStore } from '../../lib/dpop-replay.js';
import { InvalidTokenError, VerificationUnavailableError } from '../../lib/errors.js';
import { movableClock } from '../support/clock.js';
import { heapInUse } from '../support/memory.js';
import { proofKey } from '../support/proofs.js';

const MEGABYTE = 1024 * 1024;
const LIFE = 80;
const MAX = 300_000;

let made = 0;
/** As long as the digests and thumbprints in use, and new each time. */
const digest = () => `x${made++}`.padStart(43, 'A');

/** Uses new proofs, each of a new client; tells how many there was room for. */
function use(store: LocalReplayStore, count: number, passing: () => void = () => undefined): number {
  let taken = 0;
  for (let i = 0; i < count; i++) {
    passing();
    try {
      if (store.unique(digest(), LIFE, digest())) taken++;
    } catch (error) {
      if (!(error instanceof VerificationUnavailableError)) throw error;
    }
  }
  return taken;
}

describe('memory for used proofs', () => {
  test('a million distinct proofs at once: as many are kept as there is room for, and nothing when they are over', async () => {
    const clock = movableClock();
    const store = new LocalReplayStore(MAX, clock);
    const before = await heapInUse();
    expect(use(store, 1_000_000)).toBe(MAX);
    const full = (await heapInUse()) - before;
    // Several hundred bytes for each that is kept; for each that came it would be three times as much.
    expect(full).toBeLessThan(200 * MEGABYTE);
    clock.now += LIFE;
    expect(store.unique('again', LIFE, 'alice')).toBe(true);
    expect(store.unique('again', LIFE, 'alice')).toBe(false);
    expect((await heapInUse()) - before).toBeLessThan(full / 2);
    expect(use(store, MAX)).toBe(MAX - 1);
  }, 120_000);

  test('a million distinct proofs one after the other, faster than they end: no more is kept than lives', async () => {
    const clock = movableClock();
    const store = new LocalReplayStore(MAX, clock);
    const perSecond = 1000;
    // Also a bound on work: a store that goes through the places of what it has forgotten needs minutes for this.
    const pass = () => {
      clock.now += 1 / perSecond;
    };
    expect(use(store, 100_000, pass)).toBe(100_000); // as many as live at once, and more
    const before = await heapInUse();
    expect(use(store, 900_000, pass)).toBe(900_000);
    expect((await heapInUse()) - before).toBeLessThan(20 * MEGABYTE);
  }, 120_000);
});

describe('memory for what stands in proofs', () => {
  test('20,000 keys: a thousand are remembered, and a known one still serves', async () => {
    const known = await proofKey();
    const keys = new ProofKeys();
    const found = await keys.find(known.publicJwk, 'ES256', known.jkt);
    // One key under ever new texts of what stands beside it is one key.
    for (let i = 0; i < 100; i++) {
      const named = { ...known.publicJwk, kid: `kid-${i}`, x5c: [digest()] };
      expect(await keys.find(named, 'ES256', known.jkt)).toBe(found);
    }
    const invent = async (count: number) => {
      for (let i = 0; i < count; i++) {
        const [crv, kty, x] = ['Ed25519', 'OKP', digest()];
        await keys.find({ crv, kty, x }, 'EdDSA', hash('sha256', JSON.stringify({ crv, kty, x }), 'base64url'));
      }
    };
    await invent(2000);
    const before = await heapInUse();
    await invent(18_000);
    expect((await heapInUse()) - before).toBeLessThan(8 * MEGABYTE);
    expect((await keys.find(known.publicJwk, 'ES256', known.jkt)).type).toBe('public');
  }, 120_000);

  test('20,000 keys that no token names: none is imported, none remembered', async () => {
    const known = await proofKey();
    const keys = new ProofKeys();
    const before = await heapInUse();
    for (let i = 0; i < 20_000; i++) {
      const foreign = keys.find({ kty: 'OKP', crv: 'Ed25519', x: digest() }, 'EdDSA', known.jkt);
      await expect(foreign).rejects.toBeInstanceOf(InvalidTokenError);
    }
    expect((await heapInUse()) - before).toBeLessThan(8 * MEGABYTE);
    expect((await keys.find(known.publicJwk, 'ES256', known.jkt)).type).toBe('public');
  }, 120_000);

  test('100,000 nonces, ours and invented: none is remembered', async () => {
    const nonces = new Nonces(randomBytes(32), 'https://api.example.com', movableClock());
    const run = (count: number) => {
      const ages = Array.from({ length: count }, () => [nonces.age(nonces.issue()), nonces.age(digest())]);
      expect(ages.filter(([ours, invented]) => ours !== 0 || invented !== undefined)).toEqual([]);
    };
    run(5000);
    const before = await heapInUse();
    run(45_000);
    expect((await heapInUse()) - before).toBeLessThan(8 * MEGABYTE);
  }, 120_000);
});
