import { afterEach, describe, expect, test } from '@jest/globals';
import { parseChallenges } from '../support/challenge-parser.js';
import { leaked } from '../support/attack.js';
import { startApp } from '../support/app.js';
import { TestAuthorizationServer } from '../support/authorization-server.js';
import { sendRaw } from '../support/raw.js';
import { closeAll, closing, expectAccepted, stage } from '../support/stage.js';
import type { Stage } from '../support/stage.js';

const API = 'https://api.example.com';
const BARE = `Bearer realm="${API}"`;
const malformed = (what: string) => `${BARE}, error="invalid_request", error_description="${what}"`;
const BROKEN = malformed('The Authorization header must be Bearer, a space and one token');
const TWICE = malformed('The Authorization header must be sent once');
const NO_TOKEN = malformed('The access token has characters no token has');

afterEach(closeAll);

/** Sends these field lines after a request line; T stands for a good token. */
async function send({ app, as }: Stage, lines: readonly string[], requestLine = 'GET /protected HTTP/1.1', body = '') {
  const token = as.mint();
  const answer = await sendRaw(
    app.port,
    [requestLine, 'Host: x', ...lines.map((line) => line.replaceAll('TOKEN', token))],
    body,
  );
  const text = answer.headers.map((field) => field.join(': ')).join('\n') + answer.body;
  if (answer.status !== 200) expect(leaked(text, token)).toBeUndefined();
  const challenges = answer.all('www-authenticate');
  for (const challenge of challenges) expect(parseChallenges(challenge)).toHaveLength(1);
  return { status: answer.status, challenge: challenges[0], count: challenges.length };
}

