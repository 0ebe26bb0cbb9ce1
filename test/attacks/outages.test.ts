import type { RequestListener } from 'node:http';
import { gzipSync } from 'node:zlib';
import { afterEach, describe, expect, test } from '@jest/globals';
import { startApp } from '../support/app.js';
import { expectForgeryRefused, unsigned } from '../support/attack.js';
import { sendJson, TestAuthorizationServer } from '../support/authorization-server.js';
import { closeAll, closing, expectAccepted, expectUnavailable, PAUSE, SAYS, stage } from '../support/stage.js';
import { signingKey, signRaw } from '../support/tokens.js';

const API = 'https://api.example.com';
const METADATA = '/.well-known/oauth-authorization-server';

afterEach(closeAll);

/** Ways in which a document does not come. */
const FAILURES: [name: string, listener: RequestListener][] = [
  ['answers 500', (_req, res) => void res.writeHead(500).end('oops')],
  [
    'answers 401 with a challenge',
    (_req, res) => void res.writeHead(401, { 'WWW-Authenticate': 'Basic realm="x"' }).end(),
  ],
  ['answers 404', (_req, res) => void res.writeHead(404).end()],
  ['answers 204', (_req, res) => void res.writeHead(204).end()],
  ['answers HTML', (_req, res) => void res.writeHead(200, { 'Content-Type': 'text/html' }).end('<p>{"keys":[]}')],
  ['answers without a media type', (_req, res) => void res.writeHead(200).end('{}')],
  [
    'answers broken JSON',
    (_req, res) => void res.writeHead(200, { 'Content-Type': 'application/json' }).end('{"keys":'),
  ],
  ['answers nothing', (_req, res) => void res.writeHead(200, { 'Content-Type': 'application/json' }).end()],
  [
    'answers invalid UTF-8',
    (_req, res) => void res.writeHead(200, { 'Content-Type': 'application/json' }).end(Buffer.from([0xff, 0xfe])),
  ],
  ['hangs up', (req) => void req.socket.destroy()],
  [
    'breaks off',
    (_req, res) => {
      res.writeHead(200, { 'Content-Type': 'application/json', 'Content-Length': '1000' }).write('{"ke');
      setTimeout(() => res.destroy(), 20).unref();
    },
  ],
  [
    'answers 2 MB',
    (_req, res) => {
      sendJson(res, { keys: [], pad: 'x'.repeat(2 << 20) });
    },
  ],
  [
    'answers a gzip bomb',
    (_req, res) =>
      void res.writeHead(200, { 'Content-Type': 'application/json', 'Content-Encoding': 'gzip' }).end(bomb),
  ],
  [
    'answers a list',
    (_req, res) => {
      sendJson(res, []);
    },
  ],
  [
    'answers null',
    (_req, res) => {
      sendJson(res, null);
    },
  ],
  [
    'answers a text',
    (_req, res) => {
      sendJson(res, 'x');
    },
  ],
];
const bomb = gzipSync(Buffer.alloc(32 << 20, 0x20));

