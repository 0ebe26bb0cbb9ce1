// @ts-check
// Requests that the storage must refuse. Each is real: real tokens, sent over a real connection.
import { randomBytes } from 'node:crypto';
import { setTimeout as wait } from 'node:timers/promises';
import { INTROSPECTION_TTL } from './storage.js';
import { recordingFetch } from './wire.js';

/** @typedef {import('./sessions.js').Session} Session */
/** @typedef {Record<string, (session: Session) => Promise<Response>>} Refusals */

/**
 * @param {object} parts
 * @param {string} parts.resource the address of the storage
 * @param {ReturnType<typeof import('./person-tokens.js').personTokens>} parts.tokens
 * @param {ReturnType<typeof import('./nightly-job.js').createNightlyJob>} parts.job
 * @param {boolean} parts.opaque
 * @returns {Refusals}
 */
export function createRefusals({ resource, tokens, job, opaque }) {
  const step = 'refusals';

  /** @param {Session} session */
  const storage = (session) => recordingFetch(session.log, { step, from: 'editor', to: 'storage' });

  /** @type {Refusals} */
  const always = {
    /** RFC 6750 section 3.1: a challenge without an error code, for nothing was wrong yet. */
    'no-token': (session) => storage(session)(`${resource}/pictures`),

    /** The job's tokens live for six seconds. One is used at once, and again when its time is over. */
    async expired(session) {
      const { access_token, expires_in = 0 } = await job.getToken(session.log, step);
      await job.count(session.log, step, access_token);
      await wait(expires_in * 1000, undefined, { ref: false });
      return job.count(session.log, step, access_token);
    },

    /** The editor asks for a token that may only read, and tries to write with it. */
    async 'wrong-scope'(session) {
      const token = await tokens.narrow(session, step, 'pictures:read');
      const fetch = storage(session);
      const list = await fetch(`${resource}/pictures`, { headers: bearer(token) });
      const [picture] = /** @type {[{ id: string }]} */ (await list.json());
      const headers = { ...bearer(token), 'content-type': 'application/json' };
      const body = JSON.stringify({ look: 'sepia', mirrored: true });
      return fetch(`${resource}/pictures/${picture.id}`, { method: 'PUT', headers, body });
    },

    /** RFC 6750 section 3.1: more than one token is a malformed request, even if both are good. */
    async 'two-tokens'(session) {
      const token = await tokens.fresh(session);
      return storage(session)(`${resource}/pictures`, {
        headers: [
          ['Authorization', `Bearer ${token}`],
          ['Authorization', `Bearer ${token}`],
        ],
      });
    },
  };

  /** @type {Refusals} */
  const ofJwts = {
    /** Somebody writes another name into the token. The signature was made for the old one. */
    async tampered(session) {
      const [header, payload = '', signature] = (await tokens.fresh(session)).split('.');
      const claims = JSON.parse(Buffer.from(payload, 'base64url').toString());
      const forged = { ...claims, sub: claims.sub === 'ben' ? 'ada' : 'ben' };
      const token = [header, Buffer.from(JSON.stringify(forged)).toString('base64url'), signature].join('.');
      return storage(session)(`${resource}/pictures`, { headers: bearer(token) });
    },
  };

  /** @type {Refusals} */
  const ofOpaqueTokens = {
    /** There is nothing to tamper with. All that an attacker can do is guess. */
    guessed: (session) =>
      storage(session)(`${resource}/pictures`, { headers: bearer(randomBytes(32).toString('base64url')) }),

    /** Revoked in the middle of its life. The storage learns of it when it asks again: when its last answer is too old. */
    async revoked(session) {
      const { access_token } = await job.getToken(session.log, step);
      await job.count(session.log, step, access_token);
      await job.revoke(session.log, step, access_token);
      await job.count(session.log, step, access_token); // passes
      await wait(INTROSPECTION_TTL * 1000, undefined, { ref: false });
      return job.count(session.log, step, access_token);
    },

    /** Active, says the authorization server. But it is for the authorization server only, and outlives access tokens by far. */
    async 'refresh-token'(session) {
      await tokens.fresh(session);
      return storage(session)(`${resource}/pictures`, { headers: bearer(session.tokens?.refresh ?? '') });
    },
  };

  return { ...always, ...(opaque ? ofOpaqueTokens : ofJwts) };
}

/** @param {string} token */
const bearer = (token) => ({ authorization: `Bearer ${token}` });
