import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import http from 'node:http';
import express from 'express';
import type { Express } from 'express';
import express4 from 'express4';
import * as oauth from 'oauth4webapi';
import { resourceServer } from '../../lib/index.js';
import type { PublicUrl } from '../../lib/index.js';
import { startApp } from '../support/app.js';
import type { TestApp } from '../support/app.js';
import { TestAuthorizationServer } from '../support/authorization-server.js';
import { warningsOf } from '../support/diagnostics.js';
import { badProof } from '../support/dpop-refusals.js';
import { listen } from '../support/listen.js';
import type { Listening } from '../support/listen.js';
import { dpopHeaders, proofKey, prove } from '../support/proofs.js';
import type { ProofKey } from '../support/proofs.js';
import { sendRaw } from '../support/raw.js';
import type { RawResponse } from '../support/raw.js';
import { expectRefusal, RESOURCE } from '../support/refusals.js';

const REFUSED = badProof('is for another address');
/** The Express that people have, and the one before it. */
const EXPRESSES: readonly [name: string, create: () => Express][] = [
  ['Express 5', express],
  ['Express 4', express4 as unknown as () => Express],
];

let as: TestAuthorizationServer;
let key: ProofKey;
let token: string;
const open: Listening[] = [];

beforeAll(async () => {
  [as, key] = await Promise.all([TestAuthorizationServer.start(), proofKey()]);
  token = as.mint({ cnf: { jkt: key.jkt } });
});

afterEach(async () => {
  await Promise.all(open.splice(0).map((server) => server.close()));
});

afterAll(() => as.close());

interface Setup {
  readonly publicUrl?: PublicUrl;
  readonly create?: () => Express;
  readonly trustProxy?: boolean;
  readonly resource?: string;
}

/** An app that answers at every path. */
async function start({ publicUrl, create = express, trustProxy = false, resource = RESOURCE }: Setup = {}) {
  const options = { resource, issuer: as.issuer, audience: as.resource, dpop: true as const };
  const routes = (app: Express) => {
    app.set('trust proxy', trustProxy);
    app.use((_req, res) => void res.json({}));
  };
  const app = await startApp({ ...options, ...(publicUrl !== undefined && { publicUrl }) }, routes, { create });
  open.push(app);
  return app;
}

/** Sends the request target as it is, which `fetch` would normalize, with a proof for `htu`. */
function ask(port: number, target: string, htu: string, headers: Readonly<Record<string, string>> = {}) {
  const fields = { Host: 'api.example.com', ...dpopHeaders(token, prove(key, htu, { token })), ...headers };
  return sendRaw(port, [
    `GET ${target} HTTP/1.1`,
    ...Object.entries(fields).map(([name, value]) => `${name}: ${value}`),
  ]);
}

function expectAccepted(app: TestApp, answer: RawResponse): void {
  expect([answer.status, app.handled]).toEqual([200, 1]);
  app.handled = 0;
}

function expectRefused(app: TestApp, answer: RawResponse): void {
  expectRefusal(answer, REFUSED);
  expect(app.handled).toBe(0);
}

