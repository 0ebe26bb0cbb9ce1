import type { RequestListener } from 'node:http';
import { afterEach, describe, expect, test } from '@jest/globals';
import { resourceServer } from '../../lib/index.js';
import type { Fetch } from '../../lib/index.js';
import { startApp } from '../support/app.js';
import { sendJson } from '../support/authorization-server.js';
import {
  closeAll,
  closing,
  expectAccepted,
  expectRefused,
  expectUnavailable,
  PAUSE,
  SAYS,
  stage,
} from '../support/stage.js';
import { base64url, signingKey, signJwt, validClaims } from '../support/tokens.js';
import { fetchTrusting, listenTls, selfSigned } from '../support/tls.js';

const API = 'https://api.example.com';
const OAUTH = '/.well-known/oauth-authorization-server';
const OPENID = '/.well-known/openid-configuration';

afterEach(closeAll);

describe('RFC 8414 2 metadata', () => {
  test.each([
    'http://as.example.com',
    'https://as.example.com?tenant=1',
    'https://as.example.com/?',
    'https://as.example.com#x',
    'https://as.example.com/#',
    'https://user:secret@as.example.com',
    'ftp://as.example.com',
    'as.example.com',
    '//as.example.com',
    'https://',
    'https://as.example.com/ ',
    'https://as.ex\u00e4mple.com',
    'http://127.0.0.1.evil.example',
    'http://localhost.evil.example',
    '',
  ])('8414-2-1 the issuer %p is refused at construction', (issuer) => {
    const says = /^"issuer" must /;
    expect(() => resourceServer({ resource: API, issuer })).toThrow(says);
    expect(() => resourceServer({ resource: API, authorizationServers: [{ issuer }] })).toThrow(says);
  });

  test.each([
    'https://as.example.com',
    'https://as.example.com/t1/',
    'http://127.0.0.1:9',
    'http://localhost',
    'http://[::1]:9',
  ])('8414-2-1 the issuer %p is taken', (issuer) => {
    expect(() => resourceServer({ resource: API, issuer })).not.toThrow();
  });

  test.each([
    ['http', 'http://93.184.216.34/jwks'],
    ['ftp', 'ftp://93.184.216.34/jwks'],
    ['a file', 'file:///etc/jwks'],
    ['data', 'data:application/json,{"keys":[]}'],
    ['relative', '/jwks'],
    ['empty', ''],
    ['absent', undefined],
    ['a number', 1],
    ['a list', ['https://93.184.216.34/jwks']],
    ['null', null],
  ])('8414-2-2 a jwks_uri that is %s answers 503, and nothing more is fetched', async (_name, jwksUri) => {
    const asked: string[] = [];
    const recording: Fetch = (input, init) => {
      asked.push(String(input instanceof Request ? input.url : input));
      return fetch(input, init);
    };
    const { as, app, clock } = await stage({ fetch: recording });
    as.metadata = { jwks_uri: jwksUri };
    await expectUnavailable(app, as.mint());
    expect(asked).toEqual([`${as.issuer}${OAUTH}`]);
    as.metadata = {};
    clock.now += PAUSE;
    await expectAccepted(app, as.mint());
  });

  test('8414-2-3 of keys for signing and for encryption only those for signing are used', async () => {
    const { as, app } = await stage();
    const enc = signingKey('ES256', 'enc');
    as.jwks = { keys: [{ ...enc.jwk, use: 'enc' }, ...as.keys.map((key) => key.jwk)] };
    await expectRefused(app, as.mint({}, { key: enc }), SAYS.key);
    await expectAccepted(app, as.mint());
    await expectAccepted(app, as.mint({}, { header: { kid: undefined } }));
  });

  test('8414-2.1-1 signed_metadata is ignored, whoever signed it and whatever it says', async () => {
    const { as, app } = await stage();
    const [key = signingKey()] = as.keys;
    const evil = { iss: as.issuer, issuer: as.issuer, jwks_uri: `${as.origin}/evil` };
    for (const signed of [
      signJwt({ alg: 'ES256' }, evil, key),
      `${base64url({ alg: 'none' })}.${base64url(evil)}.`,
      'x',
      1,
    ]) {
      as.metadata = { signed_metadata: signed };
      const fresh = closing(await startApp({ resource: API, issuer: as.issuer }));
      await expectAccepted(fresh, as.mint());
    }
    expect(as.log).not.toContain('GET /evil');
    await expectAccepted(app, as.mint());
  });
});

