import { createHmac, createPublicKey, sign } from 'node:crypto';
import { afterEach, describe, expect, test } from '@jest/globals';
import { resourceServer } from '../../lib/index.js';
import { ALGORITHMS } from '../../lib/key-set.js';
import { startApp } from '../support/app.js';
import { TestAuthorizationServer } from '../support/authorization-server.js';
import { closeAll, closing, expectAccepted, expectRefused, SAYS, stage } from '../support/stage.js';
import { base64url, signingKey, validClaims } from '../support/tokens.js';

const API = 'https://api.example.com';

afterEach(closeAll);

describe('RFC 8725 3.1 and 3.2 algorithms', () => {
  test('8725-3.1-1 only the algorithms that were named are accepted, and each of them is', async () => {
    const { as, app } = await stage({ algorithms: ['ES256', 'PS256'] });
    const rsa = signingKey('RS256', 'rsa');
    const keys = [signingKey('ES384', 'p384'), signingKey('EdDSA', 'ed'), { ...rsa, alg: 'PS256' }];
    as.jwks = { keys: [...[...as.keys, ...keys].map(({ jwk }) => ({ ...jwk, alg: undefined }))] };
    for (const key of [signingKey('ES384', 'p384'), signingKey('EdDSA', 'ed'), rsa]) {
      await expectRefused(app, as.mint({}, { key }), SAYS.algorithm);
    }
    expect(as.log).toEqual([]);
    await expectAccepted(app, as.mint());
    await expectAccepted(app, as.mint({}, { key: { ...rsa, alg: 'PS256' } }));
  });

  const rsa = signingKey('RS256', 'rsa');
  const publicKey = createPublicKey({ key: rsa.jwk, format: 'jwk' });
  test.each([
    ['PEM (SPKI)', publicKey.export({ format: 'pem', type: 'spki' })],
    ['PEM without its last line break', publicKey.export({ format: 'pem', type: 'spki' }).toString().trimEnd()],
    ['PEM (PKCS #1)', publicKey.export({ format: 'pem', type: 'pkcs1' })],
    ['DER', publicKey.export({ format: 'der', type: 'spki' })],
    ['JWK', JSON.stringify(rsa.jwk)],
    ['the modulus', Buffer.from(rsa.jwk.n ?? '', 'base64url')],
    ['nothing', ''],
  ])('8725-3.1-2 a token with an HMAC of the public RSA key as %s is refused', async (_name, secret) => {
    const { as, app } = await stage();
    as.keys = [rsa];
    for (const [alg, says] of [
      ['HS256', SAYS.algorithm],
      ['RS256', SAYS.signature],
    ] as const) {
      const header = base64url({ typ: 'at+jwt', alg, kid: rsa.kid });
      const input = `${header}.${base64url(validClaims(as.issuer, API))}`;
      await expectRefused(app, `${input}.${createHmac('sha256', secret).update(input).digest('base64url')}`, says);
    }
    await expectAccepted(app, as.mint());
  });

  test.each([
    ['RS256', 'RS512'],
    ['RS256', 'PS256'],
    ['PS256', 'RS256'],
    ['PS384', 'PS256'],
  ])(
    '8725-3.1-2 a header that says %s over a signature of %s is refused, although the key fits both',
    async (says, does) => {
      const { as, app } = await stage();
      as.jwks = { keys: [{ ...rsa.jwk, alg: undefined }] };
      const token = as.mint({}, { key: { ...rsa, alg: does }, header: { alg: says } });
      await expectRefused(app, token, SAYS.signature);
      await expectAccepted(app, as.mint({}, { key: { ...rsa, alg: does } }));
    },
  );

  test('8725-3.1-2 a header that says ES256 over a signature with a P-384 key is refused', async () => {
    const { as, app } = await stage();
    const key = signingKey('ES384', 'p384');
    as.keys.push(key);
    await expectRefused(app, as.mint({}, { key, header: { alg: 'ES256' } }), SAYS.key);
    await expectRefused(app, as.mint({}, { key, header: { alg: 'ES256', kid: 'first' } }), SAYS.signature);
    await expectAccepted(app, as.mint({}, { key }));
  });

  test.each([
    ['RS256', 'PS256'],
    ['RS256', 'RS384'],
    ['PS512', 'RS512'],
    ['EdDSA', 'Ed25519'],
  ])('8725-3.1-3 a key published for %s is not used for %s', async (alg, other) => {
    const { as, app } = await stage();
    const key = signingKey(alg, 'one');
    as.keys = [key];
    await expectRefused(app, as.mint({}, { key: { ...key, alg: other } }), SAYS.key);
    await expectAccepted(app, as.mint());
  });

  test('8725b-3.1-4 each issuer has its own algorithms, and none of the other', async () => {
    const [first, second] = [await TestAuthorizationServer.start(), await TestAuthorizationServer.start()].map(closing);
    if (first === undefined || second === undefined) throw new Error('no server');
    for (const as of [first, second]) as.keys = [signingKey('ES256', 'ec'), signingKey('RS256', 'rsa')];
    const authorizationServers = [
      { issuer: first.issuer, algorithms: ['ES256'] },
      { issuer: second.issuer, algorithms: ['RS256'] },
    ];
    const app = closing(await startApp({ resource: API, authorizationServers }));
    const mint = (as: TestAuthorizationServer, alg: string) =>
      as.mint({}, { key: as.keys.find((key) => key.alg === alg) ?? signingKey() });
    await expectAccepted(app, mint(first, 'ES256'));
    await expectAccepted(app, mint(second, 'RS256'));
    await expectRefused(app, mint(first, 'RS256'), SAYS.algorithm);
    await expectRefused(app, mint(second, 'ES256'), SAYS.algorithm);
  });

  test.each([
    'None',
    'NONE',
    'nOnE',
    'none ',
    'hs256 ',
    'HS256',
    'HS512',
    'ES256K',
    'ES256 ',
    'RS1',
    'dir',
    'A128KW',
    'ML-DSA-44',
    'constructor',
    'valueOf',
  ])('8725b-3.1-5 the alg %p, which is on no list, is refused, and no key is asked for', async (alg) => {
    const { as, app } = await stage();
    await expectRefused(app, as.mint({}, { header: { alg } }), SAYS.algorithm);
    expect(as.log).toEqual([]);
    await expectAccepted(app, as.mint());
  });

  test('8725-3.2-1 the default algorithms are asymmetric and current, and each of them passes', async () => {
    expect(ALGORITHMS.toSorted()).toEqual(
      ['ES256', 'ES384', 'ES512', 'Ed25519', 'EdDSA', 'PS256', 'PS384', 'PS512', 'RS256', 'RS384', 'RS512'].toSorted(),
    );
    const { as, app } = await stage();
    as.keys = ALGORITHMS.map((alg) => signingKey(alg, alg));
    for (const key of as.keys) await expectAccepted(app, as.mint({}, { key }));
  });

  test.each(ALGORITHMS)('8725-3.2-1 %s can be named alone, and passes', async (alg) => {
    const { as, app } = await stage({ algorithms: [alg] });
    const key = signingKey(alg, 'named');
    as.keys.push(key);
    await expectAccepted(app, as.mint({}, { key }));
    const other = alg === 'ES256' ? signingKey('ES384') : as.keys[0];
    await expectRefused(app, as.mint({}, { key: other ?? key }), SAYS.algorithm);
  });

  test.each([[[]], ['ES256'], [['HS256']], [['es256']], [['RS1']], [[1]], [null], [['__proto__']]])(
    '8725-3.2-1 the algorithms %j are refused at construction',
    (algorithms) => {
      const options = { resource: API, issuer: API, algorithms } as { resource: string; issuer: string };
      expect(() => resourceServer(options)).toThrow('"algorithms"');
      expect(() => resourceServer({ ...options, algorithms: ['ES256'] })).not.toThrow();
    },
  );

  test('8725-3.2-2 an unsecured token is refused where its issuer publishes no key that names an algorithm', async () => {
    const { as, app } = await stage();
    as.jwks = { keys: as.keys.map(({ jwk }) => ({ ...jwk, alg: undefined, kid: undefined })) };
    const [, payload = ''] = as.mint().split('.');
    await expectRefused(app, `${base64url({ typ: 'at+jwt', alg: 'none' })}.${payload}.`, SAYS.algorithm);
    await expectAccepted(app, as.mint({}, { header: { kid: undefined } }));
  });
});

