import { afterEach, describe, expect, test } from '@jest/globals';
import { configure } from '../../lib/configuration.js';
import type { Fetch } from '../../lib/fetch-json.js';
import { movableClock } from '../support/clock.js';
import { closeAll, TIMEOUT } from '../support/faults.js';
import { asked, clientAuthentication, introspectionStage, many } from '../support/introspection-stage.js';
import { countRefused, heapInUse } from '../support/memory.js';

afterEach(closeAll);

/** What may be left over, whatever has gone through: 30,000 tokens with their answers would be four times as much. */
const BOUND = 8 * 1024 * 1024;
/** Of the process as the machine sees it, which takes from it in large pieces and gives back late. */
const RSS_BOUND = 150 * 1024 * 1024;
/** The code says so, too. */
const MAX_BAD = 10_000;
/** An option; ten thousand by default. */
const MAX_GOOD = 2_000;
/** As many bad tokens. `npm run memory` sends 200,000. */
const FLOOD = Number(process.env['MEMORY_TOKENS'] ?? 50_000);

/** A verifier, and the server that it asks, in this process: tokens that begin with `good` are active. */
function bench() {
  const clock = movableClock();
  const questions = { good: 0, bad: 0 };
  const fetch: Fetch = (_url, init) => {
    const token = new URLSearchParams(init?.body as string).get('token') ?? '';
    const active = token.startsWith('good');
    questions[active ? 'good' : 'bad']++;
    return Promise.resolve(Response.json(active ? typicalAnswer(token, clock.now) : { active }));
  };
  const { verify } = configure({
    ...{ resource: 'https://api.example.com', issuer: 'https://as.example.com', clock, fetch },
    introspection: { clientAuthentication, endpoint: 'https://as.example.com/introspect' },
    maxCachedTokens: MAX_GOOD,
  });
  /** Verifies the bad tokens from one number to another. Gives how many were refused. */
  const flood = (from: number, to: number) => countRefused(verify, badToken, from, to);
  return { verify, questions, flood };
}

function badToken(i: number): string {
  return `bad-${i}-${'x'.repeat(100)}`;
}

function goodToken(i: number): string {
  return `good-${i}-${'x'.repeat(100)}`;
}

/** What servers say of a token of a person. */
function typicalAnswer(jti: string, now: number) {
  return {
    active: true,
    iss: 'https://as.example.com',
    sub: '5f0c8a1e-6a47-4d0e-9c0b-0d6c6f1f6a11',
    aud: ['https://api.example.com', 'https://other.example.com'],
    client_id: 'pictures-editor',
    username: 'alice@example.com',
    scope: 'openid profile pictures:read pictures:write',
    token_type: 'Bearer',
    iat: now,
    nbf: now,
    exp: now + 3600,
    jti: jti.slice(0, 36),
  };
}

/** How much more is in use than before, once it is little enough; at last after the longest time that a question may take. */
async function leftOver(before: number, enough: number): Promise<number> {
  const end = performance.now() + TIMEOUT + 2_000;
  for (;;) {
    const left = (await heapInUse()) - before;
    if (left < enough || performance.now() > end) return left;
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}

test('good tokens are remembered up to their number, at less than 2.5 kB each, and no more of them', async () => {
  const { verify, questions, flood } = bench();
  await flood(0, 200); // what is allocated once
  const before = await heapInUse();
  for (let i = 0; i < MAX_GOOD; i++) await verify(goodToken(i));
  const each = (await leftOver(before, 2_500 * MAX_GOOD)) / MAX_GOOD;
  expect(each).toBeGreaterThan(100); // the control: they are there
  expect(each).toBeLessThan(2_500);
  for (let i = 0; i < MAX_GOOD; i++) await verify(goodToken(i));
  expect(questions.good).toBe(MAX_GOOD);
  const full = await heapInUse();
  for (let i = MAX_GOOD; i < 3 * MAX_GOOD; i++) await verify(goodToken(i));
  expect(await leftOver(full, BOUND)).toBeLessThan(BOUND);
  expect(questions.good).toBe(3 * MAX_GOOD);
}, 60_000);

describe(`${FLOOD} distinct bad tokens`, () => {
  test('leave nothing behind, and do not touch the good ones', async () => {
    const { verify, questions, flood } = bench();
    const good = many(100, goodToken);
    for (const token of good) await verify(token);
    expect(await flood(0, 2 * MAX_BAD)).toBe(2 * MAX_BAD);
    const before = await heapInUse();
    const { rss } = process.memoryUsage();
    expect(await flood(2 * MAX_BAD, FLOOD)).toBe(FLOOD - 2 * MAX_BAD);
    expect(await leftOver(before, BOUND)).toBeLessThan(BOUND);
    expect(process.memoryUsage().rss - rss).toBeLessThan(RSS_BOUND);
    for (const token of good) expect(await verify(token)).toMatchObject({ clientId: 'pictures-editor' });
    expect(questions).toEqual({ good: 100, bad: FLOOD });
    // The last of the bad ones are remembered, so many as there is room for, and no others.
    await flood(FLOOD - MAX_BAD, FLOOD);
    expect(questions.bad).toBe(FLOOD);
    await flood(FLOOD - MAX_BAD - 100, FLOOD - MAX_BAD);
    expect(questions.bad).toBe(FLOOD + 100);
  }, 300_000);

  test('through a real app, 2,000 of them', async () => {
    const { as, app, issue } = await introspectionStage();
    const good = many(100, () => issue());
    for (const token of good) expect((await app.get(token)).status).toBe(200);
    const send = async (from: number, to: number) => {
      for (let i = from; i < to; i += 20) {
        const seen = await Promise.all(many(20, (j) => badToken(i + j)).map((token) => app.get(token)));
        expect(new Set(seen.map(({ status }) => status))).toEqual(new Set([401]));
        as.questions.splice(0); // the log of the test is not what is measured
      }
    };
    await send(0, 400);
    const before = await heapInUse();
    await send(400, 2000);
    expect(await leftOver(before, BOUND)).toBeLessThan(BOUND);
    expect(asked(as)).toBe(2100);
    for (const token of good) expect((await app.get(token)).status).toBe(200);
    expect(asked(as)).toBe(2100);
  }, 60_000);
});

test('a question leaves nothing behind as soon as it is answered, and not only when its five seconds are over', async () => {
  const { flood } = bench();
  await flood(0, 12_000); // as many as are remembered, and more
  const before = await heapInUse();
  await flood(12_000, 17_000);
  expect((await heapInUse()) - before).toBeLessThan(BOUND);
}, 60_000);
