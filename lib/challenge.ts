import type { OAuthError } from './errors.js';
import type { Scheme } from './types.js';

/** What every challenge of one resource server has in common. */
export interface ChallengeContext {
  readonly realm: string;
  /** Page that explains the errors, or undefined. */
  readonly errorUri: string | undefined;
  /** Whether `error_description` is sent. */
  readonly errorDescription: boolean;
  /** The schemes that are challenged, in this order. */
  readonly challenged: readonly Scheme[];
  /** The scheme that was tried, and has the error; undefined: none, or nobody can tell, and every challenge has it. */
  readonly tried: Scheme | undefined;
  /** The algorithms of DPoP proofs, separated by spaces. RFC 9449 section 7.1. */
  readonly algs: string | undefined;
  /** Where the metadata of this resource is, or undefined. RFC 9728 section 5.1. */
  readonly resourceMetadata: string | undefined;
}

// RFC 9110 section 5.6.2: token = 1*tchar
const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
// What quoted-string may hold, less obs-text and HTAB, which clients read differently. RFC 9110 section 5.6.4.
const QUOTABLE = /^[\x20-\x7e]*$/;

/**
 * The challenges that answer a refusal, one field line for each scheme. RFC 6750 section 3, RFC 9449 section 7, RFC 9110
 * section 11.6.1. There is always a parameter after the scheme: clients in use do not see a bare `Bearer`.
 */
export function challenges(error: OAuthError, context: ChallengeContext): string[] {
  const { realm, errorUri, errorDescription, challenged, tried, algs, resourceMetadata } = context;
  return challenged.map((scheme) => {
    const isAbout = error.code !== undefined && (tried === undefined || tried === scheme);
    return formatChallenge(scheme, {
      realm,
      algs: scheme === 'DPoP' ? algs : undefined,
      error: isAbout ? error.code : undefined,
      error_description: isAbout && errorDescription ? error.message : undefined,
      error_uri: isAbout ? errorUri : undefined,
      ...(isAbout || error.code === undefined ? error.params : {}),
      resource_metadata: resourceMetadata,
    });
  });
}

/**
 * One challenge: `scheme name="value", name="value"`. Every value is a quoted-string, which all known clients read.
 *
 * @throws TypeError for what no parser would accept: a name that is not a token or stands twice, a control character.
 */
export function formatChallenge(scheme: string, params: Readonly<Record<string, string | undefined>>): string {
  const seen = new Set<string>();
  const parts: string[] = [];
  for (const [name, value] of Object.entries(params)) {
    if (value === undefined) continue;
    const folded = name.toLowerCase(); // RFC 9110 section 11.2: names are case-insensitive and occur once
    if (!TOKEN.test(name) || seen.has(folded)) throw new TypeError('a challenge parameter needs a name of its own');
    if (!QUOTABLE.test(value)) throw new TypeError('a challenge parameter must be printable ASCII');
    seen.add(folded);
    parts.push(`${name}="${value.replace(/["\\]/g, '\\$&')}"`);
  }
  if (!TOKEN.test(scheme) || parts.length === 0) throw new TypeError('a challenge needs a scheme and a parameter');
  return `${scheme} ${parts.join(', ')}`;
}
