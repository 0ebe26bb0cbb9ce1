import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { randomBytes } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import { problemDetails } from '../../lib/index.js';
import type { AuthError } from '../../lib/answer.js';
import { startApp } from '../support/app.js';
import type { TestApp } from '../support/app.js';
import { sendJson, TestAuthorizationServer } from '../support/authorization-server.js';
import { movableClock } from '../support/clock.js';
import {
  closeAll,
  closing,
  expectAccepted,
  expectRefused,
  expectUnavailable,
  serve,
  until,
} from '../support/faults.js';
import { clientAuthentication, hold, INACTIVE, introspectionStage, toldOf } from '../support/introspection-stage.js';
import { validClaims } from '../support/tokens.js';
import type { Overrides } from '../support/tokens.js';

const API = 'https://api.example.com';
const RUNS = Number(process.env['FUZZ_RUNS'] ?? 300);
if (process.env['FUZZ_RUNS'] === undefined) fc.configureGlobal({ seed: 7662 });
const TIMEOUT = 30_000 + RUNS * 50;

afterEach(closeAll);

describe('a token that is like a good one', () => {
  const good = randomBytes(600).toString('base64url');
  test.each<[what: string, other: string]>([
    ['a character less', good.slice(0, -1)],
    ['a character more', `${good}a`],
    ['padding', `${good}=`],
    ['another first character', (good.startsWith('a') ? 'b' : 'a') + good.slice(1)],
    ['another last character', good.slice(0, -1) + (good.endsWith('a') ? 'b' : 'a')],
    ['another character in the middle', `${good.slice(0, 400)}~${good.slice(401)}`],
    ['the other case', good.toLowerCase()],
    ['itself once more', good + good],
  ])('7662-2.1-2 %s: asked about by itself, refused, and the good one still passes', async (_what, other) => {
    const { as, app } = await introspectionStage();
    as.opaque.set(good, { client_id: 'editor', token_type: 'Bearer' });
    for (let i = 0; i < 2; i++) {
      await expectAccepted(app, good);
      await expectRefused(app, other, INACTIVE);
    }
    expect(as.questions.map(({ form }) => form.get('token'))).toEqual([good, other]);
  });
});

describe('an answer that is too much', () => {
  const MOST = 64 * 1024;
  test.each<[what: string, make: () => string, passes: boolean]>([
    ['a scope as long as may be', () => `"scope":"${'a '.repeat(MOST / 2 - 100)}read"`, true],
    ['a scope longer than that', () => `"scope":"${'a '.repeat(MOST / 2)}read"`, false],
    ['deep lists', () => `"deep":${'['.repeat(MOST / 2 - 100)}${']'.repeat(MOST / 2 - 100)}`, true],
    ['deep objects', () => `"deep":${'{"a":'.repeat(MOST / 16)}1${'}'.repeat(MOST / 16)}`, true],
    ['many members', () => Array.from({ length: MOST / 16 }, (_, i) => `"x${String(i)}":1`).join(','), true],
  ])('%s', async (_what, make, passes) => {
    const { as, app, issue } = await introspectionStage();
    as.onQuestion = (_question, res) => {
      res.writeHead(200, { 'Content-Type': 'application/json' });
      res.end(`{"active":true,"client_id":"editor","token_type":"Bearer",${make()}}`);
    };
    if (passes) await expectAccepted(app, 'big');
    else await expectUnavailable(app, 'big');
    as.onQuestion = undefined;
    await expectAccepted(app, issue());
    await expectRefused(app, 'other', INACTIVE);
  });
});

