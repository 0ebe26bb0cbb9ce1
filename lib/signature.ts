import { compactVerify, errors } from 'jose';
import type { CryptoKey } from 'jose';
import { InvalidTokenError } from './errors.js';
import type { KeySet } from './key-set.js';
import type { KeySource } from './keys.js';

/** The key is unknown to the issuer: also for a `kid` that is no string. */
export const NO_KEY = 'The access token is signed with a key that its issuer does not have';
const BAD_SIGNATURE = 'The access token has a wrong signature';

/**
 * The signature of a compact JWS is by a key of its issuer. RFC 7515 section 5.2. Gives the set that has the key.
 * A key that is not at hand, or that does not fit, may be a new one: the issuer is asked, but not too often.
 *
 * @throws InvalidTokenError when it is not.
 */
export async function checkSignature(
  token: string,
  alg: string,
  kid: string | undefined,
  keys: KeySource,
): Promise<KeySet> {
  const atHand = await keys.current();
  if (await isSignedByAny(await atHand.candidates(alg, kid), token, alg)) return atHand;
  const newer = await keys.newer();
  const candidates = (await newer?.candidates(alg, kid)) ?? [];
  if (newer !== undefined && newer !== atHand && (await isSignedByAny(candidates, token, alg))) return newer;
  throw new InvalidTokenError(candidates.length === 0 ? NO_KEY : BAD_SIGNATURE);
}

async function isSignedByAny(keys: readonly CryptoKey[], token: string, alg: string): Promise<boolean> {
  for (const key of keys) {
    if (await isSignedBy(key, token, alg)) return true;
  }
  return false;
}

/** The signature of a compact JWS, whose header is checked already, is by this key. */
export async function isSignedBy(key: CryptoKey, token: string, alg: string): Promise<boolean> {
  try {
    await compactVerify(token, key, { algorithms: [alg] });
    return true;
  } catch (error) {
    // The only answer that means "bad" now that shape, alg and crit are checked; anything else is a bug of ours.
    if (error instanceof errors.JWSSignatureVerificationFailed) return false;
    throw error;
  }
}
