import { afterEach, describe, expect, test } from '@jest/globals';
import type { ServerResponse } from 'node:http';
import { bearerToken, clientSecretBasic, InvalidTokenError, VerificationUnavailableError } from '../../lib/index.js';
import type {
  Authenticated,
  ClientAuthentication,
  CommonOptions,
  Fetch,
  OwnToken,
  SelectIntrospection,
} from '../../lib/index.js';
import { startApp } from '../support/app.js';
import type { TestApp } from '../support/app.js';
import { expectForgeryRefused } from '../support/attack.js';
import { sendJson, TestAuthorizationServer } from '../support/authorization-server.js';
import type { Question } from '../support/authorization-server.js';
import { runChild } from '../support/child.js';
import { diagnosticsOf } from '../support/diagnostics.js';
import { until } from '../support/faults.js';
import { closeAll, closing, expectAccepted, expectUnavailable, SAYS } from '../support/stage.js';

const API = 'https://api.example.com';
const basic = clientSecretBasic('rs1', 'secret');
const SECRET = 'what another server said in confidence';

afterEach(closeAll);

interface Hooked {
  readonly as: TestAuthorizationServer;
  readonly app: TestApp;
}

async function hooked(
  clientAuthentication: ClientAuthentication = basic,
  options: Partial<CommonOptions> = {},
): Promise<Hooked> {
  const as = closing(await TestAuthorizationServer.start());
  const introspection = { clientAuthentication, endpoint: as.introspectionEndpoint };
  return { as, app: closing(await startApp({ resource: API, issuer: as.issuer, introspection, ...options })) };
}

/** A bug in a hook: 500 from Express, the handler does not run. */
async function expectBug(app: TestApp, token: string): Promise<void> {
  const before = app.handled;
  const { status, challenge } = await app.get('/protected', token);
  expect({ status, challenge, handled: app.handled }).toEqual({ status: 500, challenge: undefined, handled: before });
}

/** As a careless hook does it. */
function throwing(thrown: unknown): () => never {
  return () => {
    throw thrown;
  };
}

describe('an introspectAt that goes wrong lets nobody pass, and shows the token to nobody', () => {
  test.each<[what: string, hook: () => unknown]>([
    ['throws', throwing(new Error(SECRET))],
    ['rejects', () => Promise.reject(new Error(SECRET))],
    ...[undefined, null, 'route', 'router', 0, ''].map(
      (thrown) => [`throws ${String(thrown)}`, throwing(thrown)] as [string, () => unknown],
    ),
    ['gives nothing', () => undefined],
    ['gives null', () => Promise.resolve(null)],
    ['gives a number', () => 5],
    ['gives an object', () => ({ length: 1 })],
    ['gives a list with nothing in it', () => [undefined]],
    ['gives a stranger', () => ['https://stranger.example']],
  ])('it %s', async (_what, hook) => {
    let isBroken = true;
    const { as, app } = await hooked(basic, {
      introspectAt: (() => (isBroken ? hook() : [as.issuer])) as SelectIntrospection,
    });
    const token = as.issue();
    await expectBug(app, token);
    expect(as.log).toEqual([]);
    isBroken = false;
    await expectAccepted(app, token);
  });

  test.each(['text', 'set'])('it gives its issuer as a %s, and not in a list', async (how) => {
    const { as, app } = await hooked(basic, {
      introspectAt: (() => (how === 'text' ? as.issuer : new Set([as.issuer]))) as unknown as SelectIntrospection,
    });
    await expectBug(app, as.issue());
    expect(as.log).toEqual([]);
  });

  test('it gives an empty list: a token that is nobody is refused', async () => {
    let isEmpty = true;
    const { as, app } = await hooked(basic, { introspectAt: () => (isEmpty ? [] : [as.issuer]) });
    const token = as.issue();
    await expectForgeryRefused(app, token, 'The access token is not active');
    expect(as.log).toEqual([]);
    isEmpty = false;
    await expectAccepted(app, token);
  });

  test('it throws a refusal, or that it could not find out: the answer is that', async () => {
    let thrown: Error = new InvalidTokenError('The access token is not accepted here');
    const { as, app } = await hooked(basic, { introspectAt: () => throwing(thrown)() });
    await expectForgeryRefused(app, as.issue(), SAYS.hook);
    thrown = new VerificationUnavailableError('the table of prefixes is away');
    await expectUnavailable(app, as.issue());
    expect(as.log).toEqual([]);
  });

  test('it never answers: its own request waits, and no other', async () => {
    let asked = 0;
    const never = new Promise<readonly string[]>(() => undefined);
    const { as, app } = await hooked(basic, {
      introspectAt: (token) => {
        asked++;
        return token === 'stuck' ? never : [as.issuer];
      },
    });
    const patience = new AbortController();
    const headers = { authorization: 'Bearer stuck' };
    const stuck = app.request('/protected', { headers, signal: patience.signal }).catch((error: unknown) => error);
    await until(() => asked === 1, 'the request that waits');
    await expectAccepted(app, as.issue());
    patience.abort();
    expect(await stuck).toMatchObject({ name: 'AbortError' });
  });
});

