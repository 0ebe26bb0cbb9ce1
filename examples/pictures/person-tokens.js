// @ts-check
// How the editor keeps a person's tokens fresh.
import { recordingFetch } from './wire.js';

/** @typedef {import('./sessions.js').Session} Session */

/** Refreshed this much ahead of expiry, in milliseconds, so that a token does not end on its way. */
const MARGIN = 5_000;

/** @param {ReturnType<typeof import('./oauth-client.js').oauthClient>} client */
export function personTokens(client) {
  /**
   * Refresh tokens rotate: each works once, and using one twice looks like theft (RFC 9700 section 4.14.2). So those who
   * need it stand in a queue.
   *
   * @template T @param {Session} session @param {() => Promise<T>} work @returns {Promise<T>}
   */
  function inTurn(session, work) {
    const done = session.turn.then(work);
    session.turn = done.catch(() => undefined);
    return done;
  }

  /** @param {Session} session @param {string} step @param {string} [scope] */
  async function refresh(session, step, scope) {
    const held = tokensIn(session);
    const fetch = recordingFetch(session.log, { step, from: 'editor', to: 'authorization server' });
    try {
      const answer = await client.refresh(fetch, held.refresh, scope);
      held.refresh = answer.refresh_token ?? held.refresh;
      return { held, answer };
    } catch (error) {
      // RFC 6749 section 5.2: used before, revoked or expired. Only the person can help.
      if (/** @type {{ error?: string }} */ (error).error !== 'invalid_grant') throw error;
      if (session.tokens === held) session.tokens = undefined;
      throw new SignInFirst();
    }
  }

  /** @param {Session} session */
  async function renew(session) {
    const { held, answer } = await refresh(session, 'refresh');
    return Object.assign(held, tokensOf(answer, held)).access;
  }

  return {
    /** An access token that is still good for a moment. @param {Session} session */
    fresh: (session) =>
      inTurn(session, async () => {
        const { access, expiresAt } = tokensIn(session);
        return expiresAt > Date.now() + MARGIN ? access : renew(session);
      }),

    /** A new access token, needed or not. @param {Session} session */
    renew: (session) => inTurn(session, () => renew(session)),

    /** A further access token that may do less (RFC 6749 section 6). @param {Session} session @param {string} step
     * @param {string} scope */
    narrow: (session, step, scope) =>
      inTurn(session, async () => (await refresh(session, step, scope)).answer.access_token),
  };
}

/** @param {Session} session */
function tokensIn({ tokens }) {
  if (tokens === undefined) throw new SignInFirst();
  return tokens;
}

/**
 * What to remember of a token response. RFC 6749 section 5.1.
 *
 * @param {import('openid-client').TokenEndpointResponse} answer @param {import('./sessions.js').Tokens} [before]
 * @returns {import('./sessions.js').Tokens}
 */
export function tokensOf(answer, before) {
  return {
    access: answer.access_token,
    refresh: answer.refresh_token ?? before?.refresh ?? '',
    expiresAt: Date.now() + (answer.expires_in ?? 0) * 1000,
    scope: answer.scope ?? before?.scope ?? '',
  };
}

/** Nobody has signed in, or the authorization server wants to see the person again. */
export class SignInFirst extends Error {}
