import type { JSONWebKeySet } from 'jose';
import { discoveredKeys, localKeys, namedKeys } from './keys.js';
import type { KeySource, Outside } from './keys.js';
import { mayVerify } from './key-set.js';
import type { TrustedServer } from './jwt.js';
import { checkNames, checkUrl, show } from './options.js';
import { checkedList, checkedTerms, TERM_OPTIONS } from './token-terms.js';
import type { TokenTerms } from './token-terms.js';

/** Where the keys of an authorization server are: found by discovery, at `jwksUri`, or in `jwks`. */
export type KeyLocation =
  | {
      /** The URL of the key set. Default: what the metadata of the issuer says (RFC 8414, OpenID Connect Discovery). */
      readonly jwksUri?: string;
      readonly jwks?: never;
    }
  | {
      readonly jwksUri?: never;
      /** The key set itself; nothing is fetched, and nothing changes when the authorization server changes its keys. */
      readonly jwks: JSONWebKeySet;
    };

/** An authorization server whose tokens are accepted. */
export type AuthorizationServer = TokenTerms &
  KeyLocation & {
    /** The issuer identifier, to the last character as it stands in `iss`. RFC 8414 section 2. */
    readonly issuer: string;
  };

/** An authorization server as a program without types may describe it. */
export interface GivenServer extends TokenTerms {
  readonly issuer?: string | undefined;
  readonly jwksUri?: string | undefined;
  readonly jwks?: JSONWebKeySet | undefined;
}

/** The names of the options of {@link AuthorizationServer}. */
export const SERVER_OPTIONS = ['issuer', 'jwksUri', 'jwks', ...TERM_OPTIONS];

/** What a server needs of the options beside it: the audience if it has none of its own, and the ways to the outside. */
export interface Defaults extends Outside {
  readonly terms: TokenTerms;
  readonly resource: string;
}

/**
 * A trusted server and the spellings of its issuer, the one of the options first. Fetches nothing yet.
 *
 * @throws TypeError for mistakes in its options.
 */
export function trustedServer(given: GivenServer, defaults: Defaults): TrustedServer {
  checkNames('an entry of "authorizationServers"', given, SERVER_OPTIONS);
  const { issuer, issuerAliases } = given;
  checkUrl('issuer', issuer, 'https://as.example.com');
  // RFC 8414 section 2: the well-known address could not be made from it.
  if (issuer.includes('?')) throw new TypeError(`"issuer" must not have a query, got ${show(issuer)}`);
  return {
    issuers: [issuer, ...(issuerAliases === undefined ? [] : checkedList('issuerAliases', issuerAliases))],
    terms: checkedTerms({ ...defaults.terms, ...onlyGiven(given) }, defaults.resource),
    keys: keySource(issuer, given, defaults),
  };
}

/** Without members that are undefined: they leave the choice to the options beside. */
function onlyGiven(terms: TokenTerms): TokenTerms {
  return Object.fromEntries(Object.entries(terms).filter(([, value]) => value !== undefined));
}

function keySource(issuer: string, { jwksUri, jwks }: GivenServer, defaults: Defaults): KeySource {
  if (jwks !== undefined) {
    if (jwksUri !== undefined) throw new TypeError('"jwks" and "jwksUri" exclude each other: keep the one you mean');
    return localKeys(checkedKeys(jwks));
  }
  if (jwksUri === undefined) return discoveredKeys(issuer, defaults);
  checkUrl('jwksUri', jwksUri, 'https://as.example.com/jwks');
  return namedKeys(issuer, new URL(jwksUri), defaults);
}

function checkedKeys(jwks: unknown): readonly unknown[] {
  const { keys } = (typeof jwks === 'object' && jwks !== null ? jwks : {}) as { keys?: unknown };
  if (!Array.isArray(keys) || keys.length === 0) {
    throw new TypeError(`"jwks" must be a JWK Set such as { keys: [{ kty: 'EC', … }] }, got ${show(jwks)}`);
  }
  for (const key of keys as unknown[]) {
    const { kty, d } = (typeof key === 'object' && key !== null ? key : {}) as { kty?: unknown; d?: unknown };
    if (typeof kty !== 'string') throw new TypeError('"jwks" has a key without "kty" (RFC 7517 section 4.1)');
    if (kty === 'oct' || d !== undefined) throw new TypeError('"jwks" has a secret key: give the public ones only');
  }
  if (!keys.some(mayVerify))
    throw new TypeError('"jwks" has no key that verifies signatures: check "kty", "crv", "alg" and "use"');
  try {
    return structuredClone(keys) as unknown[]; // ours from now on, whatever becomes of the caller's object
  } catch {
    throw new TypeError('"jwks" must be plain JSON (RFC 7517 section 5)');
  }
}
