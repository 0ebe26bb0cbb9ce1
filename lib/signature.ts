import type { webcrypto } from 'node:crypto';
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
  const current = keys.current();
  const atHand = current instanceof Promise ? await current : current;
  const found = atHand.candidates(alg, kid);
  if (await isSignedByAny(found instanceof Promise ? await found : found, token, alg)) return atHand;
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

/**
 * The signature of a compact JWS, whose shape and header are checked already, is by this key. By Web Crypto itself: jose would
 * read the header a second time and the payload once more, about a fifth of what a new token costs.
 */
export async function isSignedBy(key: CryptoKey, token: string, alg: string): Promise<boolean> {
  const end = token.lastIndexOf('.');
  const signature = Buffer.from(token.slice(end + 1), 'base64url');
  const signed = Buffer.from(token.slice(0, end), 'latin1'); // ASCII, as base64url is
  const parameters = PARAMETERS.get(alg);
  return parameters !== undefined && crypto.subtle.verify(parameters, key, signature, signed);
}

// RFC 7518 sections 3.3 to 3.5, RFC 8037 section 3.1. For RSA the hash is that of the key, which was imported for its algorithm;
// the salt of PSS is as long as the hash.
const PARAMETERS: ReadonlyMap<string, webcrypto.AlgorithmIdentifier | webcrypto.RsaPssParams | webcrypto.EcdsaParams> =
  new Map([
    ['RS256', { name: 'RSASSA-PKCS1-v1_5' }],
    ['RS384', { name: 'RSASSA-PKCS1-v1_5' }],
    ['RS512', { name: 'RSASSA-PKCS1-v1_5' }],
    ['PS256', { name: 'RSA-PSS', saltLength: 32 }],
    ['PS384', { name: 'RSA-PSS', saltLength: 48 }],
    ['PS512', { name: 'RSA-PSS', saltLength: 64 }],
    ['ES256', { name: 'ECDSA', hash: 'SHA-256' }],
    ['ES384', { name: 'ECDSA', hash: 'SHA-384' }],
    ['ES512', { name: 'ECDSA', hash: 'SHA-512' }],
    ['EdDSA', { name: 'Ed25519' }],
    ['Ed25519', { name: 'Ed25519' }],
  ]);