describe('Authorization lines on the wire', () => {
  const refused: [name: string, lines: string[], status: number, challenge: string][] = [
    ['two good ones', ['Authorization: Bearer TOKEN', 'Authorization: Bearer TOKEN'], 400, TWICE],
    ['a bad one and a good one', ['Authorization: Bearer x', 'Authorization: Bearer TOKEN'], 400, TWICE],
    ['a good one and Basic', ['Authorization: Bearer TOKEN', 'Authorization: Basic eDp5'], 400, TWICE],
    ['Basic and a good one', ['Authorization: Basic eDp5', 'Authorization: Bearer TOKEN'], 400, TWICE],
    ['an empty one and a good one', ['Authorization:', 'aUTHORIZATION: Bearer TOKEN'], 400, TWICE],
    ['a good one and an empty one, apart', ['Authorization: Bearer TOKEN', 'X: y', 'authorization:'], 400, TWICE],
    ['two tokens', ['Authorization: Bearer TOKEN TOKEN'], 400, BROKEN],
    ['two credentials in one', ['Authorization: Bearer TOKEN, Bearer TOKEN'], 400, BROKEN],
    ['two joined by a comma', ['Authorization: Bearer TOKEN,TOKEN'], 400, NO_TOKEN],
    ['a tab for the blank', ['Authorization: Bearer\tTOKEN'], 400, BROKEN],
    ['a blank and a tab', ['Authorization: Bearer \tTOKEN'], 400, NO_TOKEN],
    ['no blank', ['Authorization: BearerTOKEN'], 401, BARE],
    ['a colon', ['Authorization: Bearer:TOKEN'], 400, BROKEN],
    ['a comma after the scheme', ['Authorization: Bearer, TOKEN'], 400, BROKEN],
    ['quotes', ['Authorization: Bearer "TOKEN"'], 400, NO_TOKEN],
    ['a parameter', ['Authorization: Bearer token="TOKEN"'], 400, NO_TOKEN],
    ['a scheme in quotes', ['Authorization: "Bearer" TOKEN'], 401, BARE],
    ['no scheme', ['Authorization: TOKEN'], 401, BARE],
    ['a scheme alone', ['Authorization: Bearer'], 400, BROKEN],
    ['a very long scheme', [`Authorization: ${'B'.repeat(12_000)} TOKEN`], 401, BARE],
    ['a very long run of blanks', [`Authorization: Bearer${' '.repeat(12_000)}TOKEN TOKEN`], 400, BROKEN],
    ['bytes that are not ASCII', ['Authorization: Bearer TOK\xc3\xa9TOKEN'], 400, NO_TOKEN],
    ['a no-break space', ['Authorization: Bearer\xa0TOKEN'], 400, BROKEN],
    ['a percent sign', ['Authorization: Bearer %54TOKEN'], 400, NO_TOKEN],
    ['another scheme', ['Authorization: Token TOKEN'], 401, BARE],
    ['DPoP', ['Authorization: DPoP TOKEN'], 401, BARE],
    ['the name with a letter more', ['Authorizations: Bearer TOKEN', 'X-Authorization: Bearer TOKEN'], 401, BARE],
    ['the name with an underscore', ['HTTP_AUTHORIZATION: Bearer TOKEN'], 401, BARE],
    ['Proxy-Authorization', ['Proxy-Authorization: Bearer TOKEN'], 401, BARE],
    ['cookies', ['Cookie: access_token=TOKEN; Authorization=Bearer TOKEN; token=TOKEN'], 401, BARE],
    [
      'X- headers',
      ['X-Access-Token: TOKEN', 'X-Auth-Token: TOKEN', 'X-Forwarded-Access-Token: TOKEN', 'Access-Token: TOKEN'],
      401,
      BARE,
    ],
    ['a trailer that was announced', ['Trailer: Authorization', 'TE: trailers'], 401, BARE],
  ];
  test.each(refused)('%s: refused', async (_name, lines, status, challenge) => {
    const staged = await stage();
    expect(await send(staged, lines)).toEqual({ status, challenge, count: 1 });
    expect(staged.app.handled).toBe(0);
    await expectAccepted(staged.app, staged.as.mint());
  });

  test.each([
    ['other case', ['aUtHoRiZaTiOn: bEaReR TOKEN']],
    ['several blanks', ['Authorization: Bearer   TOKEN']],
    ['blanks around it', ['Authorization:   Bearer TOKEN   ']],
    ['tabs around it', ['Authorization:\tBearer TOKEN\t']],
  ])('%s: accepted', async (_name, lines) => {
    const staged = await stage();
    expect(await send(staged, lines)).toEqual({ status: 200, challenge: undefined, count: 0 });
  });

  test.each([
    ['a blank before the colon', ['Authorization : Bearer TOKEN']],
    ['a NUL in the value', ['Authorization: Bearer \0TOKEN']],
    ['a NUL in the name', ['Author\0ization: Bearer TOKEN']],
    ['a line break alone', ['X: y\rAuthorization: Bearer TOKEN']],
    ['a first line that is folded', [' Authorization: Bearer TOKEN']],
    ['two lengths', ['Content-Length: 3', 'Content-Length: 4', 'Authorization: Bearer TOKEN']],
    ['length and chunks', ['Content-Length: 3', 'Transfer-Encoding: chunked', 'Authorization: Bearer TOKEN']],
    ['more than fits', [`Authorization: Bearer ${'a'.repeat(20_000)}`]],
  ])('%s: not HTTP, and never ours', async (_name, lines) => {
    const staged = await stage();
    const { status } = await send(staged, lines);
    expect([400, 431]).toContain(status);
    expect(staged.app.handled).toBe(0);
    await expectAccepted(staged.app, staged.as.mint());
  });

  test('obsolete line folding joins no second token to the first, and hides none', async () => {
    const staged = await stage();
    for (const lines of [
      ['Authorization: Bearer', ' x TOKEN'],
      ['Authorization: Bearer TOKEN', ' TOKEN'],
      ['X: y', ' Authorization: Bearer TOKEN'],
    ]) {
      expect([400, 401]).toContain((await send(staged, lines)).status);
    }
    expect(staged.app.handled).toBe(0);
    await expectAccepted(staged.app, staged.as.mint());
  });
});

