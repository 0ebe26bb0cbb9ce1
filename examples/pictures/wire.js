// @ts-check
// A `fetch` that writes down what went over the wire: start lines, headers, bodies. Secrets that are not the person's
// own (client secrets, session cookies) are masked before anything is kept.
/* global Headers, Response */
import http from 'node:http';
import { text } from 'node:stream/consumers';

/**
 * @typedef {[name: string, value: string][]} Fields one pair for each line, so that a header may stand twice
 * @typedef {{ line: string, headers: Fields, body: string }} Message
 * @typedef {{ step: string, from: string, to: string }} Label the part of the story, and who talks to whom
 * @typedef {{ request: Message, response: Message & { status: number } }} Both
 * @typedef {Label & Both & { number: number, questions?: number }} Exchange `questions`: how often the storage asked somebody
 *   about the token of this request before it answered
 * @typedef {Exchange[]} Log
 */

/** Longest log of one browser session; the oldest exchanges go first. */
const MAX_EXCHANGES = 200;
let count = 0;

/**
 * Requests to the storage that wait for their answer, by their token. What the storage asks about the token meanwhile belongs
 * to them, and into the log of the same person: nobody else may see it.
 *
 * @type {Map<string, { log: Log, step: string, questions: number }>}
 */
const waiting = new Map();

/** @param {Log} log @param {Omit<Exchange, 'number'>} exchange */
function record(log, { request, response, ...label }) {
  log.push({ number: ++count, ...label, request: mask(request), response: { ...response, ...mask(response) } });
  if (log.length > MAX_EXCHANGES) log.shift();
}

/**
 * Node's own `fetch` joins repeated headers and adds some silently. This one sends a list of headers line for line, and
 * records each. It follows no redirects, and speaks http only: the servers of this example are all on this machine.
 *
 * @param {Log} log @param {Label} label @returns {typeof globalThis.fetch}
 */
export function recordingFetch(log, label) {
  return async (input, init = {}) => {
    const url = new URL(String(input));
    const method = init.method ?? 'GET';
    const body = init.body == null ? '' : String(init.body);
    /** @type {Fields} */
    const given = Array.isArray(init.headers)
      ? init.headers.map(([name = '', value = '']) => [name, value])
      : [...new Headers(/** @type {Record<string, string>} */ (init.headers))];
    /** @type {Fields} */
    const headers = [['Host', url.host], ...given, ['Connection', 'close']];
    if (body !== '') headers.push(['Content-Length', String(Buffer.byteLength(body))]);

    const token = label.to === 'storage' ? bearerOf(headers) : undefined;
    const call = { log, step: label.step, questions: 0 };
    if (token !== undefined) waiting.set(token, call);
    const answer = await send(url, method, headers, body, init.signal ?? undefined).finally(() => {
      if (token !== undefined && waiting.get(token) === call) waiting.delete(token);
    });
    const response = {
      status: answer.statusCode ?? 0,
      line: `HTTP/${answer.httpVersion} ${answer.statusCode} ${answer.statusMessage}`,
      headers: pairs(answer.rawHeaders),
      body: await text(answer),
    };
    const request = { line: `${method} ${url.pathname}${url.search} HTTP/1.1`, headers, body };
    record(log, { ...label, request, response, ...(token !== undefined && { questions: call.questions }) });
    return new Response(response.body === '' ? null : response.body, response);
  };
}

/**
 * The same for the storage. What it asks about a token (RFC 7662) is written down where the request with this token is, and
 * nowhere if nobody here has sent it; everything else goes to `log`.
 *
 * @param {Log} log @param {Label} label @returns {typeof globalThis.fetch}
 */
export function recordingQuestions(log, label) {
  const general = recordingFetch(log, label);
  return async (input, init) => {
    const token = new URLSearchParams(String(init?.body ?? '')).get('token');
    if (token === null) return general(input, init);
    const call = waiting.get(token) ?? { log: [], step: label.step, questions: 0 };
    call.questions++;
    return recordingFetch(call.log, { ...label, step: call.step })(input, init);
  };
}

/** @param {Fields} headers */
const bearerOf = (headers) =>
  headers.find(([name, value]) => name.toLowerCase() === 'authorization' && value.startsWith('Bearer '))?.[1].slice(7);

/**
 * Records an exchange from the other side: a request of the browser that this server answers. Of the answer it sees what
 * the program has set, without what Node adds at the end (`Date`, `Connection`).
 *
 * @param {Log} log @param {Label} label @param {import('express').Request} req @param {import('express').Response} res
 */
export function recordIncoming(log, label, req, res) {
  res.on('finish', () => {
    const headers = Object.entries(res.getHeaders()).flatMap(([name, value]) =>
      [value].flat().map((line) => /** @type {[string, string]} */ ([name, String(line)])),
    );
    record(log, {
      ...label,
      request: {
        line: `${req.method} ${req.originalUrl} HTTP/${req.httpVersion}`,
        headers: pairs(req.rawHeaders),
        body: '',
      },
      response: { status: res.statusCode, line: `HTTP/1.1 ${res.statusCode} ${res.statusMessage}`, headers, body: '' },
    });
  });
}

/**
 * @param {URL} url @param {string} method @param {Fields} headers @param {string} body @param {AbortSignal} [signal]
 * @returns {Promise<http.IncomingMessage>}
 */
function send(url, method, headers, body, signal) {
  return new Promise((resolve, reject) => {
    const options = { method, headers: headers.flat(), agent: false, ...(signal && { signal }) };
    http.request(url, options, resolve).on('error', reject).end(body);
  });
}

/** @param {string[]} raw name, value, name, value … @returns {Fields} */
function pairs(raw) {
  return raw.flatMap((name, i) => (i % 2 === 0 ? [/** @type {[string, string]} */ ([name, raw[i + 1] ?? ''])] : []));
}

/** @param {Message} message @returns {Message} */
function mask({ line, headers, body }) {
  return {
    line,
    headers: headers.map(([name, value]) => [name, maskValue(name.toLowerCase(), value)]),
    body: body.replace(/\b(client_secret=)[^&]*/, '$1(masked)'),
  };
}

/** @param {string} name @param {string} value */
function maskValue(name, value) {
  if (name === 'authorization') return value.replace(/^(Basic ).*/i, '$1(client id and secret, masked)');
  if (name === 'cookie') return value.replace(/=[^;]*/g, '=(masked)');
  if (name === 'set-cookie') return value.replace(/=[^;]*/, '=(masked)');
  return value;
}
