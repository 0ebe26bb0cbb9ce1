import { createHash, createPublicKey, generateKeyPairSync, hash, randomBytes, verify } from 'node:crypto';
import { beforeAll, describe, expect, test } from '@jest/globals';
import { ProofKeys } from '../../lib/dpop-key.js';
import { InvalidDPoPProofError, InvalidTokenError } from '../../lib/errors.js';
import { isSignedBy } from '../../lib/signature.js';
import { proofKey } from '../support/proofs.js';
import type { ProofKey } from '../support/proofs.js';
import { base64url, signingKey, signJwt } from '../support/tokens.js';
import type { Overrides } from '../support/tokens.js';

const UNUSABLE = new InvalidDPoPProofError('The DPoP proof has no usable public key');
const PRIVATE = new InvalidDPoPProofError('The DPoP proof has a private key in it');
const FOREIGN = new InvalidTokenError('The access token is bound to another key');

type Alg = 'ES256' | 'ES384' | 'ES512' | 'EdDSA' | 'RS256';
let keys: Readonly<Record<Alg, ProofKey>>;
beforeAll(async () => {
  const algs: Alg[] = ['ES256', 'ES384', 'ES512', 'EdDSA', 'RS256'];
  keys = Object.fromEntries(await Promise.all(algs.map(async (alg) => [alg, await proofKey(alg)]))) as typeof keys;
});

/** RFC 7638, for keys that no library takes as well. */
function thumbprintOf({ kty, crv, x, y, n, e }: Overrides): string {
  const members = kty === 'RSA' ? { e, kty, n } : kty === 'EC' ? { crv, kty, x, y } : { crv, kty, x };
  return hash('sha256', JSON.stringify(members), 'base64url');
}

/**
 * The key with the change is refused, be it the one that the token names, or another: then `foreign` is what is wrong. The
 * same without the change is found.
 */
async function expectOnlyWithout(
  alg: Alg,
  change: Overrides,
  error: Error = UNUSABLE,
  foreign: Error = error,
): Promise<void> {
  const found = new ProofKeys();
  const { publicJwk, jkt } = keys[alg];
  const changed = { ...publicJwk, ...change };
  await expect(found.find(changed, alg, thumbprintOf(changed))).rejects.toThrow(error);
  await expect(found.find(changed, alg, jkt)).rejects.toThrow(foreign);
  expect((await found.find(publicJwk, alg, jkt)).type).toBe('public');
}

/** As above, for what only shows when the key is imported: another one than the token names never gets that far. */
async function expectNotImported(alg: Alg, change: Overrides): Promise<void> {
  await expectOnlyWithout(alg, change, UNUSABLE, FOREIGN);
}

function bytesOf(member: unknown): Buffer {
  return Buffer.from(String(member), 'base64url');
}

describe('public keys', () => {
  test.each<Alg>(['ES256', 'ES384', 'ES512', 'EdDSA', 'RS256'])(
    'one for %s verifies what its owner signed',
    async (alg) => {
      const key = await new ProofKeys().find(keys[alg].publicJwk, alg, keys[alg].jkt);
      expect(await isSignedBy(key, signJwt({ alg }, {}, keys[alg]), alg)).toBe(true);
      expect(await isSignedBy(key, signJwt({ alg }, {}, signingKey(alg)), alg)).toBe(false);
    },
  );

  test('what stands beside the key is not in its thumbprint, and makes no second key', async () => {
    const found = new ProofKeys();
    const { publicJwk, jkt } = keys.ES256;
    const plain = await found.find(publicJwk, 'ES256', jkt);
    const given = { ext: true, kid: 'x', use: 'sig', ...publicJwk, alg: 'ES256', x5c: ['y'] };
    expect(await found.find(given, 'ES256', jkt)).toBe(plain);
  });

  test('another key than the token names is refused, before and after that one was found', async () => {
    const found = new ProofKeys();
    const { publicJwk, jkt } = keys.ES256;
    const { publicJwk: other } = await proofKey();
    for (let i = 0; i < 2; i++) {
      await expect(found.find(other, 'ES256', jkt)).rejects.toThrow(FOREIGN);
      await expect(found.find(publicJwk, 'ES256', `${jkt}=`)).rejects.toThrow(FOREIGN);
      await expect(found.find(publicJwk, 'ES256', '')).rejects.toThrow(FOREIGN);
      expect((await found.find(publicJwk, 'ES256', jkt)).type).toBe('public');
    }
  });

  test.each([undefined, null, 'text', '', 1, true, [], [{}], {}, () => undefined, Symbol('x'), 1n])(
    '%p is none',
    async (jwk) => {
      await expect(new ProofKeys().find(jwk, 'ES256', keys.ES256.jkt)).rejects.toThrow(UNUSABLE);
    },
  );
});

