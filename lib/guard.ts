import type { IncomingMessage } from 'node:http';
import type { Request, RequestHandler } from 'express';
import { isTime } from './access-token.js';
import { asError, refuse, tellRefusal, withChallenge } from './answer.js';
import type { Context } from './answer.js';
import { auth as authOf, contextOf } from './auth.js';
import {
  InsufficientScopeError,
  InsufficientUserAuthenticationError,
  InvalidTokenError,
  UnauthorizedError,
} from './errors.js';
import type { StepUp } from './errors.js';
import { marked, neededScopes, needsAhead } from './needs.js';
import type { Needs } from './needs.js';
import type { Auth, Seconds } from './types.js';

/** What a guard demands of a token; throws when it does not get it. */
export interface Demand {
  readonly needs: Needs;
  readonly check: (auth: Auth, context: Context, req: IncomingMessage) => void;
}

/** A middleware that lets a request pass if the demand is met. Answers 401 to an anonymous one. */
export function guard(demand: Demand): RequestHandler {
  return marked<RequestHandler>(function oauth2Guard(req, res, next) {
    let context: Context | undefined;
    try {
      context = contextOf(req);
      meet(demand, req, context);
    } catch (error) {
      if (context === undefined) next(error);
      else refuse(withAllNeeds(error, req, context), context, req, res, next);
      return;
    }
    next(); // outside the try: what the handler throws is not ours
  }, demand.needs);
}

/** The same inside a handler: throws what carries its answer along. */
export function check(demand: Demand, req: IncomingMessage): void {
  const context = contextOf(req);
  try {
    meet(demand, req, context);
  } catch (error) {
    const refusal = withAllNeeds(error, req, context);
    tellRefusal(refusal);
    throw withChallenge(asError(refusal), context);
  }
}

/** Whether a token has a scope, by itself or by one that includes it. */
export function hasScope(auth: Auth, required: string, { impliesScope }: Context): boolean {
  if (auth.scopes.includes(required)) return true;
  return impliesScope !== undefined && auth.scopes.some((granted) => isTrue(impliesScope(granted, required)));
}

/** Whether a test of the user's said `true`: the promise of an asynchronous one does not open the door, whatever becomes of it. */
export function isTrue(verdict: unknown): boolean {
  if (verdict instanceof Promise) verdict.catch(() => undefined); // nobody waits for it, and it must not end the process
  return verdict === true;
}

/** Whether a token has what is asked of its scope. */
export function hasScopes(auth: Auth, { scopes = [], anyOf = false }: Needs, context: Context): boolean {
  const has = (scope: string) => hasScope(auth, scope, context);
  return anyOf ? scopes.some(has) : scopes.every(has);
}

/**
 * Whether the log-in behind a token is good enough. A claim that is missing, or of another type, is not (RFC 9470 section 6).
 */
export function hasStepUp(
  { claims }: Auth,
  { acrValues, maxAge }: StepUp,
  { clock, clockTolerance }: Context,
): boolean {
  const { acr, auth_time: authTime } = claims;
  if (acrValues !== undefined && !(typeof acr === 'string' && acrValues.includes(acr))) return false;
  if (maxAge === undefined) return true;
  if (!isTime(authTime)) return false;
  const age = clock() - authTime;
  return age <= maxAge + clockTolerance && age >= -Math.max(clockTolerance, AHEAD);
}

/** How far ahead the clock of an authorization server may be. A log-in later than that, in milliseconds say, would never be old. */
const AHEAD: Seconds = 60;

function meet({ needs, check: checkIt }: Demand, req: IncomingMessage, context: Context): void {
  const auth = authOf.optional(req);
  if (auth === undefined) throw new UnauthorizedError(neededScopes([needs]));
  checkIt(auth, context, req);
}

/**
 * A refusal names everything that the operation needs, not only what this guard found missing: a client that asked for one
 * thing after the other would have its person agree again and again. A log-in that is too weak comes first, because the same
 * request can ask for scope (RFC 9470 section 3).
 */
function withAllNeeds(error: unknown, req: IncomingMessage, context: Context): unknown {
  if (error instanceof InvalidTokenError) error.scope = neededScopes(needsAhead(req as Request));
  const isAboutScope = error instanceof InsufficientScopeError && error.scope.length > 0;
  const isAboutLogin = error instanceof InsufficientUserAuthenticationError;
  if (!isAboutScope && !isAboutLogin && !(error instanceof UnauthorizedError)) return error;
  const ahead = needsAhead(req as Request).map((needs) => forThis(req as Request, needs));
  const auth = authOf.optional(req);
  const scope = [...new Set([...neededScopes(ahead, auth?.scopes), ...error.scope])];
  if (auth === undefined) return new UnauthorizedError(scope);
  const lacksScope = isAboutScope || ahead.some((needs) => !hasScopes(auth, needs, context));
  const weak = ahead.flatMap(({ stepUp }) =>
    stepUp !== undefined && !hasStepUp(auth, stepUp, context) ? [stepUp] : [],
  );
  if (isAboutLogin) weak.push(error.stepUp);
  if (weak.length === 0) return new InsufficientScopeError(scope, error.message);
  const all = ahead.flatMap(({ stepUp }) => stepUp ?? []);
  return new InsufficientUserAuthenticationError(together(weak, all), lacksScope ? scope : []);
}

/** The needs of one request among those of a route. */
function forThis(req: Request, needs: Needs): Needs {
  const { scopesOf } = needs;
  return scopesOf === undefined ? needs : { ...needs, scopes: scopesOf(req) };
}

/** What several guards ask of one log-in: contexts that are good enough for `all`, or the client goes round in circles. */
function together(weak: readonly StepUp[], all: readonly StepUp[]): StepUp {
  const wanted = weak.find((stepUp) => stepUp.acrValues !== undefined)?.acrValues;
  const common = wanted?.filter((acr) => all.every(({ acrValues = [acr] }) => acrValues.includes(acr)));
  const acrValues = common?.length === 0 ? wanted : common;
  const maxAge = Math.min(...weak.map((stepUp) => stepUp.maxAge ?? Infinity));
  return { ...(acrValues !== undefined && { acrValues }), ...(maxAge !== Infinity && { maxAge }) };
}
