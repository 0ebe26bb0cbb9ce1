import type { JSONWebKeySet } from 'jose';
import { placeIn } from './discovery.js';
import type { Metadata, Place } from './discovery.js';
import { introspection } from './introspection.js';
import type { Introspection } from './introspection.js';
import { checkedIntrospection } from './introspection-options.js';
import type { CheckedIntrospection, IntrospectionOptions } from './introspection-options.js';
import type { JwtServer } from './jwt.js';
import type { Kept } from './kept.js';
import { discoveredKeys, keptMetadata, localKeys, namedKeys } from './keys.js';
import type { KeySource, Outside } from './keys.js';
import { mayVerify } from './key-set.js';
import { checkNames, checkUrl, show } from './options.js';
import type { TokenCache } from './token-cache.js';
import { checkedList, checkedTerms, TERM_OPTIONS } from './token-terms.js';
import type { TokenTerms } from './token-terms.js';
import type { Seconds } from './types.js';

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
    /** Asks this server about its tokens (RFC 7662). Default: its tokens are JWTs, verified by its keys. */
    readonly introspection?: IntrospectionOptions;
  };

/** A server whose tokens are accepted: by its keys, by asking it, or both. */
export interface TrustedServer extends JwtServer {
  readonly introspection: Introspection | undefined;
  /** Undefined where the options name every place. */
  readonly metadata: Kept<Metadata> | undefined;
}

/** An authorization server as a program without types may describe it. */
export interface GivenServer extends TokenTerms {
  readonly issuer?: string | undefined;
  readonly jwksUri?: string | undefined;
  readonly jwks?: JSONWebKeySet | undefined;
  readonly introspection?: IntrospectionOptions | undefined;
}

/** The names of the options of {@link AuthorizationServer}. */
export const SERVER_OPTIONS = ['issuer', 'jwksUri', 'jwks', 'introspection', ...TERM_OPTIONS];

/** What a server needs of the options beside it: the terms if it has none of its own, and the ways to the outside. */
export interface Defaults extends Outside {
  readonly terms: TokenTerms;
  readonly resource: string;
  readonly clockTolerance: Seconds;
  readonly tokens: TokenCache;
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
  const asked = given.introspection === undefined ? undefined : checkedIntrospection(given.introspection);
  const places = wantedPlaces(given, asked);
  const metadata = places.length === 0 ? undefined : keptMetadata(issuer, places, defaults);
  const place = async (name: Place | undefined): Promise<URL> => {
    if (metadata === undefined || name === undefined) throw new Error('a place was asked for that is not wanted');
    return placeIn(await metadata.get(), name);
  };
  const server: JwtServer = {
    issuers: [issuer, ...(issuerAliases === undefined ? [] : checkedList('issuerAliases', issuerAliases))],
    terms: checkedTerms({ ...defaults.terms, ...onlyGiven(given) }, defaults.resource),
    keys: keySource(issuer, given, places.includes('jwks_uri') ? metadata : undefined, defaults),
  };
  const discovered = () => place(places.find((name) => name !== 'jwks_uri'));
  return {
    ...server,
    metadata,
    introspection: asked && introspection(asked, { ...defaults, ...server, discovered }),
  };
}

/** What has to be found by discovery. */
function wantedPlaces({ jwks, jwksUri }: GivenServer, asked: CheckedIntrospection | undefined): readonly Place[] {
  const places: Place[] = [];
  const needsKeys = asked === undefined || asked.jwtLocally === true || asked.signedAnswers !== undefined;
  if (needsKeys && jwks === undefined && jwksUri === undefined) places.push('jwks_uri');
  if (asked === undefined || asked.endpoint !== undefined) return places;
  // RFC 8705 section 5: a client that shows a certificate goes to the endpoint for such clients, where there is one.
  const showsCertificate = asked.clientAuthentication.fetch !== undefined;
  return [...places, showsCertificate ? 'mtls_introspection_endpoint' : 'introspection_endpoint'];
}

/** Without members that are undefined: they leave the choice to the options beside. */
function onlyGiven(terms: TokenTerms): TokenTerms {
  return Object.fromEntries(Object.entries(terms).filter(([, value]) => value !== undefined));
}

function keySource(
  issuer: string,
  { jwksUri, jwks }: GivenServer,
  metadata: Kept<Metadata> | undefined,
  defaults: Defaults,
): KeySource {
  if (jwks !== undefined) {
    if (jwksUri !== undefined) throw new TypeError('"jwks" and "jwksUri" exclude each other: keep the one you mean');
    return localKeys(checkedKeys(jwks));
  }
  if (jwksUri === undefined) {
    return metadata === undefined ? localKeys([]) : discoveredKeys(issuer, metadata, defaults);
  }
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