describe('a token that is revoked while it is asked about', () => {
  /** Answers the open question as if it had been asked before the revocation. */
  async function revoked(how: 'invalidate' | 'purge', staleWhileRevalidate: number) {
    const staged = await introspectionStage({ staleWhileRevalidate, ttl: 30 });
    const { as, app, clock, issue } = staged;
    const token = issue();
    const before = as.answerTo(token);
    if (staleWhileRevalidate > 0) {
      await expectAccepted(app, token);
      clock.now += 31;
    }
    const held = hold(as);
    const early = app.get(token);
    await until(() => held.questions.length === 1, 'the question');
    as.opaque.delete(token);
    if (how === 'invalidate') app.middleware.invalidate(token);
    else app.middleware.purge();
    held.release((res) => void res.writeHead(200, { 'Content-Type': 'application/json' }).end(JSON.stringify(before)));
    expect((await early).status).toBe(200);
    return { ...staged, token };
  }

  test.each([
    ['invalidate', 'for the first time', 0],
    ['purge', 'for the first time', 0],
    ['invalidate', 'in the background', 300],
    ['purge', 'in the background', 300],
  ] as const)(
    '7662-4-3 and %s() is called, %s: its late answer is for nobody who comes later',
    async (how, _when, stale) => {
      const { as, app, token, issue } = await revoked(how, stale);
      for (let i = 0; i < 3; i++) await expectRefused(app, token, INACTIVE);
      expect(as.questions).toHaveLength(stale > 0 ? 3 : 2);
      await expectAccepted(app, issue());
    },
  );
});

describe('requests that share a question', () => {
  test('each has the whole answer, with the challenge of its own middleware', async () => {
    const { as, app, issue } = await introspectionStage();
    const other = await serve({
      ...{ resource: API, realm: 'other', issuer: as.issuer, onError: problemDetails },
      introspection: { clientAuthentication, endpoint: as.introspectionEndpoint },
    });
    const held = hold(as);
    const all = Promise.all(Array.from({ length: 20 }, (_, i) => (i % 2 === 0 ? app : other).get('same')));
    await until(() => held.questions.length === 2, 'a question of each');
    held.release();
    const challenges = (await all).map(({ challenge }) => challenge?.split(',')[0]);
    expect(challenges).toEqual(
      Array(10).fill(['Bearer realm="https://api.example.com"', 'Bearer realm="other"']).flat(),
    );
    await expectAccepted(app, issue());
  });

  test('what an onError writes on its error is not sent to the others', async () => {
    const as = closing(await TestAuthorizationServer.start());
    const introspection = { clientAuthentication, endpoint: as.introspectionEndpoint };
    const onError = (error: AuthError, req: { get: (name: string) => string | undefined }, res: ServerResponse) => {
      Object.assign(error.body, { [req.get('x-id') ?? '']: 'for you only' });
      sendJson(res, error.body, error.status);
    };
    const app = closing(await startApp({ resource: API, issuer: as.issuer, introspection, onError }));
    const held = hold(as);
    const all = ['a', 'b'].map((id) => app.get('/protected', 'same', { 'x-id': id }));
    await until(() => held.questions.length === 1, 'the question');
    held.release((res) => res.writeHead(500).end());
    const said = (await Promise.all(all)).map(({ status, body }) => [status, Object.keys(body as object).slice(2)]);
    expect(said).toEqual([
      [503, ['a']],
      [503, ['b']],
    ]);
  });
});

