import { isDeepStrictEqual } from 'node:util';
import { tell } from './diagnostics.js';
import { discover, placeIn } from './discovery.js';
import type { Metadata, Place } from './discovery.js';
import { VerificationUnavailableError } from './errors.js';
import { fetchJson, UnusableAnswerError } from './fetch-json.js';
import type { Fetch } from './fetch-json.js';
import { Kept } from './kept.js';
import type { Fetched, KeptEvent } from './kept.js';
import { KeySet } from './key-set.js';
import type { Seconds } from './types.js';

/** How long a document counts as fresh when its server does not say, and the limits for when it does. */
const FRESH: Seconds = 600;
const SHORTEST_FRESH: Seconds = 60;
/** So long at most does a withdrawn key go unnoticed, whatever the server's `Cache-Control` says. */
export const LONGEST_FRESH: Seconds = 3600;
/** Shortest time between two fetches for keys that the set does not have. */
const COOLDOWN: Seconds = 30;
/** A set that is younger was fetched for this very token. */
const JUST_NOW: Seconds = 1;

/** The keys of one authorization server. All throw `VerificationUnavailableError` when they cannot find out. */
export interface KeySource {
  /** The set of now. As long as its keys stay the same it is the same object. */
  readonly current: () => KeySet | Promise<KeySet>;
  /** A newer set, for a token that no key at hand explains; the one at hand when it is too early to ask again. */
  readonly newer: () => Promise<KeySet | undefined>;
  /** The fetched set; undefined where it came with the options. */
  readonly kept?: Kept<KeySet>;
}

/** What fetching needs of the configuration. */
export interface Outside {
  readonly fetch: Fetch;
  readonly clock: () => Seconds;
  /** Longest use of a document that cannot be refreshed. */
  readonly maxAge: Seconds;
}

/** Keys that were given with the options: nothing is fetched, and there are no newer ones. */
export function localKeys(jwks: readonly unknown[]): KeySource {
  const set = new KeySet(jwks);
  return { current: () => set, newer: () => Promise.resolve(set) };
}

/** Keys at a place that the options name. */
export function namedKeys(issuer: string, jwksUri: URL, outside: Outside): KeySource {
  return remoteKeys(issuer, () => fetchKeySet(jwksUri, outside.fetch), outside);
}

/** The metadata of an issuer, kept and refreshed: the places that are wanted of it. */
export function keptMetadata(issuer: string, wanted: readonly Place[], outside: Outside): Kept<Metadata> {
  const { fetch, clock, maxAge } = outside;
  const load = async () => asKept(await discover(issuer, wanted, fetch));
  return new Kept<Metadata>(load, clock, maxAge, reporter('metadata', issuer));
}

/** Keys at the place that the metadata of the issuer names. They are kept and refreshed apart from it. */
export function discoveredKeys(issuer: string, metadata: Kept<Metadata>, outside: Outside): KeySource {
  const { fetch } = outside;
  const loadKeys = async () => {
    const jwksUri = placeIn(await metadata.get(), 'jwks_uri');
    try {
      return await fetchKeySet(jwksUri, fetch);
    } catch (error) {
      // A silent host of the issuer has nothing to say at its other places either.
      const isSilent = !(error instanceof UnusableAnswerError) && jwksUri.host === new URL(issuer).host;
      if (isSilent || !(error instanceof VerificationUnavailableError)) throw error;
      // The place may have changed before the time of the metadata was over.
      const moved = (await metadata.refresh().catch(() => undefined))?.jwks_uri;
      if (moved === undefined || moved.href === jwksUri.href) throw error;
      return fetchKeySet(moved, fetch);
    }
  };
  return remoteKeys(issuer, loadKeys, outside);
}

function remoteKeys(issuer: string, load: () => Promise<Fetched<KeySet>>, { clock, maxAge }: Outside): KeySource {
  const loadUnlessSame = async () => {
    const { value, freshFor } = await load();
    const before = kept.snapshot?.value;
    // Tokens that were verified with a key of the set stay verified for as long as the set is the same object.
    return { value: before !== undefined && isDeepStrictEqual(before.jwks, value.jwks) ? before : value, freshFor };
  };
  const kept = new Kept<KeySet>(loadUnlessSame, clock, maxAge, reporter('keys', issuer));
  /** When the set was last fetched for a key that it did not have. */
  let lookedFor: Seconds = -Infinity;
  return {
    kept,
    current: () => kept.get(),
    newer: async () => {
      // One such fetch in a cooldown, whoever asks: forged key ids cost the authorization server no more than an honest one.
      const now = clock();
      const isTooEarly = kept.age() < JUST_NOW || (now >= lookedFor && now - lookedFor < COOLDOWN);
      // Not always the set that current() gave: another token may have brought a newer one meanwhile.
      if (isTooEarly) return kept.snapshot?.value;
      const set = await kept.refresh();
      lookedFor = now; // a failure has a pause of its own
      return set;
    },
  };
}

function reporter(document: 'keys' | 'metadata', issuer: string) {
  return (event: KeptEvent, error?: unknown): void => {
    const reason = error instanceof VerificationUnavailableError ? error.reason : undefined;
    tell(() => ({ type: 'document', document, issuer, event, reason }));
  };
}

/**
 * A set is looked at before it takes the place of the old one: an empty one, or one of rubbish, is a fault of the server;
 * it is no rotation, and does not mean that all its tokens are bad.
 */
async function fetchKeySet(url: URL, fetch: Fetch): Promise<Fetched<KeySet>> {
  const what = 'The key set of the authorization server';
  const { document, maxAge } = await fetchJson(url, what, ['application/jwk-set+json', 'application/json'], fetch);
  const { keys } = document;
  const set = new KeySet(Array.isArray(keys) ? keys : []);
  if (!(await set.isUsable())) throw new UnusableAnswerError(`${what} has no public key that verifies signatures`);
  return asKept({ value: set, maxAge });
}

function asKept<T>({ value, maxAge = FRESH }: { value: T; maxAge?: Seconds | undefined }): Fetched<T> {
  return { value, freshFor: Math.min(Math.max(maxAge, SHORTEST_FRESH), LONGEST_FRESH) };
}
