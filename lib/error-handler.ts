import type { ErrorRequestHandler } from 'express';
import { isAuthError, sendJson, withChallenge } from './answer.js';
import { findContext } from './auth.js';

/**
 * Renders what `checkScope` and the other checks throw inside handlers, and what `onError` handed to `next`, as the same
 * JSON and challenge that the guards answer with: `app.use(errorHandler)`, after the routes. Other errors go on to the next
 * error handler, as does any error once the answer has begun.
 */
export const errorHandler: ErrorRequestHandler = (error: unknown, req, res, next) => {
  if (!isAuthError(error) || res.headersSent) {
    next(error);
    return;
  }
  const context = findContext(req);
  // One that the application made itself has no challenge yet.
  sendJson(context === undefined ? error : withChallenge(error, context), req, res, next);
};
