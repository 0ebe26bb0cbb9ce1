import type { IncomingMessage } from 'node:http';
import type { RequestHandler } from 'express';
import { isBound } from './binding.js';
import { claimAt } from './claims.js';
import { InsufficientScopeError, InsufficientUserAuthenticationError, InvalidTokenError } from './errors.js';
import type { StepUp } from './errors.js';
import { check, guard, hasScopes, hasStepUp, isTrue } from './guard.js';
import type { Demand } from './guard.js';
import type { Needs } from './needs.js';
import { checkedScopes, checkedStepUp, show } from './options.js';
import type { Actor, Auth } from './types.js';

/** Whether a claim is good enough: `true`, and nothing else, lets pass. A claim that the token lacks is `undefined`. */
export type ClaimTest = (value: unknown, auth: Auth) => boolean;

/** Whether the acting party is one that may act here: `true`, and nothing else, lets pass. */
export type ActorTest = (actor: Actor, auth: Auth) => boolean;

/**
 * A guard that lets a request pass whose token has every one of `scopes`. Answers 403 `insufficient_scope` otherwise and
 * names all that the guards of the route need; 401 to an anonymous request. RFC 6750 section 3.1, RFC 6749 section 3.3.
 *
 * @throws TypeError at construction, for no scope at all, or for one that RFC 6749 section 3.3 does not allow.
 */
export function requireScope(...scopes: readonly string[]): RequestHandler {
  return guard(scope({ scopes: checkedScopes('requireScope', scopes) }));
}

/** As `requireScope`, but one of `scopes` is enough. The challenge names the first, so begin with the one to ask for. */
export function requireAnyScope(...scopes: readonly string[]): RequestHandler {
  return guard(scope({ scopes: checkedScopes('requireAnyScope', scopes), anyOf: true }));
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
  return guard({
    needs: {},
    check: ({ claims }) => {
      if (!isBound(claims)) throw new InvalidTokenError('The access token is not bound to a key');
    },
  });
}

/**
 * A guard that lets a request pass whose person logged in strongly enough (`acr` is one of `acrValues`) and recently enough
 * (`auth_time` is at most `maxAge` seconds ago, `clockTolerance` added). Answers 401 `insufficient_user_authentication`
 * otherwise, so that the client has the person log in again; a token without these claims is refused. RFC 9470.
 *
 * @throws TypeError at construction, for neither of the two, or for what cannot stand in a challenge.
 */
export function requireStepUp(stepUp: StepUp): RequestHandler {
  return guard(login('requireStepUp', stepUp));
}

/**
 * A guard that lets a request pass whose token names an acting party (`act`) that passes `test`, such as
 * `requireActor((actor) => actor.sub === 'https://support.example.com')`. Answers 403 `insufficient_scope` otherwise.
 * The test sees the outermost actor alone: those before it, and `may_act`, have no say. RFC 8693 sections 4.1 and 4.4.
 *
 * @throws TypeError at construction, for a test that is no function.
 */
export function requireActor(test: ActorTest): RequestHandler {
  return guard(actor('requireActor', test));
}

/**
 * `requireScope` inside a handler, for what only the handler can know. Does nothing when the token has every scope.
 *
 * @throws InsufficientScopeError or UnauthorizedError, which carry status and challenge: Express's own error handler
 *   answers them rightly, and `app.use(errorHandler)` as JSON.
 */
export function checkScope(req: IncomingMessage, ...scopes: readonly string[]): void {
  check(scope({ scopes: checkedScopes('checkScope', scopes) }), req);
}

/** `requireAnyScope` inside a handler. Throws as `checkScope` does. */
export function checkAnyScope(req: IncomingMessage, ...scopes: readonly string[]): void {
  check(scope({ scopes: checkedScopes('checkAnyScope', scopes), anyOf: true }), req);
}

/** `requireClaim` inside a handler. Throws as `checkScope` does. */
export function checkClaim(req: IncomingMessage, name: string | readonly string[], test: ClaimTest): void {
  check(claim('checkClaim', name, test), req);
}

/** `requireStepUp` inside a handler. @throws InsufficientUserAuthenticationError, otherwise as `checkScope` does. */
export function checkStepUp(req: IncomingMessage, stepUp: StepUp): void {
  check(login('checkStepUp', stepUp), req);
}

/** `requireActor` inside a handler. Throws as `checkScope` does. */
export function checkActor(req: IncomingMessage, test: ActorTest): void {
  check(actor('checkActor', test), req);
}

function scope(needs: Needs): Demand {
  const { scopes = [], anyOf = false } = needs;
  const told = anyOf ? scopes.slice(0, 1) : scopes;
  return {
    needs,
    check: (auth, context) => {
      if (!hasScopes(auth, needs, context)) throw new InsufficientScopeError(told);
    },
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
  return {
    needs: {},
    check: (auth) => {
      if (!isTrue(test(claimAt(auth.claims, path), auth))) {
        throw new InsufficientScopeError([], 'The access token lacks a required claim');
      }
    },
  };
}

function login(where: string, stepUp: StepUp): Demand {
  const wanted = checkedStepUp(where, stepUp);
  return {
    needs: { stepUp: wanted },
    check: (auth, context) => {
      if (!hasStepUp(auth, wanted, context)) throw new InsufficientUserAuthenticationError(wanted);
    },
  };
}

function actor(where: string, test: ActorTest): Demand {
  if (typeof test !== 'function') {
    throw new TypeError(`${where} needs a function, such as (actor) => actor.sub === 'support'; got ${show(test)}`);
  }
  return {
    needs: {},
    check: (auth) => {
      const { actor } = auth;
      if (actor === undefined || !isTrue(test(actor, auth))) {
        throw new InsufficientScopeError([], 'The access token names no acting party that is allowed here');
      }
    },
  };
}
