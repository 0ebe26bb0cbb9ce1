import type { CryptoKey } from 'jose';
import { VerificationUnavailableError } from './errors.js';
import { fetchJson } from './fetch-json.js';
import type { Fetch } from './fetch-json.js';
import { isPublicKey, KeySet } from './key-set.js';
import type { Seconds } from './types.js';

/** Age at which a fetched set is fetched again. */
const MAX_AGE: Seconds = 600;
/** Shortest time between two fetches for keys that the set does not have. */
const COOLDOWN: Seconds = 30;

/**
 * The keys that may have signed a token with this `alg` and `kid`; empty when the authorization server has no such key.
 * Throws `VerificationUnavailableError` when that cannot be found out.
 */
export type KeySource = (alg: string, kid: string | undefined) => Promise<readonly CryptoKey[]>;

/** Keys that were given with the options. */
export function localKeys(jwks: { readonly keys: readonly unknown[] }): KeySource {
  const set = new KeySet(jwks.keys);
  return (alg, kid) => set.candidates(alg, kid);
}

/**
 * Keys fetched from where `locate` says, kept for ten minutes, and fetched anew for an unknown `kid` at most every
 * thirty seconds, whoever sends it. Simultaneous callers share one fetch. RFC 9068 section 4, RFC 7517 section 5.
 */
export function remoteKeys(locate: () => Promise<URL>, fetch: Fetch, clock: () => Seconds): KeySource {
  let current: { readonly set: KeySet; readonly since: Seconds } | undefined;
  let pending: Promise<KeySet> | undefined;

  async function load(): Promise<KeySet> {
    const set = await fetchKeySet(await locate(), fetch);
    current = { set, since: clock() };
    return set;
  }

  function refresh(): Promise<KeySet> {
    pending ??= load().finally(() => {
      pending = undefined;
    });
    return pending;
  }

  /** The set at hand if it is younger than `age`; an age below zero is a clock put back, and counts as old. */
  function younger(age: Seconds): KeySet | undefined {
    if (current === undefined) return undefined;
    const elapsed = clock() - current.since;
    return elapsed >= 0 && elapsed < age ? current.set : undefined;
  }

  return async (alg, kid) => {
    const found = await (younger(MAX_AGE) ?? (await refresh())).candidates(alg, kid);
    if (found.length > 0 || younger(COOLDOWN) !== undefined) return found;
    return (await refresh()).candidates(alg, kid);
  };
}

async function fetchKeySet(url: URL, fetch: Fetch): Promise<KeySet> {
  const what = 'The key set of the authorization server';
  const { keys } = await fetchJson(url, what, ['application/jwk-set+json', 'application/json'], fetch);
  // An empty set, or one of rubbish, is a fault of the server; it does not mean that all its tokens are bad.
  if (!Array.isArray(keys) || !keys.some(isPublicKey))
    throw new VerificationUnavailableError(`${what} has no public key`);
  return new KeySet(keys);
}
