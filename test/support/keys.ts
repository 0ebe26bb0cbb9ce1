import type { CryptoKey } from 'jose';
import { KeySet } from '../../lib/key-set.js';
import type { KeySource } from '../../lib/keys.js';
import type { SigningKey } from './tokens.js';

type Keys = readonly CryptoKey[];

/** The keys of the set of now that may have signed a token with this `alg` and `kid`. */
export async function keysAtHand(source: KeySource, alg: string, kid: string | undefined): Promise<Keys> {
  return (await source.current()).candidates(alg, kid);
}

/** The same, of a newer set. */
export async function newerKeys(source: KeySource, alg: string, kid: string | undefined): Promise<Keys> {
  return (await source.newer())?.candidates(alg, kid) ?? [];
}

/** A source of this one key, and what it was asked for. */
export function watchedKeys({ jwk }: SigningKey): { readonly source: KeySource; readonly asked: readonly string[] } {
  const set = new KeySet([jwk]);
  const asked: string[] = [];
  const given = set.candidates.bind(set);
  set.candidates = (alg, kid) => {
    asked.push(`${alg} ${kid ?? ''}`);
    return given(alg, kid);
  };
  return { source: { current: () => set, newer: () => Promise.resolve(set) }, asked };
}
