import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { configure } from '../../lib/configuration.js';
import type { ResourceServerOptions } from '../../lib/index.js';
import { TestAuthorizationServer } from '../support/authorization-server.js';
import { movableClock } from '../support/clock.js';
import type { Clock } from '../support/clock.js';
import { closeAll, closing, COOLDOWN, GET_KEYS, GET_METADATA, serve, unsigned } from '../support/faults.js';
import { countRefused, heapInUse } from '../support/memory.js';

/** What may be left over, whatever has gone through: 200,000 tokens of 500 bytes would be a hundred times as much. */
const BOUND = 8 * 1024 * 1024;

let as: TestAuthorizationServer;
let clock: Clock;

beforeEach(async () => {
  as = closing(await TestAuthorizationServer.start());
  clock = movableClock();
});

afterEach(closeAll);

function verifierOf(options: Partial<ResourceServerOptions>) {
  return configure({ resource: as.resource, clock, ...options });
}

/** Sends `count` tokens through the verifier in batches; every one must be refused. Gives what is left over on the heap. */
async function leftOver(verify: (token: string) => unknown, count: number, token: (i: number) => string) {
  const warmUp = Math.floor(count / 20); // what is allocated once, and code that is compiled
  const first = await countRefused(verify, token, 0, warmUp);
  const before = await heapInUse();
  const rest = await countRefused(verify, token, warmUp, count);
  const left = (await heapInUse()) - before;
  expect(first + rest).toBe(count);
  return left;
}

describe('memory is flat', () => {
  test('under 200,000 distinct invalid tokens, at one fetch in the cooldown', async () => {
    const { verify } = verifierOf({ issuer: as.issuer });
    await verify(as.mint());
    const bad = (i: number) =>
      [
        () => unsigned(as, clock.now, { kid: `invented-${i}` }),
        () => unsigned(as, clock.now, { kid: 'first' }, { exp: i }),
        () => unsigned(as, clock.now, { kid: 'first' }, { aud: `https://aud-${i}.example` }),
        () => unsigned(as, clock.now, { kid: 'first', typ: `typ-${i}` }),
        () => unsigned(as, clock.now, { kid: `no-alg-${i}`, alg: `alg-${i}` }),
        () => `rubbish-${i}`,
      ][i % 6]?.() ?? '';
    expect(await leftOver(verify, 180_000, bad)).toBeLessThan(BOUND);
    // The other tenth has a known key and a wrong signature, so that each costs a signature check.
    const forged = (i: number) => unsigned(as, clock.now, { kid: 'first' }, { jti: `forged-${i}` });
    expect(await leftOver(verify, 20_000, forged)).toBeLessThan(BOUND);
    expect(as.log).toEqual([GET_METADATA, GET_KEYS]);
    clock.now += COOLDOWN;
    expect(await leftOver(verify, 1000, (i) => unsigned(as, clock.now, { kid: `again-${i}` }))).toBeLessThan(BOUND);
    expect(as.keyFetches).toBe(2);
    expect(await verify(as.mint())).toMatchObject({ clientId: 'editor' });
  }, 60_000);

  test('under 100,000 invented issuers, with no call to any server; the known tenant keeps its keys', async () => {
    let asked = 0;
    const { verify, servers } = verifierOf({
      authorizationServers: (issuer) => {
        asked++;
        return issuer === as.issuer ? { issuer } : undefined;
      },
    });
    await verify(as.mint());
    const invented = (i: number) => unsigned(as, clock.now, { kid: 'x' }, { iss: `${as.origin}/invented/${i}` });
    expect(await leftOver(verify, 100_000, invented)).toBeLessThan(BOUND);
    expect(asked).toBe(100_001);
    expect(as.log).toEqual([GET_METADATA, GET_KEYS]);
    expect([...servers.known()].map(([issuer]) => issuer)).toEqual([as.issuer]);
    expect(await verify(as.mint())).toMatchObject({ clientId: 'editor' });
    expect(asked).toBe(100_001);
    expect(as.log).toHaveLength(2);
  }, 60_000);

  test('under 20,000 issuers that the function answers for: ten thousand are remembered', async () => {
    const { verify, servers } = verifierOf({ authorizationServers: (issuer) => ({ issuer }) });
    const token = (i: number) => unsigned(as, clock.now, { kid: 'x' }, { iss: `${as.origin}/t/${i}`, exp: 1 });
    await leftOver(verify, 10_000, token); // as many as there is room for
    expect(await leftOver(verify, 10_000, (i) => token(10_000 + i))).toBeLessThan(BOUND);
    expect([...servers.known()]).toHaveLength(10_000);
    expect(as.log).toEqual([]);
  }, 60_000);

  test('in a real app, 2,000 of them', async () => {
    const app = await serve({ resource: as.resource, issuer: as.issuer, clock });
    expect((await app.get(as.mint())).status).toBe(200);
    const send = async (from: number, to: number) => {
      for (let i = from; i < to; i += 20) {
        const seen = await Promise.all(
          Array.from({ length: 20 }, (_, j) => app.get(unsigned(as, clock.now, { kid: `invented-${i + j}` }))),
        );
        expect(new Set(seen.map(({ status }) => status))).toEqual(new Set([401]));
      }
    };
    await send(0, 400);
    const before = await heapInUse();
    await send(400, 2000);
    expect((await heapInUse()) - before).toBeLessThan(BOUND);
    expect(as.log).toEqual([GET_METADATA, GET_KEYS]);
    expect((await app.get(as.mint())).status).toBe(200);
  }, 60_000);
});
