import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { auth, checkScope, requireAnyScope, requireClaim, requireScope, resourceServer } from '../../lib/index.js';
import type { ResourceServerOptions } from '../../lib/index.js';
import { startApp } from '../support/app.js';
import type { TestApp } from '../support/app.js';
import { TestAuthorizationServer } from '../support/authorization-server.js';
import { expectRefusal, insufficientScope, invalidToken, NO_JWT } from '../support/refusals.js';
import { REPEATED_PARAMETER, RESOURCE, unauthorized } from '../support/refusals.js';
import { signingKey } from '../support/tokens.js';

let as: TestAuthorizationServer;
const running: TestApp[] = [];
/** How often a handler behind a guard ran. */
let behindGuard = 0;

beforeAll(async () => {
  as = await TestAuthorizationServer.start();
});

afterEach(async () => {
  await Promise.all(running.splice(0).map((app) => app.close()));
  behindGuard = 0;
});

afterAll(() => as.close());

async function start(options: Partial<ResourceServerOptions> = {}): Promise<TestApp> {
  const app = await startApp(
    { resource: RESOURCE, issuer: as.issuer, ...options } as ResourceServerOptions,
    (express) => {
      express.get('/both', requireScope('b', 'c'), (req, res) => {
        behindGuard++;
        res.json({ scopes: auth(req).scopes });
      });
      express.get('/any', requireAnyScope('b', 'c'), (_req, res) => {
        behindGuard++;
        res.json({});
      });
      express.get(
        '/claim',
        requireClaim('role', (role) => role === 'editor'),
        (_req, res) => {
          behindGuard++;
          res.json({});
        },
      );
      express.get('/Case', requireScope('Read:All'), (_req, res) => {
        behindGuard++;
        res.json({});
      });
      express.get('/inside', (req, res) => {
        checkScope(req, 'b');
        behindGuard++;
        res.json({});
      });
    },
  );
  running.push(app);
  return app;
}

