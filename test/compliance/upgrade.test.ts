import { afterEach, describe, expect, test } from '@jest/globals';
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import express from 'express';
import express4 from 'express4';
import { WebSocket, WebSocketServer } from 'ws';
import {
  auth,
  checkScope,
  problemDetails,
  requireClaim,
  requireScope,
  requireStepUp,
  VerificationUnavailableError,
} from '../../lib/index.js';
import {
  expectRefusal,
  insufficientScope,
  invalidRequest,
  invalidToken,
  MALFORMED_HEADER,
  RESOURCE,
  unauthorized,
} from '../support/refusals.js';
import type { UpgradeHandler } from '../../lib/upgrade.js';
import { closeAll, SAYS } from '../support/stage.js';
import { SWITCHED, upgradeScene } from '../support/upgrade-stage.js';
import type { UpgradeScene } from '../support/upgrade-stage.js';
import { upgradeText } from '../support/wire.js';
import type { Upgraded } from '../support/wire.js';

afterEach(closeAll);

/** One whole response, after which the connection closed: nothing is missing, and nothing follows. */
function expectWellFormed(answer: Upgraded, reason: string): void {
  const { statusLine, body, status } = answer;
  const all = (name: string) => answer.all(name);
  expect(statusLine).toBe(`HTTP/1.1 ${status} ${reason}`);
  expect(all('connection')).toEqual(['close']);
  expect(all('content-length')).toEqual([String(Buffer.byteLength(body))]);
  expect([all('transfer-encoding'), all('x-powered-by')]).toEqual([[], []]);
}

/** All that matters of an answer to a client, without what is about the connection. */
function essence(answer: Awaited<ReturnType<UpgradeScene['get']>> | Upgraded) {
  const raw = 'all' in answer;
  const of = (name: string) => (raw ? answer.all(name).join(', ') : (answer.headers.get(name) ?? ''));
  const fields = ['www-authenticate', 'content-type', 'cache-control', 'access-control-expose-headers', 'retry-after'];
  const body = raw ? (JSON.parse(answer.body) as unknown) : answer.body;
  return { status: answer.status, body, ...Object.fromEntries(fields.map((name) => [name, of(name)])) };
}

async function expectSwitched(answer: Upgraded): Promise<void> {
  expect([answer.status, answer.all('www-authenticate')]).toEqual([101, []]);
  answer.wire.write('ping');
  expect(await answer.wire.until('ping')).toBe(`${SWITCHED}ping`);
  answer.wire.socket.destroy();
}

