import { compactVerify, errors } from 'jose';
import type { CryptoKey } from 'jose';
import { checkAudience, checkHeader, checkRequired, checkTimes } from './access-token.js';
import { decodeJwt } from './decode.js';
import type { JsonObject } from './decode.js';
import { InvalidTokenError } from './errors.js';
import { ALGORITHMS } from './key-set.js';
import type { KeySource } from './keys.js';
import type { Seconds, TokenClaims, TokenVerifier } from './types.js';

/** An authorization server whose tokens are accepted, and on what terms. */
export interface TrustedServer {
  readonly audiences: ReadonlySet<string>;
  readonly algorithms: ReadonlySet<string>;
  readonly keys: KeySource;
}

/**
 * Verifies JWT access tokens. RFC 9068 section 4, RFC 8725.
 * Whatever can be refused without a key is refused first, so that rubbish is cheap and an outage hides no bad token.
 * The `iss` that nobody has vouched for yet only selects among `servers`, by its exact string. Keys that the token brings
 * along or points to (`jwk`, `jku`, `x5c`, `x5u`) are never looked at. Does not check scope, revocation or binding.
 */
export function jwtVerifier(
  servers: ReadonlyMap<unknown, TrustedServer>,
  clock: () => Seconds,
  clockTolerance: Seconds,
): TokenVerifier {
  return async (token) => {
    const { header, claims } = decodeJwt(token);
    checkHeader(header);
    const { alg, kid } = header;
    if (typeof alg !== 'string' || !ALGORITHMS.includes(alg)) throw new InvalidTokenError(BAD_ALGORITHM);
    if (kid !== undefined && typeof kid !== 'string') throw new InvalidTokenError(NO_KEY);
    const server = servers.get(claims['iss']);
    if (server === undefined)
      throw new InvalidTokenError('The access token is from an issuer that is not trusted here');
    if (!server.algorithms.has(alg)) throw new InvalidTokenError(BAD_ALGORITHM);
    checkTimes(claims, clock(), clockTolerance);
    checkAudience(claims, server.audiences);
    checkRequired(claims);
    await checkSignature(token, alg, await server.keys(alg, kid));
    return deepFreeze(claims);
  };
}

const BAD_ALGORITHM = 'The access token is signed with an algorithm that is not accepted here';
const NO_KEY = 'The access token is signed with a key that its issuer does not have';

async function checkSignature(token: string, alg: string, keys: readonly CryptoKey[]): Promise<void> {
  if (keys.length === 0) throw new InvalidTokenError(NO_KEY);
  for (const key of keys) {
    if (await isSignedBy(key, token, alg)) return;
  }
  throw new InvalidTokenError('The access token has a wrong signature');
}

async function isSignedBy(key: CryptoKey, token: string, alg: string): Promise<boolean> {
  try {
    await compactVerify(token, key, { algorithms: [alg] });
    return true;
  } catch (error) {
    // The only answer that means "bad" now that shape, alg and crit are checked; anything else is a bug of ours.
    if (error instanceof errors.JWSSignatureVerificationFailed) return false;
    throw error;
  }
}

/** Frozen without recursion: a token can nest deeper than the stack reaches. */
function deepFreeze(claims: TokenClaims & JsonObject): TokenClaims {
  const open: object[] = [claims];
  for (let value = open.pop(); value !== undefined; value = open.pop()) {
    Object.freeze(value);
    for (const member of Object.values(value) as unknown[]) {
      if (typeof member === 'object' && member !== null) open.push(member);
    }
  }
  return claims;
}
