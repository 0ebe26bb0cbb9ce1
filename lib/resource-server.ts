import type { NextFunction, Request, RequestHandler, Response } from 'express';
import { refuse } from './answer.js';
import type { Context } from './answer.js';
import { setAnonymous } from './auth.js';
import { authenticator } from './authenticate.js';
import { configure } from './configuration.js';
import { digestOf } from './digest.js';
import { InvalidTokenError, OAuthError, UnauthorizedError } from './errors.js';
import { exportKeys, importKeys } from './key-cache.js';
import type { KeyCache } from './key-cache.js';
import { marked, neededScopes, needsAhead } from './needs.js';
import type { ResourceServerOptions } from './resource-server-options.js';
import { upgradeListener } from './upgrade.js';
import type { UpgradeHandler, UpgradeListener, UpgradeOptions } from './upgrade.js';

/** The middleware, with what an operator may want of its keys. */
export interface ResourceServer extends RequestHandler {
  /**
   * Fetches metadata and keys of the listed authorization servers now, and not with the first token. Those with introspection
   * are asked about a token that does not exist, so that wrong credentials show at the start.
   *
   * @throws VerificationUnavailableError when one of them gives no answer. The middleware works on, and tries again.
   */
  ready(): Promise<void>;
  /** Forgets fetched metadata, keys, tenants and tokens: after a key was compromised, say. The next token fetches anew. */
  purge(): void;
  /** Forgets what was found out about an introspected token, in this process: it was revoked, say. The next request asks anew. */
  invalidate(token: string): void;
  /** The fetched keys as JSON, for `importKeys` in another process. */
  exportKeys(): KeyCache;
  /**
   * Serves the metadata document (RFC 9728) and passes everything else on: `app.use(api.metadata())`, for a middleware that is
   * itself mounted on a path. At the root it serves its document by itself. @throws TypeError without the option `metadata`.
   */
  metadata(): RequestHandler;
  /**
   * A listener for `server.on('upgrade', …)`: `handler` runs for requests with a good token, WebSockets for example; anything
   * else is answered on the socket as over HTTP. @throws TypeError for mistakes in the options.
   */
  upgrade(handler: UpgradeHandler, options?: UpgradeOptions): UpgradeListener;
  /** Takes over keys of another process. Whoever can write them can mint tokens. @throws TypeError for anything else. */
  importKeys(cache: KeyCache): void;
}

/**
 * The middleware: a request passes with a good access token and has it in `auth(req)`. RFC 6750, RFC 9068.
 * Anything else is answered here: 401 without a token or with a bad one, 400 for a malformed request, each with its
 * challenge; 503 when the authorization server cannot be asked. Does not check scope or claims: that is for the guards.
 * Fetches nothing before the first token comes.
 *
 * @throws TypeError at construction, for mistakes in the options.
 */
export function resourceServer(options: ResourceServerOptions): ResourceServer {
  const configured = configure(options);
  const { servers, tokens, jwts, contexts, metadata } = configured;
  const { receive, present, authenticate } = authenticator(configured);

  const middleware = function resourceServer(
    req: Request,
    res: Response,
    next: NextFunction,
  ): Promise<void> | undefined {
    if (metadata?.isAskedFor(req) === true) {
      metadata.answer(req, res, next);
      return undefined;
    }
    const received = receive(req, res);
    if (received === undefined) return decide(req, res, next);
    return received.then(
      () => decide(req, res, next),
      (error: unknown) => {
        answer(error, contexts.none, req, res, next);
      },
    );
  };

  /** Without a promise where nothing has to be waited for: a turn of the event loop would cost more than all the rest. */
  function decide(req: Request, res: Response, next: NextFunction): Promise<void> | undefined {
    let context = contexts.none;
    let pending: Promise<void> | undefined;
    try {
      const credentials = present(req);
      if (credentials === undefined) setAnonymous(req, context);
      else {
        context = contexts[credentials.scheme];
        pending = authenticate(req, res, credentials);
      }
    } catch (error) {
      answer(error, context, req, res, next);
      return undefined;
    }
    if (pending !== undefined) {
      return pending.then(
        () => {
          next();
        },
        (error: unknown) => {
          answer(error, context, req, res, next);
        },
      );
    }
    next(); // outside the try: what the handler throws is not ours
    return undefined;
  }

  function answer(error: unknown, context: Context, req: Request, res: Response, next: NextFunction): void {
    const tried = error instanceof OAuthError ? error.scheme : undefined;
    // The client that gets a token next is told what for. RFC 6750 section 3.
    const isForToken = error instanceof UnauthorizedError || error instanceof InvalidTokenError;
    const scope = isForToken ? neededScopes(needsAhead(req)) : undefined;
    refuse(error, tried === undefined ? context : contexts[tried], req, res, next, scope);
  }

  marked(middleware, { isResourceServer: true });

  return Object.assign(middleware, {
    ready: async () => {
      await Promise.all(
        [...servers.known()].map(async ([, { metadata, keys, introspection }]) => {
          await metadata?.get();
          await Promise.all([keys.kept?.get(), introspection?.probe()]);
        }),
      );
    },
    purge: () => {
      for (const [, { metadata, keys }] of servers.known()) {
        keys.kept?.purge();
        metadata?.purge();
      }
      servers.purge();
      tokens.clear();
      jwts.clear();
    },
    invalidate: (token: string) => {
      const digest = digestOf(token);
      jwts.forget(digest);
      for (const [, { introspection }] of servers.known()) introspection?.forget(digest);
    },
    metadata: () => {
      if (metadata !== undefined) return metadata.handler;
      throw new TypeError('metadata() needs the option "metadata" of resourceServer: set it to true');
    },
    upgrade: (handler: UpgradeHandler, given: UpgradeOptions = {}) =>
      upgradeListener(decide, contexts.none, handler, given), // there is no document to be had by an upgrade
    exportKeys: () => exportKeys(servers),
    importKeys: (cache: KeyCache) => {
      importKeys(servers, cache);
    },
  });
}
