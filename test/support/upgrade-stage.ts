import http from 'node:http';
import https from 'node:https';
import type { IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import type { TLSSocket } from 'node:tls';
import express from 'express';
import type { Express, RequestHandler } from 'express';
import { errorHandler, resourceServer } from '../../lib/index.js';
import type { CommonOptions } from '../../lib/index.js';
import type { ResourceServer } from '../../lib/resource-server.js';
import type { UpgradeHandler, UpgradeOptions } from '../../lib/upgrade.js';
import { parseChallenges } from './challenge-parser.js';
import type { Answer } from './app.js';
import { TestAuthorizationServer } from './authorization-server.js';
import { closing } from './stage.js';
import { openWire, upgradeText } from './wire.js';
import type { Upgraded, Wire } from './wire.js';

/** What the handler answers with, before it sends back whatever it gets. */
export const SWITCHED = 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n';

/** Takes the connection over, and sends back what it gets. */
export const echo: UpgradeHandler = (_req, socket, head) => {
  socket.on('error', () => undefined);
  socket.write(SWITCHED);
  socket.write(head);
  socket.pipe(socket);
};

export interface UpgradeScene {
  readonly as: TestAuthorizationServer;
  readonly api: ResourceServer;
  readonly server: http.Server;
  readonly port: number;
  /** What handlers were given, of upgrades and of requests. */
  readonly handled: { readonly req: IncomingMessage; readonly socket: Duplex }[];
  /** The handler of an upgrade, exchangeable. */
  onUpgrade: UpgradeHandler;
  /** A connection of its own, over which text goes as it is written. */
  readonly open: () => Promise<Wire>;
  /** An upgrade on a connection of its own: its answer, or the connection if it was switched. */
  readonly upgrade: (token?: string, headers?: Readonly<Record<string, string>>, path?: string) => Promise<Upgraded>;
  /** The same request over HTTP. */
  readonly get: (token?: string, headers?: Readonly<Record<string, string>>, path?: string) => Promise<Answer>;
}

interface Wishes {
  /** Of `resourceServer`. */
  readonly options?: Partial<CommonOptions>;
  /** Of `upgrade`. */
  readonly upgrade?: UpgradeOptions;
  readonly handler?: UpgradeHandler;
  /** The application, to be made before the options are. */
  readonly app?: Express;
  readonly tls?: https.ServerOptions;
  readonly as?: TestAuthorizationServer;
}

/** An application with one route for everything, and its upgrades, with the same guards. It closes with `closeAll`. */
export async function upgradeScene({ options = {}, upgrade = {}, handler = echo, ...wishes }: Wishes = {}) {
  const as = wishes.as ?? closing(await TestAuthorizationServer.start());
  const { app = express(), tls } = wishes;
  const handled: { req: IncomingMessage; socket: Duplex }[] = [];
  const api = resourceServer({ resource: as.resource, issuer: as.issuer, ...options });
  const guards: readonly RequestHandler[] = upgrade.guards ?? [];
  app.get('/open', (_req, res) => void res.send('open'));
  app.use(api, ...guards, (req, res) => {
    handled.push({ req, socket: req.socket });
    res.json({});
  });
  app.use(errorHandler);
  const server = tls === undefined ? http.createServer(app) : https.createServer(tls, app);
  server.on(
    'upgrade',
    api.upgrade((req, socket, head) => {
      handled.push({ req, socket });
      return scene.onUpgrade(req, socket, head);
    }, upgrade),
  );
  const port = await listening(server);
  const scene: UpgradeScene = {
    ...{ as, api, server, port, handled, onUpgrade: handler },
    open: () => openWire(port),
    upgrade: async (token, headers = {}, path = '/chat') => {
      const wire = await openWire(port);
      wire.write(upgradeText({ ...withToken(token), ...headers }, path));
      return wire.answer();
    },
    get: async (token, headers = {}, path = '/chat') => {
      const response = await fetch(`http://127.0.0.1:${port}${path}`, { headers: { ...withToken(token), ...headers } });
      const challenge = response.headers.get('www-authenticate') ?? undefined;
      const body: unknown = await response.json();
      const challenges = challenge === undefined ? [] : parseChallenges(challenge);
      return { status: response.status, headers: response.headers, body, challenge, challenges };
    },
  };
  return scene;
}

function withToken(token: string | undefined): Record<string, string> {
  return token === undefined ? {} : { Authorization: `Bearer ${token}` };
}

/** Listens on loopback until `closeAll`, which ends connections that were handed over as well. Gives the port. */
export async function listening(server: http.Server): Promise<number> {
  const sockets = new Set<Duplex>();
  const keep = (socket: Duplex) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  };
  server.on('connection', keep);
  server.on('secureConnection', (socket: TLSSocket) => {
    keep(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  server.unref();
  closing({
    close: () =>
      new Promise((resolve) => {
        server.close(() => {
          resolve();
        });
        for (const socket of sockets) socket.destroy();
      }),
  });
  return (server.address() as AddressInfo).port;
}