describe('private keys', () => {
  test.each<[kty: string, alg: Alg, members: string[]]>([
    ['EC', 'ES256', ['d', 'k', 'p']],
    ['OKP', 'EdDSA', ['d', 'k', 'oth']],
    ['RSA', 'RS256', ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k']],
  ])('%s: any private member is refused, whatever is in it', async (_kty, alg, members) => {
    const secrets: Overrides = { ...keys[alg].privateKey.export({ format: 'jwk' }) };
    for (const name of members) {
      for (const value of [secrets[name] ?? 'AQ', '', null, false, 0, [], {}]) {
        await expectOnlyWithout(alg, { [name]: value }, PRIVATE);
      }
    }
  });

  test('a symmetric key is refused, for what it is and under another kty', async () => {
    const k = randomBytes(32).toString('base64url');
    for (const kty of ['oct', 'EC', 'RSA', 'OKP']) {
      await expect(new ProofKeys().find({ kty, k }, 'ES256', keys.ES256.jkt)).rejects.toThrow(PRIVATE);
    }
    await expect(new ProofKeys().find({ kty: 'oct' }, 'ES256', keys.ES256.jkt)).rejects.toThrow(UNUSABLE);
  });

  test('members under __proto__ are none of the key', async () => {
    const text = JSON.stringify(keys.ES256.publicJwk);
    const found = new ProofKeys();
    const { jkt } = keys.ES256;
    const [none, named] = ['', ',"kty":"EC"'].map((more) => JSON.parse(`{"__proto__":${text}${more}}`) as unknown);
    await expect(found.find(none, 'ES256', jkt)).rejects.toThrow(UNUSABLE);
    await expect(found.find(named, 'ES256', jkt)).rejects.toThrow(UNUSABLE);
    const harmless = JSON.parse(`{"__proto__":{"x":"AA"},"constructor":1,${text.slice(1)}`) as unknown;
    expect((await found.find(harmless, 'ES256', jkt)).type).toBe('public');
  });
});

describe('elliptic curves', () => {
  /** The order of the field of P-256: a coordinate that is not reduced is no coordinate. */
  const P = 2n ** 256n - 2n ** 224n + 2n ** 192n + 2n ** 96n - 1n;
  const coordinate = (value: bigint) => Buffer.from(value.toString(16).padStart(64, '0'), 'hex').toString('base64url');

  test.each<[what: string, change: (jwk: Overrides) => Overrides]>([
    ['a point off the curve', ({ y }) => ({ y: flipped(bytesOf(y)) })],
    ['x and y exchanged', ({ x, y }) => ({ x: y, y: x })],
    ['the point 0, 0', () => ({ x: coordinate(0n), y: coordinate(0n) })],
    ['a coordinate as large as the field', () => ({ x: coordinate(P) })],
    ['a coordinate beyond the field', () => ({ x: coordinate(2n ** 256n - 1n) })],
    ['x of one byte', () => ({ x: 'AQ' })],
    ['x that is empty', () => ({ x: '' })],
    [
      'x that is a byte longer',
      ({ x }) => ({ x: Buffer.concat([bytesOf(x), Buffer.from([1])]).toString('base64url') }),
    ],
    ['x of 2000 bytes', () => ({ x: randomBytes(2000).toString('base64url') })],
    ['no y', () => ({ y: undefined })],
    ['the sign of y only', () => ({ y: 'AQ' })],
    ['P-384 under the name of P-256', () => ({ ...keys.ES384.publicJwk, crv: 'P-256' })],
    ['secp256k1 under the name of P-256', () => ({ ...exported('secp256k1'), crv: 'P-256' })],
  ])('%s: refused', (_what, change) => expectNotImported('ES256', change(keys.ES256.publicJwk)));

  test.each<[what: string, change: () => Overrides]>([
    ['P-384 by its name', () => keys.ES384.publicJwk],
    ['secp256k1 by its name', () => exported('secp256k1')],
    ['a name in lower case', () => ({ crv: 'p-256' })],
    ['a curve that there is not', () => ({ crv: 'P-128' })],
    ['no curve', () => ({ crv: undefined })],
    ['kty OKP', () => ({ kty: 'OKP' })],
    ['kty in lower case', () => ({ kty: 'ec' })],
    ['kty in a list', () => ({ kty: ['EC'] })],
  ])('%s: refused', (_what, change) => expectOnlyWithout('ES256', change()));

  test.each(['x', 'y', 'crv'])('%s that is no text: refused', async (name) => {
    for (const value of [null, 1, true, [keys.ES256.publicJwk[name]], { length: 1 }]) {
      await expectOnlyWithout('ES256', { [name]: value });
    }
  });

  test.each<[what: string, change: () => Overrides]>([
    ['X25519', () => ({ ...generateKeyPairSync('x25519').publicKey.export({ format: 'jwk' }) })],
    ['Ed448', () => ({ ...generateKeyPairSync('ed448').publicKey.export({ format: 'jwk' }) })],
    ['EC', () => keys.ES256.publicJwk],
  ])('EdDSA with a key of %s: refused', (_what, change) => expectOnlyWithout('EdDSA', change()));

  test.each([0, 31, 33, 57])('EdDSA with a key of %d bytes: refused', (length) =>
    expectNotImported('EdDSA', { x: randomBytes(length).toString('base64url') }),
  );
});

describe('RSA', () => {
  test.each<[what: string, change: (n: Buffer) => Overrides]>([
    ['a modulus of 1024 bits', () => signingKey('RS256', 'x', 1024).jwk],
    [
      'a modulus of 2047 bits',
      (n) => ({ n: Buffer.concat([Buffer.from([0x7f]), n.subarray(1)]).toString('base64url') }),
    ],
    ['no modulus', () => ({ n: undefined })],
    ['an empty modulus', () => ({ n: '' })],
    ['exponent 1', () => ({ e: 'AQ' })],
    ['exponent 1 with zeros before it', () => ({ e: 'AAAB' })],
    ['exponent 0', () => ({ e: 'AA' })],
    ['exponent 2', () => ({ e: 'Ag' })],
    ['exponent 65536', () => ({ e: 'AQAA' })],
    ['an empty exponent', () => ({ e: '' })],
    ['no exponent', () => ({ e: undefined })],
  ])('%s: refused', (_what, change) => expectNotImported('RS256', { ...change(bytesOf(keys.RS256.publicJwk['n'])) }));

  test.each<[what: string, change: (n: Buffer) => Overrides]>([
    ['a modulus of 4104 bits', () => ({ n: odd(513) })],
    ['a modulus of 16384 bits', () => ({ n: odd(2048) })],
    ['a modulus of a megabit', () => ({ n: odd(131_072) })],
    ['an exponent of five bytes', () => ({ e: odd(5) })],
    ['an exponent as long as the modulus', () => ({ e: odd(256) })],
    ['an exponent that is no text', () => ({ e: 65537 })],
    ['a modulus that is no text', () => ({ n: { length: 342 } })],
    ['a modulus in a list', (n) => ({ n: [n.toString('base64url')] })],
  ])('%s: refused', (_what, change) => expectOnlyWithout('RS256', { ...change(bytesOf(keys.RS256.publicJwk['n'])) }));

  test('under exponent 1 anybody can sign for the key: Node verifies it, and it is refused', async () => {
    const { n } = keys.RS256.publicJwk;
    const jwk = { kty: 'RSA', n: String(n), e: 'AQ' };
    const input = `${base64url({ alg: 'RS256' })}.${base64url({})}`;
    // EMSA-PKCS1-v1_5 of SHA-256 (RFC 8017 section 9.2): to the power of 1 it is its own signature.
    const digest = createHash('sha256').update(input).digest();
    const info = Buffer.concat([Buffer.from('3031300d060960864801650304020105000420', 'hex'), digest]);
    const padding = Buffer.alloc(256 - 3 - info.length, 0xff);
    const forged = Buffer.concat([Buffer.from([0, 1]), padding, Buffer.from([0]), info]);
    expect(verify('sha256', Buffer.from(input), createPublicKey({ key: jwk, format: 'jwk' }), forged)).toBe(true);
    await expectNotImported('RS256', jwk);
  });

  test('a modulus of 4096 bits, and exponent 3, are taken', async () => {
    for (const options of [{ modulusLength: 4096 }, { modulusLength: 2048, publicExponent: 3 }]) {
      const jwk = { ...generateKeyPairSync('rsa', options).publicKey.export({ format: 'jwk' }) };
      expect((await new ProofKeys().find(jwk, 'PS256', thumbprintOf(jwk))).type).toBe('public');
    }
  }, 60_000);
});

describe('what a key says of itself', () => {
  test.each<[what: string, change: Overrides]>([
    ['another algorithm', { alg: 'ES384' }],
    ['an algorithm of encryption', { alg: 'ECDH-ES' }],
    ['an algorithm that is no text', { alg: 1 }],
  ])('%s: refused', (_what, change) => expectOnlyWithout('ES256', change));

  // Clients hand over what their library exported; what signs is proven by the signature.
  test.each([{ alg: 'ES256', use: 'sig', key_ops: ['verify'] }, { use: 'enc' }, { key_ops: ['sign'] }, { ext: false }])(
    '%j has no say',
    async (named) => {
      const key = await new ProofKeys().find({ ...keys.ES256.publicJwk, ...named }, 'ES256', keys.ES256.jkt);
      expect(await isSignedBy(key, signJwt({ alg: 'ES256' }, {}, keys.ES256), 'ES256')).toBe(true);
    },
  );
});

test('a key that was refused is refused again, and leaves nothing that would serve another algorithm', async () => {
  const found = new ProofKeys();
  const { publicJwk, jkt } = keys.RS256;
  for (let i = 0; i < 2; i++) await expect(found.find(publicJwk, 'ES256', jkt)).rejects.toThrow(UNUSABLE);
  const pkcs = await found.find(publicJwk, 'RS256', jkt);
  const pss = await found.find(publicJwk, 'PS256', jkt);
  expect(pkcs.algorithm.name).toBe('RSASSA-PKCS1-v1_5');
  expect(pss.algorithm.name).toBe('RSA-PSS');
});

/** Random bytes that make an odd number with the highest bit set. */
function odd(bytes: number): string {
  const value = randomBytes(bytes);
  value[0] = (value[0] ?? 0) | 0x80;
  value[bytes - 1] = (value[bytes - 1] ?? 0) | 1;
  return value.toString('base64url');
}

function flipped(bytes: Buffer): string {
  bytes[0] = (bytes[0] ?? 0) ^ 1;
  return bytes.toString('base64url');
}

function exported(namedCurve: string): Overrides {
  return { ...generateKeyPairSync('ec', { namedCurve }).publicKey.export({ format: 'jwk' }) };
}
