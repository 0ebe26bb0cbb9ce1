import { mkdtempSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import http from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import tls from 'node:tls';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { CertificateHeader } from '../../lib/proxies.js';
import { clientIdentity, escaped, pemOf } from './client-certificates.js';
import type { ClientIdentity } from './client-certificates.js';
import { answering, portOf } from './mutual-tls.js';
import type { Proxy } from './proxy-process.js';
import { closeAll, closing } from './stage.js';

/** What a suite of its own asks of the proxy that {@link proxyTests} has started. */
export interface Running {
  readonly proxy: () => Proxy;
  readonly client: () => ClientIdentity;
  readonly other: () => ClientIdentity;
}

/** The tests of one way that a real proxy tells certificates, through the whole of it: client, TLS, proxy, server of ours. */
export function proxyTests(start: (port: number, socket: string) => Promise<Proxy>, from: CertificateHeader): Running {
  let proxy: Proxy | undefined;
  let client: ClientIdentity;
  let other: ClientIdentity;
  let folder: string;

  beforeAll(async () => {
    client = clientIdentity();
    other = clientIdentity({ name: 'other', key: 'rsa', uris: ['https://other.example.com/'] });
    folder = mkdtempSync(join(tmpdir(), 'node-'));
    const socket = join(folder, 'socket');
    await portOf(http.createServer(answering({ from, proxies: ['unix'] })), { path: socket });
    const port = await portOf(http.createServer(answering({ from, proxies: ['127.0.0.1'] })));
    proxy = closing(await start(port, socket));
  }, 20_000);

  afterAll(async () => {
    await closeAll();
    await rm(folder, { recursive: true });
  });

  const running = (): Proxy => {
    if (proxy === undefined) throw new Error('the proxy has not started');
    return proxy;
  };
  const get = async (shown?: ClientIdentity, headers: http.OutgoingHttpHeaders = {}, path = '/') => {
    const { status, body } = await running().get(path, { headers, ...(shown && { key: shown.key, cert: shown.cert }) });
    return { status, found: JSON.parse(body) as unknown };
  };

  test.each(['/', '/unix'])(
    '8705-6.5-1 8705-6.2-1 the certificate arrives, self-signed and as it is (%s)',
    async (path) => {
      expect(await get(client, {}, path)).toEqual({ status: 200, found: client.thumbprint });
      expect(await get(other, {}, path)).toEqual({ status: 200, found: other.thumbprint });
      expect(await get(undefined, {}, path)).toEqual({ status: 200, found: null });
    },
  );

  test('what the client sends in the header does not arrive, whether it shows a certificate or not', async () => {
    const forged = [escaped(pemOf(other.der)), other.der.toString('base64'), `:${other.der.toString('base64')}:`];
    for (const value of forged) {
      for (const name of [from.header, from.header.toUpperCase(), from.header.replaceAll('-', '_')]) {
        expect(await get(undefined, { [name]: value })).toEqual({ status: 200, found: null });
        expect(await get(client, { [name]: value })).toEqual({ status: 200, found: client.thumbprint });
        expect(await get(client, { [name]: [value, value] })).toEqual({ status: 200, found: client.thumbprint });
        expect(await get(client, { [name]: value, Connection: `close, ${name}` })).toEqual({
          status: 200,
          found: client.thumbprint,
        });
      }
    }
  });

  test('of a chain the first certificate arrives, and no other', async () => {
    const chain = { ...client, cert: Buffer.concat([client.cert, other.cert]) };
    expect(await get(chain)).toEqual({ status: 200, found: client.thumbprint });
  });

  test.each(['TLSv1.2', 'TLSv1.3'] as const)('a resumed session of %s has it', async (maxVersion) => {
    const context = { key: client.key, cert: client.cert, maxVersion };
    const [session] = await visit(running(), context);
    const [, reused, text] = await visit(running(), { ...context, ...(session && { session }) });
    expect(reused).toBe(true);
    expect(text).toContain(`"${client.thumbprint}"`);
  });

  return { proxy: running, client: () => client, other: () => other };
}

/** One request over a connection that is watched: its ticket, whether it was resumed, and all that came back. */
function visit(proxy: Proxy, options: tls.ConnectionOptions): Promise<[Buffer | undefined, boolean, string]> {
  return new Promise((resolve, reject) => {
    const socket = tls.connect({ path: proxy.socket, ca: proxy.ca, servername: 'localhost', ...options });
    let ticket: Buffer | undefined;
    let text = '';
    let reused = false;
    socket.on('session', (session: Buffer) => (ticket = session));
    socket.on('secureConnect', () => (reused = socket.isSessionReused()));
    socket.on('data', (chunk: Buffer) => (text += chunk.toString()));
    socket.on('error', reject).on('close', () => {
      resolve([ticket, reused, text]);
    });
    socket.write('GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n');
  });
}
