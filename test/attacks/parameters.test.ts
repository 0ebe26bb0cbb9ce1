import { afterEach, describe, expect, test } from '@jest/globals';
import express from 'express';
import { startApp } from '../support/app.js';
import type { Answer, TestApp } from '../support/app.js';
import { expectNoLeak } from '../support/attack.js';
import { TestAuthorizationServer } from '../support/authorization-server.js';
import { closeAll, closing, expectAccepted, stage } from '../support/stage.js';

const BARE = 'Bearer realm="https://api.example.com"';
const malformed = (what: string) => `${BARE}, error="invalid_request", error_description="${what}"`;
const REPEATED = malformed('The access_token parameter must be sent once, with one value');
const NO_TOKEN = malformed('The access token has characters no token has');
const TWO_PLACES = malformed('The access token must be sent by one method only');
const NO_FORM = malformed('The form body could not be read');
const FORM = 'application/x-www-form-urlencoded';
const all = { methods: ['header', 'body', 'query'] as const };

afterEach(closeAll);

function expectRefusal(app: TestApp, answer: Answer, challenge: string, token: string): void {
  expect([answer.status, answer.challenge, app.handled]).toEqual([challenge === BARE ? 401 : 400, challenge, 0]);
  expectNoLeak(answer, token);
}

function post(app: TestApp, body: string, type = FORM, method = 'POST', headers: Record<string, string> = {}) {
  return app.request('/protected', { method, headers: { 'Content-Type': type, ...headers }, body });
}

/** What goes for the query goes for the form. T is a good token. */
const POLLUTED: [text: string, challenge: string][] = [
  ['access_token=T&access_token=T', REPEATED],
  ['access_token=x&access_token=T', REPEATED],
  ['access_token=&access_token=T', REPEATED],
  ['access_token&access_token=T', REPEATED],
  ['access%5ftoken=x&access_token=T', REPEATED],
  ['%61ccess_token=T&access_token=T', REPEATED],
  ['access_token=T&x=1&access_token=', REPEATED],
  ['access_token[]=T', BARE],
  ['access_token[0]=T', BARE],
  ['access_token%5B%5D=T', BARE],
  ['access_token[a]=T', BARE],
  ['[access_token]=T', BARE],
  ['access_token]=T', BARE],
  ['access_token.x=T', BARE],
  ['ACCESS_TOKEN=T', BARE],
  ['Access_Token=T', BARE],
  ['access-token=T', BARE],
  ['accessToken=T', BARE],
  ['token=T', BARE],
  ['bearer_token=T', BARE],
  ['authorization=Bearer%20T', BARE],
  ['access_token%00=T', BARE],
  ['access_token%20=T', BARE],
  ['%20access_token=T', BARE],
  ['+access_token=T', BARE],
  ['access%255ftoken=T', BARE],
  ['x=1;access_token=T', BARE],
  ['x=1%26access_token=T', BARE],
  ['__proto__[access_token]=T', BARE],
  ['__proto__.access_token=T', BARE],
  ['constructor[prototype][access_token]=T', BARE],
  ['hasOwnProperty=x&toString=y&__proto__=z', BARE],
  ['access_token=', NO_TOKEN],
  ['access_token', NO_TOKEN],
  ['access_token=+T', NO_TOKEN],
  ['access_token=T+', NO_TOKEN],
  ['access_token=%20T', NO_TOKEN],
  ['access_token=T%0d%0a', NO_TOKEN],
  ['access_token=T%00', NO_TOKEN],
  ['access_token=Bearer%20T', NO_TOKEN],
  ['access_token=T,T', NO_TOKEN],
  ['access_token=T;x=1', NO_TOKEN],
  ['access_token=%22T%22', NO_TOKEN],
  ['access_token=%2554T', NO_TOKEN],
  ['access_token=%zz', NO_TOKEN],
];

