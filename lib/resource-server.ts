import type { Request, RequestHandler, Response } from 'express';
import { refuse } from './answer.js';
import { setAnonymous, setAuth } from './auth.js';
import { checkBinding } from './binding.js';
import { configure } from './configuration.js';
import type { ResourceServerOptions } from './configuration.js';
import { readCredentials } from './credentials.js';
import { InvalidRequestError, InvalidTokenError, UnauthorizedError } from './errors.js';
import { carriesForm, readForm } from './form-body.js';
import { keepPrivate } from './query-token.js';

/**
 * The middleware: a request passes with a good access token and has it in `auth(req)`. RFC 6750, RFC 9068.
 * Anything else is answered here: 401 without a token or with a bad one, 400 for a malformed request, each with its
 * challenge; 503 when the authorization server cannot be asked. Does not check scope or claims: that is for the guards.
 * Fetches nothing before the first token comes.
 *
 * @throws TypeError at construction, for mistakes in the options.
 */
export function resourceServer(options: ResourceServerOptions): RequestHandler {
  const { methods, allowMissingToken, requireTls, maxTokenLength, acceptToken, verify, context } = configure(options);

  async function authenticate(req: Request, res: Response): Promise<void> {
    if (methods.has('body') && carriesForm(req)) await readForm(req, res);
    const credentials = readCredentials(req, methods, maxTokenLength);
    if (credentials === undefined) {
      if (!allowMissingToken) throw new UnauthorizedError();
      setAnonymous(req, context);
      return;
    }
    if (requireTls && !req.secure) throw new InvalidRequestError('An access token must be sent over TLS');
    const claims = await verify(credentials.token);
    checkBinding(claims);
    // Compared with true, so that a hook that answers nothing refuses.
    if (acceptToken !== undefined && ((await acceptToken(claims)) as unknown) !== true) {
      throw new InvalidTokenError('The access token is not accepted here');
    }
    if (credentials.method === 'query') keepPrivate(res);
    setAuth(req, credentials, claims, context);
  }

  return async function resourceServer(req, res, next) {
    try {
      await authenticate(req, res);
    } catch (error) {
      refuse(error, context, req, res, next);
      return;
    }
    next(); // outside the try: what the handler throws is not ours
  };
}
