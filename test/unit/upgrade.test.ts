import { IncomingMessage } from 'node:http';
import { Socket } from 'node:net';
import { PassThrough } from 'node:stream';
import type { Duplex } from 'node:stream';
import { afterEach, describe, expect, jest, test } from '@jest/globals';
import { auth, clientSecretBasic, resourceServer } from '../../lib/index.js';
import type { CommonOptions } from '../../lib/index.js';
import type { UpgradeOptions } from '../../lib/upgrade.js';
import { movableClock } from '../support/clock.js';
import type { Clock } from '../support/clock.js';
import { closeAll } from '../support/stage.js';
import { echo, SWITCHED, upgradeScene } from '../support/upgrade-stage.js';
import type { UpgradeScene } from '../support/upgrade-stage.js';
import type { Wire } from '../support/wire.js';

afterEach(async () => {
  jest.restoreAllMocks();
  await closeAll();
});

/** How long a token lives that is to expire within a test: by the clock of the test, which stands still until it is moved. */
const SHORT = 0.05;

describe('options', () => {
  const api = resourceServer({ resource: 'https://api.example.com', issuer: 'https://as.example.com' });

  test.each([
    ['a word', { whenExpired: 'end' }, '"whenExpired" must be "close", "keep" or a function'],
    ['null', { whenExpired: null }, '"whenExpired" must be "close", "keep" or a function'],
    ['one guard', { guards: () => undefined }, '"guards" must be a list such as'],
    ['a scope', { guards: ['chat'] }, '"guards" must be a list such as'],
    ['an object', { app: {} }, '"app"'],
    ['a misspelt name', { guard: [] }, 'guard'],
  ])('%s is a mistake', (_what, options, says) => {
    expect(() => api.upgrade(echo, options as unknown as UpgradeOptions)).toThrow(TypeError);
    expect(() => api.upgrade(echo, options as unknown as UpgradeOptions)).toThrow(says);
    expect(api.upgrade(echo, { whenExpired: 'keep', guards: [] })).toBeInstanceOf(Function);
  });

  test.each([undefined, null, { handleUpgrade: echo }])('no handler: %p', (handler) => {
    const given = handler as unknown as typeof echo;
    expect(() => api.upgrade(given)).toThrow(new RegExp(`^upgrade\\(\\) needs a function, such as .* got `));
  });

  test('a server that has no sockets is told at once', () => {
    const req = new IncomingMessage(new Socket());
    expect(() => {
      api.upgrade(echo)(req, new PassThrough(), Buffer.alloc(0));
    }).toThrow(new TypeError('upgrade() is for servers of node:http and node:https'));
  });
});

