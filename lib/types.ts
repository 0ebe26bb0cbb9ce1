/** A length or a point of time in seconds, the unit of OAuth and JWT (RFC 7519 section 2, NumericDate). */
export type Seconds = number;

/** Where in the request a bearer token may stand. RFC 6750 section 2. */
export type Method = 'header' | 'body' | 'query';

/** An authentication scheme: a token for whoever holds it, or one with a proof of possession. RFC 6750, RFC 9449. */
export type Scheme = 'Bearer' | 'DPoP';

/** What the request carries: one access token, the scheme it came under, and where it was found. RFC 9110 section 11.4. */
export interface Credentials {
  readonly scheme: Scheme;
  readonly token: string;
  readonly method: Method;
}

/**
 * The verified content of an access token, by its names on the wire. RFC 9068 section 2.2.
 * Deeply frozen. Claims that are not listed here are `unknown`: check them before use, or name their types in `auth<…>(req)`.
 */
export interface TokenClaims {
  readonly [name: string]: unknown;
  /** Issuer: the authorization server. */
  readonly iss: string;
  /** Expiry, in seconds since 1970. Every JWT has it; an introspected token may have none. */
  readonly exp?: Seconds;
  /** Subject: the person, or the client itself where no person takes part. */
  readonly sub?: string;
  /** Audience: whom the token is for. */
  readonly aud?: string | readonly string[];
  /** The client that uses the token. `auth(req).clientId` has it whatever the claim is called. */
  readonly client_id?: string;
  /** Time of issue, in seconds since 1970. */
  readonly iat?: Seconds;
  /** Identifier of this token. */
  readonly jti?: string;
  /** Not valid before, in seconds since 1970. */
  readonly nbf?: Seconds;
  /** Granted scope, space-delimited (RFC 8693 section 4.2). `auth(req).scopes` has it as a list. */
  readonly scope?: unknown;
  /** Authentication context: how the person logged in. RFC 9470 section 6. */
  readonly acr?: unknown;
  /** When the person logged in, in seconds since 1970. RFC 9470 section 6. */
  readonly auth_time?: unknown;
  /** The party that acts for the subject. `auth(req).actor` has the outermost alone. RFC 8693 section 4.1. */
  readonly act?: unknown;
}

/** Who acts for the subject of a token: claims that say who it is. RFC 8693 section 4.1. */
export interface Actor {
  readonly [name: string]: unknown;
  readonly sub?: string;
  readonly iss?: string;
}

/** What was found out about an access token: all that requests with the same token have in common. Deeply frozen. */
export interface VerifiedToken {
  readonly claims: TokenClaims;
  readonly scopes: string[];
  readonly clientId: string;
}

/**
 * Checks one token; `digest` is that of the token, where somebody has made it already. Throws `InvalidTokenError` (bad) or
 * `VerificationUnavailableError` (could not find out), at once or by the promise.
 */
export type TokenVerifier = (token: string, digest?: string) => VerifiedToken | Promise<VerifiedToken>;

/** The verified access token of a request: `auth(req)`. Assignable to the Model Context Protocol SDK's `AuthInfo`. */
export interface Auth<Claims extends object = object> {
  /** The access token as it was received. It is a secret: never log it, never pass it on. */
  readonly token: string;
  /** The authentication scheme that the client used. */
  readonly scheme: Scheme;
  /** The verified claims, by their names on the wire, deeply frozen. */
  readonly claims: TokenClaims & Claims;
  /** Granted scope, split. Frozen at run time; the type is mutable only so that it fits `AuthInfo`. */
  readonly scopes: string[];
  /** The client that uses the token: `client_id`, or the claim that the options name. */
  readonly clientId: string;
  /** `sub`: the person, or the client itself where no person takes part; the client, too, where there is no `sub`. */
  readonly subject: string;
  /** `iss`: the authorization server that issued the token. */
  readonly issuer: string;
  /** `exp`: expiry, in seconds since 1970. Only an introspected token may have none. */
  readonly expiresAt?: Seconds;
  /** `act`: who acts for the subject; undefined: the subject itself. Earlier actors of a chain are in `claims.act` only. */
  readonly actor?: Actor | undefined;
  /** This API: the `resource` of `resourceServer()`. A new object at each reading. */
  readonly resource: URL;
}
