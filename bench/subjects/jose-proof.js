// @ts-check
// The one verification that a fresh proof needs, where the access token is known: its key is at hand, and nothing else is checked.
import { importJWK, jwtVerify } from 'jose';

/** @type {import('../types.js').Factory} */
export async function create({ dpopKey }) {
  const { kty, crv, x, y } = dpopKey ?? {};
  const key = await importJWK(/** @type {import('jose').JWK} */ ({ kty, crv, x, y }), 'ES256');
  return async (req, _res, next) => {
    await jwtVerify(String(req.headers['dpop']), key, { typ: 'dpop+jwt', algorithms: ['ES256'] });
    next();
  };
}