describe('the end of a token', () => {
  interface Connected extends UpgradeScene {
    readonly clock: Clock;
    /** A connection with a token that lives for so many seconds. */
    readonly connect: (seconds: number) => Promise<Wire>;
    /** Lets a short token end; all that came over its connection. */
    readonly end: (wire: Wire) => Promise<string>;
  }

  async function start(upgrade: UpgradeOptions = {}, options: Partial<CommonOptions> = {}): Promise<Connected> {
    const clock = movableClock();
    const scene = await upgradeScene({ upgrade, options: { clock, ...options } });
    const connect = async (seconds: number) => {
      const answer = await scene.upgrade(scene.as.mint({ exp: clock.now + seconds, iat: clock.now }));
      expect(answer.status).toBe(101);
      return answer.wire;
    };
    const end = (wire: Wire) => {
      clock.now += SHORT;
      return wire.closed;
    };
    return Object.assign(scene, { clock, connect, end });
  }

  let pings = 0;
  async function expectAlive(wire: Wire): Promise<void> {
    const ping = `ping ${++pings};`;
    wire.write(ping);
    await wire.until(ping);
  }

  test('the connection is cut off, and one with a longer token is not', async () => {
    const scene = await start();
    const [short, long] = [await scene.connect(SHORT), await scene.connect(300)];
    expect(await scene.end(short)).toBe(SWITCHED);
    await expectAlive(long);
    expect(scene.handled.map(({ socket }) => socket.destroyed)).toEqual([true, false]);
  });

  test('a token of months is no token of no time: timers reach for 24 days', async () => {
    const scene = await start();
    const wires = [await scene.connect(40 * 86_400), await scene.connect(1e12)];
    await scene.end(await scene.connect(SHORT));
    for (const wire of wires) await expectAlive(wire);
  });

  test('by the clock of the machine, where no other is set', async () => {
    const scene = await upgradeScene();
    const [short, long] = [Date.now() / 1000 + 1.5, Date.now() / 1000 + 300];
    const [ending, lasting] = [
      await scene.upgrade(scene.as.mint({ exp: short })),
      await scene.upgrade(scene.as.mint({ exp: long })),
    ];
    expect(await ending.wire.closed).toBe(SWITCHED);
    expect(Date.now() / 1000).toBeGreaterThanOrEqual(short);
    await expectAlive(lasting.wire);
  });

  test.each([0, 5])('by the clock of the options, with a tolerance of %d seconds', async (clockTolerance) => {
    const scene = await start({}, { clockTolerance });
    const wire = await scene.connect(SHORT - clockTolerance);
    const other = await start();
    for (let i = 0; i < 3; i++) await other.end(await other.connect(SHORT)); // time goes by elsewhere
    await expectAlive(wire);
    expect(await scene.end(wire)).toContain(SWITCHED);
  });

  test('keep: the connection outlives its token', async () => {
    const scene = await start({ whenExpired: 'keep' });
    const wire = await scene.connect(SHORT);
    scene.clock.now += 1000;
    const other = await start();
    for (let i = 0; i < 3; i++) await other.end(await other.connect(SHORT)); // one after the other, each with its timer
    await expectAlive(wire);
  });

  test('a token that says no end has none', async () => {
    const clientAuthentication = clientSecretBasic('api', 'secret');
    const scene = await start({}, { introspection: { clientAuthentication } } as Partial<CommonOptions>);
    const { status, wire } = await scene.upgrade(scene.as.issue({ exp: undefined }));
    expect(status).toBe(101);
    const short = await scene.upgrade(scene.as.issue({ exp: scene.clock.now + SHORT }));
    await scene.end(short.wire);
    await expectAlive(wire);
  });

  test('a function is called once, with what it needs to say goodbye', async () => {
    const expired: unknown[] = [];
    const scene = await start({
      whenExpired: (socket, req) => {
        expired.push(auth(req).subject, req.url, socket === scene.handled[0]?.socket);
        socket.end('goodbye');
      },
    });
    expect(await scene.end(await scene.connect(SHORT))).toBe(`${SWITCHED}goodbye`);
    expect(expired).toEqual(['alice', '/chat', true]);
  });

  describe('what fails then', () => {
    test.each<[string, () => never]>([
      [
        'throws',
        () => {
          throw new Error('a bug');
        },
      ],
      ['rejects', () => Promise.reject(new Error('a bug')) as never],
      [
        'throws nothing',
        () => {
          throw undefined as unknown;
        },
      ],
    ])('a function that %s: the connection is cut off, and the operator is told', async (_what, whenExpired) => {
      const warn = jest.spyOn(process, 'emitWarning').mockImplementation(() => undefined);
      const scene = await start({ whenExpired });
      expect(await scene.end(await scene.connect(SHORT))).toBe(SWITCHED);
      expect(warn).toHaveBeenCalledTimes(1);
      await expectAlive(await scene.connect(300));
    });

    test('a clock that breaks: the connection is cut off, and the operator is told', async () => {
      const warn = jest.spyOn(process, 'emitWarning').mockImplementation(() => undefined);
      const scene = await start();
      const wire = await scene.connect(SHORT);
      const { now } = scene.clock;
      scene.clock.now = NaN;
      expect(await wire.closed).toBe(SWITCHED);
      expect(warn).toHaveBeenCalledTimes(1);
      scene.clock.now = now;
      await expectAlive(await scene.connect(300));
    });
  });

  test('a token that ended before the handler ran: the handler comes first all the same', async () => {
    const order: string[] = [];
    const guards: UpgradeOptions['guards'] = [
      (_req, _res, next) => {
        scene.clock.now += 1000; // it asked somebody, and that took its time
        next();
      },
    ];
    const whenExpired = (socket: Duplex) => {
      order.push('expired');
      socket.end('goodbye');
    };
    const scene = await start({ guards, whenExpired });
    scene.onUpgrade = (...given) => {
      order.push('handled');
      return echo(...given);
    };
    const answer = await scene.upgrade(scene.as.mint());
    expect(await answer.wire.closed).toBe(`${SWITCHED}goodbye`);
    expect(order).toEqual(['handled', 'expired']);
  });

  test('who has left is not waited for', async () => {
    const expired: string[] = [];
    const scene = await start({ whenExpired: (socket, { url = '' }) => void (expired.push(url), socket.destroy()) });
    const exp = scene.clock.now + SHORT;
    const { wire: leaving } = await scene.upgrade(scene.as.mint({ exp }), {}, '/leaving');
    const left = new Promise((resolve) => scene.handled[0]?.socket.once('close', resolve));
    const { wire: staying } = await scene.upgrade(scene.as.mint({ exp }), {}, '/staying');
    leaving.socket.destroy();
    await left;
    await scene.end(staying);
    expect(expired).toEqual(['/staying']);
  });
});