describe('a clientAuthentication that goes wrong', () => {
  test.each<[what: string, authenticate: () => unknown]>([
    ['throws undefined', throwing(undefined)],
    ['throws a refusal', throwing(new InvalidTokenError('The access token is not accepted here'))],
    ['gives null', () => null],
    ['gives a number', () => 5],
    ['gives a list', () => ['Basic x']],
    ['gives the headers by another name', () => ({ header: { authorization: 'Basic x' } })],
    ['gives a header with a line end', () => ({ headers: { 'x-key': `a\r\nauthorization: ${SECRET}` } })],
    ['gives a header with a space in its name', () => ({ headers: { 'x key': 'a' } })],
    ['gives a header with what no header has', () => ({ headers: { 'x-key': '\u2603' } })],
  ])('it %s: 503, nobody is asked, and its words go nowhere', async (_what, authenticate) => {
    let isBroken = true;
    const { as, app } = await hooked({
      authenticate: () => (isBroken ? (authenticate() as Authenticated) : { headers: { 'x-key': 'a' } }),
    });
    const token = as.issue();
    const events = await diagnosticsOf(() => expectUnavailable(app, token));
    expect(as.questions).toEqual([]);
    expect(JSON.stringify(events)).not.toMatch(/confidence|x-key|Basic/);
    isBroken = false;
    await expectAccepted(app, token);
  });

  test('7662-2.1-2 its parameters cannot replace the token, nor its hint', async () => {
    const { as, app } = await hooked({
      authenticate: () => ({ parameters: { token: 'other', token_type_hint: 'refresh_token', who: 'rs1' } }),
    });
    const token = as.issue();
    as.opaque.set('other', { client_id: 'editor', token_type: 'Bearer' });
    await expectAccepted(app, token);
    expect(as.questions.map(({ form }) => form.getAll('token'))).toEqual([[token]]);
    expect(as.questions.map(({ form }) => form.getAll('token_type_hint'))).toEqual([['access_token']]);
  });
});

describe('a renew that goes wrong', () => {
  const keyed = (keys: { now: string }, renew: () => unknown): ClientAuthentication => ({
    authenticate: () => ({ headers: { 'x-key': keys.now } }),
    renew,
  });
  /** Knows one key only. */
  const onlyNew = (as: TestAuthorizationServer) => (question: Question, res: ServerResponse) => {
    if (question.headers['x-key'] === 'new') sendJson(res, as.answerTo(question.form.get('token')));
    else res.writeHead(401).end();
  };

  test('7662-2.3-1 it throws: 503, and its words go nowhere', async () => {
    const keys = { now: 'old' };
    const { as, app } = await hooked(keyed(keys, throwing(new Error(SECRET))));
    as.onQuestion = onlyNew(as);
    const token = as.issue();
    const events = await diagnosticsOf(() => expectUnavailable(app, token));
    expect(JSON.stringify(events)).not.toContain(SECRET);
    keys.now = 'new';
    await expectAccepted(app, token);
  });

  test('7662-2.3-1 it takes its time: the question is repeated when it has ended', async () => {
    const keys = { now: 'old' };
    const later = () =>
      new Promise<void>((resolve) => {
        setTimeout(() => {
          keys.now = 'new';
          resolve();
        }, 50);
      });
    const { as, app } = await hooked(keyed(keys, later));
    as.onQuestion = onlyNew(as);
    await expectAccepted(app, as.issue());
    expect(as.questions.map(({ headers }) => headers['x-key'])).toEqual(['old', 'new']);
  });

  test('it rejects: the process lives', async () => {
    const { code, stdout, stderr } = await runChild(REJECTING, [], []);
    expect({ code, stdout, stderr }).toEqual({ code: 0, stdout: '503 alive', stderr: '' });
  }, 40_000);

  const REJECTING = `
    import { createServer } from 'node:http';
    import express from 'express';
    import { resourceServer } from './lib/index.js';
    const listen = (handler) => new Promise((resolve) => {
      const server = createServer(handler).listen(0, '127.0.0.1', () => resolve(server));
    });
    const urlOf = (server) => 'http://127.0.0.1:' + server.address().port;
    const as = await listen((_req, res) => res.writeHead(401).end());
    const clientAuthentication = { authenticate: () => ({ headers: { 'x-key': 'a' } }), renew: () => Promise.reject(new Error('no new key')) };
    const app = express().use(resourceServer({
      resource: 'https://api.example.com', issuer: urlOf(as), introspection: { clientAuthentication, endpoint: urlOf(as) },
    }));
    const api = await listen(app);
    const { status } = await fetch(urlOf(api), { headers: { authorization: 'Bearer opaque' } });
    await new Promise((resolve) => setTimeout(resolve, 50));
    process.stdout.write(status + ' alive');
    process.exit(0);
  `;
});

