import { createPublicKey, sign } from 'node:crypto';
import { afterEach, describe, expect, test } from '@jest/globals';
import { expectForgeryRefused, signerOf, unsigned } from '../support/attack.js';
import { closeAll, expectAccepted, SAYS, stage } from '../support/stage.js';
import type { Stage } from '../support/stage.js';
import { signingKey } from '../support/tokens.js';
import type { SigningKey } from '../support/tokens.js';

afterEach(closeAll);

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';

/** The order of the group of each curve, hexadecimal. FIPS 186-5, SEC 2. */
const ORDERS = {
  ES256: 'ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551',
  ES384: 'ffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973',
  ES512:
    '01fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffa51868783bf2f966b7fcc0148f709a5d03bb5c9b8899c47aebb6fb71e91386409',
} as const;
type Curve = keyof typeof ORDERS;

async function stageWith(key: SigningKey): Promise<Stage> {
  const prepared = await stage();
  prepared.as.keys = [key];
  return prepared;
}

function withSignature(token: string, signature: Buffer): string {
  return token.replace(/[^.]+$/, signature.toString('base64url'));
}

function signatureOf(token: string): Buffer {
  return Buffer.from(token.slice(token.lastIndexOf('.') + 1), 'base64url');
}

describe('psychic signatures', () => {
  test.each(Object.keys(ORDERS) as Curve[])('%s with an r or s of 0, n or more is refused', async (alg) => {
    const { as, app } = await stageWith(signingKey(alg, 'first'));
    const token = as.mint();
    const n = Buffer.from(ORDERS[alg], 'hex');
    const size = n.length;
    const [zero, one, full] = [Buffer.alloc(size), Buffer.alloc(size), Buffer.alloc(size, 0xff)];
    one[size - 1] = 1;
    const [r, s] = [signatureOf(token).subarray(0, size), signatureOf(token).subarray(size)];
    expect(r).toHaveLength(s.length);
    const pairs = [
      ...[zero, one, n, full].flatMap((a) => [zero, one, n, full].map((b) => [a, b] as const)),
      ...[zero, one, n, full].flatMap((v) => [[v, s] as const, [r, v] as const]),
      [s, r] as const,
    ];
    for (const pair of pairs) await expectForgeryRefused(app, withSignature(token, Buffer.concat(pair)));
    await expectAccepted(app, token);
  });

  test.each(['EdDSA', 'RS256', 'PS256'])('%s with a signature of zeros, ones or noise is refused', async (alg) => {
    const { as, app } = await stageWith(signingKey(alg, 'first'));
    const token = as.mint();
    const size = signatureOf(token).length;
    const identity = Buffer.alloc(size); // Ed25519: R is the neutral element, S is 0
    identity[0] = 1;
    for (const forged of [Buffer.alloc(size), Buffer.alloc(size, 0xff), Buffer.alloc(size, 0x5a), identity]) {
      await expectForgeryRefused(app, withSignature(token, forged));
    }
    await expectAccepted(app, token);
  });

  test('Ed25519 with the order of the group added to S is refused', async () => {
    const { as, app } = await stageWith(signingKey('Ed25519', 'first'));
    const token = as.mint();
    const signature = signatureOf(token);
    const order = 2n ** 252n + 27742317777372353535851937790883648493n;
    const s = BigInt(`0x${Buffer.from(signature.subarray(32)).reverse().toString('hex')}`) + order;
    const high = Buffer.from(s.toString(16).padStart(64, '0'), 'hex').reverse();
    await expectForgeryRefused(app, withSignature(token, Buffer.concat([signature.subarray(0, 32), high])));
    await expectAccepted(app, token);
  });

  test('an RSA signature with the modulus added to it is refused', async () => {
    const key = signingKey('RS256', 'first');
    const { as, app } = await stageWith(key);
    const n = BigInt(`0x${Buffer.from(key.jwk.n ?? '', 'base64url').toString('hex')}`);
    const token = as.mint();
    const sum = (BigInt(`0x${signatureOf(token).toString('hex')}`) + n).toString(16);
    const bytes = Buffer.from(sum.padStart(sum.length + (sum.length % 2), '0'), 'hex');
    await expectForgeryRefused(app, withSignature(token, bytes));
    await expectAccepted(app, token);
  });
});

