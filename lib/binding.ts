import { InvalidTokenError } from './errors.js';
import type { TokenClaims } from './types.js';

/**
 * A token that is bound to a key (RFC 7800 `cnf`) is worth nothing without proof of that key, and must never pass as a
 * bearer token (RFC 9449 section 7.2, RFC 8705 section 3). Proofs are not supported yet, so every bound token is refused.
 *
 * @throws InvalidTokenError for a token with `cnf`, whatever is in it.
 */
export function checkBinding(claims: TokenClaims): void {
  if (claims['cnf'] !== undefined)
    throw new InvalidTokenError('The access token is bound to a key that was not proven');
}
