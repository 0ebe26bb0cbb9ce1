import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import http from 'node:http';
import express from 'express';
import type { RequestHandler } from 'express';
import { OAuthError, requireClaim, requireScope, resourceServer } from '../../lib/index.js';
import type { OnError, ResourceServerOptions } from '../../lib/index.js';
import { startApp } from '../support/app.js';
import type { TestApp } from '../support/app.js';
import { TestAuthorizationServer } from '../support/authorization-server.js';
import { parseChallenges } from '../support/challenge-parser.js';
import { sendRaw } from '../support/raw.js';
import { expectRefusal, insufficientScope, invalidRequest, invalidToken } from '../support/refusals.js';
import { MALFORMED_HEADER, NO_B64TOKEN, NO_JWT, REPEATED_HEADER, RESOURCE, unauthorized } from '../support/refusals.js';

let as: TestAuthorizationServer;
const running: TestApp[] = [];
let behindGuard = 0;

beforeAll(async () => {
  as = await TestAuthorizationServer.start();
});

afterEach(async () => {
  await Promise.all(running.splice(0).map((app) => app.close()));
  behindGuard = 0;
});

afterAll(() => as.close());

async function start(
  options: Partial<ResourceServerOptions> = {},
  before: readonly RequestHandler[] = [],
  last?: RequestHandler,
) {
  const given = { resource: RESOURCE, issuer: as.issuer, ...options } as ResourceServerOptions;
  const app = await startApp(
    given,
    (server) => {
      server.get('/needs/:what', requireScope('secret'), (_req, res) => {
        behindGuard++;
        res.json({});
      });
      if (last !== undefined) server.use(last);
    },
    { before },
  );
  running.push(app);
  return app;
}

describe('RFC 9110 5 fields', () => {
  test.each<[title: string, lines: (token: string) => string[]]>([
    ['the same line twice', (token) => [`Authorization: Bearer ${token}`, `Authorization: Bearer ${token}`]],
    ['a good one, then a bad one', (token) => [`Authorization: Bearer ${token}`, 'Authorization: Bearer x']],
    ['a bad one, then a good one', (token) => ['Authorization: Bearer x', `Authorization: Bearer ${token}`]],
    ['Bearer, then Basic', (token) => [`Authorization: Bearer ${token}`, 'Authorization: Basic YTpi']],
    ['Basic, then Bearer', (token) => ['Authorization: Basic YTpi', `Authorization: Bearer ${token}`]],
    ['Basic twice', () => ['Authorization: Basic YTpi', 'Authorization: Basic YTpi']],
    ['a good one and an empty one', (token) => [`Authorization: Bearer ${token}`, 'Authorization:']],
    ['an empty one and a good one', (token) => ['Authorization:', `Authorization: Bearer ${token}`]],
    ['different letter case', (token) => [`authorization: Bearer ${token}`, 'AUTHORIZATION: Bearer x']],
    ['another field between', (token) => [`Authorization: Bearer ${token}`, 'X: y', 'aUTHORIZATION: Bearer x']],
    ['three lines', (token) => Array<string>(3).fill(`Authorization: Bearer ${token}`)],
  ])('9110-5.3-1 several Authorization lines, %s, are malformed', async (_title, lines) => {
    const app = await start();
    const head = ['GET /protected HTTP/1.1', 'Host: api'];
    expectRefusal(await sendRaw(app.port, [...head, ...lines(as.mint())]), REPEATED_HEADER);
    expect(app.handled).toBe(0);
    const one = await sendRaw(app.port, [...head, 'AUTHORIZATIONS: x', `aUTHORIZATION: Bearer ${as.mint()}`]);
    expect([one.status, app.handled]).toEqual([200, 1]);
  });

  test('9110-5.3-1 several lines are seen under joinDuplicateHeaders as well', async () => {
    const app = express();
    app.use(resourceServer({ resource: RESOURCE, issuer: as.issuer }));
    app.get('/protected', (_req, res) => void res.json({}));
    const server = http.createServer({ joinDuplicateHeaders: true }, app);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    try {
      const { port } = server.address() as { port: number };
      const head = ['GET /protected HTTP/1.1', 'Host: api', `Authorization: Bearer ${as.mint()}`];
      expectRefusal(await sendRaw(port, [...head, 'Authorization: Bearer x']), REPEATED_HEADER);
      expect((await sendRaw(port, head)).status).toBe(200);
    } finally {
      server.close();
    }
  });

  test.each([' ', '\t', ' \t '])('9110-5.5-1 a value folded over two lines with %j never passes', async (fold) => {
    const app = await start();
    const head = ['GET /protected HTTP/1.1', 'Host: api'];
    const folded = await sendRaw(app.port, [...head, 'Authorization: Bearer', `${fold}${as.mint()}`]);
    const split = await sendRaw(app.port, [...head, 'Authorization: Bearer a', `${fold}b`]);
    // RFC 9112 section 5.2: refused by the server with 400, or unfolded to spaces and then read.
    expect([200, 400]).toContain(folded.status);
    expect(split.status).toBe(400);
    expect(app.handled).toBe(folded.status === 200 ? 1 : 0);
  });

  test('9110-5.4-1 a token above the limit is refused before anything is fetched; at the limit it is read', async () => {
    const fresh = await TestAuthorizationServer.start();
    const token = fresh.mint();
    const short = await start({ issuer: fresh.issuer, maxTokenLength: token.length - 1 });
    const exact = await start({ issuer: fresh.issuer, maxTokenLength: token.length });
    try {
      expectRefusal(await short.get('/protected', token), invalidRequest('The access token is too long'));
      expect([short.handled, fresh.log]).toEqual([0, []]);
      expect((await exact.get('/protected', token)).status).toBe(200);
    } finally {
      await fresh.close();
    }
  });

  test('9110-5.4-1 a field longer than Node reads is 431', async () => {
    const app = await start();
    const answer = await sendRaw(app.port, [
      'GET /protected HTTP/1.1',
      'Host: api',
      `Authorization: Bearer ${'a'.repeat(20_000)}`,
    ]);
    expect([answer.status, app.handled]).toEqual([431, 0]);
  });

  test.each(['\r\nX-Injected: 1', '\n', '\0', '\t', '\x7f', '\u00e9'])(
    '9110-5.5-1 %j in realm, scope, errorUri, resource is refused at start-up',
    (odd) => {
      const options = { resource: RESOURCE, issuer: as.issuer };
      expect(() => resourceServer({ ...options, realm: `a${odd}` })).toThrow(/"realm" must be/);
      expect(() => resourceServer({ ...options, errorUri: `https://a.example/${odd}` })).toThrow(/"errorUri" must be/);
      expect(() => resourceServer({ ...options, resource: `https://a.example/${odd}` })).toThrow(/"resource" must be/);
      expect(() => requireScope(`a${odd}`)).toThrow(/not a scope/);
    },
  );

  test('9110-5.5-1 nothing of the request stands in the answer', async () => {
    const app = await start({ methods: ['header', 'query'] });
    const answer = await app.get('/protected?access_token=a%0D%0AX-Injected:%201&realm=%0D%0AX-Injected:%201');
    expectRefusal(answer, NO_B64TOKEN);
    expect(answer.headers.has('x-injected')).toBe(false);
  });
});

