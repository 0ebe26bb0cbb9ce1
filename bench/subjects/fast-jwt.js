// @ts-check
// As its documentation has it for remote keys: get-jwks finds them. It would write a key anew as PEM for each token, which takes
// milliseconds for EC: we remember that.
import { createVerifier } from 'fast-jwt';
import buildGetJwks from 'get-jwks';
import { bearer } from './bearer.js';

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
  return bearer(verify);
}
