import { createHmac } from 'node:crypto';
import { afterEach, describe, expect, test } from '@jest/globals';
import { KeySet } from '../../lib/key-set.js';
import { localKeys } from '../../lib/keys.js';
import { jwtVerifier } from '../../lib/jwt.js';
import { checkedTerms } from '../../lib/token-terms.js';
import { closeAll, expectAccepted, expectRefused, SAYS, stage } from '../support/stage.js';
import { base64url, privateKeyOf, signJwt, signRaw, validClaims } from '../support/tokens.js';
import { jwe, jws, privateKeys, rfc7517A2, rfc7517A3 } from '../support/vectors.js';

const { rfc7515A2, rfc7515A3, rfc7515A4, rfc8037A1 } = privateKeys;
const ISSUER = 'https://as.example.com';
const API = 'https://api.example.com';

afterEach(closeAll);

/** A verifier of the library that trusts these keys for every algorithm. */
function verifierOf(keys: readonly object[], algorithms: readonly string[]) {
  const server = { issuers: [ISSUER] as const, terms: checkedTerms({ algorithms }, API), keys: localKeys(keys) };
  return jwtVerifier(
    (issuer) => (issuer === ISSUER ? server : undefined),
    () => Date.now() / 1000,
    0,
    () => undefined,
  );
}

function withoutSecrets(jwk: Readonly<Record<string, unknown>>): object {
  const secret = ['d', 'p', 'q', 'dp', 'dq', 'qi'];
  return Object.fromEntries(Object.entries(jwk).filter(([name]) => !secret.includes(name)));
}

describe('published keys', () => {
  test.each([
    ['7515-5.2-3 the key of RFC 7515 A.2', 'RS256', rfc7515A2],
    ['7515-5.2-3 the key of RFC 7515 A.3', 'ES256', rfc7515A3],
    ['7515-5.2-3 the key of RFC 7515 A.4', 'ES512', rfc7515A4],
    ['7515-5.2-3 the key of RFC 8037 A.1', 'EdDSA', rfc8037A1],
    ['7517-4-1 the key of RFC 7517 A.1', 'RS256', rfc7517A2.rsa],
  ])('%s verifies an access token with %s, and not a changed one', async (_name, alg, jwk) => {
    const key = { alg, privateKey: privateKeyOf({ ...jwk }) };
    const verify = verifierOf([withoutSecrets(jwk)], [alg]);
    const claims = validClaims(ISSUER, API);
    const token = signJwt({ typ: 'at+jwt', alg }, claims, key);
    await expect(verify(token)).resolves.toMatchObject({
      claims,
      scopes: ['read', 'write'],
      clientId: 'editor',
    });
    const [head, , signature] = token.split('.');
    await expect(verify([head, base64url({ ...claims, sub: 'bob' }), signature].join('.'))).rejects.toThrow(
      SAYS.signature,
    );
  });

  test.each([
    ['A.2', jws.A2, rfc7515A2, 'RS256', 'RSASSA-PKCS1-v1_5'],
    ['A.3', jws.A3, rfc7515A3, 'ES256', 'ECDSA'],
    ['A.4', jws.A4, rfc7515A4, 'ES512', 'ECDSA'],
    ['A.4 of RFC 8037', jws['8037'], rfc8037A1, 'EdDSA', 'Ed25519'],
  ])(
    '7515-5.2-3 the key set finds the key that verifies the JWS of %s as it is printed',
    async (_name, token, jwk, alg, name) => {
      const [key] = await new KeySet([withoutSecrets(jwk)]).candidates(alg, undefined);
      if (key === undefined) throw new Error('no key');
      const [head, payload, signature = ''] = token.split('.');
      const check = (text: string) =>
        crypto.subtle.verify(
          { name, hash: `SHA-${alg.slice(2)}` },
          key,
          Buffer.from(signature, 'base64url'),
          Buffer.from(text),
        );
      await expect(check(`${head ?? ''}.${payload ?? ''}`)).resolves.toBe(true);
      await expect(check(`${head ?? ''}.${payload ?? ''}x`)).resolves.toBe(false);
    },
  );

  test('7517-4.2-1 of the keys of RFC 7517 A.1 that for encryption verifies nothing', async () => {
    const set = new KeySet([withoutSecrets(rfc7517A2.ec), withoutSecrets(rfc7517A2.rsa)]);
    expect(await set.candidates('ES256', '1')).toEqual([]);
    expect(await set.candidates('RS256', '2011-04-29')).toHaveLength(1);
  });

  test('OIDCD-3-1 the private and symmetric keys of RFC 7517 A.2 and A.3 have no place in a set', async () => {
    const set = new KeySet([rfc7517A2.ec, rfc7517A2.rsa, ...rfc7517A3]);
    expect(await set.candidates('ES256', undefined)).toEqual([]);
    expect(await set.candidates('RS256', undefined)).toEqual([]);
    expect(await set.candidates('HS256', undefined)).toEqual([]);
  });
});