describe('refusals on the socket', () => {
  test('6750-3-1 9110-11.6.1-1 no token, a bad one, a malformed one, too little scope: as over HTTP, then the connection closes', async () => {
    const scene = await upgradeScene({ upgrade: { guards: [requireScope('chat'), requireScope('read')] } });
    const { as } = scene;
    const expired = invalidToken(SAYS.expired);
    const cases = [
      [undefined, {}, 'Unauthorized', unauthorized('chat read')],
      [as.mint({ exp: 1 }), {}, 'Unauthorized', { ...expired, challenge: `${expired.challenge}, scope="chat read"` }],
      [undefined, { Authorization: 'Bearer' }, 'Bad Request', MALFORMED_HEADER],
      [as.mint(), {}, 'Forbidden', insufficientScope('chat read')],
    ] as const;
    for (const [token, headers, reason, refusal] of cases) {
      const answer = await scene.upgrade(token, headers);
      expectRefusal(answer, refusal);
      expectWellFormed(answer, reason);
      expect(essence(answer)).toEqual(essence(await scene.get(token, headers)));
    }
    expect(scene.handled).toEqual([]);
    await expectSwitched(await scene.upgrade(as.mint({ scope: 'chat read' })));
    expect(scene.handled).toHaveLength(1);
  });

  test('6750-3.1-6 6750-3-7 guards of other kinds: what they ask for stands in the first 401, and they answer as over HTTP', async () => {
    const guards = [
      requireStepUp({ acrValues: ['gold'] }),
      requireScope('chat'),
      requireClaim('role', (role) => role === 'editor'),
    ];
    const scene = await upgradeScene({ upgrade: { guards } });
    const good = { acr: 'gold', scope: 'chat', role: 'editor' };
    for (const claims of [undefined, { ...good, acr: 'tin' }, { ...good, scope: 'x' }, { ...good, role: 'reader' }]) {
      const token = claims && scene.as.mint(claims);
      const answer = await scene.upgrade(token);
      expect(essence(answer)).toEqual(essence(await scene.get(token)));
      expect(answer.all('www-authenticate')).toHaveLength(1);
      expect(answer.status).toBe(claims === undefined || claims.acr === 'tin' ? 401 : 403);
    }
    expectRefusal(await scene.upgrade(), unauthorized('chat'));
    expect(scene.handled).toEqual([]);
    await expectSwitched(await scene.upgrade(scene.as.mint(good)));
  });

  test('9110-11.4-1 when nobody can tell: 503 with Retry-After and without a challenge', async () => {
    const scene = await upgradeScene();
    const token = scene.as.mint();
    scene.as.answers.set('/jwks', (_req, res) => void res.writeHead(500).end());
    const answer = await scene.upgrade(token);
    expect([answer.status, answer.all('www-authenticate')]).toEqual([503, []]);
    expect(answer.all('retry-after').join()).toMatch(/^([1-9]|[12]\d|30)$/);
    expect(JSON.parse(answer.body)).toEqual(new VerificationUnavailableError('').body);
    expectWellFormed(answer, 'Service Unavailable');
    expect(scene.handled).toEqual([]);
    scene.as.answers.delete('/jwks');
    scene.api.purge();
    await expectSwitched(await scene.upgrade(token));
  });

  test('6750-3-1 onError answers on the socket: Problem Details, one of the user, one that passes the error on', async () => {
    const problems = await upgradeScene({ options: { onError: problemDetails } });
    const problem = await problems.upgrade();
    expect(essence(problem)).toMatchObject({ status: 401, 'content-type': 'application/problem+json; charset=utf-8' });
    expect(JSON.parse(problem.body)).toEqual({ title: 'Unauthorized', status: 401 });
    expect(problem.all('www-authenticate')).toEqual([unauthorized().challenge]);
    expectWellFormed(problem, 'Unauthorized');

    const own = await upgradeScene({
      options: { onError: (error, req, res) => res.status(error.status).set(error.headers).send(`no: ${req.url}`) },
    });
    const answer = await own.upgrade();
    expect([answer.status, answer.body, answer.all('www-authenticate')]).toEqual([
      401,
      'no: /chat',
      [unauthorized().challenge],
    ]);
    expectWellFormed(answer, 'Unauthorized');

    const passing = await upgradeScene({
      options: {
        onError: (error, _req, _res, next) => {
          next(error);
        },
      },
    });
    expectRefusal(await passing.upgrade(), unauthorized());
    for (const { as, handled, upgrade } of [problems, own, passing]) {
      expect(handled).toEqual([]);
      await expectSwitched(await upgrade(as.mint()));
    }
  });

  test('6750-3.1-1 anything but GET: 405, whatever it carries, and no token in a form is looked at', async () => {
    const scene = await upgradeScene({ options: { methods: ['header', 'body'] } });
    const token = scene.as.mint();
    const form = `access_token=${token}`;
    const type = 'application/x-www-form-urlencoded';
    for (const [method, headers, body] of [
      ['POST', { 'Content-Type': type, 'Content-Length': String(form.length) }, form],
      ['POST', { Authorization: `Bearer ${token}` }, ''],
      ['DELETE', {}, ''],
      ['HEAD', { Authorization: `Bearer ${token}` }, ''],
      ['OPTIONS', {}, ''],
    ] as const) {
      const wire = await scene.open();
      wire.write(upgradeText(headers, '/chat', method) + body);
      const answer = await wire.answer();
      expect([answer.statusLine, answer.all('allow'), answer.all('connection')]).toEqual([
        'HTTP/1.1 405 Method Not Allowed',
        ['GET'],
        ['close'],
      ]);
      expect(answer.body).toBe(method === 'HEAD' ? '' : 'Method Not Allowed');
    }
    expect(scene.handled).toEqual([]);
    await expectSwitched(await scene.upgrade(token));
    // A form that comes with GET carries no token (RFC 6750 section 2.2): it is what the handler gets to read.
    const wire = await scene.open();
    wire.write(upgradeText({ 'Content-Type': type, 'Content-Length': String(form.length) }) + form);
    expectRefusal(await wire.answer(), unauthorized());
  });

  test('6750-2.3-1 a token in the query by option alone, and never in two places', async () => {
    const query = await upgradeScene({ options: { methods: ['header', 'query'] } });
    const token = query.as.mint();
    const path = `/chat?room=1&access_token=${token}`;
    await expectSwitched(await query.upgrade(undefined, {}, path));
    expectRefusal(
      await query.upgrade(token, {}, path),
      invalidRequest('The access token must be sent by one method only'),
    );
    const header = await upgradeScene({ as: query.as });
    expectRefusal(await header.upgrade(undefined, {}, path), unauthorized());
    expect(header.handled).toEqual([]);
  });

  test('9728-5-1 a challenge on the socket says where the metadata are', async () => {
    const scene = await upgradeScene({
      options: { metadata: { scopes_supported: ['chat'] } },
      upgrade: { guards: [requireScope('chat')] },
    });
    const place = '/.well-known/oauth-protected-resource';
    const { challenge } = unauthorized('chat');
    const refused = await scene.upgrade();
    expectRefusal(refused, { ...unauthorized(), challenge: `${challenge}, resource_metadata="${RESOURCE}${place}"` });
    expect((await scene.get(undefined, {}, place)).body).toMatchObject({
      resource: RESOURCE,
      scopes_supported: ['chat'],
    });
    // Over HTTP alone: an upgrade would have the guards of the upgrade in it.
    expect((await scene.upgrade(undefined, {}, place)).status).toBe(401);
    expect(scene.handled).toEqual([]);
  });
});

