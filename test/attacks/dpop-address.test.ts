import { afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import type { Express } from 'express';
import type { CommonOptions } from '../../lib/index.js';
import { startApp } from '../support/app.js';
import type { TestApp } from '../support/app.js';
import { TestAuthorizationServer } from '../support/authorization-server.js';
import { proofKey, prove } from '../support/proofs.js';
import type { ProofKey } from '../support/proofs.js';
import { sendRaw } from '../support/raw.js';
import { closeAll, closing } from '../support/stage.js';

const API = 'https://api.example.com';
const DPOP = `DPoP realm="${API}", algs="ES256 ES384 ES512 EdDSA Ed25519 PS256 RS256"`;
const refused = (says: string) => ({
  status: 401,
  challenges: [`${DPOP}, error="invalid_dpop_proof", error_description="${says}"`],
  body: { error: 'invalid_dpop_proof', error_description: says },
  handled: 0,
});
const REFUSED = refused('The DPoP proof is for another address');
const passed = (at: string) => ({ status: 200, challenges: [], body: { at }, handled: 1 });

let key: ProofKey;
beforeAll(async () => {
  key = await proofKey();
});
afterEach(closeAll);

interface Sent {
  /** The request target, to the byte. */
  readonly target: string;
  /** The address that the proof is for. */
  readonly htu: unknown;
  readonly host?: string;
  readonly lines?: readonly string[];
  readonly method?: string;
  readonly htm?: string;
}

/** An app with a route, a mounted router and a handler for all the rest, each of which says which it is. */
async function open(options: Partial<CommonOptions> = {}, set: (app: Express) => void = () => undefined) {
  const as = closing(await TestAuthorizationServer.start());
  const routes = (app: Express) => {
    set(app);
    app.all('/pictures', (_req, res) => void res.json({ at: 'pictures' }));
    app.use('/admin', (_req, res) => void res.json({ at: 'admin' }));
    app.use((_req, res) => void res.json({ at: 'the rest' }));
  };
  const app = closing(await startApp({ resource: as.resource, issuer: as.issuer, dpop: true, ...options }, routes));
  return (sent: Sent) => send(as, app, sent);
}

async function send(as: TestAuthorizationServer, app: TestApp, sent: Sent) {
  const { target, htu, host = 'api.example.com', lines = [], method = 'GET', htm = method } = sent;
  const token = as.mint({ cnf: { jkt: key.jkt } });
  const proof = prove(key, '', { token, method: htm, claims: { htu } });
  const before = app.handled;
  const credentials = [`Authorization: DPoP ${token}`, `DPoP: ${proof}`];
  const answer = await sendRaw(app.port, [`${method} ${target} HTTP/1.1`, `Host: ${host}`, ...lines, ...credentials]);
  return {
    status: answer.status,
    challenges: answer.all('www-authenticate'),
    body: (answer.body === '' ? undefined : JSON.parse(answer.body)) as unknown,
    handled: app.handled - before,
  };
}

describe('a proof for another address', () => {
  test.each([
    ['another path', `${API}/admin`],
    ['the path in another case', `${API}/Pictures`],
    ['a slash more', `${API}/pictures/`],
    ['a slash more before it', `${API}//pictures`],
    ['a longer path', `${API}/pictures/1`],
    ['a shorter path', `${API}/picture`],
    ['no path', API],
    ['another host', 'https://evil.example/pictures'],
    ['a host that begins the same', 'https://api.example.com.evil.example/pictures'],
    ['a host that ends the same', 'https://evil-api.example.com/pictures'],
    ['a host with a dot at the end', 'https://api.example.com./pictures'],
    ['another port', `${API}:8443/pictures`],
    ['the other scheme', 'http://api.example.com/pictures'],
    ['the other scheme at the same port', 'http://api.example.com:443/pictures'],
    ['a scheme that is not of the Web', 'ftp://api.example.com/pictures'],
    ['a user name', 'https://x@api.example.com/pictures'],
    ['our host as user name', 'https://api.example.com@evil.example/pictures'],
    ['our host as user name, hidden by a backslash', 'https://evil.example\\@api.example.com/pictures'],
    ['a backslash for a slash', 'https://api.example.com\\pictures'],
    ['backslashes for slashes', 'https:\\\\api.example.com/pictures'],
    ['one slash after the scheme', 'https:/api.example.com/pictures'],
    ['three slashes after the scheme', 'https:///api.example.com/pictures'],
    ['no scheme', '//api.example.com/pictures'],
    ['the path alone', '/pictures'],
    ['a blank before it', ` ${API}/pictures`],
    ['a blank after it', `${API}/pictures `],
    ['a line break after it', `${API}/pictures\n`],
    ['a tab within the host', 'https://api.exa\tmple.com/pictures'],
    ['a tab within the path', `${API}/pic\ttures`],
    ['a NUL after it', `${API}/pictures\0`],
    ['an encoded slash', `${API}%2fpictures`],
    ['an encoded question mark', `${API}/pictures%3F`],
    ['a letter encoded twice', `${API}/%2570ictures`],
    ['letters of full width', `${API}/\uff50ictures`],
    ['a host that only looks the same', 'https://api.ex\u0430mple.com/pictures'],
    ['a percent sign that encodes nothing', `${API}/pictures%`],
    ['an empty string', ''],
    ['no htu', undefined],
    ['null', null],
    ['a number', 1],
    ['a list of the right one', [`${API}/pictures`]],
    ['an object that would print as the right one', { href: `${API}/pictures` }],
  ])('%s: refused, and the right one passes', async (_name, htu) => {
    const request = await open();
    expect(await request({ target: '/pictures', htu })).toEqual(REFUSED);
    expect(await request({ target: '/pictures', htu: `${API}/pictures` })).toEqual(passed('pictures'));
  });

  test.each([
    ['scheme and host in upper case', 'HTTPS://API.EXAMPLE.COM/pictures', '/pictures'],
    ['the default port', `${API}:443/pictures`, '/pictures'],
    ['a letter encoded in the proof', `${API}/%70ictures`, '/pictures'],
    ['dot segments in the proof', `${API}/a/./../pictures`, '/pictures'],
    ['a query in the proof', `${API}/pictures?a=b`, '/pictures'],
    ['a fragment in the proof', `${API}/pictures#a`, '/pictures'],
    ['a query in the request', `${API}/pictures`, '/pictures?a=/../b'],
    ['a query in both, not the same', `${API}/pictures?a`, '/pictures?b'],
  ])('%s is no other address', async (_name, htu, target) => {
    const request = await open();
    expect(await request({ target, htu })).toEqual(passed('pictures'));
  });

  test.each([
    ['a tilde encoded in the request', `${API}/~a`, '/%7ea'],
    ['hexadecimal digits in the other case', `${API}/a%2Fb`, '/a%2fb'],
    ['an empty path', API, '/'],
    ['slashes that could be taken for a host', `${API}//evil.example/x`, '//evil.example/x'],
    ['characters that fetch and browsers send as they are', `${API}/a[b]|c^100%`, '/a[b]|c^100%'],
  ])('%s is no other address either', async (_name, htu, target) => {
    const request = await open();
    expect(await request({ target, htu })).toEqual(passed('the rest'));
  });
});

describe('request targets that could be read in two ways', () => {
  // The proof is for what a lenient reader would make of the target.
  test.each([
    ['dot segments out of a mounted router', '/admin/../pictures', `${API}/pictures`],
    ['encoded dot segments out of a mounted router', '/admin/%2e%2E/pictures', `${API}/pictures`],
    ['a dot segment', '/./pictures', `${API}/pictures`],
    ['dot segments at the end', '/pictures/1/..', `${API}/pictures/`],
    ['dot segments at the end, before a fragment', '/admin/..#', `${API}/`],
    ['dot segments before a fragment and a slash', '/admin/..#/', `${API}/`],
    ['dot segments that come of decoding twice', '/admin/%%32e%%32e/pictures', `${API}/pictures`],
    ['dot segments that come of decoding twice, cut otherwise', '/admin/%2%65%2%65/pictures', `${API}/pictures`],
    ['dot segments encoded twice', '/admin/%252e%252e/pictures', `${API}/pictures`],
    ['dot segments in absolute form', 'http://x/admin/../pictures', `${API}/pictures`],
    ['a target that continues the host', '*.evil.example/pictures', `${API}*.evil.example/pictures`],
    ['the asterisk', '*', `${API}*/`],
    ['two slashes and a host, for that host', '//evil.example/pictures', 'https://evil.example/pictures'],
    // The name of a server that gets tokens of ours, and sends what it got to us under that path.
    [
      'two slashes and a host, for the same path at that host',
      '//evil.example/pictures',
      'https://evil.example//evil.example/pictures',
    ],
    [
      'two slashes and our host, for that',
      '//api.example.com/pictures',
      'https://evil.example//api.example.com/pictures',
    ],
    ['two slashes and a host, for its path', '//evil.example/pictures', `${API}/pictures`],
    ['a backslash and a host', '/\\evil.example/pictures', 'https://evil.example/pictures'],
    ['a backslash for a slash', '/admin\\..\\pictures', `${API}/pictures`],
    ['an encoded backslash', '/admin%5c..%5cpictures', `${API}/pictures`],
    ['an encoded slash', '/%2fpictures', `${API}/pictures`],
    ['an encoded NUL', '/pictures%00', `${API}/pictures`],
    ['double slashes', '//pictures', `${API}/pictures`],
    ['a slash at the end', '/pictures/', `${API}/pictures`],
    ['a parameter of the path', '/pictures;a=b', `${API}/pictures`],
    ['absolute form, for its host', 'http://evil.example/pictures', 'http://evil.example/pictures'],
    ['absolute form with a semicolon in the host', 'http://evil;admin/pictures', `${API}/pictures`],
    ['absolute form with a percent sign in the host', 'http://evil%2fadmin/pictures', `${API}/pictures`],
    ['absolute form with a quote in the host', "http://evil'admin/pictures", `${API}/pictures`],
    ['absolute form with a user', 'http://admin@evil.example/pictures', `${API}/pictures`],
    ['absolute form with another scheme', 'x://evil.example/pictures', `${API}/pictures`],
    ['absolute form with the path in the query', 'http://evil.example?/pictures', `${API}/pictures`],
  ])('%s: refused, and the plain path passes', async (_name, target, htu) => {
    const request = await open();
    expect(await request({ target, htu })).toEqual(REFUSED);
    expect(await request({ target: '/pictures', htu: `${API}/pictures` })).toEqual(passed('pictures'));
  });

  test.each(['/pictures\0', '/pictures\xe9', 'pictures', '.evil.example/pictures', 'http:/pictures', ''])(
    '%j is not HTTP, and never ours',
    async (target) => {
      const request = await open();
      expect(await request({ target, htu: `${API}/pictures` })).toMatchObject({ status: 400, handled: 0 });
      expect(await request({ target: '/pictures', htu: `${API}/pictures` })).toEqual(passed('pictures'));
    },
  );

  test('dot segments do not lead out of the path of publicUrl, into another application of the same host', async () => {
    const request = await open({ publicUrl: `${API}/ours` });
    expect(await request({ target: '/../theirs/1', htu: `${API}/theirs/1` })).toEqual(REFUSED);
    expect(await request({ target: '/theirs/1', htu: `${API}/theirs/1` })).toEqual(REFUSED);
    expect(await request({ target: '/theirs/1', htu: `${API}/ours/theirs/1` })).toEqual(passed('the rest'));
  });
});

describe('a proof that another server got, and passes on', () => {
  const evil = { target: '/pictures', htu: 'https://evil.example/pictures', host: 'evil.example' };
  const forwarded = ['X-Forwarded-Host: evil.example', 'X-Forwarded-Proto: https', 'Forwarded: host=evil.example'];
  const named = [...forwarded, 'X-Original-Host: evil.example', 'X-Host: evil.example', 'X-Original-URL: /pictures'];
  const one = {};
  const two = { publicUrl: ['https://a.example', API] };
  const trusting = (app: Express) => app.set('trust proxy', true);

  test.each([
    ['its name in Host', one, undefined, []],
    ['its name in Host and forwarded', one, undefined, named],
    ['its name in Host and forwarded, by a trusted proxy', one, trusting, named],
    ['its name in Host, several base URLs', two, undefined, []],
    ['its name in Host and forwarded, several base URLs', two, undefined, named],
    ['its name in Host and forwarded by a trusted proxy, several base URLs', two, trusting, named],
  ])('%s: refused, and our own passes', async (_name, options, set, lines) => {
    const request = await open(options, set);
    expect(await request({ ...evil, lines })).toEqual(REFUSED);
    expect(await request({ ...evil, target: 'https://evil.example/pictures', lines })).toEqual(REFUSED);
    expect(await request({ target: '/pictures', htu: `${API}/pictures` })).toEqual(passed('pictures'));
  });

  test('a forwarded host selects among several base URLs only where the proxy is trusted', async () => {
    const sent = { target: '/pictures', htu: 'https://a.example/pictures', lines: ['X-Forwarded-Host: a.example'] };
    expect(await (await open(two))(sent)).toEqual(REFUSED);
    expect(await (await open(two, trusting))(sent)).toEqual(passed('pictures'));
  });

  test('with several base URLs the proof is for the one that Host names, in any case', async () => {
    const request = await open(two);
    expect(await request({ target: '/pictures', htu: 'https://a.example/pictures' })).toEqual(REFUSED);
    for (const host of ['a.example', 'a.example:443', 'A.Example']) {
      const sent = { target: '/pictures', htu: 'https://a.example/pictures', host };
      expect(await request(sent)).toEqual(passed('pictures'));
    }
  });
});

describe('methods', () => {
  const ours = { target: '/pictures', htu: `${API}/pictures` };
  const overrides = ['X-HTTP-Method-Override: POST', 'X-HTTP-Method: POST', 'X-Method-Override: POST', '_method: POST'];

  test.each([
    ['POST for GET', 'GET', 'POST', []],
    ['POST for GET, with override headers', 'GET', 'POST', overrides],
    ['GET for HEAD', 'HEAD', 'GET', []],
    ['HEAD for GET', 'GET', 'HEAD', []],
    ['lower case', 'GET', 'get', []],
    ['a blank after it', 'GET', 'GET ', []],
    ['an asterisk', 'GET', '*', []],
    ['GET for OPTIONS', 'OPTIONS', 'GET', []],
  ])('%s: refused, and the right one passes', async (_name, method, htm, lines) => {
    const request = await open();
    const expected = refused('The DPoP proof is for another method');
    expect(await request({ ...ours, method, htm, lines })).toEqual({
      ...expected,
      body: method === 'HEAD' ? undefined : expected.body,
    });
    expect(await request({ ...ours, method, lines })).toMatchObject({ status: 200, challenges: [], handled: 1 });
  });
});
