// @ts-check
// Keys, and RFC 9068 access tokens of one length, whatever their algorithm.
import {
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  hash,
  randomBytes,
  randomUUID,
  sign,
} from 'node:crypto';
import { promisify } from 'node:util';

const signAsync = promisify(sign); // in the thread pool: on all cores

/** Every token has this many characters, as one of a large authorization server has. */
export const TOKEN_LENGTH = 900;
const LIFE = 3 * 3600;

/** @typedef {{ alg: string, kid: string, privateKey: import('node:crypto').KeyObject, jwk: import('jose').JWK }} Key */

/** A new key pair. @param {string} alg @param {string} kid @returns {Key} */
export function makeKey(alg, kid) {
  const privateKey = createPrivateKey({ key: generate(alg).privateKey, format: 'der', type: 'pkcs8' });
  const jwk = /** @type {import('jose').JWK} */ (createPublicKey(privateKey).export({ format: 'jwk' }));
  return { alg, kid, privateKey, jwk: { ...jwk, alg, kid, use: 'sig' } };
}

// Out of Node as bytes. Node 20 waits for itself forever when a key object is exported just as the garbage collector comes for
// what has generated it.
const ENCODED = {
  publicKeyEncoding: /** @type {const} */ ({ type: 'spki', format: 'der' }),
  privateKeyEncoding: /** @type {const} */ ({ type: 'pkcs8', format: 'der' }),
};

/** @param {string} alg */
function generate(alg) {
  if (alg === 'RS256') return generateKeyPairSync('rsa', { modulusLength: 2048, ...ENCODED });
  if (alg === 'ES256') return generateKeyPairSync('ec', { namedCurve: 'P-256', ...ENCODED });
  return generateKeyPairSync('ed25519', ENCODED);
}

/**
 * A token for `audience`, with what `claims` and `header` replace, filled up to the length.
 *
 * @param {Key} key
 * @param {{ issuer: string, audience: string, claims?: object, header?: object }} options
 */
export async function mint(key, { issuer, audience, claims = {}, header = {} }) {
  const now = Math.floor(Date.now() / 1000);
  const head = encode({ typ: 'at+jwt', alg: key.alg, kid: key.kid, ...header });
  const all = {
    iss: issuer,
    sub: `user-${randomUUID()}`,
    aud: audience,
    client_id: 'photo-editor',
    scope: 'openid profile pictures:read pictures:write',
    roles: ['reader', 'editor'],
    auth_time: now - 60,
    acr: 'urn:example:acr:password',
    iat: now,
    exp: now + LIFE,
    jti: randomUUID(),
    ...claims,
  };
  const signatureLength = key.alg === 'RS256' ? 342 : 86;
  const bytes = Math.floor(((TOKEN_LENGTH - head.length - signatureLength - 2) * 3) / 4);
  const missing = bytes - JSON.stringify({ ...all, filling: '' }).length;
  const input = `${head}.${encode({ ...all, filling: 'x'.repeat(Math.max(0, missing)) })}`;
  return `${input}.${(await signed(key, input)).toString('base64url')}`;
}

/** @param {Key} key @param {string} input */
function signed({ alg, privateKey }, input) {
  const digest = alg === 'EdDSA' ? null : 'sha256';
  return signAsync(digest, Buffer.from(input), { key: privateKey, dsaEncoding: 'ieee-p1363' });
}

/**
 * Many tokens, some at a time.
 *
 * @param {number} count
 * @param {(index: number) => string | Promise<string>} make
 * @returns {Promise<string[]>}
 */
export async function many(count, make) {
  /** @type {string[]} */
  const tokens = [];
  while (tokens.length < count) {
    const some = Math.min(100, count - tokens.length);
    tokens.push(...(await Promise.all(Array.from({ length: some }, (_, index) => make(tokens.length + index)))));
  }
  return tokens;
}

/** The same token with a signature that is not its own. @param {string} token */
export function forge(token) {
  const place = token.lastIndexOf('.') + 10;
  return token.slice(0, place) + (token[place] === 'A' ? 'B' : 'A') + token.slice(place + 1);
}

/** As long as a token, of its characters, and no JWT. */
export function garbage() {
  return randomBytes(TOKEN_LENGTH).toString('base64url').slice(0, TOKEN_LENGTH);
}

/** A maker of DPoP proofs (RFC 9449 section 4.2) for `url`, each new. @param {import('jose').JWK} jwk private @param {string} url */
export function proofMaker(jwk, url) {
  const key = createPrivateKey({ key: /** @type {any} */ (jwk), format: 'jwk' });
  const { kty, crv, x, y } = jwk;
  const head = encode({ typ: 'dpop+jwt', alg: 'ES256', jwk: { kty, crv, x, y } });
  return (/** @type {string} */ token) => {
    const ath = hash('sha256', token, 'base64url');
    const claims = { jti: randomUUID(), htm: 'GET', htu: url, iat: Math.floor(Date.now() / 1000), ath };
    const input = `${head}.${encode(claims)}`;
    return `${input}.${sign('sha256', Buffer.from(input), { key, dsaEncoding: 'ieee-p1363' }).toString('base64url')}`;
  };
}

/** @param {object} value */
function encode(value) {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}