describe('methods and paths', () => {
  test.each(['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'HEAD', 'TRACE', 'PROPFIND', 'QUERY', 'SEARCH'])(
    '%s is no way around, and neither are override headers',
    async (method) => {
      const staged = await stage();
      const overrides = [
        'X-HTTP-Method-Override: OPTIONS',
        'X-HTTP-Method: GET',
        'X-Method-Override: HEAD',
        '_method: OPTIONS',
      ];
      for (const lines of [[], overrides, ['Access-Control-Request-Method: GET', 'Origin: https://evil.example']]) {
        const answer = await send(staged, lines, `${method} /protected HTTP/1.1`);
        // Node 20 knows no QUERY, and answers by itself.
        if (method === 'QUERY' && answer.challenge === undefined) expect(answer.status).toBe(400);
        else expect(answer).toEqual({ status: 401, challenge: BARE, count: 1 });
      }
      expect(staged.app.handled).toBe(0);
      if (method !== 'QUERY')
        expect((await send(staged, ['Authorization: Bearer TOKEN'], `${method} /protected HTTP/1.1`)).status).toBe(200);
    },
  );

  test.each([
    ...[
      '/protected/',
      '//protected',
      '/./protected',
      '/open/../protected',
      '/PROTECTED',
      '/protected?x',
      '/protected;a=b',
    ],
    ...[
      '/protected%2f',
      '/%70rotected',
      '/protected%00',
      '/protected#open',
      '/open%2f..%2fprotected',
      '\\protected',
      '/protected/.',
    ],
    ...[
      'http://evil.example/protected',
      '//evil.example/protected',
      '/protected?access_token=x',
      '/open/../../protected',
    ],
    ...['/\xe9protected', '/protected%', '/protected%ff', '*', '/protected/../open', '/open/'],
  ])('%s without a token reaches nothing that is protected', async (path) => {
    const staged = await stage();
    const { status } = await send(staged, [], `GET ${path} HTTP/1.1`);
    // '/open' stands before the middleware, also with a slash.
    expect(path === '/open/' ? [200] : [400, 401]).toContain(status);
    expect(staged.app.handled).toBe(0);
    await expectAccepted(staged.app, staged.as.mint());
  });

  test('spoofed forwarding headers make no request secure', async () => {
    const as = closing(await TestAuthorizationServer.start());
    const app = closing(await startApp({ resource: API, issuer: as.issuer, requireTls: true }));
    const trusting = closing(
      await startApp({ resource: API, issuer: as.issuer, requireTls: true }, (routes) =>
        routes.set('trust proxy', true),
      ),
    );
    const staged = { as, app, clock: Object.assign(() => 0, { now: 0 }) };
    const lines = ['X-Forwarded-Proto: https', 'Forwarded: proto=https', 'X-Forwarded-Ssl: on', 'Front-End-Https: on'];
    expect(await send(staged, [...lines, 'Authorization: Bearer TOKEN'])).toEqual({
      status: 400,
      challenge: malformed('An access token must be sent over TLS'),
      count: 1,
    });
    expect(app.handled).toBe(0);
    expect((await trusting.get('/protected', as.mint(), { 'x-forwarded-proto': 'https' })).status).toBe(200);
  });

  test('a second request inside the body of the first is not one of its own', async () => {
    const staged = await stage();
    const inner = `GET /protected HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${staged.as.mint()}\r\n\r\n`;
    const answer = await send(
      staged,
      [`Content-Length: ${inner.length}`, 'Content-Type: text/plain'],
      'POST /protected HTTP/1.1',
      inner,
    );
    expect(answer).toEqual({ status: 401, challenge: BARE, count: 1 });
    expect(staged.app.handled).toBe(0);
    await expectAccepted(staged.app, staged.as.mint());
  });
});
