import type { Request, RequestHandler, Response } from 'express';
import { refuse } from './answer.js';
import { isAuthenticated, setAnonymous, setAuth } from './auth.js';
import { checkBinding } from './binding.js';
import { configure } from './configuration.js';
import { readCredentials } from './credentials.js';
import { InvalidRequestError, InvalidTokenError, OAuthError, UnauthorizedError } from './errors.js';
import { carriesForm, readForm } from './form-body.js';
import { linesOf } from './header-lines.js';
import { exportKeys, importKeys } from './key-cache.js';
import type { KeyCache } from './key-cache.js';
import type { ResourceServerOptions } from './resource-server-options.js';
import { keepPrivate, sendNonce } from './success-headers.js';
import type { Credentials } from './types.js';

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
  const { methods, schemes, maxTokenLength, allowMissingToken, requireTls, acceptToken, verify, ...configured } =
    configure(options);
  const { servers, tokens, policy, certificateOf, urisOf, contexts } = configured;

  async function present(req: Request, res: Response): Promise<Credentials | undefined> {
    if (methods.has('body') && carriesForm(req)) await readForm(req, res);
    const credentials = readCredentials(req, methods, schemes, maxTokenLength);
    if (credentials === undefined && !allowMissingToken) throw new UnauthorizedError();
    return credentials;
  }

  async function authenticate(req: Request, res: Response, credentials: Credentials): Promise<void> {
    const { token, scheme, method } = credentials;
    if (requireTls && !req.secure) throw new InvalidRequestError('An access token must be sent over TLS');
    const verified = await verify(token);
    const { claims } = verified;
    const nonce = await checkBinding(
      {
        scheme,
        token,
        claims,
        method: req.method,
        proofs: () => linesOf(req.rawHeaders, 'dpop'),
        uris: () => urisOf(req),
        certificate: () => certificateOf(req),
      },
      policy,
    );
    // Compared with true, so that a hook that answers nothing refuses.
    if (acceptToken !== undefined && ((await acceptToken(claims)) as unknown) !== true) {
      throw new InvalidTokenError('The access token is not accepted here');
    }
    if (method === 'query') keepPrivate(res);
    if (nonce !== undefined) sendNonce(res, nonce);
    setAuth(req, credentials, verified, contexts[scheme]);
  }

  const middleware: RequestHandler = async function resourceServer(req, res, next) {
    let context = contexts.none;
    try {
      const credentials = await present(req, res);
      if (credentials === undefined) setAnonymous(req, context);
      else {
        context = contexts[credentials.scheme];
        // Mounted twice, for the application and for a router: a proof is good for one use, and this is the same one.
        if (!isAuthenticated(req, credentials, context)) await authenticate(req, res, credentials);
      }
    } catch (error) {
      const tried = error instanceof OAuthError ? error.scheme : undefined;
      refuse(error, tried === undefined ? context : contexts[tried], req, res, next);
      return;
    }
    next(); // outside the try: what the handler throws is not ours
  };

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
    },
    invalidate: (token: string) => {
      for (const [, { introspection }] of servers.known()) introspection?.forget(token);
    },
    exportKeys: () => exportKeys(servers),
    importKeys: (cache: KeyCache) => {
      importKeys(servers, cache);
    },
  });
}
