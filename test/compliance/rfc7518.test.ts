import { createHmac, sign } from 'node:crypto';
import { afterEach, describe, expect, test } from '@jest/globals';
import { resourceServer } from '../../lib/index.js';
import { startApp } from '../support/app.js';
import { closeAll, closing, expectAccepted, expectRefused, SAYS, stage } from '../support/stage.js';
import { base64url, signingKey, validClaims } from '../support/tokens.js';

const API = 'https://api.example.com';

afterEach(closeAll);

describe('RFC 7518 3.2 HMAC', () => {
  test.each([
    ['31 octets', Buffer.alloc(31, 7)],
    ['32 octets', Buffer.alloc(32, 7)],
    ['a password', Buffer.from('correct horse battery staple')],
  ])('7518-3.2-1 HS256 with a secret of %s is refused at construction', async (_name, secret) => {
    const oct = { kty: 'oct', k: secret.toString('base64url') };
    const ours = { resource: API, issuer: API };
    expect(() => resourceServer({ ...ours, jwks: { keys: [oct] } })).toThrow('"jwks" has a secret key');
    expect(() => resourceServer({ ...ours, algorithms: ['HS256'] })).toThrow('"algorithms" has "HS256", which is not');
    closing(await startApp({ ...ours, jwks: { keys: [signingKey().jwk] }, algorithms: ['ES256'] }));
  });

  test('7518-3.2-1 a token with a correct HMAC of a published secret is refused, and no key is asked for', async () => {
    const { as, app } = await stage();
    const secret = Buffer.alloc(32, 7);
    as.jwks = { keys: [...as.keys.map((key) => key.jwk), { kty: 'oct', k: secret.toString('base64url'), kid: 'mac' }] };
    const input = `${base64url({ typ: 'at+jwt', alg: 'HS256', kid: 'mac' })}.${base64url(validClaims(as.issuer, API))}`;
    const mac = createHmac('sha256', secret).update(input).digest('base64url');
    await expectRefused(app, `${input}.${mac}`, SAYS.algorithm);
    expect(as.log).toEqual([]);
    await expectAccepted(app, as.mint());
  });
});

describe('RFC 7518 3.3 and 3.5 RSA', () => {
  test.each([
    ['7518-3.3-1', 'RS256', 1024],
    ['7518-3.3-1', 'RS256', 2040],
    ['7518-3.3-1', 'RS384', 1024],
    ['7518-3.3-1', 'RS512', 1024],
    ['7518-3.5-1', 'PS256', 1024],
    ['7518-3.5-1', 'PS256', 2040],
    ['7518-3.5-1', 'PS384', 1536],
    ['7518-3.5-1', 'PS512', 1536],
  ])('%s %s with a published key of %d bits is refused, and one of 2048 bits passes', async (_id, alg, bits) => {
    const { as, app } = await stage();
    const [short, long] = [signingKey(alg, 'short', bits), signingKey(alg, 'long')];
    as.keys = [short, long];
    await expectRefused(app, as.mint({}, { key: short }), SAYS.key);
    await expectAccepted(app, as.mint({}, { key: long }));
  });
});

describe('RFC 7518 3.4 ECDSA', () => {
  test.each([
    ['ES256', 64],
    ['ES384', 96],
    ['ES512', 132],
  ])(
    '7518-3.4-1 %s with a signature of %d octets passes, in any other length or form it is refused',
    async (alg, size) => {
      const { as, app } = await stage();
      const key = signingKey(alg, 'ec');
      as.keys = [key];
      const token = as.mint();
      const [head = '', payload = '', signature = ''] = token.split('.');
      const octets = Buffer.from(signature, 'base64url');
      expect(octets).toHaveLength(size);
      const der = sign(`sha${alg.slice(2)}`, Buffer.from(`${head}.${payload}`), {
        key: key.privateKey,
        dsaEncoding: 'der',
      });
      const half = size / 2;
      const forms = [
        der,
        octets.subarray(0, size - 1),
        octets.subarray(0, half),
        Buffer.concat([octets, Buffer.alloc(1)]),
        Buffer.concat([Buffer.alloc(1), octets.subarray(0, half), Buffer.alloc(1), octets.subarray(half)]),
        Buffer.alloc(size),
        Buffer.alloc(size, 0xff),
        Buffer.alloc(0),
      ];
      for (const form of forms) {
        await expectRefused(app, `${head}.${payload}.${form.toString('base64url')}`, SAYS.signature);
      }
      await expectAccepted(app, token);
    },
  );
});

describe('RFC 7518 3.6 none', () => {
  test('7518-3.6-1 an unsecured token is refused, with an empty signature, any other, and a good one', async () => {
    const { as, app } = await stage();
    const [, payload = '', signature = ''] = as.mint().split('.');
    const head = base64url({ typ: 'at+jwt', alg: 'none' });
    for (const part of ['', 'AAAA', signature]) await expectRefused(app, `${head}.${payload}.${part}`, SAYS.algorithm);
    expect(as.log).toEqual([]);
    await expectAccepted(app, as.mint());
  });

  test('7518-3.6-1 no option turns unsecured tokens on', () => {
    const says = '"algorithms" has "none", which is not accepted';
    const ours = { resource: API, issuer: API };
    expect(() => resourceServer({ ...ours, algorithms: ['none'] })).toThrow(says);
    expect(() => resourceServer({ ...ours, algorithms: ['ES256', 'none'] })).toThrow(says);
    const authorizationServers = [{ issuer: API, algorithms: ['none'] }];
    expect(() => resourceServer({ resource: API, authorizationServers })).toThrow(says);
    expect(() => resourceServer({ ...ours, algorithms: ['ES256'] })).not.toThrow();
  });
});
