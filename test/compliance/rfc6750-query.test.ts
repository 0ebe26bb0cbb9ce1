import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { startApp } from '../support/app.js';
import type { TestApp } from '../support/app.js';
import { TestAuthorizationServer } from '../support/authorization-server.js';
import { FORM } from '../support/body-tests.js';
import { expectRefusal, NO_B64TOKEN, NO_JWT, REPEATED_PARAMETER } from '../support/refusals.js';
import { RESOURCE, TWO_METHODS, unauthorized } from '../support/refusals.js';

let as: TestAuthorizationServer;
let app: TestApp;

beforeAll(async () => {
  as = await TestAuthorizationServer.start();
  app = await startApp({ resource: RESOURCE, issuer: as.issuer, methods: ['header', 'query'] }, (express) => {
    express.get('/status/:status', (req, res) => void res.status(Number(req.params.status)).json({}));
    express.get('/kept', (req, res) => {
      res.set('Cache-Control', req.query['cache'] as string);
      res.json({});
    });
  });
});

beforeEach(() => {
  app.handled = 0;
});

afterAll(async () => {
  await app.close();
  await as.close();
});

describe('RFC 6750 2.3 URI query parameter', () => {
  test('6750-2.3-1 by default a valid token in the query is not looked at; with the option it is accepted', async () => {
    const plain = await startApp({ resource: RESOURCE, issuer: as.issuer });
    try {
      expectRefusal(await plain.get(`/protected?access_token=${as.mint()}`), unauthorized());
      expectRefusal(await plain.get('/protected?access_token=a&access_token=b'), unauthorized());
      expect(plain.handled).toBe(0);
      // Nor does it count as a second method.
      expect((await plain.get('/protected?access_token=a', as.mint())).status).toBe(200);
    } finally {
      await plain.close();
    }
    expect((await app.get(`/protected?access_token=${as.mint()}`)).status).toBe(200);
    expect(app.handled).toBe(1);
  });

  test('6750-2.3-1 a token that is no good is invalid_token', async () => {
    expectRefusal(await app.get('/protected?access_token=mF_9.B5f-4.1JqM'), NO_JWT);
    expect(app.handled).toBe(0);
  });

  test.each([
    ['/protected', 'private'],
    ['/status/201', 'private'],
    ['/status/299', 'private'],
    ['/kept?cache=public', 'private'],
    ['/kept?cache=public,%20max-age=60', 'private, max-age=60'],
    ['/kept?cache=max-age=60,%20s-maxage=600', 'private, max-age=60'],
    ['/kept?cache=PRIVATE', 'private'],
    ['/kept?cache=no-cache', 'private, no-cache'],
    ['/kept?cache=no-store', 'no-store'],
    ['/kept?cache=public,%20No-Store', 'public, No-Store'],
  ])('6750-2.3-2 %s, asked with a token in the query, is sent with %j', async (path, cacheControl) => {
    const answer = await app.get(`${path}${path.includes('?') ? '&' : '?'}access_token=${as.mint()}`);
    expect([answer.headers.get('cache-control'), app.handled]).toEqual([cacheControl, 1]);
  });

  test.each([
    ['/protected', null],
    ['/kept?cache=public', 'public'],
  ])('6750-2.3-2 %s, asked with a token in the header, is left alone', async (path, cacheControl) => {
    const answer = await app.get(path, as.mint());
    expect([answer.status, answer.headers.get('cache-control')]).toEqual([200, cacheControl]);
  });

  test.each([302, 404, 500])('6750-2.3-2 an answer of %i is left alone', async (status) => {
    const answer = await app.request(`/status/${status}?access_token=${as.mint()}`, { redirect: 'manual' });
    expect([answer.status, answer.headers.get('cache-control')]).toEqual([status, null]);
  });

  test.each([
    (token: string) => `?p=q&access_token=${token}`,
    (token: string) => `?access_token=${token}&p=q`,
    (token: string) => `?p=q&access%5Ftoken=${token}&r`,
  ])('6750-2.3-3 the parameters beside the token are intact (%#)', async (query) => {
    const answer = await app.get(`/protected${query(as.mint())}`);
    expect(answer.status).toBe(200);
    expect(answer.body).toMatchObject({ query: { p: 'q' } });
  });

  test.each([
    ['the same twice', (token: string) => `?access_token=${token}&access_token=${token}`],
    ['one of them empty', (token: string) => `?access_token=&access_token=${token}`],
    ['one with an encoded name', (token: string) => `?access%5Ftoken=a&access_token=${token}`],
  ])('6750-3.1-2 a repeated access_token, %s, is malformed', async (_title, query) => {
    expectRefusal(await app.get(`/protected${query(as.mint())}`), REPEATED_PARAMETER);
    expect(app.handled).toBe(0);
  });

  test.each(['access_token[]', 'access_token%5B%5D', 'access_token[0]', 'access_token[x]', 'a[access_token]'])(
    '6750-3.1-2 a valid token as %s is never taken for access_token, whatever the query parser',
    async (name) => {
      const extended = await startApp(
        { resource: RESOURCE, issuer: as.issuer, methods: ['header', 'query'] },
        (express) => express.set('query parser', 'extended'),
      );
      try {
        expectRefusal(await extended.get(`/protected?${name}=${as.mint()}`), unauthorized());
        expect((await extended.get(`/protected?access_token=${as.mint()}`)).status).toBe(200);
        expect(extended.handled).toBe(1);
      } finally {
        await extended.close();
      }
    },
  );

  test.each(['Access_Token', 'ACCESS_TOKEN', 'access-token', 'token', '%20access_token'])(
    '6750-1.1-1 a valid token as %s is not looked at',
    async (name) => {
      expectRefusal(await app.get(`/protected?${name}=${as.mint()}`), unauthorized());
      expect(app.handled).toBe(0);
    },
  );

  test.each(['%00', '%0A', '%0D%0A', '%09', '%1F', '%7F', '%20', '+', '%22', ',', '%C3%A9', '%FF', '%'])(
    '6749-A.12-1 a token with %s in it is malformed',
    async (odd) => {
      expectRefusal(await app.get(`/protected?access_token=${as.mint()}${odd}`), NO_B64TOKEN);
      expectRefusal(await app.get(`/protected?access_token=a${odd}b`), NO_B64TOKEN);
      expect(app.handled).toBe(0);
    },
  );

  test.each(['?access_token=', '?access_token', '?a=1&access_token=&b'])(
    '6750-3.1-2 %s, an empty token, is malformed',
    async (query) => {
      expectRefusal(await app.get(`/protected${query}`), NO_B64TOKEN);
      expect(app.handled).toBe(0);
    },
  );
});

