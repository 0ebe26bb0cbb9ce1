import { claimAt } from './claims.js';
import type { JsonObject, Jwt } from './decode.js';
import { InvalidTokenError } from './errors.js';
import { mediaType } from './token-terms.js';
import type { Terms } from './token-terms.js';
import type { Seconds, TokenClaims } from './types.js';

// What ID tokens, logout tokens, DPoP proofs, security events, status lists and introspection answers have and access
// tokens have not. Looked at only where `typ` does not tell them apart. RFC 8725 section 3.12.
const FOREIGN_CLAIMS = [
  'nonce',
  'at_hash',
  'c_hash',
  's_hash',
  'events',
  'htm',
  'htu',
  'status_list',
  'token_introspection',
];
export const BAD_ALGORITHM = 'The access token is signed with an algorithm that is not accepted here';
export const EXPIRED = 'The access token expired';
export const WRONG_TYPE = 'The token is not an access token by its type';

/**
 * The header says that this is an access token, and nothing that we would have to understand and do not.
 *
 * @throws InvalidTokenError for a `typ` that is not accepted (RFC 9068 section 4), for claims of another kind of token under
 *   any but `at+jwt`, and for `crit` (RFC 7515 section 4.1.11).
 */
export function checkHeader(header: JsonObject, claims: JsonObject, { types }: Terms): void {
  const { typ: given = null } = header;
  const typ = typeof given === 'string' ? mediaType(given) : null;
  if (!types.has(typ) || (typ === null && given !== null)) throw new InvalidTokenError(WRONG_TYPE);
  if (typ !== 'at+jwt' && FOREIGN_CLAIMS.some((name) => Object.hasOwn(claims, name))) {
    throw new InvalidTokenError(WRONG_TYPE);
  }
  if (header['crit'] !== undefined) throw new InvalidTokenError('The access token has critical extensions');
}

/**
 * Now is before `exp` and not before `nbf`. RFC 7519 sections 4.1.4 to 4.1.6.
 *
 * @throws InvalidTokenError also for a time that is missing (`exp`, and `iat` unless it is optional) or no number. An `iat`
 *   ahead of now passes.
 */
export function checkTimes(claims: JsonObject, now: Seconds, tolerance: Seconds, { optionalClaims }: Terms): void {
  const { exp, nbf, iat } = claims;
  const hasIat = isTime(iat) || (iat === undefined && optionalClaims.has('iat'));
  if (!isTime(exp) || !hasIat || (nbf !== undefined && !isTime(nbf))) {
    throw new InvalidTokenError('The access token has no valid times');
  }
  checkNow({ exp, nbf }, now, tolerance);
}

/**
 * What an unverified JWT says against itself counts, whatever else is known of it: an introspection answer may leave out what the
 * token says. Nothing in it speaks for it.
 *
 * @throws InvalidTokenError when it is unsigned, for somebody else, expired, or not valid yet.
 */
export function checkOwnWords({ header, claims }: Jwt, now: Seconds, tolerance: Seconds, terms: Terms): void {
  if (header['alg'] === 'none') throw new InvalidTokenError(BAD_ALGORITHM);
  const { exp, nbf, aud } = claims;
  if (aud !== undefined) checkAudience(claims, terms);
  checkNow({ exp: isTime(exp) ? exp : undefined, nbf: isTime(nbf) ? nbf : undefined }, now, tolerance);
}

interface Times {
  readonly exp?: Seconds | undefined;
  readonly nbf?: Seconds | undefined;
}

/** Now is before `exp` and not before `nbf`, where the token has them. They are numbers. @throws InvalidTokenError */
export function checkNow({ exp, nbf }: Times, now: Seconds, tolerance: Seconds): void {
  // Written so that a time that is none refuses.
  if (exp !== undefined && !(now < exp + tolerance)) throw new InvalidTokenError(EXPIRED);
  if (nbf !== undefined && !(now >= nbf - tolerance)) throw new InvalidTokenError('The access token is not valid yet');
}

/**
 * The token is for us. RFC 9068 section 4, RFC 7519 section 4.1.3: identical strings, code point by code point.
 *
 * @throws InvalidTokenError when `aud` has none of our names, or is neither a string nor an array of strings.
 */
export function checkAudience(claims: JsonObject, terms: Terms): void {
  if (!isForUs(claims, terms)) throw new InvalidTokenError('The access token is not for this resource');
}

/** Whether `aud`, or what stands for it where there is none, has one of our names. */
export function isForUs(claims: JsonObject, { audiences, audienceSubstitute }: Terms): boolean {
  const { aud } = claims;
  if (aud === undefined) {
    return audienceSubstitute.some(([claim, values]) => values.some((value) => value === claimAt(claims, [claim])));
  }
  const list: readonly unknown[] = Array.isArray(aud) ? aud : [aud];
  return list.every((name) => typeof name === 'string') && list.some((name) => audiences.has(name));
}

/**
 * The claims that every access token has are there (RFC 9068 section 2.2), and `requiredClaims` have their values.
 *
 * @throws InvalidTokenError when one is missing or has another value.
 */
export function checkRequired(claims: JsonObject, terms: Terms): asserts claims is TokenClaims {
  // First, and whatever may be left out: without it nobody knows who the client is.
  if (!isText(claims[terms.clientIdClaim])) throw new InvalidTokenError('The access token has no client identifier');
  for (const name of ['sub', 'jti']) {
    if (claims[name] === undefined && terms.optionalClaims.has(name)) continue;
    if (!isText(claims[name])) throw new InvalidTokenError(`The access token has no ${name}`);
  }
  checkValues(claims, terms);
}

/** @throws InvalidTokenError unless `requiredClaims` have their values. */
export function checkValues(claims: JsonObject, { requiredClaims }: Terms): void {
  for (const [name, value] of requiredClaims) {
    if (claimAt(claims, [name]) !== value) throw new InvalidTokenError('The access token is not of the accepted kind');
  }
}

export function isText(value: unknown): value is string {
  return typeof value === 'string' && value !== '';
}

export function isTime(value: unknown): value is Seconds {
  return Number.isFinite(value);
}
