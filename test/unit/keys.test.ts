import { describe, expect, test } from '@jest/globals';
import { VerificationUnavailableError } from '../../lib/errors.js';
import { discoveredKeys, keptMetadata, localKeys, namedKeys } from '../../lib/keys.js';
import type { KeySource } from '../../lib/keys.js';
import { movableClock } from '../support/clock.js';
import { keysAtHand, newerKeys } from '../support/keys.js';
import { signingKey } from '../support/tokens.js';

const ISSUER = 'https://as.example.com';
const URL_OF_KEYS = new URL('https://as.example.com/jwks');
const MAX_AGE = 86_400;

/** As for a token: first what is at hand, then what is newer. */
async function lookUp(source: KeySource, kid: string) {
  const atHand = await keysAtHand(source, 'ES256', kid);
  return atHand.length > 0 ? atHand : newerKeys(source, 'ES256', kid);
}

/** A key source over a scripted fetch; `answer` is what the server says at the time. */
function bench() {
  const clock = movableClock(1_000_000);
  const keys = [signingKey('ES256', 'first')];
  const server = {
    clock,
    keys,
    fetches: 0,
    down: false,
    held: undefined as Promise<void> | undefined,
  };
  const fetch: typeof globalThis.fetch = async () => {
    server.fetches++;
    await server.held;
    if (server.down) throw new TypeError('fetch failed');
    return Response.json({ keys: server.keys.map((key) => key.jwk) });
  };
  return { server, clock, source: namedKeys(ISSUER, URL_OF_KEYS, { fetch, clock, maxAge: MAX_AGE }) };
}

describe('keys at a named place', () => {
  test('7515-6-1 a hundred simultaneous callers share one fetch, and all get the key', async () => {
    const { server, source } = bench();
    const found = await Promise.all(Array.from({ length: 100 }, () => keysAtHand(source, 'ES256', 'first')));
    expect(server.fetches).toBe(1);
    expect(found.map((keys) => keys.length)).toEqual(Array.from({ length: 100 }, () => 1));
    expect(new Set(found.map(([key]) => key)).size).toBe(1);
  });

  test('7515-6-1 nothing is fetched before the first question', async () => {
    const { server, source } = bench();
    expect(server.fetches).toBe(0);
    await expect(keysAtHand(source, 'ES256', 'first')).resolves.toHaveLength(1);
    expect(server.fetches).toBe(1);
  });

  test('7515-6-1 unknown kids cause one fetch in thirty seconds, and known ones none', async () => {
    const { server, clock, source } = bench();
    await keysAtHand(source, 'ES256', 'first');
    for (const at of [0, 0.9]) {
      clock.now = 1_000_000 + at;
      await expect(lookUp(source, `unknown-${at}`)).resolves.toEqual([]);
    }
    expect(server.fetches).toBe(1); // the set was fetched a moment ago
    for (const at of [10, 10, 20, 39.9]) {
      clock.now = 1_000_000 + at;
      await expect(lookUp(source, `unknown-${at}`)).resolves.toEqual([]);
    }
    expect(server.fetches).toBe(2);
    clock.now = 1_000_040;
    await Promise.all(['x', 'y', 'z'].map((kid) => lookUp(source, kid)));
    expect(server.fetches).toBe(3);
    await expect(keysAtHand(source, 'ES256', 'first')).resolves.toHaveLength(1);
    expect(server.fetches).toBe(3);
  });

  test('9068-5-1 a new key is found by the first token that names it, outside of the cooldown', async () => {
    const { server, clock, source } = bench();
    await keysAtHand(source, 'ES256', 'first');
    server.keys = [signingKey('ES256', 'second')];
    clock.now += 30;
    await expect(lookUp(source, 'second')).resolves.toHaveLength(1);
    await expect(lookUp(source, 'first')).resolves.toEqual([]);
    expect(server.fetches).toBe(2);
    server.keys = [signingKey('ES256', 'third')];
    clock.now += 29;
    await expect(lookUp(source, 'third')).resolves.toEqual([]);
    clock.now += 1;
    await expect(lookUp(source, 'third')).resolves.toHaveLength(1);
    expect(server.fetches).toBe(3);
  });

  test('9068-5-1 the set is fetched again when it is five minutes old, and nobody waits for that', async () => {
    const { server, clock, source } = bench();
    await keysAtHand(source, 'ES256', 'first');
    clock.now += 299;
    await keysAtHand(source, 'ES256', 'first');
    expect(server.fetches).toBe(1);
    clock.now += 1;
    let release: () => void = () => undefined;
    server.held = new Promise((resolve) => (release = resolve));
    server.keys = [signingKey('ES256', 'second')];
    await expect(keysAtHand(source, 'ES256', 'first')).resolves.toHaveLength(1);
    expect(server.fetches).toBe(2);
    release();
    await source.kept?.refresh();
    await expect(keysAtHand(source, 'ES256', 'first')).resolves.toEqual([]);
    await expect(keysAtHand(source, 'ES256', 'second')).resolves.toHaveLength(1);
    expect(server.fetches).toBe(2);
  });

  test('9068-5-1 after ten minutes in which nobody asked, a key that was withdrawn does not serve once more', async () => {
    const { server, clock, source } = bench();
    await keysAtHand(source, 'ES256', 'first');
    server.keys = [signingKey('ES256', 'second')];
    clock.now += 600;
    await expect(keysAtHand(source, 'ES256', 'first')).resolves.toEqual([]);
    expect(server.fetches).toBe(2);
  });

  test('9068-5-1 a clock put back makes the set old, and does not freeze it', async () => {
    const { server, clock, source } = bench();
    await keysAtHand(source, 'ES256', 'first');
    clock.now -= 86_400;
    server.keys = [signingKey('ES256', 'second')];
    await expect(keysAtHand(source, 'ES256', 'second')).resolves.toHaveLength(1);
    expect(server.fetches).toBe(2);
    await keysAtHand(source, 'ES256', 'second');
    expect(server.fetches).toBe(2);
  });

  test('a failed fetch is remembered for a second: the first question after that finds the key', async () => {
    const { server, clock, source } = bench();
    server.down = true;
    await expect(keysAtHand(source, 'ES256', 'first')).rejects.toThrow(VerificationUnavailableError);
    server.down = false;
    await expect(keysAtHand(source, 'ES256', 'first')).rejects.toThrow(VerificationUnavailableError);
    await expect(newerKeys(source, 'ES256', 'first')).rejects.toThrow(VerificationUnavailableError);
    expect(server.fetches).toBe(1);
    clock.now += 1;
    await expect(keysAtHand(source, 'ES256', 'first')).resolves.toHaveLength(1);
    expect(server.fetches).toBe(2);
  });

  test('simultaneous callers share the failure of one fetch', async () => {
    const { server, source } = bench();
    server.down = true;
    const settled = await Promise.allSettled(Array.from({ length: 10 }, () => keysAtHand(source, 'ES256', 'first')));
    expect(settled.map(({ status }) => status)).toEqual(Array.from({ length: 10 }, () => 'rejected'));
    expect(server.fetches).toBe(1);
  });

  test('an outage does not touch keys that are known, until they are a day old', async () => {
    const { server, clock, source } = bench();
    await keysAtHand(source, 'ES256', 'first');
    server.down = true;
    for (const age of [599, 600, 3600, MAX_AGE - 1]) {
      clock.now = 1_000_000 + age;
      await expect(keysAtHand(source, 'ES256', 'first')).resolves.toHaveLength(1);
      await expect(lookUp(source, 'unknown')).rejects.toThrow(VerificationUnavailableError);
      await expect(keysAtHand(source, 'ES256', 'first')).resolves.toHaveLength(1);
    }
    clock.now = 1_000_000 + MAX_AGE;
    await expect(keysAtHand(source, 'ES256', 'first')).rejects.toThrow(VerificationUnavailableError);
  });

  test('a known kid does not wait for the fetch that an unknown one caused', async () => {
    const { server, clock, source } = bench();
    await keysAtHand(source, 'ES256', 'first');
    clock.now += 60;
    let release: () => void = () => undefined;
    server.held = new Promise((resolve) => (release = resolve));
    const unknown = lookUp(source, 'unknown');
    await expect(keysAtHand(source, 'ES256', 'first')).resolves.toHaveLength(1);
    release();
    await expect(unknown).resolves.toEqual([]);
    expect(server.fetches).toBe(2);
  });
});