describe('a token that makes the server fail, or what stands before it, and that anybody can send', () => {
  const isPoison = (token: string | null) => token?.includes('../') === true;
  const json = (answer: Overrides, status?: number) => (res: ServerResponse) => {
    sendJson(res, answer, status);
  };
  test.each<
    [what: string, isFatal: (token: string | null, isKnown: boolean) => boolean, (res: ServerResponse) => void]
  >([
    ['a firewall answers 403', isPoison, (res) => void res.writeHead(403, { 'Content-Type': 'text/html' }).end('<p>')],
    ['a firewall cuts the connection', isPoison, (res) => void res.socket?.resetAndDestroy()],
    ['the server answers 500', isPoison, (res) => void res.writeHead(500).end()],
    ['the answer is longer than we read', isPoison, json({ active: true, x: 'x'.repeat(2 ** 21) })],
    // So did django-oauth-toolkit before 3.0.1, and so does the demo server of the MCP SDK.
    ['401 stands for "unknown"', (_token, isKnown) => !isKnown, json({ active: false }, 401)],
  ])('7662-2.3-1 %s: five of them stop nobody else', async (_what, isFatal, fail) => {
    const { as, app, issue } = await introspectionStage();
    as.onQuestion = ({ form }, res) => {
      const token = form.get('token');
      if (isFatal(token, as.opaque.has(token ?? ''))) fail(res);
      else sendJson(res, as.answerTo(token));
    };
    const told = await toldOf(as, async () => {
      await expectAccepted(app, issue());
      for (let i = 0; i < 12; i++) await expectUnavailable(app, `../../etc/passwd${String(i)}`);
      await expectAccepted(app, issue());
    });
    expect(told.filter(([event]) => event === 'paused')).toEqual([]);
  });
});

