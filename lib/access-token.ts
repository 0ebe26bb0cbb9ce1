import type { JsonObject } from './decode.js';
import { InvalidTokenError } from './errors.js';
import type { Seconds, TokenClaims } from './types.js';

// RFC 9068 section 2.2: what an access token always has, beside the claims with checks of their own.
const REQUIRED_STRINGS = ['sub', 'client_id', 'jti'] as const;

/**
 * The header says that this is an access token, and nothing that we would have to understand and do not.
 *
 * @throws InvalidTokenError for another `typ` (RFC 9068 section 4) and for any `crit` (RFC 7515 section 4.1.11).
 */
export function checkHeader(header: JsonObject): void {
  const { typ } = header;
  // RFC 7515 section 4.1.9: media types compare case-insensitively, "application/" may be left out.
  if (typeof typ !== 'string' || !/^(?:application\/)?at\+jwt$/i.test(typ)) {
    throw new InvalidTokenError('The token is not of the type at+jwt');
  }
  if (header['crit'] !== undefined) throw new InvalidTokenError('The access token has critical extensions');
}

/**
 * Now is before `exp` and not before `nbf`. RFC 7519 sections 4.1.4 to 4.1.6.
 *
 * @throws InvalidTokenError also for a time that is missing (`exp`, `iat`) or no number. An `iat` ahead of now passes.
 */
export function checkTimes(claims: JsonObject, now: Seconds, tolerance: Seconds): void {
  const { exp, nbf, iat } = claims;
  if (!isTime(exp) || !isTime(iat) || (nbf !== undefined && !isTime(nbf))) {
    throw new InvalidTokenError('The access token has no valid times');
  }
  // Written so that a time that is none refuses.
  if (!(now < exp + tolerance)) throw new InvalidTokenError('The access token expired');
  if (nbf !== undefined && !(now >= nbf - tolerance)) throw new InvalidTokenError('The access token is not valid yet');
}

/**
 * The token is for us. RFC 9068 section 4, RFC 7519 section 4.1.3: identical strings, code point by code point.
 *
 * @throws InvalidTokenError when `aud` has none of our names, or is neither a string nor an array of strings.
 */
export function checkAudience(claims: JsonObject, audiences: ReadonlySet<string>): void {
  const { aud } = claims;
  const list: readonly unknown[] = Array.isArray(aud) ? aud : [aud];
  if (!list.every((name) => typeof name === 'string') || !list.some((name) => audiences.has(name))) {
    throw new InvalidTokenError('The access token is not for this resource');
  }
}

/** The claims that every access token has are there. RFC 9068 section 2.2. @throws InvalidTokenError when one is not. */
export function checkRequired(claims: JsonObject): asserts claims is TokenClaims {
  for (const name of REQUIRED_STRINGS) {
    if (typeof claims[name] !== 'string' || claims[name] === '') {
      throw new InvalidTokenError(`The access token has no ${name}`);
    }
  }
}

function isTime(value: unknown): value is Seconds {
  return Number.isFinite(value);
}
