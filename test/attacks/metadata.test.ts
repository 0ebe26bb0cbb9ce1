import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import express from 'express';
import { InvalidTokenError, requireAuthorizationDetails, requireScope } from '../../lib/index.js';
import type { OnError } from '../../lib/index.js';
import { TestAuthorizationServer } from '../support/authorization-server.js';
import { api, documentOf, EXPRESSES, serve, WELL_KNOWN } from '../support/metadata-app.js';
import { sendRaw } from '../support/raw.js';
import { RESOURCE } from '../support/refusals.js';
import { closeAll, closing } from '../support/stage.js';
import { signingKey } from '../support/tokens.js';

const CHALLENGE = `Bearer realm="${RESOURCE}", resource_metadata="${RESOURCE}${WELL_KNOWN}"`;
const signed = { key: signingKey().privateKey, algorithm: 'ES256' };

let as: TestAuthorizationServer;

beforeAll(async () => {
  as = await TestAuthorizationServer.start();
});
afterEach(closeAll);
afterAll(() => as.close());

const HOSTILE = [
  ['Host: evil.example'],
  ['Host: evil.example:1', 'X-Forwarded-Host: evil.example', 'X-Forwarded-Proto: http', 'X-Forwarded-Port: 1'],
  ['Host: a', 'Forwarded: host=evil.example;proto=http;for=127.0.0.1', 'X-Forwarded-Prefix: /evil'],
  ['Host: a', 'X-Original-URL: /secret', 'X-Rewrite-URL: /secret', 'X-HTTP-Method-Override: DELETE'],
  ['Host: a"b', 'X-Forwarded-Host: a", error="x', 'Origin: https://evil.example', 'Referer: https://evil.example'],
];

/** Targets near the well-known path, and what each is answered with, never the handler. */
const TARGETS: readonly (readonly [target: string, status: number])[] = [
  [`${WELL_KNOWN}/../../secret`, 404],
  [`${WELL_KNOWN}/..%2f..%2fsecret`, 404],
  [`${WELL_KNOWN}/%2e%2e/%2e%2e/secret`, 404],
  [`${WELL_KNOWN}/%zz`, 404],
  [`${WELL_KNOWN}/`, 404],
  [`${WELL_KNOWN}//`, 404],
  [`${WELL_KNOWN}/secret`, 404],
  [`${WELL_KNOWN}?`, 404],
  [`${WELL_KNOWN}?/../../secret`, 404],
  [`${WELL_KNOWN}?__proto__[a]=b&constructor`, 404],
  [`${WELL_KNOWN}#`, 401],
  [`${WELL_KNOWN};a=b`, 401],
  [`${WELL_KNOWN}%2Fsecret`, 401],
  [`${WELL_KNOWN}%00`, 401],
  [`${WELL_KNOWN}.json`, 401],
  [WELL_KNOWN.toUpperCase(), 401],
  ['/.well-known/OAuth-Protected-Resource', 401],
  [`/${WELL_KNOWN}`, 401],
  [WELL_KNOWN.replace('known/', 'known//'), 401],
  [WELL_KNOWN.replace('-', '%2D'), 401],
  [WELL_KNOWN.replace('/', '/./'), 401],
  [`/secret/..${WELL_KNOWN}`, 401],
  [`/secret${WELL_KNOWN}`, 401],
  [`/secret?${WELL_KNOWN}`, 401],
  [`/secret#${WELL_KNOWN}`, 401],
  [`//evil.example${WELL_KNOWN}`, 401],
  [`http://evil.example/secret?${WELL_KNOWN}`, 401],
  [`http://evil.example/secret${WELL_KNOWN}`, 401],
  [`http:${WELL_KNOWN}`, 400],
  [`evil${WELL_KNOWN}`, 400],
  ['*', 401],
];

