import type { OnError } from './answer.js';
import type { AuthorizationServer, KeyLocation } from './authorization-servers.js';
import type { ClientCertificate } from './client-certificate.js';
import type { DPoPOptions } from './dpop-options.js';
import type { Fetch } from './fetch-json.js';
import type { IntrospectionOptions } from './introspection-options.js';
import type { MetadataOptions } from './metadata-options.js';
import type { PublicUrl } from './request-uri.js';
import type { SelectIntrospection } from './token-verifier.js';
import type { TokenTerms } from './token-terms.js';
import type { FindAuthorizationServer } from './trusted-servers.js';
import type { Method, Seconds, TokenClaims } from './types.js';

/** Options of `resourceServer` that do not depend on how many authorization servers there are. */
export interface CommonOptions extends Omit<TokenTerms, 'issuerAliases'> {
  /** The identifier of this API: an `https` URL without fragment (RFC 9728 section 1.2). Required. */
  readonly resource: string;
  /** Where a token may stand: always `header`, by option also `body` and `query`. Default: `['header']`. RFC 6750 section 2. */
  readonly methods?: readonly Method[];
  /** Lets requests without a token pass as anonymous; one with a bad token is refused all the same. Default: false. */
  readonly allowMissingToken?: boolean;
  /** Refuses tokens on requests that are not `req.secure`; behind a proxy set Express's `trust proxy`. Default: false. */
  readonly requireTls?: boolean;
  /** Accepts tokens that are bound to a DPoP key, with their proof; `true` for the defaults. Default: refused. RFC 9449. */
  readonly dpop?: true | DPoPOptions;
  /**
   * Where the certificate of the client is found, for tokens that are bound to one: `tls` for the TLS connection of this
   * process, or a header of proxies that are trusted. Default: such tokens are refused. RFC 8705.
   */
  readonly clientCertificate?: ClientCertificate;
  /** Refuses tokens that are bound to no key. Default: false; `requireBoundToken` does so for a route. */
  readonly requireBoundTokens?: boolean;
  /** Takes a token whose `cnf` has nothing but what we do not know for a bearer token (RFC 7800 section 3.1). Default: false, refused. */
  readonly dangerouslyIgnoreUnknownConfirmation?: boolean;
  /**
   * The URL under which clients reach this application, its path included where a proxy takes it off; several, or a function
   * of the request. For the address in DPoP proofs. Default: the origin of `resource`.
   */
  readonly publicUrl?: PublicUrl;
  /**
   * Publishes where clients get tokens for this API (RFC 9728), at `/.well-known/oauth-protected-resource` and the path of
   * `resource`, and has every challenge point there; `true` for the defaults. Default: not published.
   */
  readonly metadata?: true | MetadataOptions;
  /** How far the clocks may differ when `exp` and `nbf` are checked, at most 300. Default: 0. RFC 7519 section 4.1.4. */
  readonly clockTolerance?: Seconds;
  /** Longest use of keys and metadata that cannot be refreshed (the server is down). 60 to 2592000. Default: 86400. */
  readonly keyMaxAge?: Seconds;
  /**
   * Most tokens remembered at once, of all servers together: so many verified JWTs, and so many introspected ones; about
   * 1.25 kB each. 0: none. Default: 10000.
   */
  readonly maxCachedTokens?: number;
  /**
   * The issuers to ask, in this order, about a token that does not say who issued it, or a function that names them for a
   * token. Whoever is asked sees the token and could use it. Default: the one server with `introspection`; required when
   * there are several, and for opaque tokens of servers that a function finds.
   */
  readonly introspectAt?: readonly string[] | SelectIntrospection;
  /** Longest token that is looked at, in characters. Default: 16384. */
  readonly maxTokenLength?: number;
  /**
   * The last word on a token that was found good: anything but `true` refuses it (401 `invalid_token`), and what it throws
   * goes to Express (500). Default: none.
   */
  readonly acceptToken?: (claims: TokenClaims) => boolean | Promise<boolean>;
  /** Whether a granted scope includes another, as `files` may include `files:read`. Default: none does. */
  readonly impliesScope?: (granted: string, required: string) => boolean;
  /** The `realm` of every challenge. Default: the `resource`. RFC 9110 section 11.5. */
  readonly realm?: string;
  /** A page about errors, sent as `error_uri`. Default: none. RFC 6750 section 3. */
  readonly errorUri?: string;
  /** Whether answers say in words what is wrong (`error_description`). Default: true. */
  readonly errorDescription?: boolean;
  /** Answers refusals, and 503, in place of the default JSON. See also `problemDetails`. */
  readonly onError?: OnError;
  /** Replaces Node's `fetch`, for proxies and private certificate authorities. */
  readonly fetch?: Fetch;
  /** The time, in seconds since 1970. Default: the system's. For tests. */
  readonly clock?: () => Seconds;
}

/** One authorization server, described in place. */
export type OneAuthorizationServer = KeyLocation & {
  /** The issuer identifier of the authorization server, to the last character as it stands in `iss`. */
  readonly issuer: string;
  /** Further spellings of the issuer in `iss`, such as one with a trailing slash. Default: none. */
  readonly issuerAliases?: readonly string[];
  /** Asks the server about its tokens (RFC 7662). Default: its tokens are JWTs, verified by its keys. */
  readonly introspection?: IntrospectionOptions;
  readonly authorizationServers?: never;
};

/** Several authorization servers. The `iss` of a token selects among them, and never adds one. */
export interface SeveralAuthorizationServers {
  /**
   * The trusted servers, or a function that finds the one an `iss` names. Its answers are remembered: a server for five
   * minutes, that there is none for half a minute; ten thousand servers at most, and a thousand issuers without one. What a
   * server does not say of its terms is taken from the options beside this one.
   */
  readonly authorizationServers: readonly AuthorizationServer[] | FindAuthorizationServer;
  readonly issuer?: never;
  readonly jwksUri?: never;
  readonly jwks?: never;
  readonly issuerAliases?: never;
  readonly introspection?: never;
}

/** Options of `resourceServer`: whom to trust, and what to answer. */
export type ResourceServerOptions = CommonOptions & (OneAuthorizationServer | SeveralAuthorizationServers);
