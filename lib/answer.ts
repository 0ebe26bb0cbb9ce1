import type { NextFunction, Request, Response } from 'express';
import { challenges } from './challenge.js';
import type { ChallengeContext } from './challenge.js';
import { tell } from './diagnostics.js';
import type { DiagnosticsEvent } from './diagnostics.js';
import { OAuthError, UseDPoPNonceError, VerificationUnavailableError } from './errors.js';
import type { Scheme, Seconds } from './types.js';

/** What this library answers: a refusal (400, 401, 403), or that it could not find out (503). */
export type AuthError = OAuthError | VerificationUnavailableError;

/**
 * Answers in place of this library. `error` carries `status`, `headers` (the challenge, or `Retry-After`) and `body`.
 * `next(error)` hands it to Express.
 */
export type OnError = (error: AuthError, req: Request, res: Response, next: NextFunction) => unknown;

/** What a guard needs of the `resourceServer()` that its request came through, for the scheme that the request tried. */
export interface Context extends ChallengeContext {
  readonly resource: string;
  readonly impliesScope: ((granted: string, required: string) => boolean) | undefined;
  readonly onError: OnError;
  readonly clock: () => Seconds;
  readonly clockTolerance: Seconds;
  /** A new DPoP nonce, where proofs must have one. */
  readonly issueNonce: (() => string) | undefined;
}

/** The contexts of one middleware: for each scheme, and for when none was tried or nobody can tell which. */
export type Contexts = Readonly<Record<Scheme | 'none', Context>>;

/** Whether an error is one of ours to answer; everything else is a bug, and Express's. */
export function isAuthError(error: unknown): error is AuthError {
  return error instanceof OAuthError || error instanceof VerificationUnavailableError;
}

/** Gives a refusal the challenge and the body that it has on requests of this context. */
export function withChallenge<T>(error: T, context: Context): T {
  if (error instanceof OAuthError) {
    const nonce = error instanceof UseDPoPNonceError ? error.nonce : context.issueNonce?.();
    error.headers = {
      'WWW-Authenticate': challenges(error, context),
      ...(nonce !== undefined && { 'DPoP-Nonce': nonce }),
    };
    error.body =
      error.code === undefined
        ? {}
        : { error: error.code, ...(context.errorDescription && { error_description: error.message }) };
  }
  return error;
}

/**
 * Answers what a step threw: ours by `onError`, anything else by `next`. Never throws, and never lets the request pass.
 *
 * @param scope What the operation needs, where the error does not say.
 */
export function refuse(
  thrown: unknown,
  context: Context,
  req: Request,
  res: Response,
  next: NextFunction,
  scope?: readonly string[],
): void {
  if (!isAuthError(thrown)) {
    next(asError(thrown));
    return;
  }
  const error = forThisRequest(thrown);
  if (scope !== undefined && error instanceof OAuthError) error.scope = scope;
  tellRefusal(error);
  if (res.headersSent) return; // somebody else has answered while we looked
  // The handler is the user's: it may throw, it may be asynchronous, which Express 4 does not look after, and it may call
  // next() without an error, which is no way past a refusal.
  const answered = new Promise((resolve) => {
    resolve(
      context.onError(withChallenge(error, context), req, res, (passed?: unknown) => {
        next(asError(passed, error));
      }),
    );
  });
  answered.catch((bug: unknown) => {
    next(asError(bug));
  });
}

/** Requests that waited for the same thing got the same error, a hook may keep one for all, and `onError` may write on it. */
function forThisRequest(error: AuthError): AuthError {
  if (error instanceof VerificationUnavailableError) {
    return new VerificationUnavailableError(error.reason, error.retryAfter);
  }
  const isUsed = Object.keys(error.headers).length > 0;
  if (!isUsed) return error;
  return Object.create(Object.getPrototypeOf(error) as object, Object.getOwnPropertyDescriptors(error)) as OAuthError;
}

/** Express takes `next(undefined)`, and `next('route')`, for "go on": a hook may throw those, and must not open the door. */
export function asError(thrown: unknown, instead: Error = new Error('A hook threw something that is no error')): Error {
  return typeof thrown === 'object' && thrown !== null ? (thrown as Error) : instead; // Express takes any object for one
}

/** Tells the operator of a refusal. */
export function tellRefusal(error: unknown): void {
  if (isAuthError(error)) tell(() => describe(error));
}

function describe(error: AuthError): DiagnosticsEvent {
  const { status } = error;
  if (error instanceof VerificationUnavailableError)
    return { type: 'refusal', status, code: undefined, reason: error.reason };
  return { type: 'refusal', status, code: error.code, reason: error.message };
}

/** The default answer: the challenge, and `error` and `error_description` as JSON. RFC 6750 section 3. */
export const sendJson: OnError = (error, _req, res) => {
  setHeaders(error, res);
  res.status(error.status).json(error.body);
};

/**
 * An `onError` that answers with Problem Details (RFC 9457): `resourceServer({ …, onError: problemDetails })`.
 * `error` and the challenge are the same as in the default answer.
 */
export const problemDetails: OnError = (error, _req, res) => {
  const { error: code, error_description: detail } = error.body;
  setHeaders(error, res);
  res.status(error.status).type('application/problem+json');
  res.send(JSON.stringify({ title: TITLES[error.status], status: error.status, detail, error: code }));
};

// RFC 9457 section 4.2.1: without a type of its own a problem has the title of its status.
const TITLES = { 400: 'Bad Request', 401: 'Unauthorized', 403: 'Forbidden', 503: 'Service Unavailable' } as const;

function setHeaders(error: AuthError, res: Response): void {
  for (const [name, value] of Object.entries(error.headers)) {
    // Ours first, because some clients read the first challenge only; those of others survive (RFC 9110 section 11.6.1).
    const others = name === 'WWW-Authenticate' ? [res.getHeader(name) ?? []].flat().map(String) : [];
    res.setHeader(name, others.length > 0 ? [value, others].flat() : value);
  }
  res.append('Access-Control-Expose-Headers', Object.keys(error.headers)); // or scripts of other origins cannot read them
  res.setHeader('Cache-Control', 'no-store'); // the next request may carry a better token
}
