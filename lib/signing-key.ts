import type { KeyObject } from 'node:crypto';
import type { CryptoKey, JWK, JWTHeaderParameters, SignJWT } from 'jose';
import { ALGORITHMS } from './key-set.js';
import { checkText, show } from './options.js';

/** A private key of ours, with which we sign. */
export type PrivateKey = CryptoKey | KeyObject | JWK;

/** A key as jose takes it, and the header of what it signs. */
export interface SigningKey {
  readonly key: Parameters<SignJWT['sign']>[0];
  readonly header: JWTHeaderParameters;
}

/** @throws TypeError for a key that is not private, and for an algorithm that is missing or not asymmetric. */
export function signingKey(
  where: string,
  privateKey: unknown,
  { algorithm, keyId }: { readonly algorithm?: string | undefined; readonly keyId?: string | undefined },
): SigningKey {
  // A CryptoKey and a KeyObject have a "type", a JWK has not. What is no object is not shown: it may be the key.
  const given = typeof privateKey === 'object' ? privateKey : undefined;
  const { type, ...jwk } = (given ?? {}) as Partial<JWK> & { readonly type?: string };
  const isPrivate = type === 'private' || (type === undefined && jwk.kty !== 'oct' && jwk.d !== undefined);
  if (!isPrivate) throw new TypeError(`${where} takes the private key: a CryptoKey, a KeyObject or a JWK with "d"`);
  const { alg = jwk.alg, kid = jwk.kid } = { alg: algorithm, kid: keyId };
  if (alg === undefined || !ALGORITHMS.includes(alg)) {
    throw new TypeError(`${where} needs an "algorithm" of ${ALGORITHMS.join(', ')}, got ${show(alg)}`);
  }
  if (kid !== undefined) checkText(`"keyId" of ${where}`, kid);
  // jose freezes a JWK that it is given; and theirs may change.
  const key = type === undefined ? jwk : (privateKey as CryptoKey | KeyObject);
  return { key, header: { alg, ...(kid !== undefined && { kid }) } };
}