describe('parameter pollution', () => {
  test.each(POLLUTED)('in the query: %s', async (text, challenge) => {
    const { as, app } = await stage(all);
    const token = as.mint();
    expectRefusal(app, await app.request(`/protected?${text.replaceAll('T', token)}`), challenge, token);
    expect((await app.request(`/protected?x=1&access_token=${token}&y=;`)).status).toBe(200);
  });

  // [access_token] is another spelling for Express's parser, which every handler goes by; see docs/decisions.md, 21.
  test.each(POLLUTED.filter(([text]) => text !== '[access_token]=T'))('in the form: %s', async (text, challenge) => {
    const { as, app } = await stage(all);
    const token = as.mint();
    expectRefusal(app, await post(app, text.replaceAll('T', token)), challenge, token);
    expect((await post(app, `x=1&access_token=${token}&y=;`)).status).toBe(200);
  });

  // The same forms under a parser of the application that builds lists and objects.
  test.each([
    ...POLLUTED.slice(0, 7),
    ...['[]', '[0]', '[a]', '[][]', '[0]=x&access_token[1]'].map(
      (suffix) => [`access_token${suffix}=T`, REPEATED] as const,
    ),
  ])('in a form that a nested parser has read: %s', async (text, challenge) => {
    const as = closing(await TestAuthorizationServer.start());
    const before = [express.urlencoded({ extended: true })];
    const app = closing(
      await startApp({ resource: as.resource, issuer: as.issuer, ...all, methods: ['header', 'body'] }, undefined, {
        before,
      }),
    );
    const token = as.mint();
    expectRefusal(app, await post(app, text.replaceAll('T', token)), challenge, token);
    expect((await post(app, `access_token=${token}&x[]=1&x[y]=2`)).status).toBe(200);
  });

  test('more values than a parser keeps are still more than one', async () => {
    const { as, app } = await stage(all);
    const token = as.mint();
    expectRefusal(
      app,
      await post(app, Array.from({ length: 300 }, (_, i) => `access_token=x${i}`).join('&')),
      REPEATED,
      token,
    );
    expectRefusal(app, await post(app, `${'a=b&'.repeat(2000)}access_token=${token}`), NO_FORM, token);
    expectRefusal(app, await post(app, `a=${'b'.repeat(110_000)}&access_token=${token}`), NO_FORM, token);
    expect((await post(app, `${'a=b&'.repeat(900)}access_token=${token}`)).status).toBe(200);
  });
});

describe('two places', () => {
  test('a token in two places is refused, also if one is empty or bad', async () => {
    const { as, app } = await stage(all);
    const token = as.mint();
    const authorization = { authorization: `Bearer ${token}` };
    for (const answer of [
      await app.request(`/protected?access_token=${token}`, { headers: authorization }),
      await app.request('/protected?access_token=', { headers: authorization }),
      await app.request('/protected?access_token=x', { headers: authorization }),
      await post(app, `access_token=${token}`, FORM, 'POST', authorization),
      await post(app, 'access_token=', FORM, 'POST', authorization),
      await app.request(`/protected?access_token=${token}`, {
        method: 'POST',
        body: new URLSearchParams({ access_token: token }),
      }),
    ]) {
      expectRefusal(app, answer, TWO_PLACES, token);
    }
    await expectAccepted(app, token);
  });

  test('a place that is not enabled counts neither for nor against', async () => {
    const { as, app } = await stage();
    const token = as.mint();
    expectRefusal(app, await app.request(`/protected?access_token=${token}`), BARE, token);
    expectRefusal(app, await post(app, `access_token=${token}`), BARE, token);
    const both = await app.request('/protected?access_token=x', { headers: { authorization: `Bearer ${token}` } });
    expect(both.status).toBe(200);
  });
});

describe('bodies that are no form', () => {
  test.each([
    ['JSON', 'application/json', '{"access_token":"T"}'],
    [
      'JSON that calls itself a form in a parameter',
      'application/json; x=application/x-www-form-urlencoded',
      '{"access_token":"T"}',
    ],
    [
      'multipart',
      'multipart/form-data; boundary=x',
      '--x\r\nContent-Disposition: form-data; name="access_token"\r\n\r\nT\r\n--x--\r\n',
    ],
    ['plain text', 'text/plain', 'access_token=T'],
    ['a type that begins so', `${FORM}x`, 'access_token=T'],
    ['two types', `text/plain, ${FORM}`, 'access_token=T'],
    ['XML', 'application/xml', '<access_token>T</access_token>'],
  ])('%s', async (_name, type, body) => {
    const as = closing(await TestAuthorizationServer.start());
    const parsers = [express.json(), express.text(), express.urlencoded({ extended: true })];
    for (const before of [[], parsers]) {
      const app = closing(
        await startApp({ resource: as.resource, issuer: as.issuer, methods: ['header', 'body'] }, undefined, {
          before,
        }),
      );
      const token = as.mint();
      expectRefusal(app, await post(app, body.replace('T', token), type), BARE, token);
      expect((await post(app, `access_token=${token}`, `${FORM.toUpperCase()} ; charset=UTF-8`)).status).toBe(200);
    }
  });

  test.each(['DELETE', 'OPTIONS', 'PROPFIND'])('a form in a %s', async (method) => {
    const { as, app } = await stage(all);
    const token = as.mint();
    expectRefusal(app, await post(app, `access_token=${token}`, FORM, method), BARE, token);
    expect((await post(app, `access_token=${token}`, FORM, 'PUT')).status).toBe(200);
  });

  test.each([
    ['an encoding that is none', { 'Content-Encoding': 'x' }],
    ['gzip that is none', { 'Content-Encoding': 'gzip' }],
  ])('a form with %s', async (_name, headers) => {
    const { as, app } = await stage(all);
    const token = as.mint();
    expectRefusal(app, await post(app, `access_token=${token}`, FORM, 'POST', headers), NO_FORM, token);
    expectRefusal(app, await post(app, `access_token=${token}`, `${FORM}; charset=utf-7`), NO_FORM, token);
    expect((await post(app, `access_token=${token}`)).status).toBe(200);
  });
});
