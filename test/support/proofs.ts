import { hash, randomUUID } from 'node:crypto';
import { calculateJwkThumbprint } from 'jose';
import { signingKey, signJwt } from './tokens.js';
import type { Overrides, SigningKey } from './tokens.js';

/** A client's key, and the thumbprint that its tokens are bound to. */
export interface ProofKey extends SigningKey {
  readonly jkt: string;
  /** The public key, as proofs carry it. */
  readonly publicJwk: Overrides;
}

export async function proofKey(alg = 'ES256'): Promise<ProofKey> {
  const key = signingKey(alg);
  const { kty, crv, x, y, n, e } = key.jwk;
  const members = Object.entries({ kty, crv, x, y, n, e }).filter(([, value]) => value !== undefined);
  const publicJwk = Object.fromEntries(members);
  const jkt = await calculateJwkThumbprint(publicJwk, 'sha256');
  return { ...key, jkt, publicJwk };
}

export interface ProofOptions {
  readonly method?: string;
  readonly token: string;
  readonly nonce?: string;
  readonly now?: number;
  readonly header?: Overrides;
  readonly claims?: Overrides;
  /** Signs with this key, whatever the header says. */
  readonly signer?: SigningKey;
}

/** A valid proof for a request, with what `header` and `claims` replace; `undefined` takes a member away. RFC 9449 section 4.2. */
export function prove(key: ProofKey, uri: string, options: ProofOptions): string {
  const { method = 'GET', token, nonce, now = Math.floor(Date.now() / 1000), header, claims, signer = key } = options;
  const ath = hash('sha256', token, 'base64url');
  return signJwt(
    { typ: 'dpop+jwt', alg: key.alg, jwk: key.publicJwk, ...header },
    { jti: randomUUID(), htm: method, htu: uri, iat: now, ath, nonce, ...claims },
    signer,
  );
}

/** The headers of a request with a bound token. */
export function dpopHeaders(token: string, proof: string): Record<string, string> {
  return { authorization: `DPoP ${token}`, dpop: proof };
}
