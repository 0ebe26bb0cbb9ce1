import { afterAll, afterEach, beforeAll, describe, expect, jest, test } from '@jest/globals';
import autocannon from 'autocannon';
import type { Request, Result } from 'autocannon';
import { closeAll, COOLDOWN, expectAccepted, FRESH, serve } from '../support/faults.js';
import type { App } from '../support/faults.js';
import { rotatingKey, startRotatingProvider } from '../support/rotating-provider.js';
import type { RotatingProvider } from '../support/rotating-provider.js';
import { signingKey, signJwt, validClaims } from '../support/tokens.js';

const RESOURCE = 'https://api.example.com';
const ROTATIONS = 4;

let provider: RotatingProvider;
let app: App;
/** How far the clock of the app is ahead of the system's: hours of rotation pass in seconds. */
let ahead: number;
/** What the clients of the load send. */
let current: string;

beforeAll(async () => {
  for (const level of ['warn', 'info'] as const) jest.spyOn(console, level).mockImplementation(() => undefined);
  provider = await startRotatingProvider(RESOURCE, [await rotatingKey('key-0')]);
});

afterEach(closeAll);

afterAll(async () => {
  await provider.close();
  jest.restoreAllMocks();
});

async function start(): Promise<void> {
  provider.publish([await rotatingKey('key-0')]);
  ahead = 0;
  app = await serve({ resource: RESOURCE, issuer: provider.issuer, clock: () => Date.now() / 1000 + ahead });
  current = await provider.mint();
  await expectAccepted(app, current);
}

/** Runs `steps` while ten connections send the current token as fast as they are answered. */
async function underLoad(steps: (batch: () => Promise<void>) => Promise<void>): Promise<Result> {
  let finish: (error: unknown, result: Result) => void = () => undefined;
  const finished = new Promise<Result>((resolve, reject) => {
    finish = (error, result) => {
      if (error instanceof Error) reject(error);
      else resolve(result);
    };
  });
  const options = {
    url: app.url,
    connections: 10,
    duration: 60, // stopped when the steps are done
    requests: [
      { setupRequest: (req: Request) => ({ ...req, headers: { ...req.headers, authorization: `Bearer ${current}` } }) },
    ],
  };
  const load = autocannon(options, finish);
  let answered = 0;
  load.on('response', () => answered++);
  const batch = async () => {
    const reached = answered + 100;
    while (answered < reached) await new Promise((resolve) => setTimeout(resolve, 10));
  };
  try {
    await batch(); // the first requests are made before the load runs
    await steps(batch);
  } finally {
    load.stop();
  }
  return finished;
}

function expectOnlyGood(result: Result): void {
  const { non2xx, errors, timeouts, mismatches } = result;
  expect({ non2xx, errors, timeouts, mismatches }).toEqual({ non2xx: 0, errors: 0, timeouts: 0, mismatches: 0 });
  expect(result['2xx']).toBeGreaterThan(100 * ROTATIONS);
}

describe('the real oidc-provider rotates its keys while autocannon sends traffic', () => {
  test('with overlap, published ahead and withdrawn later: no answer but 2xx', async () => {
    await start();
    const fetched = provider.keyFetches;
    let old = await rotatingKey('overlap-0');
    provider.publish([old]);
    ahead += COOLDOWN;
    current = await provider.mint();
    const result = await underLoad(async (batch) => {
      for (let i = 1; i <= ROTATIONS; i++) {
        const next = await rotatingKey(`overlap-${i}`);
        provider.publish([old, next]); // published, not used yet
        ahead += FRESH / 2;
        await batch();
        provider.publish([next, old]); // signs, tokens of the old one are still about
        await batch();
        current = await provider.mint();
        await batch();
        provider.publish([next]); // withdrawn
        ahead += FRESH / 2;
        await batch();
        old = next;
      }
    });
    expectOnlyGood(result);
    expect(provider.keyFetches - fetched).toBeLessThanOrEqual(1 + 2 * ROTATIONS);
  }, 60_000);

  test('hard, the old key withdrawn and the tokens minted anew: no answer but 2xx, one fetch each', async () => {
    await start();
    const fetched = provider.keyFetches;
    const first = current;
    const result = await underLoad(async (batch) => {
      for (let i = 1; i <= ROTATIONS; i++) {
        ahead += COOLDOWN;
        provider.publish([await rotatingKey(`hard-${i}`)]);
        current = await provider.mint();
        await batch();
      }
    });
    expectOnlyGood(result);
    expect(provider.keyFetches - fetched).toBe(ROTATIONS);
    // The twin: what the withdrawn key signed is refused.
    expect(await app.get(first)).toMatchObject({ status: 401, body: { error: 'invalid_token' } });
    await expectAccepted(app, current);
  }, 60_000);

  test('hard, with invented key ids among the traffic: those are 401, the honest ones 2xx', async () => {
    await start();
    const forger = signingKey('ES256', 'forged');
    const forged: number[] = [];
    const result = await underLoad(async (batch) => {
      for (let i = 1; i <= ROTATIONS; i++) {
        ahead += COOLDOWN;
        provider.publish([await rotatingKey(`flood-${i}`)]);
        current = await provider.mint();
        await batch();
        for (let j = 0; j < 10; j++) {
          const header = { typ: 'at+jwt', alg: 'ES256', kid: `invented-${i}-${j}` };
          const claims = validClaims(provider.issuer, RESOURCE, Math.floor(Date.now() / 1000 + ahead));
          forged.push((await app.get(signJwt(header, claims, forger))).status);
        }
        await batch();
      }
    });
    expectOnlyGood(result);
    expect(forged).toEqual(Array.from({ length: 10 * ROTATIONS }, () => 401));
  }, 60_000);
});
