// @ts-check
import { auth } from 'express-oauth2-jwt-bearer';

/** @type {import('../types.js').Factory} */
export function create({ issuer, jwksUri, audience, algorithms }) {
  return auth({ issuer, jwksUri, audience, ...(algorithms[0] !== undefined && { tokenSigningAlg: algorithms[0] }) });
}
