import type { ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { runChild } from '../support/child.js';
import { heapInUse } from '../support/memory.js';
import { expectRefusal, unauthorized } from '../support/refusals.js';
import { closeAll } from '../support/stage.js';
import { TestAuthorizationServer } from '../support/authorization-server.js';
import { SWITCHED, upgradeScene } from '../support/upgrade-stage.js';
import type { UpgradeScene } from '../support/upgrade-stage.js';
import { signingKey } from '../support/tokens.js';
import { upgradeText } from '../support/wire.js';
import type { Upgraded } from '../support/wire.js';

/** What went wrong with nobody there to notice. Node itself would have ended the process. */
const unnoticed: unknown[] = [];
const notice = (error: unknown) => void unnoticed.push(error);

beforeEach(() => {
  unnoticed.length = 0;
  process.on('unhandledRejection', notice);
});

afterEach(async () => {
  await closeAll();
  await new Promise((resolve) => setImmediate(resolve));
  process.off('unhandledRejection', notice);
  expect(unnoticed).toEqual([]);
});

/** Still at work: a good token passes, and data come back. */
async function expectWell(scene: UpgradeScene): Promise<void> {
  const { wire } = await scene.upgrade(scene.as.mint());
  wire.write('ping');
  expect(await wire.until('ping')).toBe(`${SWITCHED}ping`);
  wire.socket.destroy();
}

/** Holds the keys back; `go` hands them out. `asked` is when somebody waits for them. */
function slowKeys(as: TestAuthorizationServer) {
  const waiting: ServerResponse[] = [];
  let tell: () => void = () => undefined;
  const asked = new Promise<void>((resolve) => (tell = resolve));
  as.answers.set('/jwks', (_req, res) => {
    waiting.push(res);
    tell();
  });
  const go = () => {
    as.answers.delete('/jwks');
    const body = JSON.stringify({ keys: as.keys.map(({ jwk }) => jwk) });
    for (const res of waiting) res.writeHead(200, { 'Content-Type': 'application/json' }).end(body);
  };
  return { asked, go };
}

describe('handlers with bugs', () => {
  test.each<[string, () => unknown]>([
    [
      'throws',
      () => {
        throw new Error('a bug');
      },
    ],
    ['rejects', () => Promise.reject(new Error('a bug'))],
    [
      'rejects later',
      async () => {
        await new Promise((resolve) => setImmediate(resolve));
        throw new Error('a bug');
      },
    ],
    [
      'throws nothing',
      () => {
        throw undefined as unknown;
      },
    ],
    [
      'throws a word',
      () => {
        throw 'route' as unknown;
      },
    ],
  ])('one that %s: 500, the connection closes, and the process lives', async (_what, fails) => {
    const scene = await upgradeScene();
    const { onUpgrade } = scene;
    scene.onUpgrade = fails;
    const answer = await scene.upgrade(scene.as.mint());
    expect([answer.statusLine, answer.all('connection')]).toEqual(['HTTP/1.1 500 Internal Server Error', ['close']]);
    expect(answer.all('content-length')).toEqual([String(answer.body.length)]);
    scene.onUpgrade = onUpgrade;
    await expectWell(scene);
  });

  test.each<[string, (socket: Duplex) => unknown]>([
    [
      'wrote and then throws',
      (socket) => {
        socket.write(SWITCHED);
        throw new Error('a bug');
      },
    ],
    [
      'wrote and then rejects',
      async (socket) => {
        socket.write(SWITCHED);
        await Promise.resolve();
        throw new Error('a bug');
      },
    ],
    [
      'ended the connection and then throws',
      (socket) => {
        socket.end(SWITCHED);
        throw new Error('a bug');
      },
    ],
    [
      'destroyed the connection and then throws',
      (socket) => {
        socket.destroy();
        throw new Error('a bug');
      },
    ],
  ])('one that %s: the connection is cut off, and no answer gets into what it wrote', async (_what, fails) => {
    const scene = await upgradeScene();
    const { onUpgrade } = scene;
    scene.onUpgrade = (_req, socket) => fails(socket);
    const wire = await scene.open();
    wire.write(upgradeText({ Authorization: `Bearer ${scene.as.mint()}` }));
    expect(['', SWITCHED]).toContain(await wire.closed);
    expect(scene.handled.map(({ socket }) => socket.destroyed)).toEqual([true]);
    scene.onUpgrade = onUpgrade;
    await expectWell(scene);
  });
});

describe('clients that do not wait', () => {
  test.each<[string, (socket: Upgraded['wire']['socket']) => void]>([
    ['ends', (socket) => void socket.end()],
    ['leaves', (socket) => void socket.destroy()],
    ['resets', (socket) => void socket.resetAndDestroy()],
  ])('one that %s while its token is verified: nothing is left of it', async (_what, leave) => {
    const scene = await upgradeScene();
    const { asked, go } = slowKeys(scene.as);
    const sockets = socketsOf(scene);
    const forged = scene.as.mint({}, { key: signingKey('ES256', 'first') });
    const wires = await Promise.all(
      [scene.as.mint(), forged].map(async (token) => {
        const wire = await scene.open();
        wire.write(upgradeText({ Authorization: `Bearer ${token}` }));
        return wire;
      }),
    );
    await asked;
    for (const { socket } of wires) leave(socket);
    go();
    await Promise.all(sockets().map(closeOf));
    expect(sockets()).toHaveLength(2);
    await expectWell(scene);
  });

  test('one that resets while an asynchronous handler has not listened to the socket yet: the process lives', async () => {
    const scene = await upgradeScene();
    const { onUpgrade } = scene;
    const destroyed: boolean[] = [];
    let goOn: () => void = () => undefined;
    const looked = new Promise<void>((resolve) => (goOn = resolve));
    scene.onUpgrade = async (_req, socket) => {
      wire.socket.resetAndDestroy();
      await closeOf(socket); // a look into a database, say
      destroyed.push(socket.destroyed);
      goOn();
    };
    const wire = await scene.open();
    wire.write(upgradeText({ Authorization: `Bearer ${scene.as.mint()}` }));
    await looked;
    expect(destroyed).toEqual([true]);
    scene.onUpgrade = onUpgrade;
    await expectWell(scene);
  });

  test('one that resets after its refusal, or instead of reading it', async () => {
    const scene = await upgradeScene();
    for (let i = 0; i < 50; i++) {
      const wire = await scene.open();
      wire.write(upgradeText());
      if (i % 2 === 0) await wire.until('HTTP/1.1 401');
      wire.socket.resetAndDestroy();
    }
    await expectWell(scene);
    expectRefusal(await scene.upgrade(), unauthorized());
  });

  test('what one sends while its token is verified reaches the handler, in order', async () => {
    const scene = await upgradeScene();
    const { asked, go } = slowKeys(scene.as);
    const wire = await scene.open();
    const large = 'x'.repeat(300_000);
    wire.write(`${upgradeText({ Authorization: `Bearer ${scene.as.mint()}` })}first `);
    await asked;
    wire.write(large);
    wire.write(' last');
    go();
    expect(await wire.until(' last')).toBe(`${SWITCHED}first ${large} last`);
  });
});

/** However it ends: `once` of Node would throw the error, and listen to it. */
function closeOf(socket: Duplex): Promise<void> {
  return new Promise((resolve) => {
    if (socket.closed) resolve();
    else
      socket.once('close', () => {
        resolve();
      });
  });
}

/** The server's ends of all connections. */
function socketsOf({ server }: UpgradeScene): () => Duplex[] {
  const sockets: Duplex[] = [];
  server.on('connection', (socket) => sockets.push(socket));
  return () => sockets;
}

describe('what is left behind', () => {
  test('by 3,000 upgrades that are refused: no connection, no memory', async () => {
    const scene = await upgradeScene();
    const sockets = socketsOf(scene);
    const expired = scene.as.mint({ exp: 1 });
    const flood = async (count: number) => {
      for (let i = 0; i < count; i += 50) {
        const answers = await Promise.all(
          Array.from({ length: 50 }, (_, j) => scene.upgrade([undefined, expired, 'rubbish'][j % 3])),
        );
        expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 401));
      }
      await Promise.all(sockets().map(closeOf));
      sockets().length = 0;
    };
    await flood(1000);
    const before = await heapInUse();
    await flood(2000);
    expect((await heapInUse()) - before).toBeLessThan(4 * 1024 * 1024);
    expect(scene.handled).toEqual([]);
    await expectWell(scene);
  }, 60_000);

  test('on a connection that was handed over: no listeners but for its end, and none that add up', async () => {
    const scene = await upgradeScene();
    const counts: string[] = [];
    for (let i = 0; i < 20; i++) {
      const { wire } = await scene.upgrade(scene.as.mint());
      const { req, socket } = scene.handled.at(-1) ?? {};
      const names = socket?.eventNames().map((name) => `${String(name)} ${socket.listenerCount(name)}`);
      counts.push(JSON.stringify([names?.sort(), req?.listenerCount('error'), req?.listenerCount('close')]));
      wire.socket.destroy();
      if (socket !== undefined) await closeOf(socket);
    }
    expect(new Set(counts).size).toBe(1);
    expect(counts[0]).not.toMatch(/ (?:[4-9]|\d\d)/);
  });
});