describe('RFC 6750 3 the WWW-Authenticate response header field', () => {
  // One valid request, one thing broken; each answer is status, whole challenge and body, and no handler runs.
  const REFUSALS = [
    ['no token', '/protected', {}, unauthorized()],
    ['a repeated parameter', '/protected?access_token=a&access_token=a', {}, REPEATED_PARAMETER],
    ['a random b64token', '/protected', { authorization: 'Bearer mF_9.B5f-4.1JqM' }, NO_JWT],
    ['no token on a scoped route', '/both', {}, unauthorized('b c')],
  ] as const;

  test.each(REFUSALS)(
    '6750-3-1 6750-3-3 6750-3-4 %s: one Bearer challenge with a parameter',
    async (_what, path, headers, expected) => {
      const app = await start({ methods: ['header', 'query'] });
      const answer = await app.get(path, undefined, headers);
      expectRefusal(answer, expected);
      expect(answer.challenges.map(({ scheme }) => scheme)).toEqual(['Bearer']);
      expect(answer.challenges[0]?.params.size).toBeGreaterThan(0);
      expect(app.handled).toBe(0);
    },
  );

  test('6750-3-1 a 403 has its challenge too', async () => {
    const app = await start();
    expectRefusal(await app.get('/both', as.mint({ scope: 'a' })), insufficientScope('b c'));
    expect(behindGuard).toBe(0);
    expect((await app.get('/both', as.mint({ scope: 'b c' }))).status).toBe(200);
    expect(behindGuard).toBe(1);
  });

  test('6750-3-2 an answer of 200 may carry the header as well: a handler sets it, and it arrives', async () => {
    const app = await startApp({ resource: RESOURCE, issuer: as.issuer }, (express) => {
      express.get('/hint', (_req, res) => void res.set('WWW-Authenticate', 'Bearer realm="other"').json({}));
    });
    running.push(app);
    const answer = await app.get('/hint', as.mint());
    expect([answer.status, answer.challenge]).toEqual([200, 'Bearer realm="other"']);
  });

  test.each([
    [{}, RESOURCE],
    [{ realm: 'pictures' }, 'pictures'],
    [{ realm: 'a"b\\c' }, 'a"b\\c'],
  ])('6750-3-5 options %j: the realm is sent once', async (options, realm) => {
    const answer = await (await start(options)).get('/protected');
    expect(answer.challenges.map(({ params }) => [...params])).toEqual([[['realm', realm]]]);
  });

  test('6750-3-6 a route that needs several scopes names them once, in one value, case kept', async () => {
    const app = await start();
    const both = await app.get('/both', as.mint({ scope: 'a' }));
    expect(both.challenges[0]?.params.get('scope')?.split(' ')).toEqual(['b', 'c']);
    expectRefusal(await app.get('/Case', as.mint({ scope: 'read:all' })), insufficientScope('Read:All'));
    expect(behindGuard).toBe(0);
    expect((await app.get('/Case', as.mint({ scope: 'Read:All' }))).status).toBe(200);
  });

  test.each([['a'], ['b'], ['a b'], ['A B C'], ['']])(
    '6750-3-7 6750-3.1-5 a token with scope %j on a route that needs b and c is told "b c"',
    async (scope) => {
      const app = await start();
      expectRefusal(await app.get('/both', as.mint({ scope })), insufficientScope('b c'));
      expect(behindGuard).toBe(0);
    },
  );

  test('6750-3-9 errorDescription: false leaves the code and takes the words away', async () => {
    const app = await start({ errorDescription: false });
    const bad = await app.get('/protected', 'rubbish');
    expectRefusal(bad, {
      status: 401,
      challenge: `Bearer realm="${RESOURCE}", error="invalid_token"`,
      body: { error: 'invalid_token' },
    });
    expectRefusal(await app.get('/both', as.mint()), {
      status: 403,
      challenge: `Bearer realm="${RESOURCE}", error="insufficient_scope", scope="b c"`,
      body: { error: 'insufficient_scope' },
    });
    expectRefusal(await app.get('/protected'), unauthorized());
    expect(app.handled + behindGuard).toBe(1); // the guard of /both stands behind the counter
  });

  test('6750-3-10 errorUri is sent once with an error, and not without one', async () => {
    const app = await start({ errorUri: 'https://api.example.com/errors?a=b' });
    const description = 'error_description="The access token is not a JSON Web Token"';
    expect((await app.get('/protected', 'rubbish')).challenge).toBe(
      `Bearer realm="${RESOURCE}", error="invalid_token", ${description}, error_uri="https://api.example.com/errors?a=b"`,
    );
    expectRefusal(await app.get('/protected'), unauthorized());
  });

  test.each(['/errors', 'errors', '//api.example.com/errors', '', 'https:', 'mailto:a@b'])(
    '6750-3-10 errorUri %j, not absolute or no https, is refused at start-up',
    (errorUri) => {
      expect(() => resourceServer({ resource: RESOURCE, issuer: as.issuer, errorUri })).toThrow(
        /"errorUri".*https URL/,
      );
    },
  );

  test.each(['https://a/b c', 'https://a/"b"', 'https://a/b\\c', 'https://a/\u00e9', 'https://a/\n', 'https://a/\x7f'])(
    '6750-3-13 errorUri %j has characters no URI has and is refused at start-up',
    (errorUri) => {
      expect(() => resourceServer({ resource: RESOURCE, issuer: as.issuer, errorUri })).toThrow(
        /"errorUri".*https URL/,
      );
    },
  );

  test.each(['a"b', 'a\\b', '\u00e9', 'a\nb', 'a\r\nX: y', 'a b', '', 'a\tb', 'a\0', '\x7f'])(
    '6750-3-11 a guard for scope %j is refused at start-up',
    (scope) => {
      expect(() => requireScope(scope)).toThrow(/requireScope got .*not a scope of RFC 6749 section 3\.3/);
      expect(() => requireAnyScope('a', scope)).toThrow(/requireAnyScope got .*not a scope/);
      expect(() => requireScope('a-!#[]^~')).not.toThrow();
    },
  );

  test.each([
    ['kid', { kid: 'a"b\\c\r\nX: y' }, {}],
    ['kid with an emoji', { kid: '🔑é' }, {}],
    ['typ', { typ: '"\\é' }, {}],
    ['alg', { alg: '"\\é🔑' }, {}],
    ['iss', {}, { iss: 'https://"\\é🔑\r\n' }],
    ['aud', {}, { aud: '"\\é🔑\r\n' }],
    ['sub', {}, { sub: { '"': '\\é🔑' } }],
    ['exp', {}, { exp: '"\\é🔑' }],
  ])(
    '6750-3-12 hostile text in %s is not repeated, and the words stay in their characters',
    async (_where, header, claims) => {
      const app = await start();
      const token = as.mint(claims, { header });
      const answer = await app.get('/protected', token);
      const params = answer.challenges[0]?.params;
      expect([answer.status, params?.get('error')]).toEqual([401, 'invalid_token']);
      expect(params?.get('error_description')).toMatch(/^[A-Za-z0-9+ ]+$/);
      expect([answer.headers.has('x'), app.handled]).toEqual([false, 0]);
    },
  );
});