describe.each(EXPRESSES)('what a stranger sends, %s', (_, create) => {
  test.each([false, true])('hostile headers change nothing, trust proxy %s', async (trusted) => {
    const app = await serve((routes, handler) => {
      routes.set('trust proxy', trusted).use(api({ issuer: as.issuer, metadata: { signed } }), handler);
    }, create);
    const document = await documentOf(app);
    for (const headers of HOSTILE) {
      const told = await sendRaw(app.port, [`GET ${WELL_KNOWN} HTTP/1.1`, ...headers]);
      expect([headers, told.status, JSON.parse(told.body)]).toEqual([headers, 200, document]);
      const refused = await sendRaw(app.port, ['GET /secret HTTP/1.1', ...headers]);
      expect([refused.status, refused.all('www-authenticate')]).toEqual([401, [CHALLENGE]]);
    }
    expect(app.ran).toEqual([]);
    expect((await app.get('/secret', as.mint(), { 'x-forwarded-host': 'evil.example' })).status).toBe(200);
  });

  test('no way past the middleware leads over the well-known path', async () => {
    const app = await serve((routes, handler) => {
      const one = api({ issuer: as.issuer });
      routes.use(one.metadata(), one, handler);
    }, create);
    for (const [target, status] of TARGETS) {
      for (const method of ['GET', 'POST', 'OPTIONS', 'HEAD']) {
        const answer = await sendRaw(app.port, [`${method} ${target} HTTP/1.1`, 'Host: a']);
        expect([method, target, answer.status]).toEqual([method, target, status]);
        expect(answer.all('www-authenticate')).toEqual(status === 401 ? [CHALLENGE] : []);
      }
    }
    expect(app.ran).toEqual([]);
    expect((await app.get(`${WELL_KNOWN}.json`, as.mint())).status).toBe(200);
  });

  test('in absolute form the host says nothing, and the path is the path', async () => {
    const app = await serve((routes, handler) => routes.use(api({ issuer: as.issuer }), handler), create);
    const document = await documentOf(app);
    for (const host of ['http://evil.example', 'https://api.example.com', 'HTTP://evil.example:1']) {
      const told = await sendRaw(app.port, [`GET ${host}${WELL_KNOWN} HTTP/1.1`, 'Host: a']);
      expect([host, told.status, JSON.parse(told.body)]).toEqual([host, 200, document]);
      const secret = await sendRaw(app.port, [`GET ${host}/secret HTTP/1.1`, 'Host: a']);
      expect([secret.status, secret.all('www-authenticate')]).toEqual([401, [CHALLENGE]]);
    }
    // RFC 9110 section 4.2.4: a user in it is an error, and what is no address gets nothing.
    const odd = await sendRaw(app.port, [`GET http://u:p@evil.example${WELL_KNOWN} HTTP/1.1`, 'Host: a']);
    expect([odd.status, odd.all('www-authenticate')]).toEqual([401, [CHALLENGE]]);
    expect(app.ran).toEqual([]);
  });

  test('a URL that was rewritten on the way counts as it came', async () => {
    const app = await serve((routes, handler) => {
      routes.use((req, _res, next) => {
        req.url = req.url === WELL_KNOWN ? '/secret' : WELL_KNOWN;
        next();
      });
      routes.use(api({ issuer: as.issuer }), handler);
    }, create);
    expect((await documentOf(app))['resource']).toBe(RESOURCE);
    const { status, challenge } = await app.get('/secret');
    expect([status, challenge, app.ran]).toEqual([401, CHALLENGE, []]);
    expect((await app.get('/secret', as.mint())).status).toBe(200);
  });

  test('names that objects have by themselves are names like others', async () => {
    const names = ['__proto__', 'constructor', 'hasOwnProperty', 'toString'];
    const app = await serve((routes, handler) => {
      routes.use(api({ issuer: as.issuer }));
      for (const name of names) routes.get(`/${name}`, requireScope(name), requireAuthorizationDetails(name), handler);
    }, create);
    const document = await documentOf(app);
    expect([document['scopes_supported'], document['authorization_details_types_supported']]).toEqual([names, names]);
    for (const name of names) expect((await app.get(`/${name}`)).challenges[0]?.params.get('scope')).toBe(name);
    const details = names.map((type) => ({ type }));
    for (const name of names) {
      const token = as.mint({ scope: name, authorization_details: details });
      expect((await app.get(`/${name}`, token)).status).toBe(200);
    }
  });
});

