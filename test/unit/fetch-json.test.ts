import type { RequestListener } from 'node:http';
import { createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import { gzipSync } from 'node:zlib';
import { afterEach, describe, expect, test } from '@jest/globals';
import { VerificationUnavailableError } from '../../lib/errors.js';
import { fetchJson, MAX_BYTES, UnusableAnswerError } from '../../lib/fetch-json.js';
import { listen } from '../support/listen.js';
import { closeAll, closing } from '../support/stage.js';

const JSON_TYPE = { 'Content-Type': 'application/json' };

afterEach(closeAll);

async function ask(listener: RequestListener, path = '/') {
  const { url } = closing(await listen(listener));
  return fetchJson(new URL(path, url), 'The document', ['application/json'], fetch);
}

/** A server that says `head`, and then calls `more` with the socket. */
async function rawServer(head: string, more: (socket: Socket) => void = () => undefined) {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.once('data', () => {
      socket.write(head);
      more(socket);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  server.unref();
  const { port } = server.address() as AddressInfo;
  return closing({
    url: new URL(`http://127.0.0.1:${port}/`),
    close: () =>
      new Promise<void>((resolve) => {
        for (const socket of sockets) socket.destroy();
        server.close(() => {
          resolve();
        });
      }),
  });
}

const get = (url: URL) => fetchJson(url, 'The document', ['application/json'], fetch);

describe('fetchJson', () => {
  test('8414-3.2-1 a JSON object is returned as it came', async () => {
    await expect(ask((_req, res) => res.writeHead(200, JSON_TYPE).end('{"a":[1,"\u00e9"]}'))).resolves.toEqual({
      document: { a: [1, '\u00e9'] },
    });
  });

  const unusable: [name: string, says: string, listener: RequestListener][] = [
    ['204', 'status', (_req, res) => res.writeHead(204).end()],
    ['404', 'status', (_req, res) => res.writeHead(404, JSON_TYPE).end('{}')],
    ['206', 'status', (_req, res) => res.writeHead(206, JSON_TYPE).end('{}')],
    ['HTML', 'media type', (_req, res) => res.writeHead(200, { 'Content-Type': 'text/html' }).end('{}')],
    ['JSON without a type', 'media type', (_req, res) => res.writeHead(200).end('{}')],
    [
      'application/json-seq',
      'media type',
      (_req, res) => res.writeHead(200, { 'Content-Type': 'application/json-seq' }).end('{}'),
    ],
    ['a list', 'not a JSON object', (_req, res) => res.writeHead(200, JSON_TYPE).end('[{}]')],
    ['null', 'not a JSON object', (_req, res) => res.writeHead(200, JSON_TYPE).end('null')],
    ['a number', 'not a JSON object', (_req, res) => res.writeHead(200, JSON_TYPE).end('1')],
    ['half a document', 'is not JSON', (_req, res) => res.writeHead(200, JSON_TYPE).end('{"a":')],
    ['no document', 'is not JSON', (_req, res) => res.writeHead(200, JSON_TYPE).end()],
    [
      'invalid UTF-8',
      'is not JSON',
      (_req, res) => res.writeHead(200, JSON_TYPE).end(Buffer.from('{"a":"\xff"}', 'latin1')),
    ],
    [
      'ten megabytes',
      'larger than',
      (_req, res) => res.writeHead(200, JSON_TYPE).end(`{"a":"${'x'.repeat(10_000_000)}"}`),
    ],
    [
      'a gzip bomb of a hundred megabytes',
      'larger than',
      (_req, res) => res.writeHead(200, { ...JSON_TYPE, 'Content-Encoding': 'gzip' }).end(bomb),
    ],
  ];
  const bomb = gzipSync(Buffer.alloc(100_000_000, 'x'), { level: 9 });
  test.each(unusable)(
    '8414-3.2-1 %s is unusable, so that another address may be asked',
    async (_name, says, listener) => {
      const error: unknown = await ask(listener).catch((thrown: unknown) => thrown);
      expect(error).toBeInstanceOf(UnusableAnswerError);
      expect(error).toHaveProperty('reason', expect.stringContaining(says));
      expect(error).toHaveProperty('reason', expect.stringMatching(/^The document [\w ]+$/));
    },
  );

  test('8414-3.2-1 a document of the greatest size is read, and one octet more is not', async () => {
    const document = (size: number) => `{"a":"${'x'.repeat(size - 8)}"}`;
    const answer = await ask((_req, res) => res.writeHead(200, JSON_TYPE).end(document(MAX_BYTES)));
    expect(answer.document['a']).toHaveLength(MAX_BYTES - 8);
    await expect(ask((_req, res) => res.writeHead(200, JSON_TYPE).end(document(MAX_BYTES + 1)))).rejects.toThrow(
      UnusableAnswerError,
    );
  });

  test.each([301, 302, 303, 307, 308])('8414-3.2-1 a redirect with %d is not followed', async (status) => {
    const asked: string[] = [];
    const listener: RequestListener = (req, res) => {
      asked.push(req.url ?? '');
      if (req.url === '/a') res.writeHead(status, { Location: '/b' }).end();
      else res.writeHead(200, JSON_TYPE).end('{}');
    };
    await expect(ask(listener, '/a')).rejects.toThrow(UnusableAnswerError);
    expect(asked).toEqual(['/a']);
    await expect(ask(listener, '/b')).resolves.toEqual({ document: {} });
  });

  test('a connection that is refused is an outage, and no bad document', async () => {
    const { url, close } = await listen(() => undefined);
    await close();
    const error: unknown = await get(new URL(url)).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(VerificationUnavailableError);
    expect(error).not.toBeInstanceOf(UnusableAnswerError);
  });

  test('a body that breaks off is an outage, and no bad document', async () => {
    const head = 'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"a"';
    const { url } = await rawServer(head, (socket) => setTimeout(() => socket.destroy(), 20));
    const error: unknown = await get(url).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(VerificationUnavailableError);
    expect(error).not.toBeInstanceOf(UnusableAnswerError);
    expect(error).toHaveProperty('reason', 'The document broke off, or did not end in time');
  });

  test('headers that never come, and a body that comes octet by octet, end after five seconds in all', async () => {
    const silent = await rawServer('');
    const head = 'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n';
    const trickle = await rawServer(head, (socket) => {
      const timer = setInterval(() => socket.write('1\r\n \r\n'), 100).unref();
      socket.on('close', () => {
        clearInterval(timer);
      });
    });
    const start = performance.now();
    const [first, second] = await Promise.allSettled([get(silent.url), get(trickle.url)]);
    const elapsed = performance.now() - start;
    expect(first).toMatchObject({
      status: 'rejected',
      reason: { status: 503, reason: expect.stringContaining('no answer in time') },
    });
    expect(second).toMatchObject({
      status: 'rejected',
      reason: { status: 503, reason: expect.stringContaining('did not end in time') },
    });
    expect(elapsed).toBeGreaterThan(4900);
    expect(elapsed).toBeLessThan(9000);
  }, 15_000);

  test('a fetch of the user that throws at once is an outage', async () => {
    const broken: typeof fetch = () => Promise.reject(new Error('secret of the proxy'));
    const error: unknown = await fetchJson(
      new URL('http://127.0.0.1/'),
      'The document',
      ['application/json'],
      broken,
    ).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(VerificationUnavailableError);
    expect(JSON.stringify(error) + String((error as Error).stack)).not.toContain('secret');
  });
});
