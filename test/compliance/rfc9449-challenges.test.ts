import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import cors from 'cors';
import express from 'express';
import { auth, checkScope, errorHandler, requireBoundToken, requireClaim, requireScope } from '../../lib/index.js';
import type { CommonOptions } from '../../lib/index.js';
import { startApp } from '../support/app.js';
import type { TestApp } from '../support/app.js';
import { TestAuthorizationServer } from '../support/authorization-server.js';
import { BEARER, dpopChallenge, expectChallenges, failing } from '../support/dpop-refusals.js';
import { dpopHeaders, proofKey, prove } from '../support/proofs.js';
import type { ProofKey } from '../support/proofs.js';
import { sendRaw } from '../support/raw.js';
import { RESOURCE } from '../support/refusals.js';

const DPOP = dpopChallenge('ES256 PS256');
const NO_BEARER_TOKEN = 'The access token is bound to a key: send it as DPoP, with a proof';
const SCOPE_LACKS = 'The access token lacks a required scope';
const UNBOUND = 'The access token is not bound to a key';

let as: TestAuthorizationServer;
let key: ProofKey;
const open: TestApp[] = [];

beforeAll(async () => {
  [as, key] = await Promise.all([TestAuthorizationServer.start(), proofKey()]);
});

afterEach(async () => {
  await Promise.all(open.splice(0).map((app) => app.close()));
});

afterAll(() => as.close());

/** An app with guards; `guarded` says what ran behind them. */
async function start(options: Partial<CommonOptions> = {}, before = [express.urlencoded({ extended: false })]) {
  const guarded: string[] = [];
  const dpop = { algs: ['ES256', 'PS256'] };
  const routes = (app: express.Express) => {
    const handler: express.RequestHandler = (req, res) => {
      guarded.push(req.path);
      res.json({ scheme: auth(req).scheme });
    };
    app.get('/admin', requireScope('admin', 'read'), handler);
    const isEditor = (role: unknown) => role === 'editor';
    app.get('/claim', requireClaim('role', isEditor), handler);
    app.get('/bound', requireBoundToken(), handler);
    app.get('/inside', (req) => {
      checkScope(req, 'admin');
    });
    app.use(errorHandler);
  };
  const app = await startApp({ resource: RESOURCE, issuer: as.issuer, dpop, ...options }, routes, { before });
  open.push(app);
  return { app, guarded };
}

const mint = (claims = {}) => as.mint({ cnf: { jkt: key.jkt }, ...claims });

/** The headers of a request with a token under DPoP, and a proof that fits. */
function withProof(token: string, path = '/protected', method = 'GET'): Record<string, string> {
  return dpopHeaders(token, prove(key, `${RESOURCE}${path}`, { token, method }));
}