describe('an outage is no refusal, and opens nothing', () => {
  test.each(FAILURES)('a key set whose server %s', async (_name, listener) => {
    const { as, app, clock } = await stage();
    as.answers.set('/jwks', listener);
    await expectUnavailable(app, as.mint());
    await expectUnavailable(app, signRaw(unsigned(as), signingKey()));
    await expectForgeryRefused(app, as.mint({ exp: 1 }), SAYS.expired); // what needs no key is still refused
    as.answers.clear();
    clock.now += PAUSE;
    await expectAccepted(app, as.mint());
  });

  test.each(FAILURES)('metadata whose server %s', async (_name, listener) => {
    const { as, app, clock } = await stage();
    as.answers.set(METADATA, listener);
    await expectUnavailable(app, as.mint());
    expect(as.keyFetches).toBe(0);
    as.answers.clear();
    clock.now += PAUSE;
    await expectAccepted(app, as.mint());
  });

  test.each([301, 302, 303, 307, 308])(
    'a redirect by %i of the keys or the metadata is not followed',
    async (status) => {
      const attacker = closing(await TestAuthorizationServer.start());
      for (const path of ['/jwks', METADATA]) {
        const { as, app, clock } = await stage();
        attacker.metadata = { issuer: as.issuer };
        as.answers.set(
          path,
          (_req, res) => void res.writeHead(status, { Location: `${attacker.origin}${path}` }).end(),
        );
        await expectUnavailable(app, attacker.mint({ iss: as.issuer }));
        as.answers.clear();
        clock.now += PAUSE;
        await expectAccepted(app, as.mint());
      }
      expect(attacker.log).toEqual([]);
    },
  );

  test('nobody listening', async () => {
    const gone = await TestAuthorizationServer.start();
    await gone.close();
    const app = closing(await startApp({ resource: API, issuer: gone.issuer }));
    await expectUnavailable(app, gone.mint());
    await expectForgeryRefused(app, gone.mint({ aud: 'x' }), SAYS.audience);
  });

  test.each([
    ['no keys', { keys: [] }],
    ['nothing', {}],
    ['keys that are null', { keys: null }],
    ['keys that are an object', { keys: { 0: {} } }],
    ['keys that are text', { keys: 'x' }],
    ['keys that are no objects', { keys: [null, 1, 'x', []] }],
    ['keys without members', { keys: [{}, { kid: 'first' }] }],
    ['secret keys only', { keys: [{ kty: 'oct', k: 'AAAA', kid: 'first' }] }],
  ])('a key set with %s', async (_name, document) => {
    const { as, app, clock } = await stage();
    as.jwks = document;
    await expectUnavailable(app, as.mint());
    as.jwks = undefined;
    clock.now += PAUSE;
    await expectAccepted(app, as.mint());
  });

  test.each([
    ['another issuer', (as: TestAuthorizationServer) => ({ issuer: `${as.issuer}/` })],
    ['the issuer in a list', (as: TestAuthorizationServer) => ({ issuer: [as.issuer] })],
    ['no issuer', () => ({ issuer: undefined })],
    ['no jwks_uri', () => ({ jwks_uri: undefined })],
    ['a jwks_uri that is no URL', () => ({ jwks_uri: 'jwks' })],
    ['a jwks_uri in a list', (as: TestAuthorizationServer) => ({ jwks_uri: [as.jwksUri] })],
    ['a jwks_uri that is a file', () => ({ jwks_uri: 'file:///etc/passwd' })],
    ['a jwks_uri that is data', () => ({ jwks_uri: 'data:application/json,{"keys":[]}' })],
    ['a jwks_uri by plain http', () => ({ jwks_uri: 'http://as.example/jwks' })],
    ['a jwks_uri with a user', (as: TestAuthorizationServer) => ({ jwks_uri: as.jwksUri.replace('//', '//u:p@') })],
  ])('metadata with %s', async (_name, members) => {
    const { as, app, clock } = await stage();
    as.metadata = members(as);
    await expectUnavailable(app, as.mint());
    expect(as.keyFetches).toBe(0);
    as.metadata = {};
    clock.now += PAUSE;
    await expectAccepted(app, as.mint());
  });

  test('what the operator is told does not reach the client, also not by the handler of Express', async () => {
    const { as, app } = await stage({
      onError: (error, _req, _res, next) => {
        next(error);
      },
    });
    as.answers.set('/jwks', (_req, res) => void res.writeHead(500).end());
    const answer = await app.get('/protected', as.mint());
    expect([answer.status, answer.challenge]).toEqual([503, undefined]);
    expect(answer.body).toContain('The access token cannot be verified at the moment');
    expect(answer.body).not.toContain('status that is not 200');
    expect(answer.body).not.toContain('fetch-json');
  });
});

describe('floods', () => {
  const many = (count: number, as: TestAuthorizationServer, run: string) =>
    Array.from({ length: count }, (_, i) => signRaw(unsigned(as, { kid: `${run}${i}` }), signingKey('ES256', 'x')));

  test('1,000 unknown kids at once cost two key fetches at most, and no good token waits or fails', async () => {
    const { as, app, clock } = await stage();
    const statuses = async (tokens: readonly string[]) =>
      Promise.all(tokens.map(async (token) => (await app.get('/protected', token)).status));
    const shared = `${unsigned(as)}.AAAA`.split('.');
    const flood = Array.from({ length: 1000 }, (_, i) => `${unsigned(as, { kid: `k${i}` })}.${shared[2] ?? ''}`);
    const [bad, good] = await Promise.all([statuses(flood), statuses(Array.from({ length: 20 }, () => as.mint()))]);
    expect(new Set(bad)).toEqual(new Set([401]));
    expect(new Set(good)).toEqual(new Set([200]));
    expect(as.keyFetches).toBeLessThanOrEqual(2);
    clock.now += 31;
    const fetched = as.keyFetches;
    expect(new Set(await statuses(flood.slice(0, 200)))).toEqual(new Set([401]));
    expect(as.keyFetches - fetched).toBeLessThanOrEqual(1);
    await expectAccepted(app, as.mint());
  }, 30_000);

  test('unknown kids one after the other cost one key fetch in the cooldown', async () => {
    const { as, app } = await stage();
    for (const token of many(50, as, 'k')) await expectForgeryRefused(app, token, SAYS.key);
    expect(as.keyFetches).toBe(1);
    await expectAccepted(app, as.mint());
  });

  test('unknown kids while the server is down do not hammer it, and known keys go on', async () => {
    const { as, app, clock } = await stage();
    await expectAccepted(app, as.mint());
    clock.now += 31;
    as.answers.set('/jwks', (_req, res) => void res.writeHead(500).end());
    const asked = as.log.length;
    for (const token of many(20, as, 'down')) expect((await app.get('/protected', token)).status).not.toBe(200);
    await expectAccepted(app, as.mint());
    expect(as.log.length - asked).toBeLessThanOrEqual(4); // one attempt: metadata and keys, and one more in reserve
  });

  test('tokens that nobody signed do not hammer a server that has never answered', async () => {
    const { as, app } = await stage();
    as.answers.set(METADATA, (_req, res) => void res.writeHead(500).end());
    for (const token of many(20, as, 'never')) await expectUnavailable(app, token);
    expect(as.log.length).toBeLessThanOrEqual(8); // 20 tokens, three well-known places: 40 without a pause
  });
});
