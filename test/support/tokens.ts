import { createPrivateKey, createPublicKey, generateKeyPairSync, randomUUID, sign } from 'node:crypto';
import type { JsonWebKey, KeyObject } from 'node:crypto';

/** What replaces a part of a valid token; `undefined` takes the member away. */
export type Overrides = Readonly<Record<string, unknown>>;

export interface SigningKey {
  readonly alg: string;
  readonly kid: string;
  readonly privateKey: KeyObject;
  /** What the authorization server publishes. */
  readonly jwk: JsonWebKey & { kid: string; alg: string; use: string };
}

/** A new key pair. RSA keys have 2048 bits unless `bits` says otherwise. */
export function signingKey(alg = 'ES256', kid: string = randomUUID(), bits = 2048): SigningKey {
  const privateKey = createPrivateKey({ key: newPair(alg, bits).privateKey, format: 'der', type: 'pkcs8' });
  const jwk = createPublicKey(privateKey).export({ format: 'jwk' });
  return { alg, kid, privateKey, jwk: { ...jwk, kid, alg, use: 'sig' } };
}

// Out of Node as bytes. Node 20 waits for itself forever when a key object is exported just as the garbage collector comes for
// what has generated it.
const publicKeyEncoding = { type: 'spki', format: 'der' } as const;
const privateKeyEncoding = { type: 'pkcs8', format: 'der' } as const;

function newPair(alg: string, bits: number) {
  if (alg.startsWith('ES')) {
    const namedCurve = { ES256: 'P-256', ES384: 'P-384', ES512: 'P-521' }[alg] ?? 'P-256';
    return generateKeyPairSync('ec', { namedCurve, publicKeyEncoding, privateKeyEncoding });
  }
  if (alg.startsWith('Ed')) return generateKeyPairSync('ed25519', { publicKeyEncoding, privateKeyEncoding });
  return generateKeyPairSync('rsa', { modulusLength: bits, publicKeyEncoding, privateKeyEncoding });
}

export function base64url(value: unknown): string {
  return Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url');
}

/** The claims of a valid access token for `audience`. RFC 9068 section 2.2. */
export function validClaims(issuer: string, audience: string, now = Math.floor(Date.now() / 1000)) {
  return {
    iss: issuer,
    sub: 'alice',
    aud: audience,
    client_id: 'editor',
    scope: 'read write',
    iat: now,
    exp: now + 300,
    jti: randomUUID(),
  };
}

/** Signs `header.payload` as they are, whatever they are: for tokens that no library would make. */
export function signRaw(signingInput: string, key: Pick<SigningKey, 'alg' | 'privateKey'>): string {
  return `${signingInput}.${signature(signingInput, key.alg, key.privateKey)}`;
}

/** A signed JWT. Members that are `undefined` are left out. */
export function signJwt(header: Overrides, claims: Overrides, key: Pick<SigningKey, 'alg' | 'privateKey'>): string {
  return signRaw(`${base64url(header)}.${base64url(claims)}`, key);
}

function signature(input: string, alg: string, privateKey: KeyObject): string {
  const data = Buffer.from(input);
  const hash = `sha${alg.slice(-3)}`;
  if (alg.startsWith('ES'))
    return sign(hash, data, { key: privateKey, dsaEncoding: 'ieee-p1363' }).toString('base64url');
  if (alg.startsWith('Ed')) return sign(null, data, privateKey).toString('base64url');
  if (alg.startsWith('PS')) {
    const padding = { padding: 6, saltLength: -1 }; // RSA_PKCS1_PSS_PADDING, salt as long as the digest (RFC 7518 3.5)
    return sign(hash, data, { key: privateKey, ...padding }).toString('base64url');
  }
  return sign(hash, data, privateKey).toString('base64url');
}

/** A private key from a JWK, for the published vectors. */
export function privateKeyOf(jwk: JsonWebKey): KeyObject {
  return createPrivateKey({ key: jwk, format: 'jwk' });
}
