import type { JWK } from 'jose';
import { KeySet } from './key-set.js';
import { LONGEST_FRESH } from './keys.js';
import type { Snapshot } from './kept.js';
import { checkObject } from './options.js';
import type { TrustedServers } from './trusted-servers.js';
import type { Seconds } from './types.js';

/** The fetched keys of all authorization servers, by issuer, as JSON: for a process that starts where another left off. */
export type KeyCache = Readonly<Record<string, CachedKeys>>;

/** The keys of one issuer, when they were fetched, and for how long they count as fresh. */
export interface CachedKeys {
  readonly keys: readonly JWK[];
  readonly fetchedAt: Seconds;
  readonly freshFor: Seconds;
}

/** What all known servers have at hand. */
export function exportKeys(servers: TrustedServers): KeyCache {
  const cache: Record<string, CachedKeys> = {};
  for (const [issuer, { keys }] of servers.known()) {
    const snapshot = keys.kept?.snapshot;
    if (snapshot === undefined) continue;
    const { value, fetchedAt, freshFor } = snapshot;
    cache[issuer] = { keys: value.jwks, fetchedAt, freshFor };
  }
  return cache;
}

/**
 * Takes over what `exportKeys` gave. Whoever can write the cache can mint tokens: keep it where nobody else writes.
 * Issuers that are not trusted, and sets older than ours, are left out; times go on from when the keys were fetched.
 *
 * @throws TypeError for an entry of a trusted issuer without keys or times; whether the keys can be used is not checked.
 */
export function importKeys(servers: TrustedServers, cache: unknown): void {
  checkObject('importKeys', cache);
  const known = [...servers.known()].filter(([issuer]) => Object.hasOwn(cache, issuer));
  // All are checked before the first is taken.
  const taken = known.map(([issuer, { keys }]) => [keys.kept, checkedSnapshot(cache[issuer])] as const);
  for (const [kept, snapshot] of taken) kept?.restore(snapshot);
}

function checkedSnapshot(cached: unknown): Snapshot<KeySet> {
  const { keys, fetchedAt, freshFor } = (cached ?? {}) as Partial<CachedKeys>;
  const value = new KeySet(Array.isArray(keys) ? keys : []);
  if (value.jwks.length === 0 || !isTime(fetchedAt) || !isTime(freshFor)) {
    throw new TypeError('importKeys takes what exportKeys gave, unchanged');
  }
  return { value, fetchedAt, freshFor: Math.min(freshFor, LONGEST_FRESH) };
}

function isTime(value: unknown): value is Seconds {
  return Number.isFinite(value) && (value as number) >= 0;
}
