import http from 'node:http';
import type { AddressInfo } from 'node:net';

export interface Listening {
  readonly port: number;
  readonly url: string;
  readonly close: () => Promise<void>;
}

/** A server that can be away for a while. */
export interface Reopening extends Listening {
  /** Listens at the same port again, after `close`. */
  readonly reopen: () => Promise<void>;
}

/** Serves on loopback, at a port that is free, and never keeps the test process alive. */
export async function listen(listener: http.RequestListener): Promise<Reopening> {
  const server = http.createServer(listener);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  server.unref();
  const { port } = server.address() as AddressInfo;
  return {
    port,
    url: `http://127.0.0.1:${String(port)}`,
    reopen: () =>
      new Promise((resolve) => {
        server.listen(port, '127.0.0.1', resolve);
      }),
    close: () =>
      new Promise((resolve) => {
        server.closeAllConnections();
        server.close(() => {
          resolve();
        });
      }),
  };
}
