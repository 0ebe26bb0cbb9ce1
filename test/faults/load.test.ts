import type { ServerResponse } from 'node:http';
import { afterEach, describe, expect, test } from '@jest/globals';
import { namedKeys } from '../../lib/keys.js';
import { sendJson } from '../support/authorization-server.js';
import {
  closeAll,
  COOLDOWN,
  expectAccepted,
  expectRefused,
  FRESH,
  GET_KEYS,
  GET_METADATA,
  LONGEST_WAIT,
  SAYS,
  stage,
  unsigned,
  until,
  warmStage,
} from '../support/faults.js';
import type { App, Stage } from '../support/faults.js';
import { many, tally } from '../support/introspection-stage.js';
import { keysAtHand, newerKeys } from '../support/keys.js';
import { signingKey } from '../support/tokens.js';

afterEach(closeAll);

describe('many at once', () => {
  test('1,000 cold requests: one fetch', async () => {
    const { as, app, mint } = await stage();
    expect(
      await tally(
        app,
        many(1000, () => mint()),
      ),
    ).toEqual({ 200: 1000 });
    expect(as.log).toEqual([GET_METADATA, GET_KEYS]);
  }, 30_000);

  test('a hundred cold requests to a server that answers 500: one attempt, 503 for all, and recovery', async () => {
    const { as, app, clock, mint } = await stage();
    const held: ServerResponse[] = [];
    as.answers.set('/jwks', (_req, res) => void held.push(res));
    const pending = tally(
      app,
      many(100, () => mint()),
    );
    await until(() => held.length > 0, 'the fetch');
    held[0]?.writeHead(500).end();
    expect(await pending).toEqual({ 503: 100 });
    expect(as.keyFetches).toBe(1);
    as.answers.clear();
    clock.now += LONGEST_WAIT;
    await expectAccepted(app, mint());
  }, 30_000);

  test('1,000 unknown kids: one fetch in the cooldown, and no good token is refused', async () => {
    const { as, app, clock, mint } = await warmStage();
    for (let round = 1; round <= 2; round++) {
      clock.now += COOLDOWN;
      const size = round === 1 ? 1000 : 100;
      const flood = many(size, (i) => unsigned(as, clock.now, { kid: `invented-${round}-${i}` }));
      const [bad, good] = await Promise.all([
        tally(app, flood),
        tally(
          app,
          many(50, () => mint()),
        ),
      ]);
      expect({ bad, good, fetches: as.keyFetches }).toEqual({ bad: { 401: size }, good: { 200: 50 }, fetches: round });
    }
    clock.now += COOLDOWN - 1;
    await expectRefused(app, unsigned(as, clock.now, { kid: 'invented' }), SAYS.key);
    expect(as.keyFetches).toBe(2);
  }, 30_000);

  test('a hundred unknown kids while the refresh hangs: known keys do not wait', async () => {
    const { as, app, clock, mint } = await warmStage();
    const held: ServerResponse[] = [];
    as.answers.set('/jwks', (_req, res) => void held.push(res));
    clock.now += COOLDOWN;
    const pending = tally(
      app,
      many(100, (i) => unsigned(as, clock.now, { kid: `invented-${i}` })),
    );
    await until(() => held.length > 0, 'the refresh');
    for (let i = 0; i < 10; i++) await expectAccepted(app, mint());
    expect(held).toHaveLength(1); // still not answered
    for (const res of held) sendJson(res, { keys: as.keys.map(({ jwk }) => jwk) });
    expect(await pending).toEqual({ 401: 100 });
    expect(as.keyFetches).toBe(1);
  }, 30_000);

  test('a hundred wrong signatures under a known kid cost no more', async () => {
    const { as, app, clock, mint } = await warmStage();
    clock.now += COOLDOWN;
    expect(
      await tally(
        app,
        many(100, () => unsigned(as, clock.now, { kid: 'first' })),
      ),
    ).toEqual({ 401: 100 });
    expect(as.keyFetches).toBe(1);
    await expectAccepted(app, mint());
  }, 30_000);
});

