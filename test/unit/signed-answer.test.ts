import { describe, expect, test } from '@jest/globals';
import { CompactEncrypt, exportJWK, generateKeyPair } from 'jose';
import type { CryptoKey } from 'jose';
import { clientSecretBasic } from '../../lib/client-authentication.js';
import { VerificationUnavailableError } from '../../lib/errors.js';
import { UnusableAnswerError } from '../../lib/fetch-json.js';
import { checkedIntrospection } from '../../lib/introspection-options.js';
import type { AgreedAnswers, SignedAnswers } from '../../lib/introspection-options.js';
import { readSignedAnswer } from '../../lib/signed-answer.js';
import { watchedKeys } from '../support/keys.js';
import { CLIENT, FAULTS, TYPE } from '../support/signed-answers.js';
import { signingKey, signJwt } from '../support/tokens.js';
import type { Overrides } from '../support/tokens.js';

const ISSUER = 'https://as.example.com';
const ANSWER = { active: true, client_id: 'editor', token_type: 'Bearer' };
const NOW = Math.floor(Date.now() / 1000);

/** The options as `resourceServer` takes them, with their defaults. */
function agreed(signedAnswers: SignedAnswers = {}): AgreedAnswers {
  const clientAuthentication = clientSecretBasic(CLIENT, 'the secret');
  const { signedAnswers: checked } = checkedIntrospection({ clientAuthentication, signedAnswers });
  if (checked === undefined) throw new Error('nothing was agreed');
  return checked;
}

/** A reader that knows one key, and how often it looked for keys. */
function bench(alg = 'ES256') {
  const key = signingKey(alg, 'first');
  const { source, asked } = watchedKeys(key);
  const read = (text: string, on = agreed({ algorithm: alg }), keys = source) =>
    readSignedAnswer(Buffer.from(text), [ISSUER, `${ISSUER}/`], keys, on, NOW, 0);
  const sign = (claims: Overrides = {}, header: Overrides = {}) => {
    const right = { iss: ISSUER, aud: CLIENT, iat: NOW, token_introspection: ANSWER };
    return signJwt({ typ: TYPE, alg, kid: 'first', ...header }, { ...right, ...claims }, key);
  };
  return { key, asked, read, sign };
}

describe('readSignedAnswer', () => {
  test.each(['RS256', 'PS256', 'ES256', 'ES384', 'ES512', 'EdDSA'])(
    '9701-5-4 gives what is in token_introspection, signed with %s, and nothing else',
    async (alg) => {
      const { asked, read, sign } = bench(alg);
      await expect(read(sign({ active: false, scope: 'admin' }))).resolves.toEqual(ANSWER);
      expect(asked).toEqual([`${alg} first`]);
    },
  );

  test('9701-5-2 takes every spelling of the issuer, and no other', async () => {
    const { read, sign } = bench();
    await expect(read(sign({ iss: `${ISSUER}/` }))).resolves.toEqual(ANSWER);
    await expect(read(sign({ iss: `${ISSUER}//` }))).rejects.toMatchObject({ reason: FAULTS.issuer });
  });

  // From the first check to the last: each row is wrong in its own way and in every way below it.
  const wrongs: [says: string, header: Overrides, claims: Overrides, keysAsked: number][] = [
    [FAULTS.typ, { typ: 'JWT' }, {}, 0],
    [FAULTS.algorithm, { alg: 'RS256' }, {}, 0],
    [FAULTS.header, { crit: ['x'] }, {}, 0],
    [FAULTS.signature, { kid: 'other' }, {}, 2],
    [FAULTS.issuer, {}, { iss: 'https://other.example' }, 1],
    [FAULTS.audience, {}, { aud: 'rs2' }, 1],
    [FAULTS.time, {}, { iat: '1' }, 1],
    [FAULTS.content, {}, { token_introspection: [] }, 1],
  ];
  test.each(wrongs.map((wrong, i) => [i, wrong] as const))(
    '9701-5-1 9701-5-2 an answer wrong in the way %d and in all later ways is refused for the first',
    async (i, [says, , , keysAsked]) => {
      const { asked, read, sign } = bench();
      const later = wrongs.slice(i);
      const header = Object.assign({}, ...later.map(([, part]) => part)) as Overrides;
      const claims = Object.assign({}, ...later.map(([, , part]) => part)) as Overrides;
      const error: unknown = await read(sign(claims, header)).catch((thrown: unknown) => thrown);
      expect(error).toBeInstanceOf(UnusableAnswerError);
      expect(error).toMatchObject({ status: 503, reason: says });
      expect(asked).toHaveLength(keysAsked);
      await expect(read(sign())).resolves.toEqual(ANSWER);
    },
  );

  test('9701-5-4 that the keys could not be fetched is passed on as it is, and so is a bug', async () => {
    const { read, sign } = bench();
    for (const failure of [new VerificationUnavailableError('no keys', 17), new RangeError('a bug')]) {
      const fail = () => Promise.reject(failure);
      await expect(read(sign(), undefined, { current: fail, newer: fail })).rejects.toBe(failure);
    }
    await expect(read(sign())).resolves.toEqual(ANSWER);
  });
});

