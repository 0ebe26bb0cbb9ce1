import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals';
import { configure } from '../../lib/configuration.js';
import { digestOf } from '../../lib/digest.js';
import { TestAuthorizationServer } from '../support/authorization-server.js';
import { movableClock } from '../support/clock.js';
import { closeAll, closing, COOLDOWN, expectAccepted, expectRefused, SAYS } from '../support/faults.js';
import { unsigned, until, warmStage } from '../support/faults.js';
import type { App, Stage } from '../support/faults.js';
import { expectHot, expectVerifiedAnew, heat, watchSignatures } from '../support/hot.js';
import type { Signatures } from '../support/hot.js';
import { tally } from '../support/introspection-stage.js';
import { countRefused, heapInUse } from '../support/memory.js';
import { signingKey } from '../support/tokens.js';

/** An option; ten thousand by default. */
const MAX = 2_000;
const FLOOD = 20_000;
/** What may be left over, whatever has gone through. */
const BOUND = 4 * 1024 * 1024;
const TOKEN_LENGTH = 900;
/** Bytes that a remembered token of that length may take. */
const EACH = 1_300;
/** So many requests at once. */
const CROWD = 1_000;

afterEach(async () => {
  jest.restoreAllMocks();
  await closeAll();
});

/** A verifier that remembers so many tokens, and tokens of 900 characters, each another one. */
async function bench(maxCachedTokens = MAX) {
  const clock = movableClock();
  const as = closing(await TestAuthorizationServer.start());
  as.keys = [signingKey('EdDSA', 'first')]; // the same token gets the same signature
  const { verify, jwts } = configure({ resource: as.resource, issuer: as.issuer, clock, maxCachedTokens });
  const mint = (i: number) => {
    const jti = `5f0c8a1e-6a47-4d0e-9c0b-${String(i).padStart(12, '0')}`;
    return as.mint({ ...TYPICAL, jti }, { now: clock.now });
  };
  /** Verifies the tokens from one number to another, a few at once. */
  const send = async (from: number, to: number) => {
    for (let i = from; i < to; i += 20) {
      const some = Array.from({ length: Math.min(20, to - i) }, (_, j) => mint(i + j));
      for (const found of await Promise.all(some.map(async (token) => verify(token))))
        expect(found.clientId).toBe('photo-editor');
    }
  };
  return { as, clock, mint, verify, send, isKnown: (token: string) => jwts.recall(digestOf(token)) !== undefined };
}

/** What a server says of a person, and something of its own that fills the token up. */
const TYPICAL = {
  sub: 'user-5f0c8a1e-6a47-4d0e-9c0b-0d6c6f1f6a11',
  client_id: 'photo-editor',
  scope: 'openid profile pictures:read pictures:write',
  roles: ['reader', 'editor'],
  acr: 'urn:example:acr:password',
  note: 'x'.repeat(219),
};

describe('what is remembered', () => {
  test(`of ${FLOOD} good tokens the last ${MAX}, in no more memory than the first ${MAX}`, async () => {
    const { mint, send, isKnown } = await bench();
    await send(0, MAX);
    const full = await heapInUse();
    await send(MAX, FLOOD);
    expect((await heapInUse()) - full).toBeLessThan(BOUND);
    const known = (from: number, to: number) => {
      let count = 0;
      for (let i = from; i < to; i++) if (isKnown(mint(i))) count++;
      return count;
    };
    expect([known(0, MAX), known(FLOOD - 2 * MAX, FLOOD)]).toEqual([0, MAX]);
  }, 60_000);

  test(`takes less than ${EACH} bytes for a token of ${TOKEN_LENGTH} characters`, async () => {
    const { mint, send } = await bench(4 * MAX);
    expect(Math.abs(mint(0).length - TOKEN_LENGTH)).toBeLessThan(20);
    await send(0, MAX); // what is allocated once
    const before = await heapInUse();
    await send(MAX, 4 * MAX);
    const each = ((await heapInUse()) - before) / (3 * MAX);
    expect(each).toBeGreaterThan(100); // the control: they are there
    expect(each).toBeLessThan(EACH);
  }, 60_000);

  test(`outlives ${FLOOD} bad tokens, which leave nothing behind`, async () => {
    const { as, clock, mint, verify, send, isKnown } = await bench();
    await send(0, 100);
    const bad = (i: number) =>
      [
        () => unsigned(as, clock.now, { kid: `invented-${i}` }),
        () => unsigned(as, clock.now, { alg: 'EdDSA', kid: 'first' }, { jti: `forged-${i}` }),
        () => unsigned(as, clock.now, { kid: 'first' }, { exp: i }),
        () => `${mint(i % 100)}A`,
        () => `rubbish-${i}`,
      ][i % 5]?.() ?? '';
    const flood = async (from: number, to: number) => {
      expect(await countRefused(verify, bad, from, to)).toBe(to - from);
    };
    await flood(0, 1000);
    const before = await heapInUse();
    await flood(1000, FLOOD);
    expect((await heapInUse()) - before).toBeLessThan(BOUND);
    for (let i = 0; i < 100; i++) expect(isKnown(mint(i))).toBe(true);
    expect(isKnown(mint(100))).toBe(false);
  }, 60_000);

  test('with keys that are gone does not pile up: tokens of fifty rotations leave no more than their number', async () => {
    const { as, clock, send } = await bench();
    const rotate = async (from: number, to: number) => {
      for (let i = from; i < to; i++) {
        as.keys = [signingKey('EdDSA', `key-${i}`)];
        clock.now += COOLDOWN;
        await send(200 * i, 200 * (i + 1));
      }
    };
    await rotate(0, 10); // as many tokens as there is room for
    const full = await heapInUse();
    await rotate(10, 60);
    expect((await heapInUse()) - full).toBeLessThan(BOUND);
    expect(as.keyFetches).toBe(60);
  }, 60_000);
});

