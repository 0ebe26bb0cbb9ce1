import { describe, expect, test } from '@jest/globals';
import { resourceServer } from '../../lib/index.js';
import type { ResourceServerOptions } from '../../lib/index.js';
import { checkedDPoP } from '../../lib/dpop-options.js';
import type { DPoPOptions } from '../../lib/dpop-options.js';
import { complaint } from '../support/complaint.js';

const ALL = 'RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, ES512, EdDSA, Ed25519';
const SECRET = 'a secret of more than thirty-two bytes';
const STORE = '"replayStore" of "dpop" must have a function "unique", such as { unique: async (id, seconds) => … }';
const SECRET_UNUSED = '"nonceSecret" has no use while "nonce" is "off": set "nonce" to "required" or "optional"';
const BOUND_UNUSED =
  '"maxProofs" is the bound of this process, and has no meaning beside "replayStore": take one of them out';
const clock = () => 1_800_000_000;
const check = (options: unknown) => checkedDPoP(options as DPoPOptions, 'https://api.example.com', clock);

describe('the options of dpop', () => {
  test.each([[true], [{}], [{ algs: undefined, maxAge: undefined, nonce: undefined, nonceSecret: undefined }]])(
    '%j is all defaults',
    async (options) => {
      const { algs, maxAge, nonce, nonces, store } = check(options);
      const defaults = ['ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519', 'PS256', 'RS256'];
      expect([algs, maxAge, nonce]).toEqual([defaults, 60, 'off']);
      expect(nonces.age(nonces.issue())).toBe(0);
      expect([await store.unique('a', 1, 'b'), await store.unique('a', 1, 'b')]).toEqual([true, false]);
    },
  );

  test('what is given is taken, and what becomes of the list and the secret later does not count', async () => {
    const replayStore = { unique: () => true };
    const algs = ['PS512'];
    const nonceSecret = Buffer.from(SECRET);
    const checked = check({ algs, maxAge: 300, nonce: 'required', nonceSecret, replayStore });
    algs.push('none');
    nonceSecret.fill(0);
    expect([checked.algs, checked.maxAge, checked.nonce]).toEqual([['PS512'], 300, 'required']);
    expect(checked.store).toBe(replayStore);
    expect(await check({ maxProofs: 1 }).store.unique('a', 1, 'b')).toBe(true);
    expect(check({ nonce: 'optional', nonceSecret: SECRET }).nonces.age(checked.nonces.issue())).toBe(0);
  });

  test('without a secret each server makes its own', () => {
    expect(check({}).nonces.age(check({}).nonces.issue())).toBeUndefined();
  });

  test.each<[options: object, says: string]>([
    [{ algs: [] }, `"algs" got an empty list: it takes a list of ${ALL}`],
    [{ algs: 'ES256' }, `"algs" got "ES256": it takes a list of ${ALL}`],
    [{ algs: null }, `"algs" got null: it takes a list of ${ALL}`],
    [{ algs: ['ES256', 'none'] }, `"algs" has "none": it takes a list of ${ALL}`],
    [{ algs: ['HS256'] }, `"algs" has "HS256": it takes a list of ${ALL}`],
    [{ algs: ['es256'] }, `"algs" has "es256": it takes a list of ${ALL}`],
    [{ algs: [256] }, `"algs" has 256: it takes a list of ${ALL}`],
    [{ maxAge: 0 }, '"maxAge" must be a number of seconds from 1 to 300, got 0'],
    [{ maxAge: 301 }, '"maxAge" must be a number of seconds from 1 to 300, got 301'],
    [{ maxAge: '60' }, '"maxAge" must be a number of seconds from 1 to 300, got "60"'],
    [{ maxAge: NaN }, '"maxAge" must be a number of seconds from 1 to 300, got NaN'],
    [{ nonce: true }, '"nonce" of "dpop" must be "off", "optional" or "required", got true'],
    [{ nonce: 'on' }, '"nonce" of "dpop" must be "off", "optional" or "required", got "on"'],
    [{ nonce: null }, '"nonce" of "dpop" must be "off", "optional" or "required", got null'],
    [{ nonce: 'required', nonceSecret: 'short' }, '"nonceSecret" must be a string or bytes, 32 bytes or more'],
    [{ nonce: 'required', nonceSecret: 'x'.repeat(31) }, '"nonceSecret" must be a string or bytes, 32 bytes or more'],
    [{ nonce: 'required', nonceSecret: Buffer.alloc(31) }, '"nonceSecret" must be a string or bytes, 32 bytes or more'],
    [{ nonce: 'required', nonceSecret: null }, '"nonceSecret" must be a string or bytes, 32 bytes or more'],
    [{ nonce: 'required', nonceSecret: 5 }, '"nonceSecret" must be a string or bytes, 32 bytes or more'],
    [{ maxProofs: 0 }, '"maxProofs" must be a whole number, 1 or more, got 0'],
    [{ maxProofs: 1.5 }, '"maxProofs" must be a whole number, 1 or more, got 1.5'],
    [{ maxProofs: Infinity }, '"maxProofs" must be a whole number, 1 or more, got Infinity'],
    [{ nonceSecret: SECRET }, SECRET_UNUSED],
    [{ nonce: 'off', nonceSecret: SECRET }, SECRET_UNUSED],
    [{ maxProofs: 5, replayStore: { unique: () => true } }, BOUND_UNUSED],
    [{ replayStore: { unique: 5 } }, STORE],
    [{ replayStore: {} }, STORE],
    [{ replayStore: null }, STORE],
    [{ replayStore: new Map() }, STORE],
    [{ alg: ['ES256'] }, 'dpop has no option "alg": did you mean "algs"?'],
    [{ maxage: 5 }, 'dpop has no option "maxage": did you mean "maxAge"?'],
    [
      { required: true },
      'dpop has no option "required": the options are algs, maxAge, nonce, nonceSecret, maxProofs, replayStore',
    ],
  ])('%j is refused, in words', (options, says) => {
    expect(complaint({ dpop: options })).toBe(says);
  });

  test.each<[dpop: unknown, says: string]>([
    [null, 'dpop takes an object, got null'],
    [[], 'dpop takes an object, got an empty list'],
    ['on', '"dpop" must be true, or an object with its options, got "on"'],
    [1, '"dpop" must be true, or an object with its options, got 1'],
    [false, '"dpop" must be true, or an object with its options, got false'],
  ])('%j in place of options is refused', (dpop, says) => {
    expect(complaint({ dpop })).toBe(says);
  });
});

describe('the options beside it', () => {
  test.each<[options: object, says: string]>([
    [
      { requireBoundTokens: true },
      '"requireBoundTokens" refuses every token unless "dpop" or "clientCertificate" is set',
    ],
    [{ requireBoundTokens: 'yes', dpop: true }, '"requireBoundTokens" must be a boolean, got "yes"'],
    [{ dangerouslyIgnoreUnknownConfirmation: 1 }, '"dangerouslyIgnoreUnknownConfirmation" must be a boolean, got 1'],
    [
      { publicUrl: 'http://a.example' },
      '"publicUrl" must be an https URL such as "https://api.example.com" (http only on loopback), got "http://a.example"',
    ],
  ])('%j is refused', (options, says) => {
    expect(complaint(options)).toBe(says);
  });

  test.each([{ dpop: true }, { clientCertificate: 'tls' }])('requireBoundTokens with %j is taken', (options) => {
    const all = { resource: 'https://a.example', issuer: 'https://b.example', requireBoundTokens: true, ...options };
    expect(resourceServer(all as ResourceServerOptions)).toHaveLength(3);
  });
});
