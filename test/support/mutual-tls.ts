import http from 'node:http';
import https from 'node:https';
import type net from 'node:net';
import { certificateReader } from '../../lib/client-certificate.js';
import type { ClientCertificate } from '../../lib/client-certificate.js';
import { closing } from './stage.js';

/** Answers each request with the thumbprint that is read out of it, as JSON; null for none. */
export function answering(option: ClientCertificate): http.RequestListener {
  const read = certificateReader(option);
  return (req, res) => void res.end(JSON.stringify(read(req) ?? null));
}

/** Listens, at a free port of loopback unless it is told where, until `closeAll`. Gives the port. */
export async function portOf(
  server: http.Server | https.Server,
  place: net.ListenOptions = { host: '127.0.0.1', port: 0 },
): Promise<number> {
  await new Promise<void>((resolve) => server.listen(place, resolve));
  server.unref();
  closing({
    close: () =>
      new Promise((resolve) => {
        server.closeAllConnections();
        server.close(() => {
          resolve();
        });
      }),
  });
  const address = server.address();
  return typeof address === 'object' ? (address?.port ?? 0) : 0;
}

export interface TextAnswer {
  readonly status: number | undefined;
  readonly body: string;
}

/** GET, by default over TLS and to loopback. */
export function getAnswer(options: https.RequestOptions, send = https.get): Promise<TextAnswer> {
  return new Promise((resolve, reject) => {
    const request = send({ host: '127.0.0.1', ...options }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
      response.on('end', () => {
        resolve({ status: response.statusCode, body: text });
      });
    });
    request.setTimeout(10_000, () => request.destroy(new Error('no answer'))).on('error', reject);
  });
}

export async function getJson(options: https.RequestOptions, send = https.get): Promise<unknown> {
  const { status, body } = await getAnswer(options, send);
  if (status !== 200) throw new Error(`status ${String(status)}`);
  return JSON.parse(body);
}