describe('RFC 6750 3.1 error codes', () => {
  test.each([
    ['rubbish', (): string => 'rubbish', NO_JWT],
    ['expired', (): string => as.mint({ exp: 1 }), invalidToken('The access token expired')],
    [
      'signed by a stranger under a known key name',
      (): string => as.mint({}, { key: signingKey('ES256', 'first') }),
      invalidToken('The access token has a wrong signature'),
    ],
    [
      'for somebody else',
      (): string => as.mint({ aud: 'https://other.example' }),
      invalidToken('The access token is not for this resource'),
    ],
  ] as const)('6750-3.1-3 6750-3-8 6750-3.1-1 a token that is %s is invalid_token', async (_what, mint, expected) => {
    const app = await start();
    const answer = await app.get('/protected', mint());
    expectRefusal(answer, expected);
    expect(app.handled).toBe(0);
    expect((await app.get('/protected', as.mint())).status).toBe(200);
  });

  test.each([
    ['another scope', { scope: 'a' }, '/both', insufficientScope('b c')],
    ['one of two', { scope: 'b' }, '/both', insufficientScope('b c')],
    ['no scope at all', { scope: undefined }, '/both', insufficientScope('b c')],
    ['a scope that is a list', { scope: ['b', 'c'] }, '/both', insufficientScope('b c')],
    ['none of two', { scope: 'a' }, '/any', insufficientScope('b')],
    ['no claim', {}, '/claim', insufficientScope(undefined, 'The access token lacks a required claim')],
  ] as const)(
    '6750-3.1-4 6750-3.1-1 a valid token with %s is insufficient_scope',
    async (_what, claims, path, expected) => {
      const app = await start();
      expectRefusal(await app.get(path, as.mint(claims)), expected);
      expect(behindGuard).toBe(0);
      expect((await app.get(path, as.mint({ scope: 'b c', role: 'editor' }))).status).toBe(200);
      expect(behindGuard).toBe(1);
    },
  );

  test('6750-3.1-4 a check inside a handler answers 403 with the same challenge', async () => {
    const app = await start();
    const answer = await app.get('/inside', as.mint({ scope: 'a' }));
    expect([answer.status, answer.challenge]).toEqual([403, insufficientScope('b').challenge]);
    expect(behindGuard).toBe(0);
    expect((await app.get('/inside', as.mint({ scope: 'b' }))).status).toBe(200);
  });

  test.each([
    ['/protected', unauthorized()],
    ['/both', unauthorized('b c')],
    ['/nowhere', unauthorized()],
  ] as const)('6750-3.1-6 %s without credentials: no error information', async (path, expected) => {
    const app = await start();
    expectRefusal(await app.get(path), expected);
    expect(app.handled).toBe(0);
  });

  test.each([
    'Basic YTpi',
    'Basic',
    'Digest username="a"',
    'DPoP abc',
    'Unknown abc',
    'Bearerx abc',
    'XBearer abc',
    '"Bearer" abc',
    '',
  ])('6750-3.1-7 Authorization %j, another scheme: no error information', async (authorization) => {
    const app = await start();
    expectRefusal(await app.get('/protected', undefined, { authorization }), unauthorized());
    expect(app.handled).toBe(0);
  });
});
