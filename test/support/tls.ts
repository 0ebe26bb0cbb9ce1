import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import type { IncomingMessage, RequestListener } from 'node:http';
import https from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Fetch } from '../../lib/index.js';
import type { Listening } from './listen.js';

export interface Certificate {
  readonly key: Buffer;
  readonly cert: Buffer;
}

/** A self-signed certificate for 127.0.0.1, made by openssl; throws if the machine has none. */
export function selfSigned(subjectAltName = 'IP:127.0.0.1'): Certificate {
  const folder = mkdtempSync(join(tmpdir(), 'tls-'));
  try {
    const [key, cert] = [join(folder, 'key.pem'), join(folder, 'cert.pem')];
    const names = ['-subj', '/CN=test', '-addext', `subjectAltName=${subjectAltName}`];
    const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
    execFileSync('openssl', ['req', '-x509', ...curve, '-keyout', key, '-out', cert, '-days', '2', ...names], {
      stdio: 'pipe',
    });
    return { key: readFileSync(key), cert: readFileSync(cert) };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** Serves over TLS on loopback, at a port that is free, and never keeps the test process alive. */
export async function listenTls(certificate: Certificate, listener: RequestListener): Promise<Listening> {
  const server = https.createServer(certificate, listener);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  server.unref();
  const { port } = server.address() as AddressInfo;
  return {
    port,
    url: `https://127.0.0.1:${String(port)}`,
    close: () =>
      new Promise((resolve) => {
        server.closeAllConnections();
        server.close(() => {
          resolve();
        });
      }),
  };
}

/** A `fetch` by way of node:https, which trusts this certificate authority and no other. */
export function fetchTrusting(ca: Buffer): Fetch {
  return async (input, init) => {
    const url = new URL(input instanceof Request ? input.url : input);
    const headers = Object.fromEntries(new Headers(init?.headers));
    const response = await new Promise<IncomingMessage>((resolve, reject) => {
      https
        .get(url, { ca, agent: false, headers, ...(init?.signal && { signal: init.signal }) }, resolve)
        .on('error', reject);
    });
    const chunks: Buffer[] = [];
    for await (const chunk of response) chunks.push(chunk as Buffer);
    const type = response.headers['content-type'] ?? '';
    return new Response(Buffer.concat(chunks), { status: response.statusCode ?? 0, headers: { 'Content-Type': type } });
  };
}
