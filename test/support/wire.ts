import { connect } from 'node:net';
import type { Socket } from 'node:net';
import type { RawResponse } from './raw.js';

/** The answer to an upgrade. */
export interface Upgraded extends RawResponse {
  readonly statusLine: string;
  /** The connection it came over: open after 101, else closed. */
  readonly wire: Wire;
}

/** One end of a connection: bytes as they are written (Latin-1), and what came back. */
export interface Wire {
  readonly socket: Socket;
  readonly write: (text: string) => void;
  /** All that has come until `text` does. Rejects when the connection closes before. */
  readonly until: (text: string) => Promise<string>;
  /** All that came, when the connection has closed. */
  readonly closed: Promise<string>;
  /** The answer to the request that was written: its head if the connection is switched, else all until it closes. */
  readonly answer: () => Promise<Upgraded>;
  /** The code of the error by which the connection ended. */
  readonly failed: () => string | undefined;
}

/** Connects, to loopback if it is told a port only. Nothing waits for longer than ten seconds. */
export async function openWire(to: number | Socket): Promise<Wire> {
  const socket = typeof to === 'number' ? connect(to, '127.0.0.1') : to;
  let text = '';
  let failure: string | undefined;
  const waiting = new Set<() => void>();
  const look = () => {
    for (const check of waiting) check();
  };
  socket.setTimeout(10_000, () => socket.destroy(new Error('no answer')));
  socket.on('error', (error: NodeJS.ErrnoException) => (failure = error.code ?? error.message));
  socket.on('data', (chunk: Buffer) => {
    text += chunk.toString('latin1');
    look();
  });
  const closed = new Promise<string>((resolve) => {
    socket.on('close', () => {
      look();
      resolve(text);
    });
  });
  const until = (wanted: string) =>
    new Promise<string>((resolve, reject) => {
      const check = () => {
        if (text.includes(wanted)) resolve(text);
        else if (socket.closed) reject(new Error(`closed (${failure ?? 'no error'}) after: ${text}`));
        else return;
        waiting.delete(check);
      };
      waiting.add(check);
      check();
    });
  if (typeof to === 'number') {
    await new Promise((resolve) => {
      socket.on('connect', resolve).on('close', resolve);
    });
  }
  const wire: Wire = {
    ...{ socket, until, closed },
    write: (line) => void socket.write(Buffer.from(line, 'latin1')),
    answer: async () => {
      const head = await until('\r\n\r\n');
      return { ...parse(head.startsWith('HTTP/1.1 101 ') ? head : await closed), wire };
    },
    failed: () => failure,
  };
  return wire;
}

/** A request for an upgrade, as a WebSocket client writes it. */
export function upgradeText(headers: Readonly<Record<string, string>> = {}, path = '/chat', method = 'GET'): string {
  const fields = { Host: 'a', Connection: 'Upgrade', Upgrade: 'websocket', ...headers };
  const lines = Object.entries(fields).map(([name, value]) => `${name}: ${value}`);
  return [`${method} ${path} HTTP/1.1`, ...lines, '', ''].join('\r\n');
}

function parse(text: string): RawResponse & { readonly statusLine: string } {
  const end = text.indexOf('\r\n\r\n');
  const [statusLine = '', ...fields] = text.slice(0, end).split('\r\n');
  const headers = fields.map((line) => {
    const colon = line.indexOf(':');
    return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()] as const;
  });
  return {
    ...{ statusLine, headers, body: text.slice(end + 4) },
    status: Number(statusLine.split(' ')[1]),
    all: (name) => headers.filter(([field]) => field === name).map(([, value]) => value),
  };
}
