import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createServer, connect } from 'node:net';
import type { Socket } from 'node:net';
import type { RequestListener } from 'node:http';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { TestAuthorizationServer } from '../support/authorization-server.js';
import {
  closeAll,
  closing,
  expectAccepted,
  expectUnavailable,
  FRESH,
  LONGEST_WAIT,
  METADATA,
  serve,
  stage,
  TIMEOUT,
  until,
  warmStage,
} from '../support/faults.js';
import type { App, Stage } from '../support/faults.js';
import { movableClock } from '../support/clock.js';
import { expectLimited, measure, trickle } from '../support/time-limit.js';
import type { Measured } from '../support/time-limit.js';

/** Ways of not coming to an end. */
const SLOW: readonly [what: string, listener: RequestListener][] = [
  ['does not answer', () => undefined],
  [
    'stops within the body',
    (_req, res) => void res.writeHead(200, { 'Content-Type': 'application/json' }).write('{"keys":'),
  ],
  ['sends a byte at a time', trickle],
];

// They take five seconds each, so they run side by side before the tests that look at them.
const stages = new Map<string, Stage>();
const measured = new Map<string, Promise<Measured>>();
let full: { readonly child: ChildProcess; readonly port: number; readonly sockets: readonly Socket[] };
let nowhere: App;
let token: string;

beforeAll(async () => {
  for (const [what, listener] of SLOW) {
    for (const path of ['/jwks', METADATA]) {
      const cold = await stage();
      cold.as.answers.set(path, listener);
      stages.set(`${what} ${path}`, cold);
      measured.set(
        `${what} ${path}`,
        measure(() => expectUnavailable(cold.app, cold.mint())),
      );
    }
    const idle = await warmStage();
    idle.as.answers.set('/jwks', listener);
    idle.clock.now += FRESH;
    stages.set(`${what} idle`, idle);
    measured.set(
      `${what} idle`,
      measure(() => expectAccepted(idle.app, idle.mint())),
    );
  }
  full = await fullServer();
  const issuer = `http://127.0.0.1:${full.port}`;
  const as = closing(await TestAuthorizationServer.start());
  const clock = movableClock();
  nowhere = await serve({ resource: as.resource, issuer, clock });
  token = as.mint({ iss: issuer });
  measured.set(
    'connect',
    measure(() => expectUnavailable(nowhere, token)),
  );
  await Promise.all(measured.values());
}, 30_000);

afterAll(async () => {
  for (const socket of full.sockets) socket.destroy();
  const ended = once(full.child, 'exit');
  full.child.kill('SIGKILL');
  await Promise.all([ended, closeAll()]);
  // The attempt that hung ends with its next retransmission, and must not outlive the test.
  await until(
    () => !process.getActiveResourcesInfo().includes('TCPConnectWrap'),
    'the end of the hanging connection',
    12,
  );
}, 15_000);

function staged(name: string): Stage {
  const found = stages.get(name);
  if (found === undefined) throw new Error(`there is no stage ${name}`);
  return found;
}

async function result(name: string): Promise<Measured> {
  return (await measured.get(name)) ?? { milliseconds: NaN, failure: `nothing was measured for ${name}` };
}

/** A server that is stopped with a full queue: the system answers no further attempt to connect. */
async function fullServer() {
  const source = `require('net').createServer().listen({ port: 0, host: '127.0.0.1', backlog: 1 }, function () { console.log(this.address().port) })`;
  const child = spawn(process.execPath, ['-e', source], { stdio: ['ignore', 'pipe', 'inherit'] });
  const [line] = (await once(child.stdout, 'data')) as [Buffer];
  const port = Number(line.toString());
  child.kill('SIGSTOP');
  const sockets = Array.from({ length: 8 }, () => connect(port, '127.0.0.1').on('error', () => undefined));
  await new Promise((resolve) => setTimeout(resolve, 200));
  return { child, port, sockets };
}

describe.each(SLOW)('a server that %s', (what) => {
  test('the keys, at the first token: 503 after five seconds', async () => {
    expectLimited(await result(`${what} /jwks`));
    expect(staged(`${what} /jwks`).as.log).toEqual([`GET ${METADATA}`, 'GET /jwks']);
  });

  test('the metadata, at the first token: 503 after five seconds, and no other place on that host is asked', async () => {
    expectLimited(await result(`${what} ${METADATA}`));
    expect(staged(`${what} ${METADATA}`).as.log).toEqual([`GET ${METADATA}`]);
  });

  test('after the failure nobody waits, and the first request after the pause finds the server well', async () => {
    for (const path of ['/jwks', METADATA]) {
      const { as, app, clock, mint } = staged(`${what} ${path}`);
      const asked = as.log.length;
      const { milliseconds, failure } = await measure(() => expectUnavailable(app, mint()));
      expect(failure).toBeUndefined();
      expect(milliseconds).toBeLessThan(TIMEOUT / 2);
      expect(as.log).toHaveLength(asked);
      as.answers.clear();
      clock.now += LONGEST_WAIT;
      await expectAccepted(app, mint());
    }
  });

  test('after an idle time longer than the keys are fresh: one token waits five seconds, all others pass at once', async () => {
    expectLimited(await result(`${what} idle`));
    const { as, app, clock, mint } = staged(`${what} idle`);
    clock.now += LONGEST_WAIT; // the next attempt is due, and hangs as well
    const { milliseconds, failure } = await measure(async () => {
      for (let i = 0; i < 10; i++) await expectAccepted(app, mint());
    });
    expect(failure).toBeUndefined();
    expect(milliseconds).toBeLessThan(TIMEOUT / 2);
    expect(as.keyFetches).toBe(2);
  });
});

test('a server that does not take the connection: 503 after five seconds', async () => {
  expectLimited(await result('connect'));
  // The control: a plain socket does not get through either.
  const plain = connect(full.port, '127.0.0.1').on('error', () => undefined);
  const connected = await Promise.race([
    once(plain, 'connect').then(() => true),
    new Promise((resolve) => setTimeout(resolve, 300, false)),
  ]);
  plain.destroy();
  expect(connected).toBe(false);
});

test('a server that takes the connection and hangs up: 503 at once', async () => {
  const server = createServer((socket) => socket.destroy());
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  server.unref();
  const { port } = server.address() as { port: number };
  const issuer = `http://127.0.0.1:${port}`;
  const app = await serve({ resource: 'https://api.example.com', issuer });
  const as = closing(await TestAuthorizationServer.start());
  const { milliseconds, failure } = await measure(() => expectUnavailable(app, as.mint({ iss: issuer })));
  server.close();
  expect(failure).toBeUndefined();
  expect(milliseconds).toBeLessThan(TIMEOUT / 2);
});
