import { afterEach, describe, expect, test } from '@jest/globals';
import { closeAll, expectAccepted, expectRefused, expectUnavailable, PAUSE, SAYS, stage } from '../support/stage.js';
import { signingKey } from '../support/tokens.js';

afterEach(closeAll);

/** Stands beside keys that verify nothing: without one that does, the set would be a fault of the server, and no answer. */
const OTHER = signingKey('ES256', 'other');

describe('RFC 7517 4 JSON Web Key', () => {
  test('7517-4-1 unknown members of a key and of the set are ignored', async () => {
    const { as, app } = await stage();
    const [key = signingKey()] = as.keys;
    as.jwks = { keys: [{ ...key.jwk, 'x-vendor': { deep: [1] }, ext: false, iat: 'x', x5c: 1, x5t: [] }], version: 7 };
    await expectAccepted(app, as.mint());
  });

  test.each([
    ['kty', '"oct"', '"EC"'],
    ['use', '"enc"', '"sig"'],
    ['alg', '"ES384"', '"ES256"'],
  ])('7517-4-1 of a repeated %s of a key the last decides', async (name, wrong, right) => {
    const [first, second] = [await stage(), await stage()];
    for (const [{ as, app }, members, pass] of [
      [first, [wrong, right], true],
      [second, [right, wrong], false],
    ] as const) {
      const jwk = { ...as.keys[0]?.jwk, [name]: undefined };
      const text = members.map((value) => `"${name}":${value}`).join(',');
      as.answers.set('/jwks', (_req, res) => {
        res.writeHead(200, { 'Content-Type': 'application/json' });
        res.end(`{"keys":[${JSON.stringify(jwk).replace('{', `{${text},`)},${JSON.stringify(OTHER.jwk)}]}`);
      });
      if (pass) await expectAccepted(app, as.mint());
      else await expectRefused(app, as.mint(), SAYS.key);
    }
  });

  test.each([undefined, 1, null, '', 'ec', 'Ec', ['EC']])(
    '7517-4.1-1 a key with the kty %p is skipped, and others work',
    async (kty) => {
      const { as, app } = await stage();
      const second = signingKey('ES256', 'second');
      as.jwks = { keys: [{ ...as.keys[0]?.jwk, kty }, second.jwk] };
      await expectRefused(app, as.mint(), SAYS.key);
      await expectAccepted(app, as.mint({}, { key: second }));
    },
  );

  test.each(['enc', 'SIG', '', 'sig ', null, 1, ['sig']])(
    '7517-4.2-1 a key with the use %p verifies no signature',
    async (use) => {
      const { as, app } = await stage();
      const [key = signingKey()] = as.keys;
      as.jwks = { keys: [{ ...key.jwk, use }, OTHER.jwk] };
      await expectRefused(app, as.mint(), SAYS.key);
      await expectAccepted(app, as.mint({}, { key: OTHER }));
      expect(as.keyFetches).toBe(1);
    },
  );

  test.each(['sig', undefined])('7517-4.2-1 a key with the use %p verifies signatures', async (use) => {
    const { as, app } = await stage();
    as.jwks = { keys: [{ ...as.keys[0]?.jwk, use }] };
    await expectAccepted(app, as.mint());
  });

  test.each([
    ['encrypt only', { key_ops: ['encrypt'] }],
    ['sign only', { key_ops: ['sign'] }],
    ['nothing', { key_ops: [] }],
    ['verify, as a string and no list', { key_ops: 'verify' }],
    ['verify in other case', { key_ops: ['Verify'] }],
    ['null', { key_ops: null }],
    ['encrypt, against its use for signatures', { use: 'sig', key_ops: ['encrypt'] }],
    ['verify, against its use for encryption', { use: 'enc', key_ops: ['verify'] }],
  ])('7517-4.3-1 a key whose key_ops is %s verifies no signature', async (_name, members) => {
    const { as, app } = await stage();
    as.jwks = { keys: [{ ...as.keys[0]?.jwk, use: undefined, ...members }, OTHER.jwk] };
    await expectRefused(app, as.mint(), SAYS.key);
    await expectAccepted(app, as.mint({}, { key: OTHER }));
  });

  test.each([
    ['verify', { key_ops: ['verify'] }],
    ['sign and verify', { key_ops: ['sign', 'verify'] }],
    ['verify, with its use for signatures', { use: 'sig', key_ops: ['verify'] }],
  ])('7517-4.3-1 a key whose key_ops is %s verifies signatures', async (_name, members) => {
    const { as, app } = await stage();
    as.jwks = { keys: [{ ...as.keys[0]?.jwk, use: undefined, ...members }] };
    await expectAccepted(app, as.mint());
  });

  test.each([
    ['RS256', 'PS256'],
    ['PS256', 'RS256'],
    ['RS256', 'RS512'],
  ])('7517-4.4-1 a key that says %s does not verify %s', async (alg, other) => {
    const { as, app } = await stage();
    const key = signingKey(alg, 'rsa');
    as.keys = [key];
    await expectRefused(app, as.mint({}, { key: { ...key, alg: other } }), SAYS.key);
    await expectAccepted(app, as.mint());
  });

  test('7517-4.4-1 an RSA key that says no alg verifies RS256 and PS256', async () => {
    const { as, app } = await stage();
    const key = signingKey('RS256', 'rsa');
    as.jwks = { keys: [{ ...key.jwk, alg: undefined }] };
    for (const alg of ['RS256', 'PS256', 'RS512']) await expectAccepted(app, as.mint({}, { key: { ...key, alg } }));
  });

  test.each([
    ['of two types', 'ES256', 'RS256'],
    ['of one type', 'RS256', 'RS256'],
    ['of one curve', 'ES256', 'ES256'],
    ['of two curves', 'ES256', 'ES384'],
  ])('7517-4.5-1 two keys %s with one kid both verify, whatever their order', async (_name, first, second) => {
    const keys = [signingKey(first, 'same'), signingKey(second, 'same')];
    for (const order of [keys, keys.toReversed()]) {
      const { as, app } = await stage();
      as.keys = order;
      for (const key of keys) await expectAccepted(app, as.mint({}, { key }));
      await expectRefused(app, as.mint({}, { key: signingKey(first, 'same') }), SAYS.signature);
    }
  });
});

describe('RFC 7517 5 JWK Set', () => {
  test.each([
    [[]],
    [{}],
    [{ keys: {} }],
    [{ keys: null }],
    [{ keys: 'x' }],
    [null],
    ['x'],
    [{ Keys: [] }],
    [{ keys: [] }],
    [{ keys: [{ ...OTHER.jwk, use: 'enc' }] }],
    [{ keys: [{ ...OTHER.jwk, use: undefined, key_ops: ['sign'] }] }],
  ])('7517-5-1 a key set that is %j answers 503, and a right one passes afterwards', async (document) => {
    const { as, app, clock } = await stage();
    as.answers.set('/jwks', (_req, res) => {
      res.writeHead(200, { 'Content-Type': 'application/jwk-set+json' }).end(JSON.stringify(document));
    });
    await expectUnavailable(app, as.mint());
    as.answers.clear();
    clock.now += PAUSE;
    await expectAccepted(app, as.mint());
  });

  test('7517-5-2 keys that nobody understands, and broken ones, are skipped', async () => {
    const { as, app } = await stage();
    const [key = signingKey()] = as.keys;
    const rsa = signingKey('RS256', 'first');
    const other = [
      { kty: 'AKP', alg: 'ML-DSA-44', pub: 'AAAA', kid: 'first' },
      { ...key.jwk, x: undefined },
      { ...key.jwk, y: 'AAAA' },
      { ...key.jwk, x: 1, y: null },
      { ...key.jwk, crv: 'P-999' },
      { ...rsa.jwk, n: '' },
      { kty: 'OKP', crv: 'Ed25519', x: '', kid: 'first' },
      null,
      'key',
      7,
      [],
      {},
    ];
    as.jwks = { keys: [...other, key.jwk] };
    await expectAccepted(app, as.mint());
    await expectRefused(app, as.mint({}, { key: rsa }), SAYS.key);
  });

  test.each(['n', 'e'])('7517-5-2 an RSA key without %s is skipped, and a right one beside it works', async (name) => {
    const { as, app } = await stage();
    const [broken, good] = [signingKey('RS256', 'broken'), signingKey('RS256', 'good')];
    as.jwks = { keys: [{ ...broken.jwk, [name]: undefined }, good.jwk] };
    await expectRefused(app, as.mint({}, { key: broken }), SAYS.key);
    await expectAccepted(app, as.mint({}, { key: good }));
  });

  test.each([
    ['0', 'AA'],
    ['1', 'AQ'],
    ['2', 'Ag'],
  ])('7517-5-2 an RSA key with the exponent %s is skipped, and a right one beside it works', async (_name, e) => {
    const { as, app } = await stage();
    const [broken, good] = [signingKey('RS256', 'broken'), signingKey('RS256', 'good')];
    as.jwks = { keys: [{ ...broken.jwk, e }, good.jwk] };
    await expectAccepted(app, as.mint({}, { key: good }));
    await expectRefused(app, as.mint({}, { key: broken }), SAYS.key);
  });

  test('7517-5.1-1 whatever the order of the keys, each verifies its own tokens, with kid and without', async () => {
    const keys = [
      signingKey('ES256', 'a'),
      signingKey('RS256', 'b'),
      signingKey('EdDSA', 'c'),
      signingKey('ES256', 'd'),
    ];
    for (let i = 0; i < keys.length; i++) {
      const { as, app } = await stage();
      as.keys = [...keys.slice(i), ...keys.slice(0, i)];
      for (const key of keys) {
        await expectAccepted(app, as.mint({}, { key }));
        await expectAccepted(app, as.mint({}, { key, header: { kid: undefined } }));
      }
      const stranger = signingKey('ES256', 'e');
      await expectRefused(app, as.mint({}, { key: stranger }), SAYS.key);
      await expectRefused(app, as.mint({}, { key: stranger, header: { kid: undefined } }), SAYS.signature);
    }
  });
});