describe.each(EXPRESSES)('the address in a proof (RFC 9449 4.3), with %s', (_name, create) => {
  test.each<[target: string, htu: string]>([
    ['/protected', 'https://api.example.com/protected'],
    ['/protected', 'HTTPS://api.example.com/protected'],
    ['/protected', 'https://API.Example.com/protected'],
    ['/protected', 'https://api.example.com:443/protected'],
    ['/protected', 'https://api.example.com:/protected'],
    ['/protected', 'https://%61pi.example.com/protected'],
    ['/protected', 'https://api.example.com/a/../protected'],
    ['/protected', 'https://api.example.com/./protected'],
    ['/protected', 'https://api.example.com/a/%2E%2e/protected'],
    ['/protected', 'https://api.example.com/%70rotected'],
    ['/%70rotected', 'https://api.example.com/protected'],
    ['/~user', 'https://api.example.com/%7Euser'],
    ['/%7euser', 'https://api.example.com/~user'],
    ['/caf%c3%a9', 'https://api.example.com/caf%C3%A9'],
    ['/a%2fb', 'https://api.example.com/a%2Fb'],
    ['/', 'https://api.example.com'],
    ['/?a=1', 'https://api.example.com?b=2'],
    ['//a//b', 'https://api.example.com//a//b'],
    ["/a;b=c,d/(e)!$&'*+:@", "https://api.example.com/a;b=c,d/(e)!$&'*+:@"],
    ['http://elsewhere.example/protected', 'https://api.example.com/protected'],
  ])('9449-4.3-9b a request for %s fits %s', async (target, htu) => {
    const app = await start({ create });
    expectAccepted(app, await ask(app.port, target, htu));
  });

  test.each<[target: string, htu: string]>([
    ['/protected', 'https://api.example.com/protected?b=2'],
    ['/protected?a=1', 'https://api.example.com/protected'],
    ['/protected?a=1', 'https://api.example.com/protected?a=2#part'],
    ['/protected?a=/../..', 'https://api.example.com/protected#'],
  ])('9449-4.3-9 the query does not count on either side: %s and %s', async (target, htu) => {
    const app = await start({ create });
    expectAccepted(app, await ask(app.port, target, htu));
  });

  test.each([
    'https://api.example.com/other',
    'https://api.example.com/protected/',
    'https://api.example.com/protected/x',
    'https://api.example.com/',
    'https://api.example.com',
    'https://api.example.com//protected',
    'https://api.example.com/protected;a',
    'https://api.example.com/protected%2F',
    'https://api.example.com/protected%20',
    'https://api.example.com/protected ',
    ' https://api.example.com/protected',
    'https://api.example.com\\protected',
    'https://api.example.com/\tprotected',
    'https://api.example.com:444/protected',
    'https://api.example.com:80/protected',
    'http://api.example.com/protected',
    'http://api.example.com:443/protected',
    'wss://api.example.com/protected',
    'https://example.com/protected',
    'https://api.example.com.evil.example/protected',
    'https://api.example.com@evil.example/protected',
    'https://user@api.example.com/protected',
    'https://evil.example/https://api.example.com/protected',
    'https:/api.example.com/protected',
    '//api.example.com/protected',
    '/protected',
    'protected',
    '',
  ])('9449-4.3-9 a proof for %j is none for https://api.example.com/protected', async (htu) => {
    const app = await start({ create });
    expectRefused(app, await ask(app.port, '/protected', htu));
    expectAccepted(app, await ask(app.port, '/protected', 'https://api.example.com/protected'));
  });

  test('9449-4.3-9b the case of the path counts, and an encoded slash is none', async () => {
    const app = await start({ create });
    expectRefused(app, await ask(app.port, '/protected', `${RESOURCE}/Protected`));
    expectRefused(app, await ask(app.port, '/a%2Fb', `${RESOURCE}/a/b`));
    expectRefused(app, await ask(app.port, '/a%252Fb', `${RESOURCE}/a%2Fb`));
    expectAccepted(app, await ask(app.port, '/a%252Fb', `${RESOURCE}/a%252Fb`));
  });

  test('9449-4.3-9 a path that begins with two slashes names no host, and a proof for that host is none for us', async () => {
    const app = await start({ create });
    const path = '//evil.example/protected';
    expectRefused(app, await ask(app.port, path, `https://evil.example${path}`));
    expectRefused(app, await ask(app.port, path, 'https://evil.example/protected'));
    expectAccepted(app, await ask(app.port, path, `${RESOURCE}${path}`));
  });

  // All but the first are outside of what RFC 3986 calls a path, but URL parsers, and so clients, send them as they are.
  test.each(['/pictures(1)', '/pictures[1]', '/a|b', '/a^b', '/100%'])(
    '9449-4.3-9 the path %s, which an unmodified client sends so, fits itself',
    async (path) => {
      const app = await start({ create });
      const keys = await oauth.generateKeyPair('ES256');
      const DPoP = oauth.DPoP({}, keys);
      const mine = as.mint({ cnf: { jkt: await DPoP.calculateThumbprint() } });
      const at = new URL(path, RESOURCE);
      const toLoopback = (url: string, init: object) => fetch(url.replace(RESOURCE, app.url), init);
      const options = { DPoP, [oauth.customFetch]: toLoopback };
      const answer = await oauth.protectedResourceRequest(mine, 'GET', at, new Headers(), null, options);
      expect([answer.status, app.handled]).toEqual([200, 1]);
    },
  );

  test('9449-4.3-9 in a mounted router and a mounted app the whole path counts', async () => {
    const guard = resourceServer({ resource: RESOURCE, issuer: as.issuer, dpop: true });
    const app = create();
    let handled = 0;
    const mounted = create();
    mounted.use(guard);
    mounted.get('/things', (_req, res) => {
      handled++;
      res.json({});
    });
    app.use('/api/v1', mounted);
    app.use('/direct', guard, (_req, res) => {
      handled++;
      res.json({});
    });
    const server = await listen(app);
    open.push(server);
    for (const [mount, path] of [
      ['/api/v1', '/things'],
      ['/direct', '/'],
    ] as const) {
      handled = 0;
      expectRefusal(await ask(server.port, `${mount}${path}`, `${RESOURCE}${path}`), REFUSED);
      expect(handled).toBe(0);
      expect((await ask(server.port, `${mount}${path}`, `${RESOURCE}${mount}${path}`)).status).toBe(200);
      expect(handled).toBe(1);
    }
  });

  test.each([false, true])(
    '9449-4.3-9c one publicUrl: no header has a say, be it Host or X-Forwarded, trust proxy %j',
    async (trustProxy) => {
      const app = await start({ create, trustProxy });
      const forged = { Host: 'evil.example', 'X-Forwarded-Host': 'evil.example', 'X-Forwarded-Proto': 'http' };
      for (const origin of ['https://evil.example', 'http://evil.example', 'http://api.example.com']) {
        expectRefused(app, await ask(app.port, '/protected', `${origin}/protected`, forged));
      }
      const further = { Forwarded: 'host=evil.example', 'X-Forwarded-Prefix': '/x', 'X-Original-URL': '/x' };
      expectAccepted(app, await ask(app.port, '/protected', `${RESOURCE}/protected`, { ...forged, ...further }));
    },
  );

  test('9449-4.3-9c several: Host selects among them, and adds none', async () => {
    const publicUrl = ['https://a.example.com', 'https://b.example.com/v2', 'https://b.example.com:8443'];
    const app = await start({ create, publicUrl });
    const good = [
      ['a.example.com', 'https://a.example.com/protected'],
      ['a.example.com:443', 'https://a.example.com/protected'],
      ['A.Example.COM', 'https://a.example.com/protected'],
      ['b.example.com', 'https://b.example.com/v2/protected'],
      ['b.example.com:8443', 'https://b.example.com:8443/protected'],
    ] as const;
    for (const [Host, htu] of good) expectAccepted(app, await ask(app.port, '/protected', htu, { Host }));
    const bad = [
      ['a.example.com', 'https://b.example.com/v2/protected'],
      ['b.example.com', 'https://a.example.com/protected'],
      ['b.example.com', 'https://b.example.com/protected'],
      ['evil.example', 'https://evil.example/protected'],
      ['evil.example', 'https://a.example.com/protected'],
      ['a.example.com.evil.example', 'https://a.example.com/protected'],
      [RESOURCE.slice('https://'.length), `${RESOURCE}/protected`],
    ] as const;
    for (const [Host, htu] of bad) expectRefused(app, await ask(app.port, '/protected', htu, { Host }));
  });

  test('9449-4.3-9c several: X-Forwarded-Host selects if trust proxy says so, and not otherwise', async () => {
    const publicUrl = ['https://a.example.com', 'https://b.example.com'];
    const headers = { Host: 'a.example.com', 'X-Forwarded-Host': 'b.example.com' };
    const [a, b] = ['https://a.example.com/protected', 'https://b.example.com/protected'];
    const alone = await start({ create, publicUrl });
    expectAccepted(alone, await ask(alone.port, '/protected', a, headers));
    expectRefused(alone, await ask(alone.port, '/protected', b, headers));
    const behind = await start({ create, publicUrl, trustProxy: true });
    expectAccepted(behind, await ask(behind.port, '/protected', b, headers));
    expectRefused(behind, await ask(behind.port, '/protected', a, headers));
  });

  test('9449-4.3-9c a function says it for each request, and one that says nonsense lets nobody pass', async () => {
    const publicUrl: PublicUrl = (req) => `https://${String(req.headers['x-tenant'])}.example.com/api/`;
    const app = await start({ create, publicUrl });
    const path = '/protected';
    expectAccepted(app, await ask(app.port, path, 'https://one.example.com/api/protected', { 'X-Tenant': 'one' }));
    expectRefused(app, await ask(app.port, path, 'https://one.example.com/api/protected', { 'X-Tenant': 'two' }));
    const odd = await ask(app.port, path, 'https://one.example.com/api/protected', { 'X-Tenant': 'a b' });
    expect([odd.status, odd.all('www-authenticate'), app.handled]).toEqual([500, [], 0]);
  });
});

