import type { Scheme, Seconds } from './types.js';

// RFC 6750 section 3: the characters of error and error_description, %x20-21 / %x23-5B / %x5D-7E.
const DESCRIPTION = /^[\x20-\x21\x23-\x5b\x5d-\x7e]+$/;
// RFC 6749 appendix A.4: scope-token = 1*( %x21 / %x23-5B / %x5D-7E )
const SCOPE_TOKEN = /^[\x21\x23-\x5b\x5d-\x7e]+$/;

/** Asks for a refresh token (OpenID Connect Core section 11). No resource needs it, and none may demand it. */
export const OFFLINE_ACCESS = 'offline_access';

/** Whether `value` is one scope, as RFC 6749 section 3.3 writes it. */
export function isScopeToken(value: unknown): value is string {
  return typeof value === 'string' && SCOPE_TOKEN.test(value);
}

/**
 * A refusal: the request is at fault, and the client is told so. RFC 6750 section 3.1.
 * `message` goes out as `error_description`; it is a constant sentence and never repeats anything that was received.
 * Express's own error handler understands `status` and `headers`.
 *
 * @throws TypeError when the message has characters that RFC 6750 section 3 forbids there: a quote, a backslash, non-ASCII.
 */
export abstract class OAuthError extends Error {
  /** The HTTP status. */
  abstract readonly status: 400 | 401 | 403;
  /** The `error` code of the challenge; undefined when nothing was presented. */
  readonly code: string | undefined = undefined;
  /** The message may be shown to the client. */
  readonly expose = true;
  /** The scheme that was tried, where there are no credentials to tell it. */
  scheme: Scheme | undefined = undefined;
  /** All scope that the operation needs, where that is known. RFC 6750 section 3. */
  scope: readonly string[] = [];
  /** The challenge as a header. Filled in where the refusal meets a request, as is `body`. */
  headers: Readonly<Record<string, string | string[]>> = {};
  /** What the JSON answer says: `error` and `error_description`, or nothing. */
  body: Readonly<Record<string, string>> = {};

  constructor(message: string) {
    if (!DESCRIPTION.test(message)) {
      throw new TypeError(
        'an error_description must be printable ASCII without quote and backslash (RFC 6750 section 3)',
      );
    }
    // A refusal is an answer, not a bug: no stack for Express's default handler to print into a response. To make one that is
    // thrown away would be most of what a refusal costs.
    const { stackTraceLimit } = Error;
    Reflect.set(Error, 'stackTraceLimit', 0);
    super(message);
    Reflect.set(Error, 'stackTraceLimit', stackTraceLimit);
    this.name = new.target.name;
    this.stack = `${this.name}: ${message}`;
  }

  /** Further parameters of the challenge. */
  get params(): Readonly<Record<string, string>> {
    return this.scope.length > 0 ? { scope: this.scope.join(' ') } : {};
  }
}

/** No access token was presented. The challenge has no error code (RFC 6750 section 3.1), but may name the scope. */
export class UnauthorizedError extends OAuthError {
  readonly status = 401;

  constructor(scope: readonly string[] = []) {
    super('An access token is required');
    this.scope = checkedScope(scope);
  }
}

/** The request is malformed: a repeated parameter, more than one method, a token that is none. RFC 6750 section 3.1. */
export class InvalidRequestError extends OAuthError {
  readonly status = 400;
  override readonly code = 'invalid_request';
}

/** The access token is expired, forged, revoked, for somebody else, or otherwise not valid. RFC 6750 section 3.1. */
export class InvalidTokenError extends OAuthError {
  readonly status = 401;
  override readonly code = 'invalid_token';
}

/** The proof of possession is missing, or does not fit the request. RFC 9449 section 7.1. */
export class InvalidDPoPProofError extends OAuthError {
  readonly status = 401;
  override readonly code = 'invalid_dpop_proof';
}

/** The proof has no nonce of ours, or one that is too old: the client makes a new proof with `nonce`. RFC 9449 section 9. */
export class UseDPoPNonceError extends OAuthError {
  readonly status = 401;
  override readonly code = 'use_dpop_nonce';

  constructor(readonly nonce: string) {
    super('The DPoP proof must have a current nonce of this resource');
  }
}

/** The access token lacks a scope, or another privilege, that the route demands. RFC 6750 section 3.1. */
export class InsufficientScopeError extends OAuthError {
  readonly status = 403;
  override readonly code = 'insufficient_scope';

  /** `scope` is all that the route needs; empty when it is no scope that is missing. */
  constructor(scope: readonly string[] = [], message = 'The access token lacks a required scope') {
    super(message);
    this.scope = checkedScope(scope);
  }
}

/** The token is good, and no other would do here: there is no error code, for which clients would fetch another one. */
export class ForbiddenError extends OAuthError {
  readonly status = 403;
}

/** How the person must have logged in, and how long ago at most. RFC 9470 section 3. */
export interface StepUp {
  /** The authentication contexts that are good enough, the preferred one first: one of them must be the `acr` of the token. */
  readonly acrValues?: readonly string[];
  /** Longest time since the log-in (`auth_time`). */
  readonly maxAge?: Seconds;
}

/** The token is good, but its person logged in too weakly, or too long ago: the client has them log in again. RFC 9470 section 3. */
export class InsufficientUserAuthenticationError extends OAuthError {
  readonly status = 401;
  override readonly code = 'insufficient_user_authentication';

  /** `scope` is all that the route needs, for a token that lacks some of that as well. */
  constructor(
    readonly stepUp: StepUp,
    scope: readonly string[] = [],
  ) {
    super('The operation needs a stronger or a more recent log-in');
    this.scope = checkedScope(scope);
  }

  override get params(): Readonly<Record<string, string>> {
    const { acrValues, maxAge } = this.stepUp;
    return {
      ...(acrValues !== undefined && { acr_values: acrValues.join(' ') }),
      ...(maxAge !== undefined && { max_age: String(maxAge) }),
      ...super.params,
    };
  }
}

/**
 * We could not find out whether the token is good: the authorization server is down, silent or talks nonsense.
 * Not a refusal: 503 with `Retry-After` and no challenge (RFC 9110 section 15.6.4), so that no client throws a good token away.
 */
export class VerificationUnavailableError extends Error {
  readonly status = 503;
  readonly expose = true;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Readonly<Record<string, string>>;

  /**
   * @param reason For the operator: a constant sentence of ours, with the setting to look at. It is not sent to the client.
   * @param retryAfter In how many seconds the client may try again. Default: 5.
   */
  constructor(
    readonly reason: string,
    readonly retryAfter: Seconds = 5,
  ) {
    super('The access token cannot be verified at the moment');
    this.name = new.target.name;
    this.stack = `${this.name}: ${this.message}`; // without the reason: Express prints stacks into answers
    this.headers = { 'Retry-After': String(Math.ceil(retryAfter)) };
    this.body = { error: 'temporarily_unavailable', error_description: this.message }; // the word of RFC 6749 section 4.1.2.1
  }
}

function checkedScope(scope: readonly string[]): readonly string[] {
  if (scope.every((token) => isScopeToken(token) && token !== OFFLINE_ACCESS)) return scope;
  throw new TypeError(
    'a scope must be printable ASCII without space, quote and backslash (RFC 6749 section 3.3), and not "offline_access", ' +
      'which is between the client and the authorization server',
  );
}
