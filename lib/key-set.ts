import type { CryptoKey, JWK } from 'jose';
import { importJWK } from 'jose/key/import';

// Which keys an algorithm takes: RFC 7518 section 3.1, RFC 8037, RFC 9864. Asymmetric only.
const KEY_TYPES: Readonly<Record<string, readonly [kty: string, crv?: string]>> = {
  RS256: ['RSA'],
  RS384: ['RSA'],
  RS512: ['RSA'],
  PS256: ['RSA'],
  PS384: ['RSA'],
  PS512: ['RSA'],
  ES256: ['EC', 'P-256'],
  ES384: ['EC', 'P-384'],
  ES512: ['EC', 'P-521'],
  EdDSA: ['OKP', 'Ed25519'],
  Ed25519: ['OKP', 'Ed25519'],
};

/** The signature algorithms this library knows: all asymmetric, none of them `none`. RFC 8725 sections 3.1 and 3.2. */
export const ALGORITHMS: readonly string[] = Object.keys(KEY_TYPES);

/** RFC 7518 sections 3.3 and 3.5. */
const MIN_RSA_BITS = 2048;
/** Most keys of one set tried for one token: a bound on the work that a token without `kid` can ask for. */
const MAX_CANDIDATES = 16;

/** The keys of one JWK Set that may verify signatures, each imported once. RFC 7517 section 5. */
export class KeySet {
  readonly jwks: readonly JWK[];
  readonly #byKid: ReadonlyMap<unknown, readonly JWK[]>;
  /** Imported once, by algorithm and `kid`. */
  readonly #found = new Map<string, Keys | Promise<Keys>>();

  constructor(keys: readonly unknown[]) {
    this.jwks = keys.filter(isPublicKey).filter(isForSignatures);
    this.#byKid = byKid(this.jwks);
  }

  /** Whether at least one of the keys can verify anything. */
  async isUsable(): Promise<boolean> {
    for (const alg of ALGORITHMS) {
      if ((await this.candidates(alg, undefined)).length > 0) return true;
    }
    return false;
  }

  /** The keys that fit a token's `alg` and `kid`; without `kid` every key of the algorithm. Unusable keys are left out. */
  candidates(alg: string, kid: string | undefined): Keys | Promise<Keys> {
    const memo = kid === undefined ? alg : `${alg} ${kid}`;
    return this.#found.get(memo) ?? this.#import(memo, alg, kid);
  }

  #import(memo: string, alg: string, kid: string | undefined): Keys | Promise<Keys> {
    const named = kid === undefined ? this.jwks : (this.#byKid.get(kid) ?? []);
    const fitting = named.filter((jwk) => fits(jwk, alg));
    if (fitting.length === 0) return []; // not remembered: unknown kids must cost no memory
    const imported = importAll(fitting.slice(0, MAX_CANDIDATES), alg).then((keys) => {
      this.#found.set(memo, keys);
      return keys;
    });
    this.#found.set(memo, imported);
    return imported;
  }
}

type Keys = readonly CryptoKey[];

function byKid(jwks: readonly JWK[]): ReadonlyMap<unknown, readonly JWK[]> {
  const found = new Map<unknown, JWK[]>();
  for (const jwk of jwks) {
    const same = found.get(jwk.kid);
    if (same === undefined) found.set(jwk.kid, [jwk]);
    else same.push(jwk);
  }
  return found;
}

/** A JWK without secrets. Private and symmetric keys have no place in a published set (OpenID Connect Discovery 3). */
function isPublicKey(jwk: unknown): jwk is JWK {
  if (typeof jwk !== 'object' || jwk === null) return false;
  const { kty, d, k } = jwk as Record<string, unknown>;
  return typeof kty === 'string' && d === undefined && k === undefined;
}

/** RFC 7517 sections 4.2 and 4.3. */
function isForSignatures({ use, key_ops: operations }: JWK): boolean {
  const isAllowed = operations === undefined || (Array.isArray(operations) && operations.includes('verify'));
  return (use === undefined || use === 'sig') && isAllowed;
}

/** Whether a key could verify a signature of some algorithm, by what it says of itself. */
export function mayVerify(jwk: unknown): boolean {
  return isPublicKey(jwk) && isForSignatures(jwk) && ALGORITHMS.some((alg) => fits(jwk, alg));
}

/** Whether a key is of the kind that an algorithm takes. */
export function fits(jwk: JWK, alg: string): boolean {
  const [kty, crv] = KEY_TYPES[alg] ?? [];
  // RFC 7517 section 4.4, RFC 8725 section 3.1: a key that names its algorithm is for no other.
  return jwk.kty === kty && (crv === undefined || jwk.crv === crv) && (jwk.alg === undefined || jwk.alg === alg);
}

async function importAll(jwks: readonly JWK[], alg: string): Promise<readonly CryptoKey[]> {
  const keys = await Promise.all(jwks.map((jwk) => importKey(jwk, alg)));
  return keys.filter((key) => key !== undefined);
}

/** Undefined for a key with missing or impossible members, such as a point off its curve: it is skipped, others serve. */
export async function importKey(jwk: JWK, alg: string): Promise<CryptoKey | undefined> {
  try {
    // Only what makes the key: neither its `ext` and `key_ops` nor vendor members have a say in the import.
    const { kty, crv, x, y, n, e } = jwk;
    const key = await importJWK({ kty, crv, x, y, n, e } as JWK, alg);
    return key instanceof Uint8Array || isWeakRsa(key) ? undefined : key;
  } catch {
    return undefined;
  }
}

// A short modulus can be factored. Under exponent 1 every number is its own signature; an even one signs nothing.
function isWeakRsa({ algorithm }: CryptoKey): boolean {
  const { modulusLength, publicExponent } = algorithm as { modulusLength?: number; publicExponent?: Uint8Array };
  if (modulusLength === undefined || publicExponent === undefined) return false;
  const exponent = BigInt(`0x${Buffer.from(publicExponent).toString('hex')}`);
  return modulusLength < MIN_RSA_BITS || exponent < 3n || exponent % 2n === 0n;
}
