import { describe, expect, test } from '@jest/globals';
import { VerificationUnavailableError } from '../../lib/errors.js';
import { localKeys, remoteKeys } from '../../lib/keys.js';
import { movableClock } from '../support/clock.js';
import { signingKey } from '../support/tokens.js';

const URL_OF_KEYS = new URL('https://as.example.com/jwks');

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
  return { server, clock, source: remoteKeys(() => Promise.resolve(URL_OF_KEYS), fetch, clock) };
}

describe('remote keys', () => {
  test('7515-6-1 a hundred simultaneous callers share one fetch, and all get the key', async () => {
    const { server, source } = bench();
    const found = await Promise.all(Array.from({ length: 100 }, () => source('ES256', 'first')));
    expect(server.fetches).toBe(1);
    expect(found.map((keys) => keys.length)).toEqual(Array.from({ length: 100 }, () => 1));
    expect(new Set(found.map(([key]) => key)).size).toBe(1);
  });

  test('7515-6-1 nothing is fetched before the first question', async () => {
    const { server, source } = bench();
    expect(server.fetches).toBe(0);
    await expect(source('ES256', 'first')).resolves.toHaveLength(1);
    expect(server.fetches).toBe(1);
  });

  test('7515-6-1 unknown kids cause one fetch in thirty seconds, and known ones none', async () => {
    const { server, clock, source } = bench();
    await source('ES256', 'first');
    for (const at of [0, 10, 19.9]) {
      clock.now = 1_000_000 + at;
      await expect(source('ES256', `unknown-${at}`)).resolves.toEqual([]);
    }
    expect(server.fetches).toBe(1);
    clock.now = 1_000_030;
    await Promise.all(['x', 'y', 'z'].map((kid) => source('ES256', kid)));
    expect(server.fetches).toBe(2);
    await expect(source('ES256', 'first')).resolves.toHaveLength(1);
    expect(server.fetches).toBe(2);
  });

  test('9068-5-1 a new key is found by the first token that names it after the cooldown', async () => {
    const { server, clock, source } = bench();
    await source('ES256', 'first');
    server.keys = [signingKey('ES256', 'second')];
    clock.now += 30;
    await expect(source('ES256', 'second')).resolves.toHaveLength(1);
    await expect(source('ES256', 'first')).resolves.toEqual([]);
    expect(server.fetches).toBe(2);
  });

  test('9068-5-1 the set is fetched again when it is ten minutes old, and not before', async () => {
    const { server, clock, source } = bench();
    await source('ES256', 'first');
    clock.now += 599;
    await source('ES256', 'first');
    expect(server.fetches).toBe(1);
    clock.now += 1;
    await source('ES256', 'first');
    expect(server.fetches).toBe(2);
  });

  test('9068-5-1 a clock put back makes the set old, and does not freeze it', async () => {
    const { server, clock, source } = bench();
    await source('ES256', 'first');
    clock.now -= 86_400;
    server.keys = [signingKey('ES256', 'second')];
    await expect(source('ES256', 'second')).resolves.toHaveLength(1);
    expect(server.fetches).toBe(2);
    await source('ES256', 'second');
    expect(server.fetches).toBe(2);
  });

  test('a failed fetch is not remembered: the first question afterwards finds the key', async () => {
    const { server, source } = bench();
    server.down = true;
    await expect(source('ES256', 'first')).rejects.toThrow(VerificationUnavailableError);
    await expect(source('ES256', 'first')).rejects.toThrow(VerificationUnavailableError);
    server.down = false;
    await expect(source('ES256', 'first')).resolves.toHaveLength(1);
    expect(server.fetches).toBe(3);
  });

  test('simultaneous callers share the failure of one fetch', async () => {
    const { server, source } = bench();
    server.down = true;
    const settled = await Promise.allSettled(Array.from({ length: 10 }, () => source('ES256', 'first')));
    expect(settled.map(({ status }) => status)).toEqual(Array.from({ length: 10 }, () => 'rejected'));
    expect(server.fetches).toBe(1);
  });

  test('an outage does not touch keys that are known, for as long as they are young', async () => {
    const { server, clock, source } = bench();
    await source('ES256', 'first');
    server.down = true;
    clock.now += 599;
    await expect(source('ES256', 'first')).resolves.toHaveLength(1);
    await expect(source('ES256', 'unknown')).rejects.toThrow(VerificationUnavailableError);
    await expect(source('ES256', 'first')).resolves.toHaveLength(1);
  });

  test('a known kid does not wait for the fetch that an unknown one caused', async () => {
    const { server, clock, source } = bench();
    await source('ES256', 'first');
    clock.now += 60;
    let release: () => void = () => undefined;
    server.held = new Promise((resolve) => (release = resolve));
    const unknown = source('ES256', 'unknown');
    await expect(source('ES256', 'first')).resolves.toHaveLength(1);
    release();
    await expect(unknown).resolves.toEqual([]);
    expect(server.fetches).toBe(2);
  });

  test('where the keys are is asked anew at every fetch, so that a moved key set is found', async () => {
    const clock = movableClock();
    const asked: string[] = [];
    let place = 'https://as.example.com/a';
    const fetch: typeof globalThis.fetch = (input) => {
      asked.push(String(input instanceof Request ? input.url : input));
      return Promise.resolve(Response.json({ keys: [signingKey('ES256', 'first').jwk] }));
    };
    const source = remoteKeys(() => Promise.resolve(new URL(place)), fetch, clock);
    await source('ES256', 'first');
    place = 'https://as.example.com/b';
    clock.now += 600;
    await source('ES256', 'first');
    expect(asked).toEqual(['https://as.example.com/a', 'https://as.example.com/b']);
  });
});

describe('local keys', () => {
  test('keys that were given need no fetch, and an unknown kid finds nothing', async () => {
    const source = localKeys({ keys: [signingKey('ES256', 'first').jwk] });
    await expect(source('ES256', 'first')).resolves.toHaveLength(1);
    await expect(source('ES256', undefined)).resolves.toHaveLength(1);
    await expect(source('ES256', 'other')).resolves.toEqual([]);
    await expect(source('RS256', 'first')).resolves.toEqual([]);
  });
});