describe('signatures in another form', () => {
  test.each(Object.keys(ORDERS) as Curve[])('%s as DER, as OpenSSL makes it, is refused', async (alg) => {
    const key = signingKey(alg, 'first');
    const { as, app } = await stageWith(key);
    const input = unsigned(as);
    const der = sign(`sha${alg.slice(2)}`, Buffer.from(input), { key: key.privateKey, dsaEncoding: 'der' });
    const p1363 = sign(`sha${alg.slice(2)}`, Buffer.from(input), { key: key.privateKey, dsaEncoding: 'ieee-p1363' });
    await expectForgeryRefused(app, `${input}.${der.toString('base64url')}`);
    await expectAccepted(app, `${input}.${p1363.toString('base64url')}`);
  });

  test.each(['ES256', 'ES512', 'RS256', 'PS256', 'EdDSA'])('%s cut short or made longer is refused', async (alg) => {
    const { as, app } = await stageWith(signingKey(alg, 'first'));
    const token = as.mint();
    const signature = signatureOf(token);
    const half = signature.length / 2;
    for (const changed of [
      ...[1, 2, 3, half, signature.length - 1].map((cut) => signature.subarray(0, signature.length - cut)),
      ...[1, 2, 3, half].map((cut) => signature.subarray(cut)),
      ...[0, 1, 255].map((byte) => Buffer.concat([signature, Buffer.from([byte])])),
      Buffer.concat([Buffer.from([0]), signature]),
      Buffer.concat([signature, signature]),
      Buffer.concat([Buffer.alloc(1), signature.subarray(0, half), Buffer.alloc(1), signature.subarray(half)]),
    ]) {
      await expectForgeryRefused(app, withSignature(token, changed));
    }
    await expectAccepted(app, token);
  });

  test('a good signature of other content is refused: header, payload, period moved, parts exchanged', async () => {
    const { as, app } = await stage();
    const token = as.mint();
    const [header = '', payload = '', signature = ''] = token.split('.');
    const [otherHeader = '', otherPayload = ''] = as.mint({ scope: 'admin' }, { header: { x: 1 } }).split('.');
    await expectForgeryRefused(app, `${header}.${otherPayload}.${signature}`);
    await expectForgeryRefused(app, `${otherHeader}.${payload}.${signature}`);
    await expectForgeryRefused(app, `${payload}.${header}.${signature}`, SAYS.algorithm);
    await expectForgeryRefused(app, `${header.slice(0, -4)}.${header.slice(-4)}${payload}.${signature}`, SAYS.noJwt);
    await expectForgeryRefused(app, `${header}${payload.slice(0, 4)}.${payload.slice(4)}.${signature}`, SAYS.noJwt);
    await expectForgeryRefused(app, `${header}.${signature}.${payload}`, SAYS.noJwt);
    await expectAccepted(app, token);
  });
});

describe('other spellings of a good token', () => {
  test('unused bits in the last character of each part make no second spelling', async () => {
    const { as, app } = await stage();
    // Lengths that leave unused bits: 64 bytes of signature, and padding claims until the parts have them as well.
    let token = as.mint();
    for (let pad = 1; token.split('.').some((part) => part.length % 4 === 0); pad++) {
      token = as.mint({ pad: 'x'.repeat(pad % 5) }, { header: { pad: 'x'.repeat(pad) } });
    }
    const parts = token.split('.');
    for (const [at, part] of parts.entries()) {
      const last = ALPHABET.indexOf(part.slice(-1));
      const others = Array.from(ALPHABET).filter(
        (_char, value) => value !== last && sameBits(value, last, part.length),
      );
      expect(others.length).toBeGreaterThan(0);
      for (const char of others) {
        const respelled = parts.with(at, part.slice(0, -1) + char).join('.');
        expect(respelled.split('.').map((text) => Buffer.from(text, 'base64url'))).toEqual(
          parts.map((text) => Buffer.from(text, 'base64url')),
        );
        await expectForgeryRefused(app, respelled, SAYS.noJwt);
      }
    }
    await expectAccepted(app, token);
  });

  test('padding and the characters of plain base64 are refused in every part', async () => {
    const { as, app } = await stage();
    const token = as.mint();
    for (const spelled of [
      `${token}=`,
      `${token}==`,
      token.replaceAll('-', '+').replaceAll('_', '/').replace(/.$/, '+'),
    ]) {
      await expectForgeryRefused(app, spelled, SAYS.noJwt);
    }
    for (const respelled of [token.replace('.', '=.'), token.replace(/\.(?=[^.]*$)/, '==.')]) {
      const answer = await app.get('/protected', respelled);
      expect([answer.status, answer.challenge]).toEqual([
        400,
        'Bearer realm="https://api.example.com", error="invalid_request", error_description="The access token has characters no token has"',
      ]);
    }
    expect(app.handled).toBe(0);
    await expectAccepted(app, token);
  });

  test('one flipped bit anywhere is refused: all of the signature, a sample of header and payload', async () => {
    const { as, app } = await stage();
    const token = as.mint();
    const start = token.lastIndexOf('.') + 1;
    for (let at = 0; at < token.length; at += at < start - 7 ? 7 : 1) {
      if (token[at] === '.') continue;
      const value = ALPHABET.indexOf(token[at] ?? '');
      const bits = at < start ? [1 << (at % 6)] : [1, 2, 4, 8, 16, 32];
      for (const bit of bits) {
        const flipped = token.slice(0, at) + (ALPHABET[value ^ bit] ?? '') + token.slice(at + 1);
        const answer = await app.get('/protected', flipped);
        expect([at, answer.status, answer.challenges[0]?.params.get('error')]).toEqual([at, 401, 'invalid_token']);
      }
    }
    expect(app.handled).toBe(0);
    await expectAccepted(app, token);
  });

  test('the second ECDSA signature that anybody can compute says the same, and nothing more', async () => {
    // (r, n - s) verifies wherever (r, s) does (RFC 7518 section 3.4 does not forbid it): a token has two spellings.
    const { as, app } = await stage();
    const token = as.mint({ jti: 'one' });
    const signature = signatureOf(token);
    const s = BigInt(`0x${ORDERS.ES256}`) - BigInt(`0x${signature.subarray(32).toString('hex')}`);
    const twin = Buffer.concat([signature.subarray(0, 32), Buffer.from(s.toString(16).padStart(64, '0'), 'hex')]);
    const answers = [await expectAccepted(app, token), await expectAccepted(app, withSignature(token, twin))];
    expect(createPublicKey({ key: signerOf(as).jwk, format: 'jwk' }).asymmetricKeyType).toBe('ec');
    const claims = answers.map(({ body }) => (body as { auth: { claims: unknown } }).auth.claims);
    expect(claims[1]).toEqual(claims[0]);
  });
});

function sameBits(a: number, b: number, length: number): boolean {
  const unused = length % 4 === 2 ? 4 : 2;
  return a >> unused === b >> unused;
}