describe('RFC 9110 11 challenges', () => {
  test.each<[what: string, realm: string, path: string, authorization: string | undefined, challenge: string]>([
    ['no token', 'api', '/protected', undefined, 'Bearer realm="api"'],
    ['a broken header', 'a, b=c', '/protected', 'Bearer', MALFORMED_HEADER.challenge.replace(RESOURCE, 'a, b=c')],
    ['a bad token', 'a"b\\c', '/protected', 'Bearer x', NO_JWT.challenge.replace(RESOURCE, 'a\\"b\\\\c')],
  ])(
    '9110-5.6.1-1 9110-5.6.3-1 9110-5.6.4-1 9110-11.3-1 9110-11.2-1 %s, realm %s: the challenge parses',
    async (_what, realm, path, authorization, challenge) => {
      const app = await start({ realm });
      const answer = await app.get(path, undefined, authorization === undefined ? {} : { authorization });
      expect(answer.challenge).toBe(challenge);
      expect(answer.challenges.map(({ params }) => params.get('realm'))).toEqual([realm]);
      expect(app.handled).toBe(0);
    },
  );

  test('9110-11.5-1 realm api goes out as a quoted-string', async () => {
    expect((await (await start({ realm: 'api' })).get('/protected')).challenge).toBe('Bearer realm="api"');
  });

  test.each(['bearer', 'BEARER', 'bEaReR', 'Bearer'])(
    '9110-11.1-1 the scheme written %s is the same',
    async (scheme) => {
      const app = await start();
      const answer = await app.get('/protected', undefined, { authorization: `${scheme} ${as.mint()}` });
      expect(answer.body).toMatchObject({ auth: { scheme: 'Bearer' } });
      expect([answer.status, app.handled]).toEqual([200, 1]);
      expectRefusal(await app.get('/protected', undefined, { authorization: `${scheme} x` }), NO_JWT);
      expectRefusal(await app.get('/protected', undefined, { authorization: scheme }), MALFORMED_HEADER);
    },
  );

  test('9110-11.2-1 an error with a parameter that stands there already is a bug: 500, and no double name goes out', async () => {
    class DoubleError extends OAuthError {
      readonly status = 403;
      override readonly code = 'insufficient_scope';
      override get params() {
        return { Scope: 'a', scope: 'b' };
      }
    }
    const app = await startApp({ resource: RESOURCE, issuer: as.issuer }, (server) => {
      server.set('env', 'test');
      const fail = () => {
        throw new DoubleError('The access token is not enough');
      };
      server.get('/double', requireClaim('sub', fail), (_req, res) => void res.json({ ran: ++behindGuard }));
    });
    running.push(app);
    const answer = await app.get('/double', as.mint());
    expect([answer.status, answer.challenge, behindGuard]).toEqual([500, undefined, 0]);
  });

  test('9110-11.4-1 missing, invalid and expired credentials are 401 with a challenge', async () => {
    const app = await start();
    expectRefusal(await app.get('/protected'), unauthorized());
    expectRefusal(await app.get('/protected', 'x'), NO_JWT);
    expectRefusal(await app.get('/protected', as.mint({ exp: 1 })), invalidToken('The access token expired'));
    expect(app.handled).toBe(0);
    expect((await app.get('/protected', as.mint())).status).toBe(200);
  });

  test('9110-11.4-2 a valid token that is not enough is 403, not 401', async () => {
    const app = await start();
    expectRefusal(await app.get('/needs/secret', as.mint()), insufficientScope('secret'));
    expect(behindGuard).toBe(0);
    expect((await app.get('/needs/secret', as.mint({ scope: 'secret' }))).status).toBe(200);
  });

  test.each(['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'PROPFIND'])(
    '9110-11.6.1-1 a 401 to %s has one challenge, and it is for Bearer',
    async (method) => {
      const app = await start();
      expectRefusal(await app.request('/protected', { method }), unauthorized());
      expectRefusal(await app.request('/protected', { method, headers: { authorization: 'Bearer x' } }), NO_JWT);
      expect(app.handled).toBe(0);
    },
  );

  const upstream =
    (...values: string[]): RequestHandler =>
    (_req, res, next) => {
      res.setHeader('WWW-Authenticate', values.length === 1 ? (values[0] ?? '') : values);
      next();
    };

  test.each([
    [['Basic realm="x"']],
    [['Basic realm="x"', 'Digest realm="y", qop="auth"']],
    [['Basic realm="x", Digest realm="y"']],
  ])(
    '9110-11.6.1-2 9110-11.6.1-3 challenges set earlier, %j, survive behind ours, and mean the same on one line',
    async (earlier) => {
      const app = await start({}, [upstream(...earlier)]);
      const answer = await sendRaw(app.port, ['GET /protected HTTP/1.1', 'Host: api']);
      const lines = answer.all('www-authenticate');
      expect(lines).toEqual([unauthorized().challenge, ...earlier]);
      expect(lines.flatMap(parseChallenges)).toEqual(parseChallenges(lines.join(', ')));
      const forbidden = await app.get('/needs/secret', as.mint());
      expect(forbidden.challenge).toBe([insufficientScope('secret').challenge, ...earlier].join(', '));
      expect([app.handled, behindGuard]).toEqual([1, 0]);
    },
  );
});

describe('RFC 9110 15.5 client errors', () => {
  test.each<[what: string, path: string, authorization: string | undefined]>([
    ['no token', '/protected', undefined],
    ['a bad token', '/protected', 'Bearer x'],
    ['a broken header', '/protected', 'Bearer'],
  ])('9110-15.5-1 HEAD with %s: headers as for GET, no body', async (_what, path, authorization) => {
    const app = await start();
    const ask = (method: string) =>
      sendRaw(app.port, [
        `${method} ${path} HTTP/1.1`,
        'Host: api',
        ...(authorization === undefined ? [] : [`Authorization: ${authorization}`]),
      ]);
    const [head, get] = [await ask('HEAD'), await ask('GET')];
    const fields = (answer: typeof head) => answer.headers.filter(([name]) => name !== 'date');
    expect([head.status, fields(head), head.body]).toEqual([get.status, fields(get), '']);
    expect(get.body).not.toBe('');
    expect(head.all('www-authenticate')).toHaveLength(1);
    expect(app.handled).toBe(0);
  });

  test('9110-15.5.4-1 onError may answer 404 in place of 403, with nothing that betrays the route', async () => {
    const notFound: RequestHandler = (_req, res) => void res.status(404).json({ error: 'not_found' });
    const hide: OnError = (error, req, res, next) => {
      if (error.status === 403) notFound(req, res, next);
      else res.status(error.status).set(error.headers).json(error.body);
    };
    const hidden = await start({ onError: hide }, [], notFound);
    const [forbidden, absent] = [await hidden.get('/needs/secret', as.mint()), await hidden.get('/needs/', as.mint())];
    const shape = ({ status, challenge, headers }: typeof absent) => [status, challenge, [...headers.keys()].sort()];
    expect(shape(forbidden)).toEqual(shape(absent));
    expect([forbidden.status, forbidden.challenge, behindGuard]).toEqual([404, undefined, 0]);
    expect((await hidden.get('/needs/secret', as.mint({ scope: 'secret' }))).status).toBe(200);
    // The default says what it is.
    expectRefusal(await (await start()).get('/needs/secret', as.mint()), insufficientScope('secret'));
  });
});
