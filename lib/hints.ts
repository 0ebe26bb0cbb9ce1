import { isForUs } from './access-token.js';
import type { JsonObject } from './decode.js';
import { tell } from './diagnostics.js';
import { mediaType } from './token-terms.js';
import type { Terms } from './token-terms.js';
import type { Seconds } from './types.js';

/** Mistakes of set-up that are behind most refusals of good tokens, and what to do about each. */
const HINTS = {
  issuer:
    'The iss of a refused token differs from a trusted issuer by case or a trailing slash only: ' +
    'correct "issuer", or list the other spelling in "issuerAliases"',
  idToken: 'An ID token was sent in place of an access token: the client must send the access token',
  typ:
    'A refused token that names a trusted issuer has another typ than at+jwt: ' +
    'if the issuer sends it so, name it in "typ", or use the preset of the vendor',
  audience:
    'A refused token that names a trusted issuer is for another audience: compare its aud with "audience" (default: "resource"), ' +
    'and have the client ask for this API (parameter resource or audience)',
  clock:
    'A refused token that names a trusted issuer becomes valid later than the clock of this machine says: ' +
    'synchronize the clock, or set "clockTolerance"',
  publicUrl:
    'A DPoP proof that fits its token names another address than this resource has: set "publicUrl" to the URL that clients ' +
    'use (default: the origin of "resource")',
  query:
    'The "resource" has a query, which RFC 9728 section 1.2 advises against: give this API an identifier without one',
  untyped:
    'A token that is active at its authorization server was refused, because the answer has neither token_type nor token_use ' +
    'nor aud: it may be a refresh token. If access tokens have none of them there, set "acceptUntyped" of "introspection"',
} as const;

/**
 * Looks at a token that was refused; `terms` are those of the issuer it names, undefined for one that is not trusted. Its
 * signature is not verified: nothing of it gets into a hint.
 */
export type Hinter = (header: JsonObject, claims: JsonObject, terms: Terms | undefined, now: Seconds) => void;

/**
 * Warns the operator once of each mistake, by `process.emitWarning` and on the diagnostics channel.
 *
 * @param issuers The spellings that are trusted.
 */
export function hinter(issuers: Iterable<string>): Hinter {
  const folded = new Set(Array.from(issuers, fold));
  const warn = warnOnce();
  return (header, claims, terms, now) => {
    const mistake = terms === undefined ? wrongIssuer(claims, folded) : wrongToken(header, claims, terms, now);
    if (mistake !== undefined) warn(mistake);
  };
}

/** Warns of each mistake when it shows for the first time. */
export function warnOnce(): (mistake: keyof typeof HINTS) => void {
  const told = new Set<string>();
  return (mistake) => {
    if (told.has(mistake)) return;
    told.add(mistake);
    process.emitWarning(HINTS[mistake], {
      type: 'OAuth2ResourceServerHint',
      code: `OAUTH2_RS_${mistake.toUpperCase()}`,
    });
    tell(() => ({ type: 'hint', hint: HINTS[mistake] }));
  };
}

function wrongIssuer({ iss }: JsonObject, folded: ReadonlySet<string>): keyof typeof HINTS | undefined {
  return typeof iss === 'string' && folded.has(fold(iss)) ? 'issuer' : undefined;
}

function fold(issuer: string): string {
  return issuer.toLowerCase().replace(/\/$/, '');
}

function wrongToken(header: JsonObject, claims: JsonObject, terms: Terms, now: Seconds) {
  const typ = typeof header['typ'] === 'string' ? mediaType(header['typ']) : null;
  const isIdToken = 'nonce' in claims || 'at_hash' in claims || 'c_hash' in claims;
  if (typ !== 'at+jwt' && isIdToken) return 'idToken';
  if (!terms.types.has(typ)) return typ === 'jwt' || typ === null ? 'typ' : undefined;
  if (!isForUs(claims, terms)) return 'audience';
  return typeof claims['nbf'] === 'number' && claims['nbf'] > now ? 'clock' : undefined;
}