describe(`${CROWD} requests at once with one new token`, () => {
  let signatures: Signatures;
  beforeEach(() => {
    signatures = watchSignatures();
  });

  const crowd = (token: string) => Array.from({ length: CROWD }, () => token);

  /** Something happens while they are verified. They pass: the token was good when they came. */
  async function meanwhile(app: App, token: string, happens: () => unknown): Promise<void> {
    const held = signatures.hold();
    const early = tally(app, crowd(token));
    await until(() => held.waiting() === CROWD, 'all are verified', 20);
    held.letOthersPass();
    await happens();
    held.release();
    expect(await early).toEqual({ 200: CROWD });
  }

  /** The keys change, and a token with an unknown one makes it noticed. */
  async function rotate({ as, app, clock, mint }: Stage, keys: Stage['as']['keys']): Promise<void> {
    as.keys = keys;
    clock.now += COOLDOWN;
    await expectAccepted(app, mint());
  }

  test('all pass, and it is known afterwards', async () => {
    const { as, app, mint } = await warmStage();
    const token = mint();
    expect(await tally(app, crowd(token))).toEqual({ 200: CROWD });
    expect(await signatures.during(() => tally(app, crowd(token)))).toBe(0);
    expect(app.handled).toBe(2 * CROWD + 1);
    expect(as.keyFetches).toBe(0);
  }, 30_000);

  test('its key is withdrawn while they are verified: they pass, and it is not known afterwards', async () => {
    const staged = await warmStage();
    const { as, app, mint } = staged;
    const token = mint();
    await meanwhile(app, token, () => rotate(staged, [signingKey('ES256', 'second')]));
    await expectRefused(app, token, SAYS.key);
    expect(await tally(app, crowd(token))).toEqual({ 401: CROWD });
    await heat(app, signatures, mint());
    expect(as.keyFetches).toBe(1);
  }, 30_000);

  test('the keys change, and have its key still: it is verified anew', async () => {
    const staged = await warmStage();
    const { as, app, mint } = staged;
    const token = mint();
    await meanwhile(app, token, () => rotate(staged, [signingKey('ES256', 'second'), ...as.keys]));
    await expectVerifiedAnew(app, signatures, token);
  }, 30_000);

  test.each([
    ['with its key', true],
    ['without its key', false],
  ])(
    'purge() while they are verified, and then keys %s',
    async (_what, hasKey) => {
      const { as, app, mint } = await warmStage();
      const token = mint();
      await meanwhile(app, token, () => {
        if (!hasKey) as.keys = [signingKey('ES256', 'second')];
        app.middleware.purge();
      });
      expect(as.keyFetches).toBe(0);
      if (hasKey) await expectVerifiedAnew(app, signatures, token);
      else await expectRefused(app, token, SAYS.key);
      expect(as.keyFetches).toBe(1);
      await heat(app, signatures, mint());
    },
    30_000,
  );

  test('it expires while they are verified: nobody passes with it afterwards', async () => {
    const { app, clock, mint } = await warmStage();
    const token = mint();
    await meanwhile(app, token, () => (clock.now += 300));
    await expectRefused(app, token, SAYS.expired);
    await expectHot(app, signatures, await warmed(app, mint()));
  }, 30_000);

  async function warmed(app: Parameters<typeof expectAccepted>[0], token: string): Promise<string> {
    await expectAccepted(app, token);
    return token;
  }
});
