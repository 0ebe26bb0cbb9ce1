import { describe, expect, test } from '@jest/globals';
import { KeySet } from '../../lib/key-set.js';
import { jwtVerifier } from '../../lib/jwt.js';
import { localKeys } from '../../lib/keys.js';
import type { KeySource } from '../../lib/keys.js';
import { checkedTerms } from '../../lib/token-terms.js';
import { watchedKeys } from '../support/keys.js';
import { SAYS } from '../support/stage.js';
import { base64url, signingKey, signJwt, signRaw, validClaims } from '../support/tokens.js';

const ISSUER = 'https://as.example.com';
const API = 'https://api.example.com';
const NOW = 1_700_000_000;

/** A verifier that trusts one server with these keys. */
function verifierOf(keys: KeySource) {
  const server = { issuers: [ISSUER] as const, terms: checkedTerms({ algorithms: ['ES256'] }, API), keys };
  return jwtVerifier(
    (issuer) => (issuer === ISSUER ? server : undefined),
    () => NOW,
    0,
    () => undefined,
  );
}

/** A verifier, and how often it asked for keys. */
function bench() {
  const key = signingKey('ES256', 'first');
  const { source, asked } = watchedKeys(key);
  const verify = verifierOf(source);
  const mint = (claims: object = {}, header: object = {}, by = key) =>
    signJwt(
      { typ: 'at+jwt', alg: 'ES256', kid: 'first', ...header },
      { ...validClaims(ISSUER, API, NOW), ...claims },
      by,
    );
  return { verify, asked, mint };
}

describe('jwtVerifier', () => {
  // From the first check to the last: each row is wrong in its own way and in every way below it.
  const wrongs: [says: string, header: object, claims: object][] = [
    [SAYS.algorithm, { alg: 'none' }, {}],
    [SAYS.key, { kid: 1 }, {}],
    [SAYS.issuer, {}, { iss: 'https://evil.example' }],
    [SAYS.type, { typ: 'JWT' }, {}], // which ones are accepted is for the issuer to say
    [SAYS.crit, { crit: ['x'] }, {}],
    [SAYS.expired, {}, { exp: NOW }],
    [SAYS.audience, {}, { aud: 'x' }],
    [SAYS.missing('client_id'), {}, { client_id: undefined }],
    [SAYS.missing('sub'), {}, { sub: undefined }],
    [SAYS.missing('jti'), {}, { jti: undefined }],
  ];
  test.each(wrongs.map((wrong, i) => [i, wrong] as const))(
    '7519-7.2-1 a token wrong in the way %d and in all later ways is refused for the first, without a question for keys',
    async (i, [says]) => {
      const { verify, asked, mint } = bench();
      const parts = wrongs.slice(i);
      const header = Object.assign({}, ...parts.map(([, part]) => part)) as object;
      const claims = Object.assign({}, ...parts.map(([, , part]) => part)) as object;
      await expect(verify(mint(claims, header, signingKey('ES256', 'first')))).rejects.toThrow(says);
      expect(asked).toEqual([]);
      await expect(verify(mint())).resolves.toMatchObject({ claims: { iss: ISSUER } });
      expect(asked).toEqual(['ES256 first']);
    },
  );

  test('8725b-3.1-4 an algorithm the issuer has not is refused without a question for keys', async () => {
    const { verify, asked, mint } = bench();
    await expect(verify(mint({}, { alg: 'RS256' }))).rejects.toThrow(SAYS.algorithm);
    expect(asked).toEqual([]);
    await expect(verify(mint())).resolves.toBeDefined();
  });

  test('9068-4-5 the claims are frozen, at any depth', async () => {
    const { verify, mint } = bench();
    const { claims, scopes } = await verify(mint({ groups: [{ name: 'a', tags: ['x'] }] }));
    const groups = claims['groups'] as [{ tags: string[] }];
    for (const value of [claims, scopes, groups, groups[0], groups[0].tags]) expect(Object.isFrozen(value)).toBe(true);
    expect(() => groups[0].tags.push('y')).toThrow(TypeError);
  });

  test('7519-4-2 claims a hundred thousand levels deep are frozen without an overflow of the stack', async () => {
    const key = signingKey('ES256', 'deep');
    const verify = verifierOf(localKeys([key.jwk]));
    const nested = `${'['.repeat(100_000)}${']'.repeat(100_000)}`;
    const text = JSON.stringify({ ...validClaims(ISSUER, API, NOW), x: '@' }).replace('"@"', nested);
    const { claims } = await verify(signRaw(`${base64url({ typ: 'at+jwt', alg: 'ES256' })}.${base64url(text)}`, key));
    let depth = 0;
    for (let value = claims['x']; Array.isArray(value) && Object.isFrozen(value); depth++)
      value = (value as unknown[])[0];
    expect(depth).toBe(100_000);
  });

  test('an error of the key source that is no refusal comes through as it is', async () => {
    const failure = new Error('a bug');
    const fail = () => Promise.reject(failure);
    const none = () => Promise.resolve(new KeySet([]));
    for (const keys of [
      { current: fail, newer: none },
      { current: none, newer: fail },
    ]) {
      await expect(verifierOf(keys)(bench().mint())).rejects.toBe(failure);
    }
  });

  test('7517-4.5-1 the right key is found wherever it stands among the candidates', async () => {
    const keys = [signingKey('ES256', 'same'), signingKey('ES256', 'same'), signingKey('ES256', 'same')];
    const verify = verifierOf(localKeys(keys.map(({ jwk }) => jwk)));
    const { mint } = bench();
    for (const key of keys)
      await expect(verify(mint({}, { kid: 'same' }, key))).resolves.toMatchObject({
        claims: { iss: ISSUER },
      });
    await expect(verify(mint({}, { kid: 'same' }))).rejects.toThrow(SAYS.signature);
  });
});