describe('any answer of the server', () => {
  const clock = movableClock();
  let as: TestAuthorizationServer;
  let app: TestApp;
  let reply: (res: ServerResponse) => void;
  const open: { readonly close: () => Promise<void> }[] = [];

  beforeAll(async () => {
    as = await TestAuthorizationServer.start();
    as.onQuestion = (_question, res) => {
      reply(res);
    };
    const introspection = { clientAuthentication, endpoint: as.introspectionEndpoint };
    app = await startApp({ resource: API, issuer: as.issuer, introspection, clock });
    open.push(as, app);
  });
  afterAll(() => Promise.all(open.map((server) => server.close())));

  const names = [
    'active',
    'iss',
    'sub',
    'aud',
    'client_id',
    'exp',
    'nbf',
    'iat',
    'token_type',
    'token_use',
    'scope',
    'cnf',
  ];
  const value = fc.oneof(
    fc.jsonValue({ maxDepth: 2 }).map((json) => JSON.stringify(json)),
    fc.integer({ min: -1000, max: 1000 }).map((seconds) => `now${seconds < 0 ? '' : '+'}${String(seconds)}`),
    fc.constantFrom(
      'true',
      'false',
      '"true"',
      'null',
      '1e999',
      '-1',
      '""',
      '[]',
      '{}',
      '"read"',
      '"read x"',
      '"x\\u00a0read"',
    ),
    fc.constantFrom('issuer', `"${API}"`, `["${API}","x"]`, '"Bearer"', '"DPoP"', '"access"', '"refresh_token"'),
  );
  const member = fc.tuple(fc.oneof(fc.constantFrom(...names, '__proto__'), fc.string({ maxLength: 5 })), value);

  test(
    '7662-2.2-1 7662-2.2-2 is 200 or 403 only if it says true and all the checks hold, else 401 or 503',
    async () => {
      const count: Record<number, number> = {};
      const check = async (members: readonly (readonly [string, string])[], without: readonly string[]) => {
        clock.now += 60; // beyond every pause
        const base: Overrides = { ...validClaims(as.issuer, API, clock.now), active: true };
        const kept = Object.entries(base).filter(([name]) => !without.includes(name));
        const all = [...kept.map(([name, json]) => [name, JSON.stringify(json)] as const), ...members];
        const text = `{${all.map(([name, json]) => `${JSON.stringify(name)}:${concrete(json)}`).join(',')}}`;
        reply = (res) => void res.writeHead(200, { 'Content-Type': 'application/json' }).end(text);
        const before = app.handled;
        const { status, challenges } = await app.get('/scoped', randomBytes(12).toString('base64url'));
        const expected = oracle(text);
        expect([text, status]).toEqual([text, expected]);
        expect(challenges).toHaveLength(expected === 401 || expected === 403 ? 1 : 0);
        expect(app.handled - before).toBe(expected === 200 || expected === 403 ? 1 : 0);
        count[status] = (count[status] ?? 0) + 1;
      };
      const arbitrary = [fc.array(member, { maxLength: 3 }), fc.subarray(names, { maxLength: 3 })] as const;
      await fc.assert(fc.asyncProperty(...arbitrary, check), { numRuns: RUNS });
      expect(Object.keys(count)).toEqual(['200', '401', '403', '503']);
    },
    TIMEOUT,
  );

  test(
    '7662-2.2-1 any status, any type, any bytes: never 200',
    async () => {
      const status = fc.oneof(
        fc.constantFrom(200, 201, 302, 304, 400, 401, 403, 429, 500),
        fc.integer({ min: 200, max: 599 }),
      );
      const type = fc.oneof(
        fc.constantFrom('application/json', 'application/json;charset=x', 'text/html', ''),
        fc.string(),
      );
      const good = Buffer.from(JSON.stringify({ active: true, ...validClaims(as.issuer, API, clock.now + 1e9) }));
      const bytes = fc.oneof(
        fc.uint8Array({ maxLength: 100 }),
        fc.nat(good.length - 1).map((end) => good.subarray(0, end)),
      );
      const body = fc.oneof(bytes, fc.constant(good));
      const before = app.handled;
      const check = async (code: number, contentType: string, content: Uint8Array) => {
        fc.pre(code !== 200 || content !== good);
        clock.now += 60;
        reply = (res) => {
          res.writeHead(code, { 'Content-Type': contentType.replace(/[^\x20-\x7e]/g, '') });
          res.end(content);
        };
        const answer = await app.get('/scoped', randomBytes(12).toString('base64url'));
        expect([answer.status, answer.challenge]).toEqual([503, undefined]);
      };
      await fc.assert(fc.asyncProperty(status, type, body, check), { numRuns: RUNS });
      expect(app.handled).toBe(before);
    },
    TIMEOUT,
  );

  /** What only the moment of the answer knows: `issuer`, and `now` with a distance. */
  function concrete(json: string): string {
    if (json === 'issuer') return JSON.stringify(as.issuer);
    return json.startsWith('now') ? String(clock.now + Number(json.slice(3))) : json;
  }

  /** RFC 7662 section 2.2 and docs/introspection.md, read again, without a line of lib/. */
  function oracle(text: string): number {
    const members = new Map(Object.entries(JSON.parse(text) as object)) as ReadonlyMap<string, unknown>;
    const has = (name: string) => members.has(name);
    const isName = (name: string) => typeof members.get(name) === 'string' && members.get(name) !== '';
    const time = (name: string, instead: number) => (has(name) ? members.get(name) : instead) as number;
    if (members.get('active') !== true) return members.get('active') === false ? 401 : 503;
    for (const name of ['exp', 'nbf', 'iat']) if (has(name) && !Number.isFinite(members.get(name))) return 503;
    for (const name of ['iss', 'sub']) if (has(name) && !isName(name)) return 503;
    if (!isName('client_id')) return 503;
    const audiences = has('aud') ? [members.get('aud')].flat() : [API];
    const isForUs = audiences.includes(API) && audiences.every((name) => typeof name === 'string');
    const isOurs = !has('iss') || members.get('iss') === as.issuer;
    const isBearer = !has('token_type') || String(members.get('token_type')).toLowerCase() === 'bearer';
    const isForAccess =
      !has('token_use') || members.get('token_use') === 'access' || members.get('token_use') === 'access_token';
    const isNow = clock.now < time('exp', Infinity) && clock.now >= time('nbf', -Infinity);
    const isTyped = has('token_type') || has('token_use') || has('aud');
    if (!isTyped || !isForUs || !isOurs || !isBearer || !isForAccess || !isNow || has('cnf')) return 401;
    return isName('scope') && (members.get('scope') as string).split(' ').includes('read') ? 200 : 403;
  }
});