describe('keys at the place that the metadata names', () => {
  const METADATA = `${ISSUER}/.well-known/oauth-authorization-server`;

  /** A server whose key set moves: `place` is where it is now, and the old place has nothing. */
  function moving() {
    const clock = movableClock();
    const server = { place: `${ISSUER}/a`, asked: [] as string[], keys: [signingKey('ES256', 'first')] };
    const fetch: typeof globalThis.fetch = (input) => {
      const url = String(input instanceof Request ? input.url : input);
      server.asked.push(url);
      if (url === METADATA) return Promise.resolve(Response.json({ issuer: ISSUER, jwks_uri: server.place }));
      if (url !== server.place) return Promise.resolve(new Response(null, { status: 404 }));
      return Promise.resolve(Response.json({ keys: server.keys.map((key) => key.jwk) }));
    };
    const outside = { fetch, clock, maxAge: MAX_AGE };
    return { server, clock, source: discoveredKeys(ISSUER, keptMetadata(ISSUER, ['jwks_uri'], outside), outside) };
  }

  test('where the keys are is asked anew when it is old, so that a moved key set is found', async () => {
    const { server, clock, source } = moving();
    await keysAtHand(source, 'ES256', 'first');
    server.place = `${ISSUER}/b`;
    clock.now += 600;
    await expect(keysAtHand(source, 'ES256', 'first')).resolves.toHaveLength(1);
    expect(server.asked).toEqual([METADATA, `${ISSUER}/a`, METADATA, `${ISSUER}/b`]);
  });

  test('where the keys are is asked anew, too, when they are not at their place any more', async () => {
    const { server, clock, source } = moving();
    await keysAtHand(source, 'ES256', 'first');
    server.place = `${ISSUER}/b`;
    server.keys = [signingKey('ES256', 'second')];
    clock.now += 30;
    await expect(lookUp(source, 'second')).resolves.toHaveLength(1);
    expect(server.asked).toEqual([METADATA, `${ISSUER}/a`, `${ISSUER}/a`, METADATA, `${ISSUER}/b`]);
  });
});

describe('local keys', () => {
  test('keys that were given need no fetch, and an unknown kid finds nothing', async () => {
    const source = localKeys([signingKey('ES256', 'first').jwk]);
    for (const find of [keysAtHand, newerKeys]) {
      await expect(find(source, 'ES256', 'first')).resolves.toHaveLength(1);
      await expect(find(source, 'ES256', undefined)).resolves.toHaveLength(1);
      await expect(find(source, 'ES256', 'other')).resolves.toEqual([]);
      await expect(find(source, 'RS256', 'first')).resolves.toEqual([]);
    }
  });
});
