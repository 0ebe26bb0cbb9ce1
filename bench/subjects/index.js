// @ts-check
// The subjects by name. Each file exports `create(settings)`, which gives a middleware.

/** @typedef {import('../types.js').Settings} Settings */

/** What is known of a subject, beside how it is created. `jose`: it verifies with jose. */
export const SUBJECTS = {
  'express-oauth2-resource-server': { file: 'ours', algorithms: ['RS256', 'ES256', 'EdDSA'], jose: true },
  'jose by hand': { file: 'jose', algorithms: ['RS256', 'ES256', 'EdDSA'], jose: true },
  'express-oauth2-jwt-bearer': {
    file: 'express-oauth2-jwt-bearer',
    algorithms: ['RS256', 'ES256', 'EdDSA'],
    jose: true,
  },
  'MCP SDK guard with jose': { file: 'mcp-sdk', algorithms: ['RS256', 'ES256', 'EdDSA'], jose: true },
  'passport-http-bearer with jose': {
    file: 'passport-http-bearer',
    algorithms: ['RS256', 'ES256', 'EdDSA'],
    jose: true,
  },
  'aws-jwt-verify': { file: 'aws-jwt-verify', algorithms: ['RS256', 'ES256', 'EdDSA'], jose: false },
  'fast-jwt, cache on': { file: 'fast-jwt', algorithms: ['RS256', 'ES256'], jose: false },
  'express-jwt': { file: 'express-jwt', algorithms: ['RS256', 'ES256'], jose: false },
  'passport-jwt': { file: 'passport-jwt', algorithms: ['RS256', 'ES256'], jose: false },
};

export const OURS = 'express-oauth2-resource-server';
export const JOSE = 'jose by hand';

/** Those that are no peers: what the others are measured against. @type {Record<string, string>} */
const REFERENCES = { bare: 'bare', 'two verifications': 'jose-dpop', 'proof alone': 'jose-proof' };

/** @param {string} name @param {Settings} settings */
export async function createSubject(name, settings) {
  const file = REFERENCES[name] ?? SUBJECTS[/** @type {keyof typeof SUBJECTS} */ (name)].file;
  const { create } = await import(`./${file}.js`);
  return /** @type {import('../types.js').Factory} */ (create)(settings);
}

/** The peers, and ourselves, that take an algorithm. @param {string} alg */
export function subjectsFor(alg) {
  return Object.entries(SUBJECTS).flatMap(([name, { algorithms }]) => (algorithms.includes(alg) ? [name] : []));
}
