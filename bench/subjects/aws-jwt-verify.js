// @ts-check
import { JwtVerifier } from 'aws-jwt-verify';
import { SimpleJwksCache } from 'aws-jwt-verify/jwk';

/** @type {import('../types.js').Factory} */
export function create({ issuer, jwksUri, audience }) {
  // Its own fetcher takes https only.
  const fetcher = { fetch: async (/** @type {string} */ uri) => (await fetch(uri)).arrayBuffer() };
  const verifier = JwtVerifier.create({ issuer, jwksUri, audience }, { jwksCache: new SimpleJwksCache({ fetcher }) });
  return async (req, res, next) => {
    const { authorization } = req.headers;
    try {
      if (authorization === undefined || !authorization.startsWith('Bearer ')) throw new Error('no token');
      /** @type {any} */ (req).auth = await verifier.verify(authorization.slice(7));
    } catch {
      res.status(401).set('WWW-Authenticate', 'Bearer error="invalid_token"').json({ error: 'invalid_token' });
      return;
    }
    next();
  };
}
