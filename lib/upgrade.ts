import { ServerResponse } from 'node:http';
import type { IncomingMessage } from 'node:http';
import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { inspect } from 'node:util';
import express from 'express';
import type { Application, RequestHandler, Response } from 'express';
import { asError } from './answer.js';
import type { Context } from './answer.js';
import { auth } from './auth.js';
import { errorHandler } from './error-handler.js';
import { checkNames, show } from './options.js';
import type { Seconds } from './types.js';

/** Takes over a connection: `auth(req)` and `checkScope(req, …)` work in it, and what they throw is answered on the socket. */
export type UpgradeHandler = (req: IncomingMessage, socket: Duplex, head: Buffer) => unknown;

/** For `server.on('upgrade', …)`. */
export type UpgradeListener = (req: IncomingMessage, socket: Duplex, head: Buffer) => void;

/** Options of `upgrade()`. */
export interface UpgradeOptions {
  /** Guards that a request must pass, such as `requireScope('chat')`; a client without a token is told what they need. Default: none. */
  readonly guards?: readonly RequestHandler[];
  /** The application, for its `trust proxy`. Default: no proxy is trusted. */
  readonly app?: Application;
  /**
   * What becomes of a connection whose token expires: it is cut off (`close`), it lives on (`keep`), or the function is called
   * to end it in a better way. Default: `close`. A token that is revoked meanwhile is not noticed.
   */
  readonly whenExpired?: 'close' | 'keep' | ((socket: Duplex, req: IncomingMessage) => unknown);
}

/** The clock is looked at so often, in case that somebody sets it; timers of Node reach for 24 days only. */
const LONGEST_WAIT: Seconds = 3600;

/**
 * An upgrade is a request like any other, up to the moment when its connection is handed over. So it goes through a small
 * application of its own, with a response that is written to the socket if it is refused.
 *
 * @throws TypeError for mistakes in the options.
 */
export function upgradeListener(
  authenticate: RequestHandler,
  context: Context,
  handler: UpgradeHandler,
  options: UpgradeOptions,
): UpgradeListener {
  const { guards, whenExpired } = checked(handler, options);
  const { app: trusting } = options;
  const upgrades = new WeakMap<IncomingMessage, Upgrade>();
  const app = express().disable('x-powered-by');
  if (trusting !== undefined) app.set('trust proxy', (address: string, hop: number) => trustOf(trusting)(address, hop));
  app.use(onlyGet, authenticate, ...guards, (req, res, next) => {
    handOver(req, res).catch((error: unknown) => {
      next(asError(error));
    });
  });
  app.use(errorHandler);

  async function handOver(req: IncomingMessage, res: Response): Promise<void> {
    const { socket, head } = upgrades.get(req) ?? {};
    if (socket === undefined || head === undefined || isOver(socket)) return; // the client did not wait
    res.detachSocket(socket);
    const forget = watch(req, socket);
    const { bytesWritten } = socket;
    try {
      await handler(req, socket, head);
    } catch (error) {
      forget();
      if (isOver(socket) || socket.bytesWritten > bytesWritten) socket.destroy();
      else take(res, socket);
      throw error;
    }
  }

  /** Ends the connection when the token expires. Gives what stops that. */
  function watch(req: IncomingMessage, socket: Socket): () => void {
    const { expiresAt } = auth.optional(req) ?? {};
    if (expiresAt === undefined || whenExpired === 'keep') return () => undefined;
    const until = expiresAt + context.clockTolerance;
    let timer: NodeJS.Timeout;
    const look = async () => {
      const left = until - context.clock();
      if (left > 0) wait(left);
      else if (whenExpired === 'close') socket.destroy();
      else await whenExpired(socket, req);
    };
    const wait = (left: Seconds) => {
      timer = setTimeout(cutOffIfFails, Math.ceil(Math.min(left, LONGEST_WAIT) * 1000)).unref();
    };
    const cutOffIfFails = () => {
      look().catch((bug: unknown) => {
        socket.destroy(); // it must not outlive its token for a bug
        process.emitWarning('A connection was cut off, because what was to be done at the end of its token failed', {
          type: 'OAuth2ResourceServerWarning',
          detail: inspect(bug),
        });
      });
    };
    wait(0); // not at once: the handler comes first
    const forget = () => {
      clearTimeout(timer);
    };
    socket.once('close', forget);
    return forget;
  }

  return (req, socket, head) => {
    if (!(socket instanceof Socket)) throw new TypeError('upgrade() is for servers of node:http and node:https');
    upgrades.set(req, { socket, head });
    const res = new ServerResponse(req);
    res.shouldKeepAlive = false;
    res.on('finish', () => {
      socket.destroySoon();
    });
    socket.on('error', ignore);
    if (take(res, socket)) app(req, res);
  };
}

interface Upgrade {
  readonly socket: Socket;
  readonly head: Buffer;
}

function isOver({ destroyed }: Socket): boolean {
  return destroyed;
}

/**
 * What is written to the response goes to the socket. Not while the answer to an earlier request is under way there, which is
 * a client that did not wait for it: that connection ends.
 */
function take(res: ServerResponse, socket: Socket): boolean {
  try {
    res.assignSocket(socket);
    return true;
  } catch {
    socket.destroy();
    return false;
  }
}

function trustOf(app: Application): (address: string, hop: number) => boolean {
  return app.get('trust proxy fn') as (address: string, hop: number) => boolean;
}

/** Stays on the socket: a handler may take its time before it listens, and an error that nobody listens to ends the process. */
function ignore(): void {
  // 'close' follows.
}

/** Nobody has parsed a body here, and no protocol in use needs one. */
const onlyGet: RequestHandler = (req, res, next) => {
  if (req.method === 'GET') next();
  else res.set('Allow', 'GET').sendStatus(405);
};

function checked(handler: unknown, options: UpgradeOptions): Required<Omit<UpgradeOptions, 'app'>> {
  if (typeof handler !== 'function') {
    const example = '(req, socket, head) => sockets.handleUpgrade(req, socket, head, welcome)';
    throw new TypeError(`upgrade() needs a function, such as ${example}; got ${show(handler)}`);
  }
  checkNames('upgrade', options, ['guards', 'app', 'whenExpired']);
  const { guards = [], app, whenExpired = 'close' } = options;
  if (!Array.isArray(guards) || !guards.every((guard) => typeof guard === 'function')) {
    throw new TypeError(`"guards" must be a list such as [requireScope('chat')], got ${show(guards)}`);
  }
  if (app !== undefined && !(typeof app === 'function' && 'mountpath' in app)) {
    throw new TypeError(`"app" must be the Express application, got ${show(app)}`);
  }
  if (whenExpired === 'close' || whenExpired === 'keep' || typeof whenExpired === 'function')
    return { guards, whenExpired };
  throw new TypeError(`"whenExpired" must be "close", "keep" or a function, got ${show(whenExpired)}`);
}