describe('many at once', () => {
  test('a flood of requests for the document signs it once', async () => {
    const app = await serve((routes) => routes.use(api({ metadata: { signed } })));
    const requests = Array.from({ length: 300 }, () => documentOf(app));
    const signatures = new Set((await Promise.all(requests)).map((document) => document['signed_metadata']));
    expect([...signatures]).toEqual([expect.stringMatching(/^[\w-]+\.[\w-]+\.[\w-]+$/)]);
    expect((await documentOf(app))['signed_metadata']).toBe([...signatures][0]);
  });

  test('nor does it help to ask by turns over HTTP and by an upgrade, whose guards are others', async () => {
    const one = api({ metadata: { signed } });
    const app = express().use(one);
    app.get('/', requireScope('a'), (_req, res) => void res.end());
    const server = http.createServer(app);
    server.on(
      'upgrade',
      one.upgrade((_req, socket) => socket.end(), { guards: [requireScope('b')] }),
    );
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    closing({
      close: () =>
        new Promise((resolve) => {
          server.close(() => {
            resolve();
          });
        }),
    });
    const { port } = server.address() as AddressInfo;
    const ask = async (headers: readonly string[]) => {
      const { body } = await sendRaw(port, [`GET ${WELL_KNOWN} HTTP/1.1`, 'Host: a', ...headers]);
      return (JSON.parse(body) as { signed_metadata?: unknown }).signed_metadata;
    };
    const found = new Set([await ask([])]);
    for (let times = 0; times < 3; times++) {
      await ask(['Upgrade: websocket', 'Connection: Upgrade']);
      found.add(await ask([]));
    }
    expect([...found]).toEqual([expect.stringMatching(/^[\w-]+\.[\w-]+\.[\w-]+$/)]);
  });

  /** Waits, as a handler does that asks a database, and then answers with what the error has. */
  const slowly: OnError = async (error, req, res) => {
    await new Promise((resolve) => setImmediate(resolve));
    await new Promise((resolve) => setTimeout(resolve, req.path === '/a' ? 20 : 5));
    for (const [name, value] of Object.entries(error.headers)) res.setHeader(name, value);
    res.status(error.status).json(error.body);
  };
  const shared = new InvalidTokenError('Not here');

  test.each([
    ['no token', () => undefined],
    ['a bad token', () => 'bad'],
    ['a token whose key is being fetched', () => as.mint({}, { key: signingKey('ES256', 'unknown') })],
    ['a token that a hook refuses, always with the same error', () => as.mint({ scope: 'a b c' })],
  ])('%s, at the same time on two routes: each is told of its own scope', async (what, token) => {
    const acceptToken = () => {
      throw shared;
    };
    const app = await serve((routes, handler) => {
      routes.use(api({ issuer: as.issuer, onError: slowly, ...(what.includes('hook') && { acceptToken }) }));
      for (const scope of ['a', 'b', 'c']) routes.get(`/${scope}`, requireScope(scope), handler);
    });
    const sent = token();
    const paths = Array.from({ length: 60 }, (_, at) => `/${'abc'.charAt(at % 3)}`);
    const answers = await Promise.all(paths.map((path) => app.get(path, sent)));
    const told = answers.map(({ status, challenges }) => [status, challenges[0]?.params.get('scope')]);
    expect(told).toEqual(paths.map((path) => [401, path.slice(1)]));
    expect(app.ran).toEqual([]);
  });
});

describe('what is configured', () => {
  test.each(['x\r\nX-Injected: 1', 'x\ny', 'x\0', 'a"b', 'a\\b', 'caf\u00e9', 'a b', '\u2028'])(
    '%j does not get into a header by way of the resource, or into a path',
    (text) => {
      expect(() => api({ resource: `${RESOURCE}/${text}` })).toThrow('"resource" must be an https URL');
      if (!/["\\]/.test(text)) {
        expect(() => api({ metadata: { alsoAt: [`/.well-known/${text}`] } })).toThrow('"alsoAt" of "metadata"');
      }
      expect(() => api({ metadata: { scopes_supported: [text] } })).toThrow('is not a scope');
    },
  );

  test.each(["/a'b", '/a,b=c', '/a;error=x', '/=', '/,%20Basic%20realm=b', '/a?b="', '/{a}|^`<b>'])(
    'a resource at %s makes one parameter, which leads to its document',
    async (end) => {
      const resource = RESOURCE + end.replace('"', '%22');
      const app = await serve((routes) => routes.use(api({ resource })));
      const { challenges } = await app.get('/');
      const [{ scheme, params } = { scheme: '', params: new Map<string, string>() }, ...more] = challenges;
      expect([scheme, [...params.keys()], more]).toEqual(['Bearer', ['realm', 'resource_metadata'], []]);
      const { pathname, search } = new URL(params.get('resource_metadata') ?? '');
      expect((await documentOf(app, pathname + search))['resource']).toBe(resource);
    },
  );

  test('texts for people come back as they are, whatever is in them', async () => {
    const resource_name = '</script><script>alert("\u2028")</script>\r\nX-Injected: 1';
    const app = await serve((routes) => routes.use(api({ metadata: { resource_name, 'resource_name#valueOf': 'x' } })));
    const { headers, body } = await app.request(WELL_KNOWN);
    expect([headers.get('x-injected'), headers.get('content-type')]).toEqual([null, 'application/json; charset=utf-8']);
    expect(body).toMatchObject({ resource_name, 'resource_name#valueOf': 'x' });
  });
});
