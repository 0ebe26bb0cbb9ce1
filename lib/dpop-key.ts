import { hash } from 'node:crypto';
import type { CryptoKey, JWK } from 'jose';
import { LRUCache } from 'lru-cache';
import { isJsonObject } from './decode.js';
import { InvalidDPoPProofError, InvalidTokenError } from './errors.js';
import { fits, importKey } from './key-set.js';

/** Most keys remembered: importing one costs more than a signature. About 1 kB each. */
const MAX_KEYS = 1000;
/** RSA with 4096 bits, base64url: who sends a longer key wants to see us sweat. Exponents in use have three bytes. */
const MAX_MODULUS = 683;
const MAX_EXPONENT = 6;
/** RFC 7518 sections 6.2.2, 6.3.2 and 6.4.1, RFC 8037 section 2. */
const PRIVATE_MEMBERS = ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k'];

/** Keys that proofs bring along, each imported once while it is in use. RFC 9449 section 4.3, points 5, 7 and 12. */
export class ProofKeys {
  readonly #keys = new LRUCache<string, CryptoKey>({ max: MAX_KEYS });

  /**
   * The key of a proof, if it is the one that the token is bound to; no other is ever imported.
   *
   * @param jkt The thumbprint that the token names.
   * @throws InvalidDPoPProofError for what is no public key of the algorithm, or one of no use: too short, too long, broken.
   * @throws InvalidTokenError for another key.
   */
  async find(jwk: unknown, alg: string, jkt: string): Promise<CryptoKey> {
    const plain = publicMembers(jwk, alg);
    if (thumbprint(plain) !== jkt) throw new InvalidTokenError('The access token is bound to another key');
    const memo = `${alg} ${jkt}`;
    const known = this.#keys.get(memo);
    if (known !== undefined) return known;
    const key = await importKey(plain, alg);
    if (key === undefined) throw unusable();
    this.#keys.set(memo, key);
    return key;
  }
}

/** RFC 7638: the members that make the key, in the order of their names. One digest, where a library would take a promise. */
function thumbprint({ crv, e, kty, n, x, y }: JWK): string {
  return hash('sha256', JSON.stringify({ crv, e, kty, n, x, y }), 'base64url');
}

/** What makes the key, and nothing else that stands beside it. */
function publicMembers(given: unknown, alg: string): JWK {
  if (!isJsonObject(given)) throw unusable();
  const jwk: JWK = given;
  if (PRIVATE_MEMBERS.some((name) => Object.hasOwn(jwk, name))) {
    throw new InvalidDPoPProofError('The DPoP proof has a private key in it');
  }
  const { kty, crv, x, y, n, e } = jwk;
  const isSized = (n ?? '').length <= MAX_MODULUS && (e ?? '').length <= MAX_EXPONENT;
  const areTexts = [crv, x, y, n, e].every((member) => member === undefined || typeof member === 'string');
  if (!areTexts || !isSized || !fits(jwk, alg)) throw unusable();
  return (kty === 'RSA' ? { kty, n, e } : kty === 'EC' ? { kty, crv, x, y } : { kty, crv, x }) as JWK;
}

function unusable(): InvalidDPoPProofError {
  return new InvalidDPoPProofError('The DPoP proof has no usable public key');
}