describe('RFC 8414 3 obtaining metadata', () => {
  test.each([
    ['8414-3-1', '', OAUTH],
    ['8414-3-1', '/t1', `${OAUTH}/t1`],
    ['8414-3-1', '/a/b', `${OAUTH}/a/b`],
    ['8414-3.1-2', '/', OAUTH],
    ['8414-3.1-2', '/t1/', `${OAUTH}/t1`],
  ])('%s the metadata of an issuer with the path %p is at %s', async (_id, path, place) => {
    const { as, app } = await stage({}, path);
    await expectAccepted(app, as.mint());
    expect(as.log).toEqual([`GET ${place}`, 'GET /jwks']);
  });

  test('8414-3.1-1 metadata and keys are fetched by GET, with nothing of the request of the caller', async () => {
    const { as, app } = await stage();
    const seen: string[] = [];
    for (const path of [OAUTH, '/jwks']) {
      as.answers.set(path, (req, res) => {
        const { authorization, cookie, accept } = req.headers;
        seen.push([req.method, authorization, cookie, accept, req.headers['content-length']].join('|'));
        sendJson(res, path === OAUTH ? as.document : { keys: as.keys.map((key) => key.jwk) });
      });
    }
    await app.get('/protected', as.mint(), { cookie: 'session=secret' });
    expect(app.handled).toBe(1);
    expect(seen).toEqual(['GET|||application/json|', 'GET|||application/jwk-set+json, application/json|']);
  });

  const body =
    (status: number, type: string, text: string): RequestListener =>
    (_req, res) => {
      res.writeHead(status, { 'Content-Type': type }).end(text);
    };
  const document = (issuer: string, origin: string) => JSON.stringify({ issuer, jwks_uri: `${origin}/jwks` });
  const unusable: [name: string, answer: (document: string) => RequestListener][] = [
    ['204', () => (_req, res) => void res.writeHead(204).end()],
    ['404', (text) => body(404, 'application/json', text)],
    ['201', (text) => body(201, 'application/json', text)],
    ['500', (text) => body(500, 'application/json', text)],
    ['a redirect', () => (_req, res) => void res.writeHead(302, { Location: '/elsewhere' }).end()],
    ['text/html', (text) => body(200, 'text/html', text)],
    ['text/plain', (text) => body(200, 'text/plain', text)],
    ['application/jwt', (text) => body(200, 'application/jwt', text)],
    ['no type', (text) => (_req, res) => void res.writeHead(200).end(text)],
    ['a list', (text) => body(200, 'application/json', `[${text}]`)],
    ['null', () => body(200, 'application/json', 'null')],
    ['a string', () => body(200, 'application/json', '"x"')],
    ['half a document', (text) => body(200, 'application/json', text.slice(0, -1))],
    ['nothing', () => body(200, 'application/json', '')],
  ];
  test.each(unusable)(
    '8414-3.2-1 metadata that comes as %s answers 503, and no key is asked for',
    async (_name, answer) => {
      const { as, app, clock } = await stage();
      as.answers.set(OAUTH, answer(document(as.issuer, as.origin)));
      await expectUnavailable(app, as.mint());
      expect(as.log).toEqual([`GET ${OAUTH}`, `GET ${OPENID}`]);
      as.answers.clear();
      clock.now += PAUSE;
      await expectAccepted(app, as.mint());
    },
  );

  test.each(['application/json', 'Application/JSON; charset=utf-8', 'application/json;x=y'])(
    '8414-3.2-1 metadata that comes as %s is read',
    async (type) => {
      const { as, app } = await stage();
      as.answers.set(OAUTH, body(200, type, document(as.issuer, as.origin)));
      await expectAccepted(app, as.mint());
    },
  );

  test.each([
    ['8414-3.3-1', 'with a slash more', (issuer: string) => `${issuer}/`],
    ['8414-3.3-1', 'in other case', (issuer: string) => issuer.replace('http', 'HTTP')],
    ['8414-3.3-1', 'of another server', () => 'https://as.example.com'],
    ['8414-3.3-1', 'that is absent', () => undefined],
    ['8414-3.3-1', 'that is a list', (issuer: string) => [issuer]],
    ['8414-3.3-1', 'that is null', () => null],
    ['8414-4-1', 'in other case of its percent-encoding', (issuer: string) => issuer.replace('%C3%A9', '%c3%a9')],
    ['8414-4-1', 'decoded', (issuer: string) => issuer.replace('%C3%A9', '\u00e9')],
    ['8414-4-1', 'decoded and taken apart', (issuer: string) => issuer.replace('%C3%A9', 'e\u0301')],
    ['8414-4-1', 'with a dot segment', (issuer: string) => `${issuer}/.`],
    ['8414-4-1', 'with a blank', (issuer: string) => `${issuer} `],
  ])('%s metadata with an issuer %s answers 503, and its keys are not asked for', async (_id, _name, change) => {
    const { as, app, clock } = await stage({}, '/caf%C3%A9');
    as.metadata = { issuer: change(as.issuer) };
    await expectUnavailable(app, as.mint());
    expect(as.log).toEqual([`GET ${OAUTH}/caf%C3%A9`]);
    as.metadata = {};
    clock.now += PAUSE;
    await expectAccepted(app, as.mint());
  });
});

