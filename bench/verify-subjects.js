// @ts-check
// Before anything is measured: a subject must accept what is good, and refuse what is bad. A fast "yes" to everything is no feat.
import { createHmac, createPublicKey } from 'node:crypto';
import { forge, mint } from './tokens.js';

/** @typedef {import('./types.js').Trial} Trial */

/**
 * @param {import('./tokens.js').Key} key
 * @param {import('./types.js').Settings} settings
 * @returns {Promise<Trial[]>}
 */
export async function makeTrials(key, { issuer, audience }) {
  const terms = { issuer, audience };
  const hourAgo = Math.floor(Date.now() / 1000) - 3600;
  const good = await mint(key, terms);
  return [
    { name: 'a good token', token: good, passes: true },
    { name: 'a wrong signature', token: forge(good), passes: false },
    { name: 'an expired token', token: await mint(key, { ...terms, claims: { exp: hourAgo } }), passes: false },
    { name: 'a foreign issuer', token: await mint(key, { ...terms, issuer: `${issuer}/other` }), passes: false },
    { name: 'a foreign audience', token: await mint(key, { ...terms, audience: `${audience}/other` }), passes: false },
    { name: 'a public key taken for a secret', token: confused(good, key), passes: false },
  ];
}

/**
 * What went wrong, in words; nothing: all went as it should.
 *
 * @param {import('./child.js').Child} child a worker with one subject
 * @param {Trial[]} trials
 */
export async function tryOut(child, trials) {
  /** @type {string[]} */
  const faults = [];
  for (const { name, token, passes } of trials) {
    const passed = await child.call('passes', { token });
    if (passed !== passes) faults.push(passed ? `accepts ${name}` : `refuses ${name}`);
  }
  return faults;
}

/** Signed with HS256, the secret being the public key as everybody has it. @param {string} token @param {import('./tokens.js').Key} key */
function confused(token, { jwk, kid }) {
  const header = Buffer.from(JSON.stringify({ typ: 'at+jwt', alg: 'HS256', kid })).toString('base64url');
  const input = `${header}.${token.split('.')[1]}`;
  const secret = createPublicKey({ key: /** @type {any} */ (jwk), format: 'jwk' }).export({
    type: 'spki',
    format: 'pem',
  });
  return `${input}.${createHmac('sha256', secret).update(input).digest('base64url')}`;
}
