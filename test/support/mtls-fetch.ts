import type { IncomingMessage } from 'node:http';
import https from 'node:https';
import type { Fetch } from '../../lib/index.js';
import type { Certificate } from './tls.js';

export interface TlsOptions {
  /** Trusts what this authority vouches for, and nobody else. Default: what Node trusts. */
  readonly ca?: Buffer;
  /** The certificate that is shown to a server that asks for one. */
  readonly shows?: Certificate;
}

/** A `fetch` by way of node:https: trusts a private authority, shows a client certificate, and can POST. */
export function fetchOverTls({ ca, shows }: TlsOptions): Fetch {
  return async (input, init = {}) => {
    const url = new URL(input instanceof Request ? input.url : input);
    const { method = 'GET', body, signal } = init;
    const options: https.RequestOptions = {
      method,
      agent: false, // each request shows the certificate anew
      headers: Object.fromEntries(new Headers(init.headers)),
      ...(ca && { ca }),
      ...shows,
      ...(signal && { signal }),
    };
    const response = await new Promise<IncomingMessage>((resolve, reject) => {
      const request = https.request(url, options, resolve).on('error', reject);
      request.end(typeof body === 'string' || body instanceof URLSearchParams ? body.toString() : undefined);
    });
    const chunks: Buffer[] = [];
    for await (const chunk of response) chunks.push(chunk as Buffer);
    const { statusCode = 500, headers } = response;
    const text = Buffer.concat(chunks);
    const fields = Object.entries(headers).flatMap(([name, value = []]) =>
      [value].flat().map((line): [string, string] => [name, line]),
    );
    return new Response(text.length === 0 ? null : text, { status: statusCode, headers: fields });
  };
}