describe('RFC 6750 2 one method for each request', () => {
  const places = ['header', 'body', 'query'] as const;
  type Place = (typeof places)[number];
  const subsets = places.reduce<Place[][]>((sets, place) => [...sets, ...sets.map((set) => [...set, place])], [[]]);
  const withHeader = subsets.filter((set) => set.includes('header'));

  describe.each(withHeader)('methods %j %j %j', (...methods) => {
    const enabled = methods.filter((method) => (places as readonly unknown[]).includes(method));
    let some: TestApp;
    beforeAll(async () => {
      some = await startApp({ resource: RESOURCE, issuer: as.issuer, methods: enabled });
    });
    afterAll(() => some.close());

    test.each(subsets.map((sent) => [sent.join(' and ') || 'nowhere', sent] as const))(
      '6750-2-1 the same valid token %s: counted where it is enabled, and at most once',
      async (_title, sent) => {
        const token = as.mint();
        some.handled = 0;
        const counted = sent.filter((place) => enabled.includes(place)).length;
        const answer = await some.request(`/protected${sent.includes('query') ? `?access_token=${token}` : ''}`, {
          method: 'POST',
          headers: { 'content-type': FORM, ...(sent.includes('header') && { authorization: `Bearer ${token}` }) },
          body: sent.includes('body') ? `access_token=${token}` : 'a=1',
        });
        if (counted === 1) expect(answer.status).toBe(200);
        else expectRefusal(answer, counted === 0 ? unauthorized() : TWO_METHODS);
        expect(some.handled).toBe(counted === 1 ? 1 : 0);
      },
    );

    test('6750-2-1 a bad token in one enabled place does not hide behind a good one in another', async () => {
      some.handled = 0;
      const answer = await some.get('/protected?access_token=rubbish', as.mint());
      if (enabled.includes('query')) expectRefusal(answer, TWO_METHODS);
      else expect(answer.status).toBe(200);
      expect(some.handled).toBe(enabled.includes('query') ? 0 : 1);
    });
  });
});
