import { scopesAt, splitScope } from './claims.js';
import type { Terms } from './token-terms.js';
import type { TokenClaims, VerifiedToken } from './types.js';

/** What requests with this token share, deeply frozen. Its client is known to be there. */
export function verifiedToken(claims: TokenClaims, { scopePaths, clientIdClaim }: Terms): VerifiedToken {
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