describe('challenges of both schemes (RFC 9449 7.1 and 7.2)', () => {
  test('9449-7.2-2 9449-7.1-4 without credentials: both schemes, one line each, Bearer first, no error', async () => {
    const { app } = await start();
    const raw = await sendRaw(app.port, ['GET /protected HTTP/1.1', 'Host: a']);
    expect(raw.all('www-authenticate')).toEqual([BEARER, DPOP]);
    await expectChallenges(raw, 401, BEARER, DPOP);
    await expectChallenges(
      await app.request('/protected', { headers: { authorization: 'Basic YTpi' } }),
      401,
      BEARER,
      DPOP,
    );
    expect(app.handled).toBe(0);
  });

  test('9449-7.2-3 9449-7.1-5 the error goes in the challenge of the scheme that was tried, and in no other', async () => {
    const { app } = await start();
    const token = mint({ exp: 1 });
    const says = 'The access token expired';
    await expectChallenges(await app.get('/protected', token), 401, failing(BEARER, 'invalid_token', says), DPOP);
    const tried = await app.request('/protected', { headers: withProof(token) });
    await expectChallenges(tried, 401, failing(DPOP, 'invalid_token', says));
    const malformed = await app.request('/protected', { headers: { authorization: 'Bearer a b' } });
    const shape = 'The Authorization header must be Bearer, a space and one token';
    await expectChallenges(malformed, 400, failing(BEARER, 'invalid_request', shape), DPOP);
    expect(app.handled).toBe(0);
  });

  test('9449-7.2-4 nobody can tell which was tried: 400, and the error stands in both', async () => {
    const { app } = await start({ methods: ['header', 'body', 'query'] });
    const both = (says: string) => [BEARER, DPOP].map((start_) => failing(start_, 'invalid_request', says));
    const { authorization = '', dpop = '' } = withProof(mint());
    const head = ['GET /protected HTTP/1.1', 'Host: a', `DPoP: ${dpop}`];
    for (const lines of [
      [`Authorization: ${authorization}`, `Authorization: Bearer ${as.mint()}`],
      [`Authorization: Bearer ${as.mint()}`, `Authorization: ${authorization}`],
      [`Authorization: ${authorization}`, `authorization: ${authorization}`],
    ]) {
      const answer = await sendRaw(app.port, [...head, ...lines]);
      await expectChallenges(answer, 400, ...both('The Authorization header must be sent once'));
    }
    const query = await app.request(`/protected?access_token=${as.mint()}`, { headers: { authorization, dpop } });
    await expectChallenges(query, 400, ...both('The access token must be sent by one method only'));
    expect(app.handled).toBe(0);
    expect((await sendRaw(app.port, [...head, `Authorization: ${authorization}`])).status).toBe(200);
  });

  test.each(['header', 'body', 'query'])(
    '9449-7.2-1 a bound token as bearer token in the %s is refused',
    async (place) => {
      const { app } = await start({ methods: ['header', 'body', 'query'] });
      const present = (token: string, headers: Record<string, string> = {}) => {
        if (place === 'header') return app.get('/protected', token, headers);
        const form = new URLSearchParams({ access_token: token });
        if (place === 'body') return app.request('/protected', { method: 'POST', body: form, headers });
        return app.request(`/protected?${form.toString()}`, { headers });
      };
      const token = mint();
      const { dpop = '' } = withProof(token, '/protected', place === 'body' ? 'POST' : 'GET');
      for (const headers of [{}, { dpop }]) {
        const answer = await present(token, headers);
        await expectChallenges(answer, 401, failing(BEARER, 'invalid_token', NO_BEARER_TOKEN), DPOP);
      }
      expect(app.handled).toBe(0);
      expect((await present(as.mint(), { dpop })).status).toBe(200);
      expect((await app.request('/protected', { headers: withProof(token) })).status).toBe(200);
      expect(app.handled).toBe(2);
    },
  );

  test('9449-7.1-6 algs is what is configured, on every DPoP challenge, by default all seven', async () => {
    for (const [dpop, algs] of [
      [{ algs: ['Ed25519'] }, 'Ed25519'],
      [{ algs: ['PS512', 'ES256'] }, 'PS512 ES256'],
      [true, 'ES256 ES384 ES512 EdDSA Ed25519 PS256 RS256'],
    ] as const) {
      const { app } = await start({ dpop });
      for (const [path, headers] of [
        ['/protected', {}],
        ['/protected', { authorization: 'Bearer x' }],
        ['/protected', { authorization: 'DPoP x' }],
        ['/protected', { authorization: 'DPoP x y' }],
        ['/admin', { authorization: `Bearer ${as.mint()}` }],
      ] as const) {
        const { challenges } = await app.request(path, { headers });
        const [dpopChallenge, more] = challenges.filter(({ scheme }) => scheme === 'DPoP');
        expect([dpopChallenge?.params.get('algs'), more]).toEqual([algs, undefined]);
        expect(challenges.filter(({ scheme, params }) => scheme !== 'DPoP' && params.has('algs'))).toEqual([]);
      }
    }
  });

  test('9449-7.1-7 realm, scope, error_uri are those of Bearer; the words can be left out', async () => {
    const errorUri = 'https://api.example.com/errors';
    const { app } = await start({ realm: 'a "b" \\c', errorUri, errorDescription: false, allowMissingToken: true });
    const realm = 'realm="a \\"b\\" \\\\c"';
    const [bearer, dpop] = [`Bearer ${realm}`, `DPoP ${realm}, algs="ES256 PS256"`];
    const scope = ', scope="admin read"';
    await expectChallenges(await app.get('/admin'), 401, `${bearer}${scope}`, `${dpop}${scope}`);
    const denied = await app.request('/admin', { headers: withProof(mint(), '/admin') });
    const challenge = `${dpop}, error="insufficient_scope", error_uri="${errorUri}"${scope}`;
    expect([denied.status, denied.challenge, denied.body]).toEqual([403, challenge, { error: 'insufficient_scope' }]);
    expect(denied.challenges).toHaveLength(1);
  });

  test('9449-7.1-9 scripts of other origins can read the challenge, and what cors exposed before', async () => {
    const { app } = await start({}, [cors({ exposedHeaders: ['X-Page'] })]);
    for (const headers of [{}, { authorization: 'Bearer x' }, { authorization: 'DPoP x' }]) {
      const answer = await app.request('/protected', { headers: { ...headers, origin: 'https://app.example' } });
      const exposed = answer.headers.get('access-control-expose-headers')?.split(/, */);
      expect([answer.status, exposed]).toEqual([401, ['X-Page', 'WWW-Authenticate']]);
    }
  });
});

