import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import * as oauth from 'oauth4webapi';
import { requireScope } from '../../lib/index.js';
import type { CommonOptions } from '../../lib/index.js';
import { TestAuthorizationServer } from '../support/authorization-server.js';
import { api, documentOf, EXPRESSES, serve, WELL_KNOWN } from '../support/metadata-app.js';
import type { MetadataApp } from '../support/metadata-app.js';
import { sendRaw } from '../support/raw.js';
import { RESOURCE } from '../support/refusals.js';
import { closeAll, closing } from '../support/stage.js';

const HOP_BY_HOP = ['date', 'connection', 'keep-alive'];

let as: TestAuthorizationServer;

beforeEach(async () => {
  as = closing(await TestAuthorizationServer.start());
});

afterEach(closeAll);

describe.each(EXPRESSES)('where the document is (RFC 9728 3), %s', (_, create) => {
  /** An app with the middleware at the root, and something behind it. */
  const start = (options: Partial<CommonOptions> = {}) =>
    serve((app, handler) => app.use(api({ issuer: as.issuer, ...options }), handler), create);

  /** Neither the document nor what is behind the middleware. */
  async function expectNothing(app: MetadataApp, path: string) {
    const { status, body, headers } = await app.request(path);
    expect([path, status, body, headers.get('cache-control')]).toEqual([path, 404, {}, 'no-store']);
    expect(headers.get('access-control-allow-origin')).toBe('*');
    expect(app.ran).toEqual([]);
  }

  test.each([
    ['', ''],
    ['/', ''],
    ['/api/v1', '/api/v1'],
    ['/api/v1/', '/api/v1/'],
    ['?tenant=a', '?tenant=a'],
    ['/?tenant=a', '?tenant=a'],
    ['/api/?tenant=a&b=%20', '/api/?tenant=a&b=%20'],
    ['/caf%C3%A9/%2e%2e%2F', '/caf%C3%A9/%2e%2e%2F'],
    ['/.well-known/x', '/.well-known/x'],
  ])(
    '9728-3-1 9728-3.1-1 the resource %s has it at the well-known path before %s, and nowhere else',
    async (end, place) => {
      const resource = `${RESOURCE}${end}`;
      const app = await start({ resource });
      const path = WELL_KNOWN + place;
      const raw = await sendRaw(app.port, [`GET ${path} HTTP/1.1`, 'Host: api.example.com']);
      expect([raw.status, raw.all('content-type')]).toEqual([200, ['application/json; charset=utf-8']]);
      expect(JSON.parse(raw.body)).toMatchObject({ resource, authorization_servers: [as.issuer] });
      for (const other of [`${path}/x`, `${path}${path.includes('?') ? '&' : '?'}x`, `${WELL_KNOWN}/elsewhere`]) {
        await expectNothing(app, other);
      }
      for (const other of [`${WELL_KNOWN}s`, `/x${WELL_KNOWN}`, '/.well-known/openid-configuration']) {
        const answer = await app.request(other);
        expect([other, answer.status, answer.challenges[0]?.scheme]).toEqual([other, 401, 'Bearer']);
      }
      expect(app.ran).toEqual([]);
      expect((await app.get('/x', as.mint({ aud: resource }))).status).toBe(200);
    },
  );

  test.each(['', '/', '/api/v1', '/api/', '?a=b', '/api?a=b'])(
    '9728-3.2-1 9728-3.3-1 oauth4webapi finds it from the identifier %s alone, and takes it',
    async (end) => {
      const resource = `${RESOURCE}${end}`;
      const app = await start({ resource });
      const asked: string[] = [];
      const response = await oauth.resourceDiscoveryRequest(new URL(resource), {
        [oauth.customFetch]: (url) => {
          asked.push(url);
          return fetch(url.replace(RESOURCE, app.url), { redirect: 'error' });
        },
      });
      const document = await oauth.processResourceDiscoveryResponse(new URL(resource), response);
      expect([document.resource, document.authorization_servers]).toEqual([resource, [as.issuer]]);
      expect(asked).toEqual([(await app.get('/')).challenges[0]?.params.get('resource_metadata')]);
    },
  );

  test('9728-3-2 further places, besides the first', async () => {
    const alsoAt = [WELL_KNOWN, '/.well-known/api-metadata', '/.well-known/x?y=z'];
    const app = await start({ resource: `${RESOURCE}/api`, metadata: { alsoAt } });
    const first = await documentOf(app, `${WELL_KNOWN}/api`);
    for (const path of alsoAt) expect(await documentOf(app, path)).toEqual(first);
    expect(first['resource']).toBe(`${RESOURCE}/api`);
    expect((await app.request('/.well-known/x')).status).toBe(401);
    expect((await app.request('/.well-known/api-metadata/')).status).toBe(401);
    await expectNothing(app, `${WELL_KNOWN}/`);
  });

  test('9728-3.3-1 two resources on one host: two documents, and the rest is unknown, whatever the Host header says', async () => {
    const [a, b] = ['/a', '/b/c'].map((path) => api({ resource: RESOURCE + path, issuer: as.issuer, realm: path }));
    if (a === undefined || b === undefined) throw new Error('two were made');
    const app = await serve((routes, handler) => {
      routes.use(b.metadata());
      routes.use('/a', a, requireScope('a'), handler);
      routes.use('/b/c', b, requireScope('b'), handler);
      routes.use(a.metadata());
    }, create);
    for (const path of ['/a', '/b/c']) {
      const url = `${RESOURCE}${WELL_KNOWN}${path}`;
      const { status, challenge } = await app.get(`${path}/x`);
      expect([status, challenge]).toEqual([
        401,
        `Bearer realm="${path}", scope="${path.charAt(1)}", resource_metadata="${url}"`,
      ]);
      expect((await documentOf(app, WELL_KNOWN + path))['resource']).toBe(RESOURCE + path);
      const raw = await sendRaw(app.port, [`GET ${WELL_KNOWN}${path} HTTP/1.1`, 'Host: evil.example']);
      expect((JSON.parse(raw.body) as { resource: unknown }).resource).toBe(RESOURCE + path);
    }
    for (const path of ['', '/b', '/c', '/a/', '/A']) expect((await app.request(WELL_KNOWN + path)).status).toBe(404);
    expect(app.ran).toEqual([]);
    expect((await app.get('/a/x', as.mint({ aud: `${RESOURCE}/a`, scope: 'a' }))).status).toBe(200);
  });

  test('9728-3-1 metadata() passes on what is not its own, and the application may answer', async () => {
    const one = api({ resource: `${RESOURCE}/api`, issuer: as.issuer });
    const app = await serve((routes, handler) => routes.use(one.metadata()).use('/api', one).use(handler), create);
    for (const path of ['/', WELL_KNOWN, `${WELL_KNOWN}/other`, '/api%2Fx']) {
      expect([path, (await app.request(path)).body]).toEqual([path, { ran: true }]);
    }
    expect((await app.request(`${WELL_KNOWN}/api`, { method: 'POST' })).status).toBe(405);
    expect((await documentOf(app, `${WELL_KNOWN}/api`))['resource']).toBe(`${RESOURCE}/api`);
    expect((await app.get('/api/x')).status).toBe(401);
    expect(app.ran).toHaveLength(4);
  });

  test('9728-3.3-2 the challenge of a resource leads to a document whose resource is the URL that was called', async () => {
    const app = await start({ resource: `${RESOURCE}/mcp` });
    const called = new URL(`${RESOURCE}/mcp`);
    const { challenges } = await app.get(called.pathname);
    const url = challenges[0]?.params.get('resource_metadata') ?? '';
    const response = await fetch(url.replace(RESOURCE, app.url));
    const { resource } = await oauth.processResourceDiscoveryResponse(called, response);
    expect(resource).toBe(called.href);
  });

  test('9728-3.1-1 GET and HEAD are answered, OPTIONS lets scripts of any origin in, others are 405', async () => {
    const app = await start({ allowMissingToken: true });
    const get = await app.request(WELL_KNOWN);
    const head = await app.request(WELL_KNOWN, { method: 'HEAD' });
    const told = ({ headers }: typeof get) =>
      Object.fromEntries([...headers].filter(([name]) => !HOP_BY_HOP.includes(name)));
    expect([head.status, head.body, told(head)]).toEqual([200, '', told(get)]);
    const preflight = await app.request(WELL_KNOWN, {
      method: 'OPTIONS',
      headers: {
        origin: 'https://app.example',
        'access-control-request-method': 'GET',
        'access-control-request-headers': 'mcp-protocol-version',
      },
    });
    expect([preflight.status, preflight.body]).toEqual([204, '']);
    expect(told(preflight)).toMatchObject({
      'access-control-allow-origin': '*',
      'access-control-allow-methods': 'GET, HEAD',
      'access-control-allow-headers': '*',
    });
    for (const method of ['POST', 'PUT', 'PATCH', 'DELETE', 'PROPFIND']) {
      const { status, headers, body } = await app.request(WELL_KNOWN, { method });
      expect([method, status, body, headers.get('allow')]).toEqual([method, 405, {}, 'GET, HEAD, OPTIONS']);
      expect(headers.get('cache-control')).toBe('no-store');
    }
    for (const method of ['OPTIONS', 'POST', 'GET']) {
      expect((await app.request(`${WELL_KNOWN}/x`, { method })).status).toBe(404);
    }
    expect(app.ran).toEqual([]);
    expect((await app.request('/x', { method: 'POST' })).status).toBe(200);
  });

  test('9728-7-1 without a token, and with any, good or bad: the same document', async () => {
    const app = await start({ requireTls: true, methods: ['header', 'query'] });
    const document = await documentOf(app);
    for (const authorization of [
      'Bearer bad',
      `Bearer ${as.mint()}`,
      `Bearer ${as.mint({ exp: 1 })}`,
      'Basic YTpi',
      '\u00e9',
    ]) {
      const { status, body } = await app.request(WELL_KNOWN, { headers: { authorization } });
      expect([status, body]).toEqual([200, document]);
    }
    expect(as.log).toEqual([]);
    expect((await app.request(`${WELL_KNOWN}?access_token=${as.mint()}`)).status).toBe(404);
  });

  test('9728-7-2 it may be cached, for as long as the options say, and is compared by its ETag', async () => {
    for (const [metadata, maxAge] of [
      [true, 3600],
      [{ maxAge: 60 }, 60],
      [{ maxAge: 0 }, 0],
    ] as const) {
      const app = await start({ metadata });
      const { headers } = await app.request(WELL_KNOWN);
      expect(headers.get('cache-control')).toBe(`public, max-age=${String(maxAge)}`);
      const etag = headers.get('etag') ?? '';
      expect(etag).toMatch(/^W\/"[^"]+"$/);
      const again = await app.request(WELL_KNOWN, { headers: { 'if-none-match': etag, 'cache-control': '' } });
      expect([again.status, again.body, again.headers.get('etag')]).toEqual([304, '', etag]);
      expect(again.headers.get('cache-control')).toBe(`public, max-age=${String(maxAge)}`);
      const other = await app.request(WELL_KNOWN, { headers: { 'if-none-match': 'W/"x"' } });
      expect([other.status, other.headers.get('etag')]).toEqual([200, etag]);
    }
  });
});