test('9449-4.3-9 9449-4.3-9c publicUrl has the path that a proxy takes off', async () => {
  const app = await start({ publicUrl: 'https://www.example.com/api' });
  const proxy = await listen((req, res) => {
    const { method = '', headers, url = '' } = req;
    const inner = http.request({ port: app.port, method, headers, path: url.replace(/^\/api/, ''), agent: false });
    inner.on('response', (answer) => answer.pipe(res.writeHead(answer.statusCode ?? 500, answer.headers)));
    inner.end();
  });
  open.push(proxy);
  expectAccepted(app, await ask(proxy.port, '/api/protected', 'https://www.example.com/api/protected'));
  expectRefused(app, await ask(proxy.port, '/api/protected', 'https://www.example.com/protected'));
  expectRefused(app, await ask(proxy.port, '/api/protected', 'https://www.example.com/api/api/protected'));
  expectAccepted(app, await ask(proxy.port, '/api/', 'https://www.example.com/api/'));
});

test('9449-4.3-9 the default is the origin of the resource, without its path, and the operator is told of the first misfit', async () => {
  const app = await start({ resource: 'https://api.example.com/pictures' });
  const warnings = await warningsOf(async () => {
    for (let i = 0; i < 2; i++) {
      const answer = await ask(app.port, '/pictures/1', 'https://api.example.com/1');
      expect([answer.status, app.handled]).toEqual([401, 0]);
    }
    expectAccepted(app, await ask(app.port, '/pictures/1', 'https://api.example.com/pictures/1'));
  });
  expect(warnings.map(({ code }) => code)).toEqual(['OAUTH2_RS_PUBLICURL']);
});