describe('what a handler throws', () => {
  test.each<[string, UpgradeHandler]>([
    [
      'a function',
      (req, socket) => {
        checkScope(req, 'admin');
        socket.end(SWITCHED);
      },
    ],
    [
      'an asynchronous function',
      async (req, socket) => {
        await Promise.resolve();
        checkScope(req, 'admin');
        socket.end(SWITCHED);
      },
    ],
  ])('6750-3.1-4 checkScope in %s: 403 on the socket, with the scope', async (_what, handler) => {
    const scene = await upgradeScene({ handler });
    const answer = await scene.upgrade(scene.as.mint());
    expectRefusal(answer, insufficientScope('admin'));
    expectWellFormed(answer, 'Forbidden');
    expect((await scene.upgrade(scene.as.mint({ scope: 'admin' }))).status).toBe(101);
  });
});

describe('WebSockets', () => {
  /** The handler of a WebSocket server that says who came, and sends back what they say. */
  function greeter() {
    const sockets = new WebSocketServer({ noServer: true });
    return (req: IncomingMessage, socket: Duplex, head: Buffer) => {
      sockets.handleUpgrade(req, socket, head, (client) => {
        client.send(`hello ${auth(req).subject}`);
        client.on('message', (data: Buffer) => {
          client.send(data.toString());
        });
      });
    };
  }

  /** What the client is told: the first messages, or the status by which it was refused. */
  async function talk(port: number, token: string | undefined, say: string) {
    const headers = token === undefined ? {} : { Authorization: `Bearer ${token}` };
    const client = new WebSocket(`ws://127.0.0.1:${port}/chat`, { headers });
    const heard: string[] = [];
    try {
      return await new Promise((resolve, reject) => {
        client.on('open', () => {
          client.send(say);
        });
        client.on('message', (data: Buffer) => {
          if (heard.push(data.toString()) === 2) resolve(heard);
        });
        client.on('unexpected-response', (_req, res) => {
          resolve({ status: res.statusCode, challenge: res.headers['www-authenticate'] });
          res.resume();
        });
        client.on('error', reject);
      });
    } finally {
      client.terminate();
    }
  }

  test.each([
    ['Express 5', express],
    ['Express 4', express4 as unknown as typeof express],
  ])(
    '6750-2.1-1 ws behind an application of %s: messages with a good token, and else the challenge',
    async (_name, create) => {
      const app = create();
      const scene = await upgradeScene({ handler: greeter(), app, upgrade: { app, guards: [requireScope('chat')] } });
      const { challenge } = unauthorized('chat');
      expect(await talk(scene.port, scene.as.mint({ scope: 'chat' }), 'hi')).toEqual(['hello alice', 'hi']);
      expect(await talk(scene.port, undefined, 'hi')).toEqual({ status: 401, challenge });
      const denied = { status: 403, challenge: insufficientScope('chat').challenge };
      expect(await talk(scene.port, scene.as.mint(), 'hi')).toEqual(denied);
      expect(scene.handled).toHaveLength(1);
    },
  );
});
