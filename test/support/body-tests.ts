import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import type { Express, RequestHandler } from 'express';
import type { startApp as StartApp, TestApp } from './app.js';
import { TestAuthorizationServer } from './authorization-server.js';
import { sendRaw } from './raw.js';
import { expectRefusal, invalidRequest, NO_B64TOKEN, NOT_ASCII } from './refusals.js';
import { REPEATED_PARAMETER, RESOURCE, unauthorized } from './refusals.js';
import type { Refusal } from './refusals.js';

export const FORM = 'application/x-www-form-urlencoded';

/** One generation of Express: the function, its parsers, and the `startApp` that loaded the library beside it. */
export interface ExpressKit {
  readonly create: () => Express;
  readonly urlencoded: (options: { extended: boolean }) => RequestHandler;
  readonly text: (options: { type: string }) => RequestHandler;
  readonly raw: (options: { type: string }) => RequestHandler;
  readonly json: () => RequestHandler;
  readonly startApp: typeof StartApp;
}

type Parser = 'no parser' | 'urlencoded simple' | 'urlencoded extended' | 'text' | 'raw' | 'json';

/** RFC 6750 section 2.2, whatever has parsed the body before the middleware. */
export function bodyTests(generation: string, kit: ExpressKit): void {
  const parsers: Readonly<Record<Parser, readonly RequestHandler[]>> = {
    'no parser': [],
    'urlencoded simple': [kit.urlencoded({ extended: false })],
    'urlencoded extended': [kit.urlencoded({ extended: true })],
    text: [kit.text({ type: FORM })],
    raw: [kit.raw({ type: FORM })],
    json: [kit.json()],
  };
  let as: TestAuthorizationServer;
  beforeAll(async () => {
    as = await TestAuthorizationServer.start();
  });
  afterAll(() => as.close());

  describe.each(Object.keys(parsers) as Parser[])(`RFC 6750 2.2 form body, ${generation}, %s before`, (parser) => {
    let app: TestApp;
    beforeAll(async () => {
      app = await kit.startApp(
        { resource: RESOURCE, issuer: as.issuer, methods: ['header', 'body'] },
        (express) => {
          express.use(kit.urlencoded({ extended: true }), kit.json());
          express.post('/after', (req, res) => void res.json(req.body));
        },
        { before: parsers[parser], create: kit.create },
      );
    });
    beforeEach(() => {
      app.handled = 0;
    });
    afterAll(() => app.close());

    const send = (body: string | Uint8Array, headers: Readonly<Record<string, string>> = {}, method = 'POST') =>
      app.request('/protected', {
        method,
        body: typeof body === 'string' ? Buffer.from(body) : body,
        headers: { 'content-type': FORM, ...headers },
      });
    const expectRefused = async (body: string | Uint8Array, expected: Refusal, headers = {}, method = 'POST') => {
      expectRefusal(await send(body, headers, method), expected);
      expect(app.handled).toBe(0);
    };

    test.each(['POST', 'PUT', 'PATCH'])('6750-2.2-1 a valid token in the form of a %s is accepted', async (method) => {
      const answer = await send(`access_token=${as.mint()}`, {}, method);
      expect([answer.status, app.handled]).toEqual([200, 1]);
      expect(answer.body).toMatchObject({ auth: { subject: 'alice' } });
    });

    test('6750-2.2-1 a token that is no good is invalid_token', async () => {
      const answer = await send('access_token=mF_9.B5f-4.1JqM');
      expect([answer.status, answer.body, app.handled]).toMatchObject([401, { error: 'invalid_token' }, 0]);
    });

    test.each(['APPLICATION/X-WWW-Form-Urlencoded; charset=utf-8', `${FORM};charset="UTF-8"`, `${FORM} ; a=b`])(
      '6750-2.2-2 a form sent as %s is accepted',
      async (type) => {
        expect((await send(`access_token=${as.mint()}`, { 'content-type': type })).status).toBe(200);
        expect(app.handled).toBe(1);
      },
    );

    test.each([
      'text/plain',
      'application/octet-stream',
      `${FORM}-extra`,
      `text/plain; type=${FORM}`,
      `${FORM}, text/plain`,
    ])('6750-2.2-2 a form sent as %s is not looked at', async (type) => {
      await expectRefused(`access_token=${as.mint()}`, unauthorized(), { 'content-type': type });
    });

    test('6750-2.2-2 a JSON body with an access_token is not looked at', async () => {
      const body = JSON.stringify({ access_token: as.mint() });
      await expectRefused(body, unauthorized(), { 'content-type': 'application/json' });
      expect(
        (await send(body, { authorization: `Bearer ${as.mint()}`, 'content-type': 'application/json' })).status,
      ).toBe(200);
    });

    test('6750-2.2-2 a form without Content-Type is not looked at', async () => {
      const body = `access_token=${as.mint()}`;
      const head = ['POST /protected HTTP/1.1', 'Host: api', `Content-Length: ${String(body.length)}`];
      expectRefusal(await sendRaw(app.port, head, body), unauthorized());
      expect(app.handled).toBe(0);
      expect((await sendRaw(app.port, [...head, `Content-Type: ${FORM}`], body)).status).toBe(200);
    });

    test('6750-2.2-3 multipart/form-data with an access_token part is not looked at', async () => {
      const form = new FormData();
      form.set('access_token', as.mint());
      expectRefusal(await app.request('/protected', { method: 'POST', body: form }), unauthorized());
      expect(app.handled).toBe(0);
    });

    test.each<[title: string, body: (token: string) => string | Uint8Array]>([
      ['inside the token', (token) => `access_token=%C3%A9${token}`],
      ['in another value', (token) => `access_token=${token}&note=%C3%A9`],
      ['in another name', (token) => `%C3%A9=1&access_token=${token}`],
      ['not percent-encoded', (token) => `access_token=${token}&note=\u00e9`],
      ['as one raw byte', (token) => Buffer.from(`access_token=${token}&note=\u00e9`, 'latin1')],
      ['beyond the basic plane', (token) => `access_token=${token}&note=%F0%9F%94%91`],
    ])('6750-2.2-4 a form with a token and non-ASCII %s is malformed', async (_title, body) => {
      await expectRefused(body(as.mint()), NOT_ASCII);
    });

    test('6750-2.2-4 a form without a token may have what it likes', async () => {
      const answer = await send('note=%C3%A9', { authorization: `Bearer ${as.mint()}` });
      expect([answer.status, app.handled]).toEqual([200, 1]);
      expectRefusal(await send('note=%C3%A9'), unauthorized());
    });

    test.each(['GET', 'HEAD', 'DELETE', 'OPTIONS', 'PROPFIND'])(
      '6750-2.2-5 a valid token in the form of a %s is not looked at',
      async (method) => {
        const body = `access_token=${as.mint()}`;
        const head = [`${method} /protected HTTP/1.1`, 'Host: api', `Content-Type: ${FORM}`];
        const answer = await sendRaw(app.port, [...head, `Content-Length: ${String(body.length)}`], body);
        expect([answer.status, answer.all('www-authenticate')]).toEqual([401, [unauthorized().challenge]]);
        expect(app.handled).toBe(0);
      },
    );

    test('6750-2.2-6 the parameters beside the token reach the handler', async () => {
      const token = as.mint();
      const text = `a=1&access_token=${token}&b=2`;
      const answer = await send(text);
      const seen = {
        text,
        raw: { type: 'Buffer', data: [...Buffer.from(text)] },
        fields: { a: '1', access_token: token, b: '2' },
      };
      expect(answer.status).toBe(200);
      const { body } = answer.body as { body: unknown };
      expect(body).toEqual(parser === 'text' || parser === 'raw' ? seen[parser] : seen.fields);
    });

    test('6750-2.2-6 a second form parser, after the middleware, does no harm', async () => {
      const body = `a=1&access_token=${as.mint()}`;
      const init = { method: 'POST', body, headers: { 'content-type': FORM } };
      const answer = await app.request('/after', init);
      expect([answer.status, app.handled]).toEqual([200, 1]);
    });

    test('6750-2.2-6 a JSON body is left for the parser after the middleware', async () => {
      const headers = { 'content-type': 'application/json', authorization: `Bearer ${as.mint()}` };
      const answer = await app.request('/after', { method: 'POST', body: '{"a":1}', headers });
      expect([answer.status, answer.body]).toEqual([200, { a: 1 }]);
    });

    test('6750-2.2-6 a form in chunks is read whole', async () => {
      const body = `a=1&access_token=${as.mint()}`;
      const chunks = [body.slice(0, 9), body.slice(9, 60), body.slice(60)];
      const coded = [...chunks, ''].map((chunk) => `${chunk.length.toString(16)}\r\n${chunk}\r\n`).join('');
      const head = ['POST /protected HTTP/1.1', 'Host: api', `Content-Type: ${FORM}`, 'Transfer-Encoding: chunked'];
      expect((await sendRaw(app.port, head, coded)).status).toBe(200);
      expect(app.handled).toBe(1);
    });

    test.each<[title: string, body: (token: string) => string]>([
      ['the same twice', (token) => `access_token=${token}&access_token=${token}`],
      ['one of them empty', (token) => `access_token=${token}&a=1&access_token=`],
      ['one with an encoded name', (token) => `access_token=${token}&access%5Ftoken=x`],
    ])('6750-3.1-2 a repeated access_token, %s, is malformed', async (_title, body) => {
      await expectRefused(body(as.mint()), REPEATED_PARAMETER);
    });

    // Only the nested parser sees access_token in these names; for all others they are other names.
    const nested = parser === 'urlencoded extended' ? REPEATED_PARAMETER : unauthorized();
    test.each<[name: string, expected: Refusal]>([
      ['access_token[]', nested],
      ['access_token%5B%5D', nested],
      ['access_token[0]', nested],
      ['access_token[x]', nested],
      ['access_token[toString]', nested],
      ['a[access_token]', unauthorized()],
      ['__proto__[access_token]', unauthorized()],
    ])('6750-3.1-2 a valid token as %s is never taken for access_token', async (name, expected) => {
      await expectRefused(`${name}=${as.mint()}`, expected);
    });

    test.each(['Access_Token', 'ACCESS_TOKEN', 'access-token', 'accessToken', '%20access_token', 'access_token%00'])(
      '6750-1.1-1 a valid token as %s is not looked at',
      async (name) => {
        await expectRefused(`${name}=${as.mint()}`, unauthorized());
      },
    );

    test.each(['%00', '%0A', '%0D%0A', '%09', '%1F', '%7F', '%20', '+', '%22', ','])(
      '6749-A.12-1 a token with %s in it is malformed',
      async (odd) => {
        await expectRefused(`access_token=${as.mint()}${odd}`, NO_B64TOKEN);
        await expectRefused(`access_token=${odd}${as.mint()}`, NO_B64TOKEN);
        await expectRefused(`access_token=a${odd}b`, NO_B64TOKEN);
      },
    );

    test.each(['access_token=', 'access_token', 'access_token=&a=1'])(
      '6750-3.1-2 %s, an empty token, is malformed',
      async (body) => {
        await expectRefused(body, NO_B64TOKEN);
      },
    );

    test.each(['', 'a=1', '&&', '=', '&access_tokenx=1'])('6750-3.1-6 the form %j carries no token', async (body) => {
      await expectRefused(body, unauthorized());
    });

    if (parser === 'no parser' || parser === 'json') {
      test.each<[title: string, body: (token: string) => string, headers: Readonly<Record<string, string>>]>([
        ['over 100 kB', (token) => `access_token=${token}&a=${'x'.repeat(102_400)}`, {}],
        ['in another charset', (token) => `access_token=${token}`, { 'content-type': `${FORM}; charset=koi8-r` }],
        ['in another encoding', (token) => `access_token=${token}`, { 'content-encoding': 'rot13' }],
        ['of 1,001 fields', (token) => `access_token=${token}${'&a='.repeat(1000)}`, {}],
      ])('6750-3.1-2 a form %s is malformed', async (_title, body, headers) => {
        await expectRefused(body(as.mint()), invalidRequest('The form body could not be read'), headers);
      });
    }
  });
}
