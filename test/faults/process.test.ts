import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { TestAuthorizationServer } from '../support/authorization-server.js';
import { runChild } from '../support/child.js';
import { closeAll, closing } from '../support/faults.js';

/**
 * An app of its own that goes through an outage of the authorization server and then closes its server. It says what its
 * caller saw and how long it lived after that. The time moves by the numbers in `moves`.
 */
const MAIN = `
import { performance } from 'node:perf_hooks';
import express from 'express';
import { resourceServer } from './lib/index.js';

const [issuer, resource, tokens, plan] = process.argv.slice(2);
let now = Date.now() / 1000;
const app = express();
const middleware = resourceServer({ resource, issuer, clock: () => now });
app.use(middleware, (req, res) => { res.json({}); });
const server = app.listen(0, '127.0.0.1', async () => {
  const statuses = [];
  for (const { tell, move = 0, token, ready } of JSON.parse(plan)) {
    if (tell !== undefined) {
      await new Promise((resolve) => setTimeout(resolve, 100)); // what runs in the background comes to its end
      await fetch(new URL(tell, issuer));
    }
    now += move;
    if (ready) statuses.push(await middleware.ready().then(() => 'ready', (error) => error.name));
    if (token === undefined) continue;
    const { port } = server.address();
    const headers = { authorization: 'Bearer ' + JSON.parse(tokens)[token], connection: 'close' };
    const answers = await Promise.all(Array.from({ length: 5 }, () => fetch('http://127.0.0.1:' + port, { headers })));
    statuses.push(...new Set(answers.map(({ status }) => status)));
  }
  const closing = performance.now();
  server.close();
  server.closeAllConnections();
  process.on('exit', () => { console.log(JSON.stringify({ statuses, milliseconds: performance.now() - closing })); });
});
`;

let as: TestAuthorizationServer;
let tokens: Record<string, string>;

beforeEach(async () => {
  as = closing(await TestAuthorizationServer.start());
  // Switches of the authorization server, for the child to turn.
  const answers: Parameters<typeof as.answers.set>[1][] = [
    (_req, res) => void res.writeHead(500).end(),
    () => undefined,
    (req) => void req.socket.destroy(),
  ];
  for (const [i, name] of ['/error', '/hang', '/hangup'].entries()) {
    as.answers.set(name, (_req, res) => {
      const answer = answers[i];
      if (answer !== undefined) as.answers.set('/jwks', answer);
      res.end();
    });
  }
  as.answers.set('/well', (_req, res) => {
    as.answers.delete('/jwks');
    res.end();
  });
  const times = { exp: Math.floor(Date.now() / 1000) + 100_000 };
  tokens = {
    good: as.mint(times),
    unknown: as.mint(times, { header: { kid: 'unknown' } }),
    wrong: as.mint({ aud: 'x' }),
  };
});

afterEach(closeAll);

async function live(plan: readonly object[], flags: readonly string[] = []) {
  const { code, stdout, stderr } = await runChild(
    MAIN,
    ['--unhandled-rejections=strict', ...flags],
    [as.issuer, as.resource, JSON.stringify(tokens), JSON.stringify(plan)],
  );
  expect(stderr).not.toContain('Error');
  expect(code).toBe(0);
  const { statuses, milliseconds } = JSON.parse(stdout) as { statuses: unknown[]; milliseconds: number };
  return { statuses, milliseconds, stderr };
}

test('through an outage nothing is left unhandled, and the process ends by itself when its server closes', async () => {
  const { statuses, milliseconds } = await live([
    { token: 'good' },
    { tell: '/error', move: 300, token: 'good' }, // fails in the background
    { tell: '/hangup', move: 30, token: 'good' },
    { move: 30, token: 'unknown' },
    { move: 300, token: 'good' },
    { move: 30, ready: true },
    { tell: '/well', move: 30, token: 'unknown' },
    { token: 'good' },
    { token: 'wrong' },
  ]);
  expect(statuses).toEqual([200, 200, 200, 503, 200, 'ready', 401, 200, 401]);
  expect(milliseconds).toBeLessThan(2_000); // less than the five seconds of a document
}, 60_000);

test('with a server that is down at start, ready() rejects and nothing is left unhandled', async () => {
  const { statuses, milliseconds } = await live([
    { tell: '/hangup', ready: true, token: 'good' },
    { tell: '/well', move: 30, token: 'good' },
  ]);
  expect(statuses).toEqual(['VerificationUnavailableError', 503, 200]);
  expect(milliseconds).toBeLessThan(2_000);
}, 60_000);

test('a refresh that hangs keeps the process no longer than its time limit, and fails into nobody', async () => {
  const { statuses, milliseconds } = await live([{ token: 'good' }, { tell: '/hang', move: 300, token: 'good' }]);
  expect(statuses).toEqual([200, 200]);
  expect(milliseconds).toBeLessThan(8_000);
}, 60_000);

test('a hint is a warning of the process, once', async () => {
  const { stderr } = await live([{ token: 'wrong' }, { token: 'wrong' }]);
  expect(stderr.match(/\[OAUTH2_RS_AUDIENCE\] OAuth2ResourceServerHint: A refused token/g)).toHaveLength(1);
}, 60_000);
