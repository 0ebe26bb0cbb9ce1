// @ts-check
// As its documentation has it for remote keys: get-jwks finds them. It would write a key anew as PEM for each token, which takes
// milliseconds for EC: we remember that.
import { createVerifier } from 'fast-jwt';
import buildGetJwks from 'get-jwks';

const CACHED_TOKENS = 10_000;

/** @type {import('../types.js').Factory} */
export function create({ issuer, audience, algorithms }) {
  const getJwks = buildGetJwks({ jwksPath: '/jwks', issuersWhitelist: [issuer] });
  /** @type {Map<string, Promise<string>>} */
  const keys = new Map();
  /** @param {{ header: Record<string, any> }} token */
  const findKey = ({ header: { alg, kid } }) => {
    const known = keys.get(kid);
    if (known !== undefined) return known;
    const found = getJwks.getPublicKey({ domain: issuer, alg, kid });
    keys.set(kid, found);
    found.catch(() => keys.delete(kid));
    return found;
  };
  const verify = createVerifier({
    key: findKey,
    algorithms: /** @type {any} */ (algorithms),
    allowedIss: issuer,
    allowedAud: audience,
    requiredClaims: ['exp', 'iat', 'sub', 'jti', 'client_id'],
    cache: CACHED_TOKENS,
  });
  return async (req, res, next) => {
    const { authorization } = req.headers;
    try {
      if (authorization === undefined || !authorization.startsWith('Bearer ')) throw new Error('no token');
      /** @type {any} */ (req).auth = await verify(authorization.slice(7));
    } catch {
      res.status(401).set('WWW-Authenticate', 'Bearer error="invalid_token"').json({ error: 'invalid_token' });
      return;
    }
    next();
  };
}