describe('a getToken that goes wrong', () => {
  test.each<[what: string, getToken: () => unknown]>([
    ['throws undefined', throwing(undefined)],
    ['rejects', () => Promise.reject(new Error(SECRET))],
    ...[undefined, null, 'text', 5, [], {}].map(
      (given) => [`gives ${JSON.stringify(given) || 'nothing'}`, () => given] as [string, () => unknown],
    ),
    ...[undefined, null, 5, true, ['abc'], '', 'a b', 'a\r\nx: y', '\u00e9', 'a"'].map(
      (accessToken) =>
        [`gives ${JSON.stringify(accessToken) || 'nothing'} for a token`, () => ({ accessToken })] as [
          string,
          () => unknown,
        ],
    ),
    ['gives the answer of a token endpoint', () => ({ access_token: 'abc', expires_in: 60 })],
  ])('it %s: 503, nobody is asked, and its words go nowhere', async (_what, getToken) => {
    let isBroken = true;
    const { as, app } = await hooked(
      bearerToken(() => (isBroken ? (getToken() as OwnToken) : { accessToken: 'ours', expiresIn: 60 })),
    );
    const token = as.issue();
    const events = await diagnosticsOf(() => expectUnavailable(app, token));
    expect(as.questions.map(({ headers }) => headers.authorization)).toEqual([]);
    expect(JSON.stringify(events)).not.toContain(SECRET);
    isBroken = false;
    await expectAccepted(app, token);
    expect(as.questions.map(({ headers }) => headers.authorization)).toEqual(['Bearer ours']);
  });
});

describe('a fetch that goes wrong', () => {
  test.each<[what: string, hook: Fetch]>([
    ['throws undefined', throwing(undefined)],
    ['rejects with a refusal', () => Promise.reject(new InvalidTokenError('The access token is not accepted here'))],
    ...[undefined, null, 'text', {}, { status: 200 }, { status: 200, headers: {} }].map(
      (given) => [`gives ${JSON.stringify(given) || 'nothing'}`, () => given] as unknown as [string, Fetch],
    ),
    [
      'gives an answer that was read',
      async () => {
        const response = Response.json({ active: true, client_id: 'editor', token_type: 'Bearer' });
        await response.text();
        return response;
      },
    ],
    ['gives an answer that is an error', () => Promise.resolve(Response.error())],
  ])('it %s: nobody passes', async (_what, hook) => {
    let isBroken = true;
    const { as, app } = await hooked(basic, { fetch: (...args) => (isBroken ? hook(...args) : fetch(...args)) });
    const token = as.issue();
    const { status, challenge } = await app.get('/protected', token);
    expect([500, 503]).toContain(status);
    expect([challenge, app.handled, as.questions]).toEqual([undefined, 0, []]);
    isBroken = false;
    await expectAccepted(app, token);
  });

  test('it changes the URL that it is given: later questions go where they should', async () => {
    const { as, app } = await hooked(basic, {
      fetch: (input, init) => {
        const url = input instanceof URL ? input : new URL(input instanceof Request ? input.url : input);
        given.push(url.href);
        url.searchParams.append('via', 'proxy');
        return fetch(as.introspectionEndpoint, init);
      },
    });
    const given: string[] = [];
    for (let i = 0; i < 3; i++) await expectAccepted(app, as.issue());
    expect(given).toEqual(Array(3).fill(as.introspectionEndpoint));
  });
});

test('hooks that never answer: 503 in time, and nobody else waits', async () => {
  const never = () => new Promise<never>(() => undefined);
  const stuck = [
    await hooked({ authenticate: never }),
    await hooked(bearerToken(never)),
    await hooked(basic, { fetch: never }),
  ];
  await Promise.all(stuck.map(({ as, app }) => expectUnavailable(app, as.issue())));
  expect(stuck.flatMap(({ as }) => as.questions)).toEqual([]);
  const { as, app } = await hooked();
  await expectAccepted(app, as.issue());
}, 20_000);
