import { afterEach, describe, expect, test } from '@jest/globals';
import { startApp } from '../support/app.js';
import { expectForgeryRefused, signerOf, unsigned } from '../support/attack.js';
import { TestAuthorizationServer } from '../support/authorization-server.js';
import { closeAll, closing, expectAccepted, SAYS, stage } from '../support/stage.js';
import { signingKey, signRaw } from '../support/tokens.js';

const API = 'https://api.example.com';

afterEach(closeAll);

describe('kid injection', () => {
  test.each([
    ...['../../../../dev/null', '/dev/null', '..\\..\\windows\\win.ini', 'file:///etc/passwd', '/proc/self/environ'],
    ...["x' UNION SELECT 'key';--", "' OR '1'='1", '"; DROP TABLE keys; --', '{"$gt":""}', '$(id)', '`id`', '|id'],
    ...[
      'https://evil.example/jwks',
      '//evil.example',
      'http://169.254.169.254/',
      'first\u0000',
      ' first',
      'first ',
      'FIRST',
    ],
    ...['__proto__', 'constructor', 'prototype', 'toString', 'hasOwnProperty', 'undefined', 'null', '0', '', '*', '.*'],
    ...['first\r\nX-Injected: 1', 'f\u0131rst', 'ES256', 'ES256 first', '%66irst', '\ud800', '\u202efirst', '${7*7}'],
  ])('kid %p finds no key, with the right signature and with a wrong one', async (kid) => {
    const { as, app } = await stage();
    await expectForgeryRefused(app, signRaw(unsigned(as, { kid }), signerOf(as)), SAYS.key);
    await expectForgeryRefused(app, signRaw(unsigned(as, { kid }), signingKey()), SAYS.key);
    expect(as.log).toEqual(['GET /.well-known/oauth-authorization-server', 'GET /jwks']);
    await expectAccepted(app, as.mint());
  });

  test.each([
    [['first']],
    [{ kid: 'first' }],
    [{ toString: 'first' }],
    [0],
    [1e21],
    [true],
    [false],
    [null],
    [[]],
    [{}],
  ])('kid %j, which is no string, finds no key and asks for none', async (kid) => {
    const { as, app } = await stage();
    await expectForgeryRefused(app, signRaw(unsigned(as, { kid }), signerOf(as)), SAYS.key);
    expect(as.log).toEqual([]);
    await expectAccepted(app, as.mint());
  });

  test('a kid of 8 kB in the header and one of 64 kB in the body find no key', async () => {
    const { as, app } = await stage({ methods: ['header', 'body'], maxTokenLength: 1e6 });
    await expectForgeryRefused(app, signRaw(unsigned(as, { kid: 'k'.repeat(8192) }), signerOf(as)), SAYS.key);
    const post = (token: string) =>
      app.request('/protected', { method: 'POST', body: new URLSearchParams({ access_token: token }) });
    const refused = await post(signRaw(unsigned(as, { kid: 'k'.repeat(65_536) }), signerOf(as)));
    expect([refused.status, refused.challenge, app.handled]).toEqual([
      401,
      `Bearer realm="${API}", error="invalid_token", error_description="${SAYS.key}"`,
      0,
    ]);
    expect((await post(as.mint({ filler: 'k'.repeat(65_536) }))).status).toBe(200);
  });

  test.each(['__proto__', 'constructor', 'toString', '../first', '', 'x\u0000y'])(
    'a key that is really called %p is found by that name, and by no other',
    async (kid) => {
      const { as, app } = await stage();
      as.keys = [signingKey('ES256', kid)];
      await expectAccepted(app, as.mint());
      await expectForgeryRefused(app, as.mint({}, { header: { kid: `${kid} ` } }), SAYS.key);
    },
  );

  test('the kid of one key with the signature of another of the same server is refused', async () => {
    const { as, app } = await stage();
    const second = signingKey('ES256', 'second');
    as.keys.push(second);
    await expectForgeryRefused(app, as.mint({}, { header: { kid: 'second' } }));
    await expectForgeryRefused(app, as.mint({}, { header: { kid: 'first' }, key: second }));
    await expectAccepted(app, as.mint({}, { key: second }));
  });

  test('without a kid at most 16 keys are tried, and one of those that signed is found', async () => {
    const { as, app } = await stage();
    as.keys = Array.from({ length: 16 }, (_, i) => signingKey('ES256', `k${i}`));
    const header = { kid: undefined };
    await expectAccepted(app, as.mint({}, { header, key: as.keys[15] ?? signingKey() }));
    await expectForgeryRefused(app, as.mint({}, { header, key: signingKey() }));
  });
});

describe('two trusted servers', () => {
  async function twoServers() {
    const [a, b] = [closing(await TestAuthorizationServer.start()), closing(await TestAuthorizationServer.start('/b'))];
    const app = closing(
      await startApp({
        resource: API,
        authorizationServers: [{ issuer: a.issuer }, { issuer: b.issuer, audience: 'b' }],
      }),
    );
    return { a, b, app };
  }

  test('the issuer of one with the key of the other under the same kid is refused', async () => {
    const { a, b, app } = await twoServers();
    expect(signerOf(a).kid).toBe(signerOf(b).kid);
    await expectForgeryRefused(app, a.mint({}, { key: signerOf(b) }));
    await expectForgeryRefused(app, b.mint({ aud: 'b' }, { key: signerOf(a) }));
    await expectForgeryRefused(app, b.mint({ iss: a.issuer }));
    await expectAccepted(app, a.mint());
    await expectAccepted(app, b.mint({ aud: 'b' }));
  });

  test('the issuer of one with a kid that only the other has is refused, and the other is not asked', async () => {
    const { a, b, app } = await twoServers();
    b.keys = [signingKey('ES256', 'only-b')];
    await expectForgeryRefused(app, a.mint({}, { key: signerOf(b) }), SAYS.key);
    expect(b.log).toEqual([]);
    await expectAccepted(app, b.mint({ aud: 'b' }));
  });

  test('the audience that one may use is not for the other', async () => {
    const { a, b, app } = await twoServers();
    await expectForgeryRefused(app, a.mint({ aud: 'b' }), SAYS.audience);
    await expectForgeryRefused(app, b.mint({ aud: API }), SAYS.audience);
    await expectForgeryRefused(app, a.mint({ iss: [a.issuer, b.issuer] }), SAYS.issuer);
    await expectAccepted(app, a.mint());
    await expectAccepted(app, b.mint({ aud: ['x', 'b'] }));
  });

  test('a server of no trust with the document of a trusted one is refused, and not asked', async () => {
    const { a, app } = await twoServers();
    const evil = closing(await TestAuthorizationServer.start());
    evil.metadata = { issuer: a.issuer };
    await expectForgeryRefused(app, evil.mint(), SAYS.issuer);
    await expectForgeryRefused(app, evil.mint({ iss: a.issuer }));
    expect(evil.log).toEqual([]);
    await expectAccepted(app, a.mint());
  });
});
