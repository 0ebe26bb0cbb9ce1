// @ts-check
// The editor's memory of each browser: tokens stay here, the browser only has a cookie that points to them.
import { randomBytes } from 'node:crypto';

/**
 * @typedef {object} Tokens what the authorization server gave for one person
 * @property {string} access
 * @property {string} refresh
 * @property {number} expiresAt in milliseconds since 1970
 * @property {string} scope
 *
 * @typedef {object} Session
 * @property {import('./wire.js').Log} log
 * @property {import('openid-client').AuthorizationCodeGrantChecks | undefined} [pending] of a sign-in that is going on
 * @property {string} [person]
 * @property {Tokens | undefined} [tokens]
 * @property {'refused' | 'failed' | undefined} [notice] what the page should say first
 * @property {Promise<unknown>} turn the end of the queue of those who want to use the refresh token
 */

/** Behind https this would be "__Host-photo-editor", with `secure: true`. */
const COOKIE = 'photo-editor';
const MAX_SESSIONS = 100;

export function createSessions() {
  /** @type {Map<string, Session>} */
  const sessions = new Map();

  /** @param {import('express').Request} req */
  const idOf = (req) => new RegExp(`(?:^|; )${COOKIE}=([\\w-]{43})(?:;|$)`).exec(req.headers.cookie ?? '')?.[1] ?? '';

  /** @param {import('express').Response} res @param {Session} session */
  function keep(res, session) {
    const id = randomBytes(32).toString('base64url');
    sessions.set(id, session);
    const [oldest] = sessions.keys();
    if (sessions.size > MAX_SESSIONS && oldest !== undefined) sessions.delete(oldest);
    res.cookie(COOKIE, id, { httpOnly: true, sameSite: 'lax', path: '/' });
  }

  return {
    /** The session of a request; a new one if it has none. @param {import('express').Request} req
     * @param {import('express').Response} res */
    of(req, res) {
      const known = sessions.get(idOf(req));
      if (known !== undefined) return known;
      /** @type {Session} */
      const session = { log: [], turn: Promise.resolve() };
      keep(res, session);
      return session;
    },

    /** A new name for the session when somebody signs in, so that a cookie planted before is worth nothing.
     * @param {import('express').Request} req @param {import('express').Response} res @param {Session} session */
    renew(req, res, session) {
      sessions.delete(idOf(req));
      keep(res, session);
    },

    /** @param {import('express').Request} req @param {import('express').Response} res */
    end(req, res) {
      sessions.delete(idOf(req));
      res.clearCookie(COOKIE, { httpOnly: true, sameSite: 'lax', path: '/' });
    },
  };
}
