import { compactVerify, errors } from 'jose';
import type { CryptoKey } from 'jose';
import { checkAudience, checkHeader, checkRequired, checkTimes } from './access-token.js';
import { scopesAt, splitScope } from './claims.js';
import { decodeJwt } from './decode.js';
import type { JsonObject } from './decode.js';
import { InvalidTokenError } from './errors.js';
import type { Hinter } from './hints.js';
import { ALGORITHMS } from './key-set.js';
import type { KeySource } from './keys.js';
import type { Terms } from './token-terms.js';
import type { Seconds, TokenClaims, TokenVerifier, VerifiedToken } from './types.js';

/** An authorization server whose tokens are accepted, on what terms, and with which keys. */
export interface TrustedServer {
  /** The spellings of its issuer in `iss`; the first is the issuer identifier. */
  readonly issuers: readonly [string, ...string[]];
  readonly terms: Terms;
  readonly keys: KeySource;
}

/** The trusted server that an `iss` names, or undefined. */
export type ServerFinder = (issuer: unknown) => TrustedServer | undefined | Promise<TrustedServer | undefined>;

const BAD_ALGORITHM = 'The access token is signed with an algorithm that is not accepted here';
const NO_KEY = 'The access token is signed with a key that its issuer does not have';
const BAD_SIGNATURE = 'The access token has a wrong signature';

/**
 * Verifies JWT access tokens. RFC 9068 section 4, RFC 8725.
 * Whatever can be refused without a key is refused first, so that rubbish is cheap and an outage hides no bad token.
 * The `iss` that nobody has vouched for yet only selects among the trusted servers. Keys that the token brings along or
 * points to (`jwk`, `jku`, `x5c`, `x5u`) are never looked at. Does not check scope, revocation or binding.
 */
export function jwtVerifier(
  findServer: ServerFinder,
  clock: () => Seconds,
  clockTolerance: Seconds,
  hint: Hinter,
): TokenVerifier {
  return async (token) => {
    const { header, claims } = decodeJwt(token);
    const { alg, kid } = header;
    if (typeof alg !== 'string' || !ALGORITHMS.includes(alg)) throw new InvalidTokenError(BAD_ALGORITHM);
    if (kid !== undefined && typeof kid !== 'string') throw new InvalidTokenError(NO_KEY);
    const server = await findServer(claims['iss']);
    try {
      if (server === undefined)
        throw new InvalidTokenError('The access token is from an issuer that is not trusted here');
      const { terms, keys } = server;
      checkHeader(header, claims, terms);
      if (!terms.algorithms.has(alg)) throw new InvalidTokenError(BAD_ALGORITHM);
      checkTimes(claims, clock(), clockTolerance, terms);
      checkAudience(claims, terms);
      checkRequired(claims, terms);
      await checkSignature(token, alg, kid, keys);
      return verified(claims, terms);
    } catch (error) {
      if (error instanceof InvalidTokenError) hint(header, claims, server?.terms, clock());
      throw error;
    }
  };
}

/** A key that is not at hand, or that does not fit, may be a new one: the authorization server is asked, but not too often. */
async function checkSignature(token: string, alg: string, kid: string | undefined, keys: KeySource): Promise<void> {
  const atHand = await keys.find(alg, kid);
  if (await isSignedByAny(atHand, token, alg)) return;
  const newer = await keys.findNewer(alg, kid);
  if (newer !== atHand && (await isSignedByAny(newer, token, alg))) return;
  throw new InvalidTokenError(newer.length === 0 ? NO_KEY : BAD_SIGNATURE);
}

async function isSignedByAny(keys: readonly CryptoKey[], token: string, alg: string): Promise<boolean> {
  for (const key of keys) {
    if (await isSignedBy(key, token, alg)) return true;
  }
  return false;
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

function verified(claims: TokenClaims & JsonObject, { scopePaths, clientIdClaim }: Terms): VerifiedToken {
  deepFreeze(claims);
  const scopes = scopePaths === undefined ? splitScope(claims.scope) : scopesAt(claims, scopePaths);
  return { claims, scopes: Object.freeze(scopes) as string[], clientId: String(claims[clientIdClaim]) };
}

/** Frozen without recursion: a token can nest deeper than the stack reaches. */
function deepFreeze(claims: object): void {
  const open: object[] = [claims];
  for (let value = open.pop(); value !== undefined; value = open.pop()) {
    Object.freeze(value);
    for (const member of Object.values(value) as unknown[]) {
      if (typeof member === 'object' && member !== null) open.push(member);
    }
  }
}
