import type { JSONWebKeySet } from 'jose';
import { discoverJwksUri } from './discovery.js';
import type { Fetch } from './fetch-json.js';
import type { TrustedServer } from './jwt.js';
import { ALGORITHMS } from './key-set.js';
import { localKeys, remoteKeys } from './keys.js';
import type { KeySource } from './keys.js';
import { checkNames, checkUrl, show } from './options.js';
import type { Seconds } from './types.js';

/** The terms on which tokens are accepted: for one authorization server, or for all of them. */
export interface TokenTerms {
  /** The names under which this API may stand in `aud`. Default: the `resource`. RFC 9068 section 4. */
  readonly audience?: string | readonly string[];
  /**
   * The accepted signature algorithms. Default: RS, PS and ES with 256, 384 and 512 bits, EdDSA, Ed25519. Symmetric ones
   * and `none` are never accepted. RFC 8725 section 3.1.
   */
  readonly algorithms?: readonly string[];
}

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

/** The options that {@link AuthorizationServer} has. */
export const SERVER_OPTIONS = ['issuer', 'jwksUri', 'jwks', 'audience', 'algorithms'];

/** What a server needs of the others' options: the terms where it has none of its own, and the ways to the outside. */
export interface Defaults {
  readonly audience: string | readonly string[];
  readonly algorithms: readonly string[];
  readonly fetch: Fetch;
  readonly clock: () => Seconds;
}

/** The trusted servers by issuer. @throws TypeError for mistakes in their options. Fetches nothing yet. */
export function trustedServers(
  servers: readonly GivenServer[],
  defaults: Defaults,
): ReadonlyMap<string, TrustedServer> {
  const trusted = new Map<string, TrustedServer>();
  for (const server of servers) {
    checkNames('an authorization server', server, SERVER_OPTIONS);
    const { issuer, audience = defaults.audience, algorithms = defaults.algorithms } = server;
    checkUrl('issuer', issuer, 'https://as.example.com');
    // RFC 8414 section 2: the well-known address could not be made from it.
    if (issuer.includes('?')) throw new TypeError(`"issuer" must not have a query, got ${show(issuer)}`);
    if (trusted.has(issuer)) throw new TypeError(`"authorizationServers" has the issuer ${show(issuer)} twice`);
    trusted.set(issuer, {
      audiences: checkedAudiences(audience),
      algorithms: checkedAlgorithms(algorithms),
      keys: keySource(issuer, server, defaults),
    });
  }
  return trusted;
}

function keySource(issuer: string, { jwksUri, jwks }: GivenServer, { fetch, clock }: Defaults): KeySource {
  if (jwks !== undefined) {
    if (jwksUri !== undefined) throw new TypeError('"jwks" and "jwksUri" exclude each other: keep the one you mean');
    return localKeys(checkedKeySet(jwks));
  }
  if (jwksUri === undefined) return remoteKeys(() => discoverJwksUri(issuer, fetch), fetch, clock);
  checkUrl('jwksUri', jwksUri, 'https://as.example.com/jwks');
  const url = new URL(jwksUri);
  return remoteKeys(() => Promise.resolve(url), fetch, clock);
}

function checkedAudiences(audience: unknown): ReadonlySet<string> {
  const names: readonly unknown[] = Array.isArray(audience) ? audience : [audience];
  if (names.length === 0 || !names.every((name) => typeof name === 'string' && name !== '')) {
    throw new TypeError(`"audience" must be a string or a list of strings, none of them empty, got ${show(audience)}`);
  }
  return new Set(names as string[]);
}

function checkedAlgorithms(algorithms: unknown): ReadonlySet<string> {
  const valid = `it takes a list of ${ALGORITHMS.join(', ')}`;
  if (!Array.isArray(algorithms) || algorithms.length === 0) {
    throw new TypeError(`"algorithms" got ${show(algorithms)}: ${valid}`);
  }
  for (const name of algorithms as unknown[]) {
    // A key that verifies HS256 also signs: every resource server could mint tokens. RFC 8725 sections 3.1 and 3.5.
    if (typeof name !== 'string' || !ALGORITHMS.includes(name)) {
      throw new TypeError(`"algorithms" has ${show(name)}, which is not accepted: ${valid}`);
    }
  }
  return new Set(algorithms as string[]);
}

function checkedKeySet(jwks: unknown): { readonly keys: readonly unknown[] } {
  const { keys } = (typeof jwks === 'object' && jwks !== null ? jwks : {}) as { keys?: unknown };
  if (!Array.isArray(keys) || keys.length === 0) {
    throw new TypeError(`"jwks" must be a JWK Set such as { keys: [{ kty: 'EC', … }] }, got ${show(jwks)}`);
  }
  for (const key of keys as unknown[]) {
    const { kty, d } = (typeof key === 'object' && key !== null ? key : {}) as { kty?: unknown; d?: unknown };
    if (typeof kty !== 'string') throw new TypeError('"jwks" has a key without "kty" (RFC 7517 section 4.1)');
    if (kty === 'oct' || d !== undefined) throw new TypeError('"jwks" has a secret key: give the public ones only');
  }
  try {
    return { keys: structuredClone(keys) as unknown[] }; // ours from now on, whatever becomes of the caller's object
  } catch {
    throw new TypeError('"jwks" must be plain JSON (RFC 7517 section 5)');
  }
}
