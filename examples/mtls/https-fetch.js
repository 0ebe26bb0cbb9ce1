// @ts-check
/* global Headers, Response */
// A `fetch` that does what Node's own cannot without a package: show a certificate, and trust a private authority.
import https from 'node:https';
import { buffer } from 'node:stream/consumers';

/** @typedef {{ method?: string, headers?: RequestInit['headers'], body?: unknown, signal?: AbortSignal | null }} Init */

/** @param {https.RequestOptions} tls `ca`: whom it trusts; `cert` and `key`: who it is */
export function httpsFetch(tls) {
  /** Bodies are text, or have a text. @param {string | URL | Request} input @param {Init} [init] */
  return async (input, { method = 'GET', headers, body, signal } = {}) => {
    const options = { ...tls, method, headers: Object.fromEntries(new Headers(headers)), ...(signal && { signal }) };
    /** @type {import('node:http').IncomingMessage} */
    const answer = await new Promise((resolve, reject) => {
      https.request(String(input), options, resolve).on('error', reject).end(body?.toString());
    });
    const fields = new Headers();
    for (const [name, lines = []] of Object.entries(answer.headersDistinct)) {
      for (const line of lines) fields.append(name, line);
    }
    return new Response(await buffer(answer), { status: answer.statusCode ?? 500, headers: fields });
  };
}
