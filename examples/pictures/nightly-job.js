// @ts-check
// A program that works while nobody is there: it gets a token in its own name, by client credentials.
import { oauthClient } from './oauth-client.js';
import { recordingFetch } from './wire.js';

/** @typedef {{ people: number, pictures: number, edited: number }} Count */

/**
 * @param {object} options
 * @param {string} options.issuer
 * @param {string} options.resource the address of the storage
 * @param {{ id: string, secret: string }} options.credentials
 * @param {import('./wire.js').Log} options.backstage
 */
export function createNightlyJob({ issuer, resource, credentials, backstage }) {
  const fetch = recordingFetch(backstage, { step: 'job', from: 'nightly job', to: 'authorization server' });
  const client = oauthClient({ issuer, resource, credentials, fetch });

  /** RFC 6749 section 4.4. @param {import('./wire.js').Log} log @param {string} step */
  async function getToken(log, step) {
    const label = { step, from: 'nightly job', to: 'authorization server' };
    return client.clientCredentials(recordingFetch(log, label), 'pictures:count');
  }

  /** @param {import('./wire.js').Log} log @param {string} step @param {string} token */
  async function count(log, step, token) {
    const fetch = recordingFetch(log, { step, from: 'nightly job', to: 'storage' });
    return fetch(`${resource}/count`, { headers: { authorization: `Bearer ${token}` } });
  }

  /** RFC 7009. @param {import('./wire.js').Log} log @param {string} step @param {string} token */
  async function revoke(log, step, token) {
    await client.revoke(recordingFetch(log, { step, from: 'nightly job', to: 'authorization server' }), token);
  }

  return {
    getToken,
    count,
    revoke,

    /** The job itself: how many pictures are there tonight? @param {import('./wire.js').Log} log @returns {Promise<Count>} */
    async run(log) {
      const { access_token } = await getToken(log, 'job');
      const response = await count(log, 'job', access_token);
      if (!response.ok) throw new Error(`the storage answered ${response.status}`);
      return /** @type {Promise<Count>} */ (response.json());
    },
  };
}
