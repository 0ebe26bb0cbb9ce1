import type { IncomingMessage } from 'node:http';
import { inspect } from 'node:util';
import type { Context } from './answer.js';
import { actorIn } from './claims.js';
import type { Actor, Auth, Credentials, TokenClaims, VerifiedToken } from './types.js';

/** `req.auth`. It brings the context for the guards along, where no spread and no serialization reaches it. */
class RequestAuth implements Auth {
  readonly token: string;
  readonly scheme: Credentials['scheme'];
  readonly claims: TokenClaims;
  readonly scopes: string[];
  readonly clientId: string;
  readonly subject: string;
  readonly issuer: string;
  declare readonly expiresAt?: number;
  readonly #context: Context;

  constructor({ token, scheme }: Credentials, { claims, scopes, clientId }: VerifiedToken, context: Context) {
    this.token = token;
    this.scheme = scheme;
    this.claims = claims;
    this.scopes = scopes;
    this.clientId = clientId;
    this.subject = claims.sub ?? clientId;
    this.issuer = claims.iss;
    if (claims.exp !== undefined) this.expiresAt = claims.exp;
    this.#context = context;
  }

  get resource(): URL {
    return new URL(this.#context.resource);
  }

  get actor(): Actor | undefined {
    return actorIn(this.claims);
  }

  /** What JSON and the console see, without token and `resource`: `res.json(auth(req))` is easily written. */
  toJSON(): object {
    return Object.fromEntries(Object.entries(this).filter(([name]) => name !== 'token'));
  }

  [inspect.custom](): object {
    return this.toJSON();
  }

  /** The context that came with `value`, or undefined if it is no `RequestAuth`: nobody else can make one. */
  static contextIn(value: unknown): Context | undefined {
    return typeof value === 'object' && value !== null && #context in value ? value.#context : undefined;
  }
}

// The context of a request that carries no token, on the request itself: there is no `req.auth` to bring it.
const ANONYMOUS = Symbol('express-oauth2-resource-server');
// One of the two is there, and only one: a property more costs every request (Node 20).
type MarkedRequest = IncomingMessage & { auth?: unknown; [ANONYMOUS]?: Context };

/** Whether a value is what `auth(req)` gives: nobody else can make one. */
export function isAuth(value: unknown): value is Auth {
  return RequestAuth.contextIn(value) !== undefined;
}

/** Leaves the verified token with the request, as `req.auth`. */
export function setAuth(req: IncomingMessage, credentials: Credentials, token: VerifiedToken, context: Context): void {
  (req as MarkedRequest).auth = new RequestAuth(credentials, token, context);
}

/** Whether the middleware of this context has let this token of the request pass already. */
export function isAuthenticated(req: IncomingMessage, { token }: Credentials, context: Context): boolean {
  const { auth } = req as MarkedRequest;
  return RequestAuth.contextIn(auth) === context && (auth as RequestAuth).token === token;
}

/** Leaves with the request that it came without a token, and forgets one that another middleware found. */
export function setAnonymous(req: IncomingMessage, context: Context): void {
  const marked = req as MarkedRequest;
  marked[ANONYMOUS] = context;
  if (marked.auth !== undefined) marked.auth = undefined;
}

/** The context that `resourceServer()` left with the request, if it let it pass. */
export function findContext(req: IncomingMessage): Context | undefined {
  const { auth, [ANONYMOUS]: anonymous } = req as MarkedRequest;
  return RequestAuth.contextIn(auth) ?? anonymous;
}

/**
 * The context that `resourceServer()` left with the request.
 *
 * @throws Error when there is none: a mistake in the program, answered by Express with 500, so that nothing gets through.
 */
export function contextOf(req: IncomingMessage): Context {
  const context = findContext(req);
  if (context !== undefined) return context;
  throw new Error(
    'No resourceServer() has seen this request: put app.use(resourceServer({ … })) before the routes and guards, leave ' +
      '"req.auth" as it is, and install one copy of express-oauth2-resource-server only',
  );
}

/**
 * The verified access token of a request, with the types of your own claims: `auth<{ tenant: string }>(req)`. Those types
 * are taken on trust: nothing checks that the authorization server sends such claims.
 *
 * @throws Error when there is none: the route is not behind `resourceServer()`, or the request is anonymous and the route
 *   has no guard. Routes for both use `auth.optional`.
 */
export function auth<Claims extends object = object>(req: IncomingMessage): Auth<Claims> {
  const found = auth.optional<Claims>(req);
  if (found === undefined)
    throw new Error('This request is anonymous: add a guard to its route, or use auth.optional(req)');
  return found;
}

/** As `auth(req)`, or undefined for an anonymous request. Only with `allowMissingToken` is there such a request. */
auth.optional = function optional<Claims extends object = object>(req: IncomingMessage): Auth<Claims> | undefined {
  contextOf(req);
  const { auth: found } = req as MarkedRequest;
  // contextOf() has recognized it as ours; that the claims are of the caller's type is the caller's word.
  return RequestAuth.contextIn(found) === undefined ? undefined : (found as Auth<Claims>);
};
