import { createHmac, createPrivateKey, createPublicKey, X509Certificate } from 'node:crypto';
import { afterEach, describe, expect, test } from '@jest/globals';
import { expectForgeryRefused, signerOf, unsigned } from '../support/attack.js';
import type { TestAuthorizationServer } from '../support/authorization-server.js';
import { listen } from '../support/listen.js';
import { closeAll, closing, expectAccepted, SAYS, stage } from '../support/stage.js';
import { signingKey, signRaw } from '../support/tokens.js';
import type { SigningKey } from '../support/tokens.js';

afterEach(closeAll);

describe('algorithm confusion: the public key as a shared secret', () => {
  const secrets: [name: string, secret: (key: SigningKey) => string | Buffer][] = [
    ['its PEM', (key) => pem(key)],
    ['its PEM without the last line break', (key) => pem(key).trimEnd()],
    ['its DER', (key) => publicKey(key).export({ type: 'spki', format: 'der' })],
    ['its PKCS1 DER', (key) => publicKey(key).export({ type: 'pkcs1', format: 'der' })],
    ['its JWK as text', (key) => JSON.stringify(key.jwk)],
    ['its canonical JWK', (key) => JSON.stringify({ e: key.jwk.e, kty: 'RSA', n: key.jwk.n })],
    ['the bytes of n', (key) => Buffer.from(key.jwk.n ?? '', 'base64url')],
    ['the text of n', (key) => key.jwk.n ?? ''],
    ['the key id', (key) => key.kid],
    ['nothing', () => ''],
  ];
  const cases = secrets.flatMap((secret) => ['HS256', 'HS384', 'HS512'].map((alg) => [alg, ...secret] as const));

  test.each(cases)('%s with %s of an RSA key is refused, without asking for a key', async (alg, _name, secretOf) => {
    const { as, app } = await stage();
    const key = rsaKey;
    as.keys = [key];
    const input = unsigned(as, { alg });
    await expectForgeryRefused(app, hmac(alg, secretOf(key), input), SAYS.algorithm);
    expect(as.log).toEqual([]);
    await expectAccepted(app, as.mint());
  });

  test.each([
    ['its PEM', (key: SigningKey) => pem(key)],
    ['the bytes of x', (key: SigningKey) => Buffer.from(key.jwk.x ?? '', 'base64url')],
    ['the text of x', (key: SigningKey) => key.jwk.x ?? ''],
  ])('HS256 with %s of an EC key is refused, also when the key set is given', async (_name, secretOf) => {
    const { as, app } = await stage({ algorithms: ['ES256', 'RS256'] });
    const input = unsigned(as, { alg: 'HS256' });
    await expectForgeryRefused(app, hmac('HS256', secretOf(signerOf(as)), input), SAYS.algorithm);
    expect(as.log).toEqual([]);
    await expectAccepted(app, as.mint());
  });

  test('an oct key in the published set opens no door to HMAC', async () => {
    const { as, app } = await stage();
    const secret = Buffer.from('0123456789abcdef0123456789abcdef');
    const oct = { kty: 'oct', k: secret.toString('base64url'), kid: 'oct' };
    as.jwks = { keys: [...as.keys.map((key) => key.jwk), oct, { ...oct, alg: 'ES256' }, { ...oct, alg: 'HS256' }] };
    await expectForgeryRefused(app, hmac('HS256', secret, unsigned(as, { alg: 'HS256', kid: 'oct' })), SAYS.algorithm);
    await expectForgeryRefused(app, hmac('HS256', secret, unsigned(as, { kid: 'oct' })), SAYS.key);
    await expectAccepted(app, as.mint());
  });

  test.each(['RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519'])(
    'the signature of an RS256 key under the name %s is refused',
    async (alg) => {
      const { as, app } = await stage();
      as.keys = [rsaKey];
      await expectForgeryRefused(app, signRaw(unsigned(as, { alg }), rsaKey), SAYS.key);
      await expectAccepted(app, as.mint());
    },
  );

  test('the same key without its "alg" verifies by the algorithm that signed, and by no other', async () => {
    const { as, app } = await stage();
    const jwk = { ...rsaKey.jwk, alg: undefined };
    as.keys = [rsaKey];
    as.jwks = { keys: [jwk] };
    for (const alg of ['RS384', 'RS512', 'PS256', 'PS512']) {
      await expectForgeryRefused(app, signRaw(unsigned(as, { alg }), rsaKey));
    }
    await expectAccepted(app, as.mint());
  });

  test.each([
    ...[
      'HS1',
      'ES256K',
      'ES256 ',
      ' ES256',
      'es256',
      'Es256',
      'ES256\u0000',
      'ＥＳ256',
      'RSA-OAEP',
      'dir',
      'ES256,RS256',
    ],
    ...['constructor', '__proto__', 'toString', 'hasOwnProperty', ''],
  ])('a token validly signed under the name %p is refused', async (alg) => {
    const { as, app } = await stage();
    await expectForgeryRefused(app, signRaw(unsigned(as, { alg }), signerOf(as)), SAYS.algorithm);
    expect(as.log).toEqual([]);
    await expectAccepted(app, as.mint());
  });
});

