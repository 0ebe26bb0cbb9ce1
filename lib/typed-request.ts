import type { Auth } from './types.js';

declare global {
  // The namespace is Express's own place for such additions.
  // eslint-disable-next-line @typescript-eslint/no-namespace
  namespace Express {
    interface Request {
      /** The verified access token; undefined for anonymous requests, and on routes not behind `resourceServer()`. */
      auth?: Auth;
    }
  }
}
