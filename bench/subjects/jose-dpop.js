// @ts-check
// The two verifications that DPoP cannot avoid: access token and proof, with keys at hand, and nothing else checked.
import { importJWK, jwtVerify } from 'jose';
import { joseVerifier } from './jose.js';

/** @type {import('../types.js').Factory} */
export async function create(settings) {
  const { kty, crv, x, y } = settings.dpopKey ?? {};
  const key = await importJWK(/** @type {import('jose').JWK} */ ({ kty, crv, x, y }), 'ES256');
  const verify = joseVerifier(settings);
  return async (req, _res, next) => {
    await verify((req.headers.authorization ?? '').slice(5));
    await jwtVerify(String(req.headers['dpop']), key, { typ: 'dpop+jwt', algorithms: ['ES256'] });
    next();
  };
}