/** Keeps sending tokens of the current key, twenty at a time, while `steps` run. Gives what came back, by status. */
async function underLoad({ app, clock, mint }: Stage, steps: (batch: () => Promise<void>) => Promise<void>) {
  const counts: Record<number, number> = {};
  const add = (more: Readonly<Record<number, number>>) => {
    for (const [status, count] of Object.entries(more)) counts[Number(status)] = (counts[Number(status)] ?? 0) + count;
  };
  const load = { running: true };
  let batches = 0;
  const traffic = (async () => {
    while (load.running) {
      add(
        await tally(
          app,
          many(20, () => mint({ exp: clock.now + 10 * FRESH })),
        ),
      );
      batches++;
    }
  })();
  try {
    await steps(async () => {
      const reached = batches + 2;
      await until(() => batches >= reached, 'two more batches');
    });
  } finally {
    load.running = false;
    await traffic;
  }
  return counts;
}

describe('rotation under load', () => {
  test('with the next key published ahead, the old one withdrawn later: no false refusal', async () => {
    const staged = await warmStage();
    const { as, clock } = staged;
    const counts = await underLoad(staged, async (batch) => {
      for (let i = 0; i < 5; i++) {
        const [current] = as.keys;
        const next = signingKey('ES256', `next-${i}`);
        as.keys = [...(current === undefined ? [] : [current]), next]; // published
        clock.now += FRESH / 2;
        await batch();
        as.keys = [next, ...(current === undefined ? [] : [current])]; // signs
        clock.now += FRESH / 2;
        await batch();
        as.keys = [next]; // the old one is gone
        await batch();
      }
    });
    expect(Object.keys(counts)).toEqual(['200']);
    expect(as.keyFetches).toBeLessThanOrEqual(11);
  }, 30_000);

  test('the key changes at once, the set was fetched half a minute ago: no false refusal', async () => {
    const staged = await warmStage();
    const { as, clock } = staged;
    const counts = await underLoad(staged, async (batch) => {
      for (let i = 0; i < 10; i++) {
        clock.now += COOLDOWN;
        as.keys = [signingKey('ES256', `next-${i}`)];
        await batch();
      }
    });
    expect(Object.keys(counts)).toEqual(['200']);
    expect(as.keyFetches).toBe(10);
  }, 30_000);

  // The keys were fetched for no unknown key, so nobody has used up the one fetch of the cooldown.
  test('the key changes a second after the first fetch: no honest token is called bad', async () => {
    const { as, app, clock, mint } = await warmStage();
    clock.now += 1;
    as.keys = [signingKey('ES256', 'second')];
    expect(
      await tally(
        app,
        many(20, () => mint()),
      ),
    ).toEqual({ 200: 20 });
    expect(as.keyFetches).toBe(1);
  });

  test('the key changes a second after a scheduled refresh: no honest token is called bad', async () => {
    const { as, app, clock, mint } = await warmStage();
    clock.now += FRESH;
    await expectAccepted(app, mint());
    clock.now += 1;
    as.keys = [signingKey('ES256', 'second')];
    expect(
      await tally(
        app,
        many(20, () => mint()),
      ),
    ).toEqual({ 200: 20 });
    expect(as.keyFetches).toBe(2);
  });

  test('of two tokens that miss the new key, the second finds what the first has fetched', async () => {
    const { as, clock } = await stage();
    const source = namedKeys(as.issuer, new URL(as.jwksUri), { fetch, clock, maxAge: 86_400 });
    await keysAtHand(source, 'ES256', 'first');
    clock.now += COOLDOWN;
    as.keys = [signingKey('ES256', 'second')];
    expect([await keysAtHand(source, 'ES256', 'second'), await keysAtHand(source, 'ES256', 'second')]).toEqual([
      [],
      [],
    ]);
    expect(await newerKeys(source, 'ES256', 'second')).toHaveLength(1);
    expect(await newerKeys(source, 'ES256', 'second')).toHaveLength(1);
    expect(as.keyFetches).toBe(2);
  });

  test('a removed key under load: refused from the refresh on, others never', async () => {
    const staged = await warmStage();
    const { as, app, clock, mint } = staged;
    const old = mint({ exp: clock.now + 10 * FRESH });
    const counts = await underLoad(staged, async (batch) => {
      clock.now += COOLDOWN;
      as.keys = [signingKey('ES256', 'second')];
      await batch();
      await expectRefused401(app, old);
    });
    expect(Object.keys(counts)).toEqual(['200']);
  }, 30_000);
});

async function expectRefused401(app: App, token: string): Promise<void> {
  const { status, body } = await app.get(token);
  expect({ status, body }).toEqual({ status: 401, body: { error: 'invalid_token', error_description: SAYS.key } });
}
