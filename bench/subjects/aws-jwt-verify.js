// @ts-check
import { JwtVerifier } from 'aws-jwt-verify';
import { SimpleJwksCache } from 'aws-jwt-verify/jwk';
import { bearer } from './bearer.js';

/** @type {import('../types.js').Factory} */
export function create({ issuer, jwksUri, audience }) {
  // Its own fetcher takes https only.
  const fetcher = { fetch: async (/** @type {string} */ uri) => (await fetch(uri)).arrayBuffer() };
  const verifier = JwtVerifier.create({ issuer, jwksUri, audience }, { jwksCache: new SimpleJwksCache({ fetcher }) });
  return bearer((token) => verifier.verify(token));
}
