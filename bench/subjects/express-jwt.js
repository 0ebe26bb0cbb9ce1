// @ts-check
import { expressjwt } from 'express-jwt';
import jwksRsa from 'jwks-rsa';

/** @type {import('../types.js').Factory} */
export function create({ issuer, jwksUri, audience, algorithms }) {
  const secret = /** @type {any} */ (jwksRsa.expressJwtSecret({ jwksUri, cache: true, rateLimit: true }));
  return /** @type {any} */ (expressjwt({ secret, issuer, audience, algorithms: /** @type {any} */ (algorithms) }));
}