describe('RFC 8414 5 and 6', () => {
  test('8414-5-1 openid-configuration is asked for with the path inserted first, and appended after that', async () => {
    const { as, app } = await stage({}, '/t1');
    const places = [`${OAUTH}/t1`, `${OPENID}/t1`, `/t1${OPENID}`];
    for (const [i, place] of places.entries()) {
      as.answers.clear();
      as.log.length = 0;
      for (const other of places) as.answers.set(other, (_req, res) => void res.writeHead(404).end());
      as.answers.set(place, (_req, res) => {
        sendJson(res, as.document);
      });
      const fresh = closing(await startApp({ resource: API, issuer: as.issuer }));
      await expectAccepted(fresh, as.mint());
      expect(as.log).toEqual([...places.slice(0, i + 1).map((path) => `GET ${path}`), 'GET /jwks']);
    }
    as.answers.set(`/t1${OPENID}`, (_req, res) => void res.writeHead(404).end());
    await expectUnavailable(app, as.mint());
  });

  test.each([
    ['nobody vouches for', 'IP:127.0.0.1', false],
    ['of another host', 'DNS:as.example.com', true],
  ])(
    '8414-6.1-1 a certificate %s answers 503, and nothing is asked; one that is right passes',
    async (_name, san, trust) => {
      const key = signingKey();
      const serve = async (names: string) => {
        const log: string[] = [];
        const certificate = selfSigned(names);
        const server = closing(
          await listenTls(certificate, (req, res) => {
            log.push(req.url ?? '');
            const metadata = { issuer: server.url, jwks_uri: `${server.url}/jwks` };
            sendJson(res, req.url === '/jwks' ? { keys: [key.jwk] } : metadata);
          }),
        );
        const token = signJwt({ typ: 'at+jwt', alg: key.alg, kid: key.kid }, validClaims(server.url, API), key);
        const start = async (options: { fetch?: Fetch }) =>
          closing(await startApp({ resource: API, issuer: server.url, ...options }));
        return { log, token, start, ca: certificate.cert };
      };
      const bad = await serve(san);
      await expectUnavailable(await bad.start(trust ? { fetch: fetchTrusting(bad.ca) } : {}), bad.token);
      expect(bad.log).toEqual([]);
      const good = await serve('IP:127.0.0.1');
      await expectAccepted(await good.start({ fetch: fetchTrusting(good.ca) }), good.token);
      expect(good.log).toEqual([OAUTH, '/jwks']);
    },
  );
});