describe('guards, and servers for bound tokens only (RFC 9449 7.1)', () => {
  test.each([
    ['/admin', SCOPE_LACKS, ', scope="admin read"'],
    ['/inside', SCOPE_LACKS, ', scope="admin"'],
    ['/claim', 'The access token lacks a required claim', ''],
  ])('9449-7.1-5 9449-7.1-7 %s: 403 in the scheme of the request', async (path, says, scope) => {
    const { app, guarded } = await start();
    const denied = await app.request(path, { headers: withProof(mint(), path) });
    await expectChallenges(denied, 403, failing(DPOP, 'insufficient_scope', says, scope));
    const bearer = failing(BEARER, 'insufficient_scope', says, scope);
    await expectChallenges(await app.get(path, as.mint()), 403, bearer, DPOP);
    expect(guarded).toEqual([]);
  });

  test('9449-7.1-2 requireBoundToken: 401 invalid_token for an unbound token, a bound one passes', async () => {
    const { app, guarded } = await start({ allowMissingToken: true });
    await expectChallenges(await app.get('/bound', as.mint()), 401, failing(BEARER, 'invalid_token', UNBOUND), DPOP);
    await expectChallenges(await app.get('/bound'), 401, BEARER, DPOP);
    expect(guarded).toEqual([]);
    expect((await app.request('/bound', { headers: withProof(mint(), '/bound') })).status).toBe(200);
    expect(guarded).toEqual(['/bound']);
  });

  test('9449-7.1-4 requireBoundTokens: without credentials only DPoP is asked for, and an unbound token is refused', async () => {
    const { app } = await start({ requireBoundTokens: true });
    await expectChallenges(await app.get('/protected'), 401, DPOP);
    await expectChallenges(
      await app.get('/protected', as.mint()),
      401,
      failing(BEARER, 'invalid_token', UNBOUND),
      DPOP,
    );
    expect(app.handled).toBe(0);
    expect((await app.request('/protected', { headers: withProof(mint()) })).status).toBe(200);
  });

  test('9449-7.1-2 requireBoundTokens: an unbound token under DPoP is not told to come as Bearer', async () => {
    const { app } = await start({ requireBoundTokens: true });
    const answer = await app.request('/protected', { headers: withProof(as.mint()) });
    await expectChallenges(answer, 401, failing(DPOP, 'invalid_token', UNBOUND));
    expect(app.handled).toBe(0);
  });

  test('9449-7.1-4 requireBoundTokens with certificates, whose tokens come as Bearer: both are asked for', async () => {
    const { app } = await start({ requireBoundTokens: true, clientCertificate: 'tls' });
    await expectChallenges(await app.get('/protected'), 401, BEARER, DPOP);
    await expectChallenges(
      await app.get('/protected', as.mint()),
      401,
      failing(BEARER, 'invalid_token', UNBOUND),
      DPOP,
    );
    expect((await app.request('/protected', { headers: withProof(mint()) })).status).toBe(200);
  });

  test('9449-7.1-4 dpop off: the scheme is not looked at, and nobody is asked for it', async () => {
    const app = await startApp({ resource: RESOURCE, issuer: as.issuer });
    open.push(app);
    await expectChallenges(await app.request('/protected', { headers: withProof(mint()) }), 401, BEARER);
    expect(app.handled).toBe(0);
    expect((await app.get('/protected', as.mint())).status).toBe(200);
  });
});