describe('readSignedAnswer where encryption was agreed', () => {
  const seal = (text: string, key: CryptoKey, alg = 'ECDH-ES', enc = 'A128CBC-HS256') =>
    new CompactEncrypt(Buffer.from(text)).setProtectedHeader({ alg, enc }).encrypt(key);

  test('9701-5-5 opens first and verifies then', async () => {
    const { asked, read, sign } = bench();
    const { publicKey, privateKey } = await generateKeyPair('ECDH-ES');
    const on = agreed({ algorithm: 'ES256', decryption: { key: privateKey, algorithm: 'ECDH-ES' } });
    await expect(read(await seal(sign(), publicKey), on)).resolves.toEqual(ANSWER);
    expect(asked).toEqual(['ES256 first']);
    await expect(read(sign(), on)).rejects.toMatchObject({ reason: FAULTS.decryption });
    await expect(read(await seal(JSON.stringify(ANSWER), publicKey), on)).rejects.toMatchObject({
      reason: FAULTS.signature,
    });
    expect(asked).toHaveLength(1);
  });

  test('9701-5-5 a key of ours that does not fit is told to the operator, and is no bug', async () => {
    const { read, sign } = bench();
    const { publicKey, privateKey } = await generateKeyPair('RSA-OAEP-256');
    const sealed = await seal(sign(), publicKey, 'RSA-OAEP-256');
    const on = (key: CryptoKey) => agreed({ algorithm: 'ES256', decryption: { key, algorithm: 'RSA-OAEP-256' } });
    await expect(read(sealed, on(privateKey))).resolves.toEqual(ANSWER);
    await expect(read(sealed, on(publicKey))).rejects.toMatchObject({ status: 503, reason: FAULTS.decryption });
  });

  test('9701-5-5 a JWK of ours is not frozen, and a later change of it does not count', async () => {
    const { read, sign } = bench();
    const { publicKey, privateKey } = await generateKeyPair('ECDH-ES', { extractable: true });
    const key = await exportJWK(privateKey);
    const on = agreed({ algorithm: 'ES256', decryption: { key, algorithm: 'ECDH-ES' } });
    const sealed = await seal(sign(), publicKey);
    await expect(read(sealed, on)).resolves.toEqual(ANSWER);
    expect(Object.isFrozen(key)).toBe(false);
    key.d = '';
    await expect(read(sealed, on)).resolves.toEqual(ANSWER);
    const changed = agreed({ algorithm: 'ES256', decryption: { key, algorithm: 'ECDH-ES' } });
    await expect(read(sealed, changed)).rejects.toMatchObject({ reason: FAULTS.decryption });
  });

  test('no key at all is a mistake of the options', () => {
    const key = null as unknown as Uint8Array;
    expect(() => agreed({ decryption: { key, algorithm: 'dir' } })).toThrow(TypeError);
    expect(agreed({ decryption: { key: new Uint8Array(32), algorithm: 'dir' } }).decryption).toBeDefined();
  });
});