describe('RFC 8725 3.4 and 3.5 keys', () => {
  const ec = signingKey('ES256', 'bad');
  const flipped = Buffer.from(ec.jwk.y ?? '', 'base64url');
  flipped[5] = (flipped[5] ?? 0) ^ 1;
  test.each([
    ['off its curve', { y: flipped.toString('base64url') }],
    ['at zero', { x: base64url('\0'.repeat(32)), y: base64url('\0'.repeat(32)) }],
    ['beyond the field', { x: Buffer.alloc(32, 0xff).toString('base64url') }],
    ['with a coordinate too short', { x: 'AAAA' }],
    ['with a coordinate that is no base64url', { x: '!!!!' }],
    ['of another curve than it says', { crv: 'P-384' }],
  ])(
    '8725-3.4-1 a published key %s is not used, crashes nothing, and leaves the others in use',
    async (_name, members) => {
      const { as, app } = await stage();
      as.jwks = { keys: [{ ...ec.jwk, ...members }, ...as.keys.map((key) => key.jwk)] };
      await expectRefused(app, as.mint({}, { key: ec }), SAYS.key);
      await expectAccepted(app, as.mint());
      await expectAccepted(app, as.mint({}, { header: { kid: undefined } }));
    },
  );

  test('8725-3.4-1 a published RSA key with the exponent 1, for which anybody can sign, is not used', async () => {
    const { as, app } = await stage();
    as.jwks = { keys: [{ ...signingKey('RS256', 'one').jwk, e: 'AQ' }, ...as.keys.map((key) => key.jwk)] };
    const input = `${base64url({ typ: 'at+jwt', alg: 'RS256', kid: 'one' })}.${base64url(validClaims(as.issuer, API))}`;
    // What RSASSA-PKCS1-v1_5 compares with; with the exponent 1 it is the signature. Made with a key of our own.
    const own = signingKey('RS256');
    const padded = sign('sha256', Buffer.from(input), own.privateKey);
    const block = rawPublic(padded, own.jwk.n ?? '', own.jwk.e ?? '');
    await expectRefused(app, `${input}.${block.toString('base64url')}`, SAYS.key);
    await expectAccepted(app, as.mint());
  });

  test.each(['secret', 'correct horse battery staple', 'x'.repeat(64)])(
    '8725-3.5-1 the password %p is no key, however long',
    (password) => {
      const jwks = { keys: [{ kty: 'oct', k: base64url(password) }] };
      expect(() => resourceServer({ resource: API, issuer: API, jwks })).toThrow('"jwks" has a secret key');
      expect(() => resourceServer({ resource: API, issuer: API, jwks: { keys: [ec.jwk] } })).not.toThrow();
    },
  );
});

/** signature^e mod n: the padded digest within a signature. RFC 8017 section 5.2.2. */
function rawPublic(signature: Buffer, n: string, e: string): Buffer {
  const number = (octets: Buffer) => BigInt(`0x${octets.toString('hex')}`);
  const modulus = number(Buffer.from(n, 'base64url'));
  let [base, exponent, result] = [number(signature), number(Buffer.from(e, 'base64url')), 1n];
  for (; exponent > 0n; exponent >>= 1n, base = (base * base) % modulus) {
    if (exponent & 1n) result = (result * base) % modulus;
  }
  return Buffer.from(result.toString(16).padStart(signature.length * 2, '0'), 'hex');
}