describe('published tokens', () => {
  const printed: [name: string, token: string, says: string, signed: unknown][] = [
    ['7518-3.2-1 the HS256 example of RFC 7515 A.1', jws.A1, SAYS.algorithm, rfc7517A3[1]],
    ['9068-4-1 the RS256 example of RFC 7515 A.2', jws.A2, SAYS.issuer, rfc7515A2],
    ['9068-4-1 the ES256 example of RFC 7515 A.3', jws.A3, SAYS.issuer, rfc7515A3],
    ['7519-7.2-1 the ES512 example of RFC 7515 A.4', jws.A4, SAYS.noJwt, rfc7515A4],
    ['7518-3.6-1 the unsecured example of RFC 7515 A.5 and RFC 7519 6.1', jws.A5, SAYS.algorithm, undefined],
    ['7515-4.1.11-1 the negative example of RFC 7515 E', jws.E, SAYS.noJwt, undefined],
    ['8725b-3.3-2 the encrypted example of RFC 7519 A.1', jwe, SAYS.noJwt, undefined],
  ];
  test.each(printed)('%s is refused, and no key is asked for', async (_name, token, says, signed) => {
    const { as, app } = await stage();
    as.jwks = { keys: [...as.keys.map((key) => key.jwk), ...(signed === undefined ? [] : [signed])] };
    await expectRefused(app, token, says);
    expect(as.log).toEqual([]);
    await expectAccepted(app, as.mint());
  });

  test('7515-4.1.11-1 the header of RFC 7515 E is refused for its crit where the rest is right', async () => {
    const { as, app } = await stage();
    const header = { crit: ['http://example.invalid/UNDEFINED'], 'http://example.invalid/UNDEFINED': true };
    await expectRefused(app, as.mint({}, { header }), SAYS.crit);
    await expectAccepted(app, as.mint({}, { header: { ...header, crit: undefined } }));
  });

  test('7518-3.2-1 an access token under the HMAC key of RFC 7515 A.1 is refused for its algorithm', async () => {
    const { as, app } = await stage();
    as.jwks = { keys: [...as.keys.map((key) => key.jwk), ...rfc7517A3] };
    const input = `${base64url({ typ: 'at+jwt', alg: 'HS256' })}.${base64url(validClaims(as.issuer, API))}`;
    const mac = createHmac('sha256', Buffer.from(rfc7517A3[1].k, 'base64url')).update(input).digest('base64url');
    await expectRefused(app, `${input}.${mac}`, SAYS.algorithm);
    const key = { alg: 'ES256', privateKey: privateKeyOf({ ...rfc7515A3 }) };
    as.jwks = { keys: [withoutSecrets(rfc7515A3)] };
    const signed = signRaw(
      `${base64url({ typ: 'at+jwt', alg: 'ES256' })}.${base64url(validClaims(as.issuer, API))}`,
      key,
    );
    await expectAccepted(app, signed);
  });
});
