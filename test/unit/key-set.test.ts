import { describe, expect, test } from '@jest/globals';
import { ALGORITHMS, KeySet } from '../../lib/key-set.js';
import { signingKey } from '../support/tokens.js';

/** As a promise, whether the keys have been imported yet or not. */
async function candidates(set: KeySet, alg: string, kid: string | undefined) {
  return set.candidates(alg, kid);
}

describe('KeySet', () => {
  test('7515-4.1.4-1 a kid selects, and without one every key of the algorithm is a candidate', async () => {
    const set = new KeySet([signingKey('ES256', 'a').jwk, signingKey('ES256', 'b').jwk, signingKey('ES384', 'a').jwk]);
    await expect(candidates(set, 'ES256', 'a')).resolves.toHaveLength(1);
    await expect(candidates(set, 'ES256', undefined)).resolves.toHaveLength(2);
    await expect(candidates(set, 'ES384', 'a')).resolves.toHaveLength(1);
    await expect(candidates(set, 'ES384', 'b')).resolves.toEqual([]);
  });

  test('8725-3.1-3 each key is imported for the algorithm it is asked for, and once', async () => {
    const jwk = { ...signingKey('RS256', 'rsa').jwk, alg: undefined };
    const set = new KeySet([jwk]);
    const [pkcs] = await set.candidates('RS256', 'rsa');
    const [pss] = await set.candidates('PS256', 'rsa');
    expect([pkcs?.algorithm.name, pss?.algorithm.name]).toEqual(['RSASSA-PKCS1-v1_5', 'RSA-PSS']);
    expect((await set.candidates('RS256', 'rsa'))[0]).toBe(pkcs);
    expect([pkcs?.usages, pkcs?.type]).toEqual([['verify'], 'public']);
  });

  test.each(['HS256', 'none', 'ES256K', 'es256', ''])('8725b-3.1-5 for %p there is never a key', async (alg) => {
    const set = new KeySet([signingKey('ES256', 'a').jwk, { kty: 'oct', k: 'AAAA' }, { kty: 'oct', k: 'AAAA', alg }]);
    await expect(candidates(set, alg, undefined)).resolves.toEqual([]);
    await expect(candidates(set, 'ES256', undefined)).resolves.toHaveLength(1);
  });

  test('8725-3.2-1 for each algorithm of the list there is a key', async () => {
    const set = new KeySet(ALGORITHMS.map((name) => signingKey(name, name).jwk));
    for (const alg of ALGORITHMS) await expect(candidates(set, alg, undefined)).resolves.toHaveLength(1);
  });

  test('7517-4.5-1 a token without kid is tried with sixteen keys and no more', async () => {
    const keys = Array.from({ length: 40 }, (_, i) => signingKey('ES256', String(i)).jwk);
    const set = new KeySet(keys);
    await expect(candidates(set, 'ES256', undefined)).resolves.toHaveLength(16);
    await expect(candidates(set, 'ES256', '39')).resolves.toHaveLength(1);
  });

  test('8725b-3.10-1 kids are told apart whatever characters they have', async () => {
    const kids = ['ES256', 'x y', 'x', ' x', '__proto__', 'constructor', '\0', '\u00e9', 'e\u0301'];
    const set = new KeySet(kids.map((kid) => signingKey('ES256', kid).jwk));
    const found = await Promise.all(kids.map((kid) => candidates(set, 'ES256', kid)));
    expect(found.map((keys) => keys.length)).toEqual(kids.map(() => 1));
    expect(new Set(found.flat()).size).toBe(kids.length);
    for (const kid of ['', 'y', 'X', 'toString', 'e']) await expect(candidates(set, 'ES256', kid)).resolves.toEqual([]);
  });

  test('7517-4-1 members that are not of the key have no say in its import', async () => {
    const { jwk } = signingKey('ES256', 'a');
    const set = new KeySet([{ ...jwk, ext: false, key_ops: ['verify'], x5c: ['x'], oth: [] }]);
    const [key] = await set.candidates('ES256', 'a');
    expect(key?.extractable).toBe(true);
  });
});
