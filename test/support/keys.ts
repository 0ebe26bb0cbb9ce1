import type { CryptoKey } from 'jose';
import type { KeySource } from '../../lib/keys.js';

type Keys = readonly CryptoKey[];

/** The keys of the set of now that may have signed a token with this `alg` and `kid`. */
export async function keysAtHand(source: KeySource, alg: string, kid: string | undefined): Promise<Keys> {
  return (await source.current()).candidates(alg, kid);
}

/** The same, of a newer set. */
export async function newerKeys(source: KeySource, alg: string, kid: string | undefined): Promise<Keys> {
  return (await source.newer())?.candidates(alg, kid) ?? [];
}