describe('unsigned tokens', () => {
  const names = ['none', 'None', 'NONE', 'nOnE', 'none ', '', 'NoNe\u0000', 'ｎone'];
  test.each(names)('alg %p is refused without a signature and with one', async (alg) => {
    const { as, app } = await stage();
    const input = unsigned(as, { alg });
    await expectForgeryRefused(app, `${input}.`, SAYS.algorithm);
    await expectForgeryRefused(app, signRaw(input, signerOf(as)), SAYS.algorithm);
    await expectForgeryRefused(app, `${input}.AA`, SAYS.algorithm);
    expect(as.log).toEqual([]);
    await expectAccepted(app, as.mint());
  });

  test('a signature that is taken away, or its period with it, is refused', async () => {
    const { as, app } = await stage();
    const token = as.mint();
    await expectForgeryRefused(app, token.replace(/[^.]+$/, ''));
    await expectForgeryRefused(app, token.replace(/\.[^.]+$/, ''), SAYS.noJwt);
    await expectAccepted(app, token);
  });

  test('alg beside the header that is signed, in the payload, changes nothing', async () => {
    const { as, app } = await stage();
    await expectForgeryRefused(app, `${unsigned(as, {}, { alg: 'none' })}.`);
    await expectAccepted(app, as.mint({ alg: 'none' }));
  });
});

describe('keys that the token brings along', () => {
  const attacker = signingKey('ES256', 'attacker');

  test.each([
    ['jwk', () => ({ jwk: attacker.jwk })],
    ['jwk and the kid of the server', (as: TestAuthorizationServer) => ({ jwk: attacker.jwk, kid: signerOf(as).kid })],
    ['jwk, without a kid', () => ({ jwk: attacker.jwk, kid: undefined })],
    ['x5c and jwk', () => ({ x5c: [certificate], jwk: attacker.jwk })],
    ['keys', () => ({ keys: [attacker.jwk], jwks: { keys: [attacker.jwk] } })],
    ['epk', () => ({ epk: attacker.jwk })],
  ])('a token signed by the attacker with %s in its header is refused', async (_name, members) => {
    const { as, app } = await stage();
    const header = members(as);
    await expectForgeryRefused(app, signRaw(unsigned(as, header), attacker));
    await expectAccepted(app, as.mint({}, { header }));
  });

  test.each(['jku', 'x5u', 'jwks_uri', 'url', 'iss', 'x5t', 'x5t#S256'])(
    '%s in the header calls nobody',
    async (name) => {
      const { as, app } = await stage();
      let calls = 0;
      const canary = closing(
        await listen((_req, res) => {
          calls++;
          res.setHeader('Content-Type', 'application/json').end(JSON.stringify({ keys: [attacker.jwk] }));
        }),
      );
      for (const url of [canary.url, `${canary.url}/jwks`, [canary.url], { url: canary.url }]) {
        await expectForgeryRefused(app, signRaw(unsigned(as, { [name]: url }), attacker));
        await expectAccepted(app, as.mint({}, { header: { [name]: url } }));
      }
      expect(calls).toBe(0);
      expect((await fetch(canary.url)).status).toBe(200); // the canary was alive
      expect(calls).toBe(1);
    },
  );

  test('x5c with a certificate of the key that signed is refused', async () => {
    const { as, app } = await stage();
    expect(new X509Certificate(Buffer.from(certificate, 'base64')).checkPrivateKey(certified.privateKey)).toBe(true);
    for (const kid of [signerOf(as).kid, undefined]) {
      await expectForgeryRefused(app, signRaw(unsigned(as, { kid, x5c: [certificate] }), certified));
    }
    await expectAccepted(app, as.mint({}, { header: { x5c: [certificate] } }));
  });
});

const rsaKey = signingKey('RS256', 'rsa');

/** Self-signed, P-256, CN=attacker, and its private key: made for this test, known to everybody. */
const certificate =
  'MIIBfDCCASOgAwIBAgIUPA35C+ES9J+mHy073pmfZeYtgs4wCgYIKoZIzj0EAwIwEzERMA8GA1UEAwwIYXR0YWNrZXIwIBcNMjYxMTIxMDUwNzQwWhgPMjEyNjEwMjgwNTA3NDBaMBMxETAPBgNVBAMMCGF0dGFja2VyMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE+XcggJ4m6oAdu9mYMjte16qjrwhC9um1p1ebm/WafsgqfybHQrFq6xB/GvF3JZp3pYGqjv9Ho77vkaD7/kuQQaNTMFEwHQYDVR0OBBYEFLR1kpvgL7oDVpbpbCJ8DJ6QuEbjMB8GA1UdIwQYMBaAFLR1kpvgL7oDVpbpbCJ8DJ6QuEbjMA8GA1UdEwEB/wQFMAMBAf8wCgYIKoZIzj0EAwIDRwAwRAIgRaRXWgjBNdFCg6vIZ/U+NDbyXHl2UPsGRjnfy0Ld8QUCIHvS6U96deIuzmyd0UvLF1P0AFxxETVnqQjRSW5qFi3a';
const certified = {
  alg: 'ES256',
  privateKey: createPrivateKey({
    key: Buffer.from(
      'MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgm+mlEJFOpFghzbcXijHZiU3ugjN4T55QaYlbnNTkxv2hRANCAAT5dyCAnibqgB272ZgyO17XqqOvCEL26bWnV5ub9Zp+yCp/JsdCsWrrEH8a8XclmnelgaqO/0ejvu+RoPv+S5BB',
      'base64',
    ),
    format: 'der',
    type: 'pkcs8',
  }),
};

function publicKey({ jwk }: SigningKey) {
  return createPublicKey({ key: jwk, format: 'jwk' });
}

function pem(key: SigningKey): string {
  return publicKey(key).export({ type: 'spki', format: 'pem' }).toString();
}

function hmac(alg: string, secret: string | Buffer, input: string): string {
  return `${input}.${createHmac(`sha${alg.slice(2)}`, secret)
    .update(input)
    .digest('base64url')}`;
}
