import type { IncomingMessage } from 'node:http';
import type { RequestHandler } from 'express';
import { asError, refuse, tellRefusal, withChallenge } from './answer.js';
import type { Context } from './answer.js';
import { auth, contextOf } from './auth.js';
import { isBound } from './binding.js';
import { InsufficientScopeError, InvalidTokenError, UnauthorizedError } from './errors.js';
import { claimAt } from './claims.js';
import { checkedScopes, show } from './options.js';
import type { Auth } from './types.js';

/** Whether a claim is good enough: `true`, and nothing else, lets pass. A claim that the token lacks is `undefined`. */
export type ClaimTest = (value: unknown, auth: Auth) => boolean;

/**
 * A guard that lets a request pass whose token has every one of `scopes`. Answers 403 `insufficient_scope` otherwise and
 * names them all; 401 to an anonymous request. RFC 6750 section 3.1, RFC 6749 section 3.3.
 *
 * @throws TypeError at construction, for no scope at all, or for one that RFC 6749 section 3.3 does not allow.
 */
export function requireScope(...scopes: readonly string[]): RequestHandler {
  return guard(everyScope('requireScope', scopes));
}

/** As `requireScope`, but one of `scopes` is enough. The challenge names the first, so begin with the one to ask for. */
export function requireAnyScope(...scopes: readonly string[]): RequestHandler {
  return guard(anyScope('requireAnyScope', scopes));
}

/**
 * A guard that lets a request pass whose token has a claim that passes `test`, such as
 * `requireClaim('role', (role) => role === 'editor')`. The name may be a path: `['realm_access', 'roles']`. Answers 403
 * `insufficient_scope` otherwise, 401 to an anonymous request. What the test throws goes to Express (500). RFC 9068
 * section 4.
 *
 * @throws TypeError at construction, for a name that is no string or a test that is no function.
 */
export function requireClaim(name: string | readonly string[], test: ClaimTest): RequestHandler {
  return guard(claim('requireClaim', name, test));
}

/**
 * A guard that lets a request pass whose token is bound to a key, which the client has proven (RFC 9449, RFC 8705). Answers
 * 401 `invalid_token` otherwise.
 */
export function requireBoundToken(): RequestHandler {
  return guard((auth) => {
    if (auth === undefined) throw new UnauthorizedError();
    if (!isBound(auth.claims)) throw new InvalidTokenError('The access token is not bound to a key');
  });
}

/**
 * `requireScope` inside a handler, for what only the handler can know. Does nothing when the token has every scope.
 *
 * @throws InsufficientScopeError or UnauthorizedError, which carry status and challenge: Express's own error handler
 *   answers them rightly, and `app.use(errorHandler)` as JSON.
 */
export function checkScope(req: IncomingMessage, ...scopes: readonly string[]): void {
  check(req, everyScope('checkScope', scopes));
}

/** `requireAnyScope` inside a handler. Throws as `checkScope` does. */
export function checkAnyScope(req: IncomingMessage, ...scopes: readonly string[]): void {
  check(req, anyScope('checkAnyScope', scopes));
}

/** `requireClaim` inside a handler. Throws as `checkScope` does. */
export function checkClaim(req: IncomingMessage, name: string | readonly string[], test: ClaimTest): void {
  check(req, claim('checkClaim', name, test));
}

/** What a guard asks of a request; throws when it does not get it. */
type Demand = (auth: Auth | undefined, context: Context) => void;

function everyScope(where: string, scopes: readonly string[]): Demand {
  const needed = checkedScopes(where, scopes);
  return (auth, context) => {
    if (auth === undefined) throw new UnauthorizedError(needed);
    if (!needed.every((scope) => hasScope(auth, scope, context))) throw new InsufficientScopeError(needed);
  };
}

function anyScope(where: string, scopes: readonly string[]): Demand {
  const sufficient = checkedScopes(where, scopes);
  const first = sufficient.slice(0, 1);
  return (auth, context) => {
    if (auth === undefined) throw new UnauthorizedError(first);
    if (!sufficient.some((scope) => hasScope(auth, scope, context))) throw new InsufficientScopeError(first);
  };
}

function claim(where: string, name: string | readonly string[], test: ClaimTest): Demand {
  const path: readonly unknown[] = Array.isArray(name) ? name : [name];
  if (path.length === 0 || !path.every((step) => typeof step === 'string') || typeof test !== 'function') {
    const hint = `such as ${where === 'requireClaim' ? '' : 'req, '}'role', (role) => role === 'editor'`;
    throw new TypeError(
      `${where} needs the name of a claim and a function, ${hint}; got ${show(name)} and ${show(test)}`,
    );
  }
  return (auth) => {
    if (auth === undefined) throw new UnauthorizedError();
    const value = claimAt(auth.claims, path);
    // Compared with true, so that the promise of an asynchronous test does not open the door.
    if ((test(value, auth) as unknown) !== true) {
      throw new InsufficientScopeError([], 'The access token lacks a required claim');
    }
  };
}

function hasScope(auth: Auth, required: string, context: Context): boolean {
  const { impliesScope } = context;
  if (auth.scopes.includes(required)) return true;
  return (
    impliesScope !== undefined && auth.scopes.some((granted) => (impliesScope(granted, required) as unknown) === true)
  );
}

function guard(demand: Demand): RequestHandler {
  return function oauth2Guard(req, res, next) {
    let context: Context | undefined;
    try {
      context = contextOf(req);
      demand(auth.optional(req), context);
    } catch (error) {
      if (context === undefined) next(error);
      else refuse(error, context, req, res, next);
      return;
    }
    next(); // outside the try: what the handler throws is not ours
  };
}

function check(req: IncomingMessage, demand: Demand): void {
  const context = contextOf(req);
  try {
    demand(auth.optional(req), context);
  } catch (error) {
    tellRefusal(error);
    throw withChallenge(asError(error), context);
  }
}
