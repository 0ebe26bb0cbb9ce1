import type { Request, Response } from 'express';
import { isAuthenticated, setAuth } from './auth.js';
import { checkBinding, isPlain } from './binding.js';
import type { Configuration } from './configuration.js';
import { readCredentials } from './credentials.js';
import { digestOf } from './digest.js';
import { InvalidRequestError, InvalidTokenError, UnauthorizedError } from './errors.js';
import { carriesForm, readForm } from './form-body.js';
import { linesOf } from './header-lines.js';
import { keepPrivate, sendNonce } from './success-headers.js';
import type { Credentials, VerifiedToken } from './types.js';

/** The steps of authentication. Each throws what is answered. */
export interface Authenticator {
  /** Reads a form that may have the token; undefined where there is none to wait for. */
  readonly receive: (req: Request, res: Response) => Promise<void> | undefined;
  /** The token of a request; undefined where none may be missing. */
  readonly present: (req: Request) => Credentials | undefined;
  /** Verifies it, and leaves with the request what was found out. Without a promise for a known token: most are. */
  readonly authenticate: (req: Request, res: Response, credentials: Credentials) => Promise<void> | undefined;
}

/** How requests are authenticated with these options. */
export function authenticator(configured: Configuration): Authenticator {
  const { methods, schemes, maxTokenLength, allowMissingToken, requireTls, acceptToken } = configured;
  const { jwts, verify, policy, certificateOf, urisOf, contexts } = configured;

  function present(req: Request): Credentials | undefined {
    const credentials = readCredentials(req, methods, schemes, maxTokenLength);
    if (credentials === undefined && !allowMissingToken) throw new UnauthorizedError();
    return credentials;
  }

  function authenticate(req: Request, res: Response, credentials: Credentials): Promise<void> | undefined {
    if (requireTls && !req.secure) throw new InvalidRequestError('An access token must be sent over TLS');
    // Mounted twice, for the application and for a router: a proof is good for one use, and this is the same one.
    if (isAuthenticated(req, credentials, contexts[credentials.scheme])) return undefined;
    const digest = digestOf(credentials.token);
    const known = jwts.recall(digest);
    if (known === undefined) return verifyAnew(req, res, credentials, digest);
    if (!(known instanceof Promise)) return admit(req, res, credentials, known);
    return known.then((found) =>
      found === undefined ? verifyAnew(req, res, credentials, digest) : admit(req, res, credentials, found),
    );
  }

  function verifyAnew(
    req: Request,
    res: Response,
    credentials: Credentials,
    digest: string,
  ): Promise<void> | undefined {
    const verified = verify(credentials.token, digest);
    if (!(verified instanceof Promise)) return admit(req, res, credentials, verified);
    return verified.then((found) => admit(req, res, credentials, found));
  }

  /** The token is good: whether it is good for this request. */
  function admit(
    req: Request,
    res: Response,
    credentials: Credentials,
    verified: VerifiedToken,
  ): Promise<void> | undefined {
    const isProven = acceptToken === undefined && isPlain(verified.claims, credentials.scheme, policy);
    if (!isProven) return prove(req, res, credentials, verified);
    letPass(req, res, credentials, verified);
    return undefined;
  }

  async function prove(req: Request, res: Response, credentials: Credentials, verified: VerifiedToken): Promise<void> {
    const { token, scheme } = credentials;
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
    if (nonce !== undefined) sendNonce(res, nonce);
    letPass(req, res, credentials, verified);
  }

  function letPass(req: Request, res: Response, credentials: Credentials, verified: VerifiedToken): void {
    if (credentials.method === 'query') keepPrivate(res);
    setAuth(req, credentials, verified, contexts[credentials.scheme]);
  }

  const receive = (req: Request, res: Response) =>
    methods.has('body') && carriesForm(req) ? readForm(req, res) : undefined;
  return { receive, present, authenticate };
}
