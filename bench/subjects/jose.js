// @ts-check
// What a careful person writes with jose.
import { createRemoteJWKSet, decodeJwt, jwtVerify } from 'jose';
import { bearer } from './bearer.js';

/** @typedef {import('../types.js').Settings} Settings */

/** Verifies one token. @param {Settings} settings @returns {(token: string) => Promise<import('jose').JWTPayload>} */
export function joseVerifier({ issuer, jwksUri, audience, algorithms, issuers }) {
  const terms = { audience, algorithms, typ: 'at+jwt', requiredClaims: ['exp', 'iat', 'sub', 'jti', 'client_id'] };
  if (issuers === undefined) {
    const keys = createRemoteJWKSet(new URL(jwksUri));
    return async (token) => (await jwtVerify(token, keys, { issuer, ...terms })).payload;
  }
  const sets = new Map(issuers.map((server) => [server.issuer, createRemoteJWKSet(new URL(server.jwksUri))]));
  return async (token) => {
    const { iss = '' } = decodeJwt(token);
    const keys = sets.get(iss);
    if (keys === undefined) throw new Error('an issuer that is not trusted');
    return (await jwtVerify(token, keys, { issuer: iss, ...terms })).payload;
  };
}

/** @type {import('../types.js').Factory} */
export function create(settings) {
  return bearer(joseVerifier(settings));
}