/** Upgrades one connection with a token of five minutes, closes the server, and says how long it lived after that. */
const MAIN = `
import http from 'node:http';
import { connect } from 'node:net';
import { resourceServer } from './lib/index.js';

const [issuer, resource, token] = process.argv.slice(2);
const api = resourceServer({ resource, issuer });
const server = http.createServer();
server.on('upgrade', api.upgrade((req, socket) => {
  socket.on('error', () => {});
  socket.unref();
  socket.write('HTTP/1.1 101 Switching Protocols\\r\\n\\r\\n');
}));
server.listen(0, '127.0.0.1', () => {
  const client = connect(server.address().port, '127.0.0.1');
  client.write(['GET / HTTP/1.1', 'Host: a', 'Connection: Upgrade', 'Upgrade: x', 'Authorization: Bearer ' + token, '', ''].join('\\r\\n'));
  client.once('data', (answer) => {
    console.log(String(answer).slice(0, 12));
    client.unref();
    server.close();
  });
});
`;

test('the timer for the end of a token does not keep a process alive', async () => {
  const as = await TestAuthorizationServer.start();
  try {
    const { code, stdout, stderr } = await runChild(MAIN, [], [as.issuer, as.resource, as.mint()]);
    expect([code, stdout, stderr]).toEqual([0, 'HTTP/1.1 101\n', '']);
  } finally {
    await as.close();
  }
}, 40_000);
