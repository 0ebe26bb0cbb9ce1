// @ts-check
// Requests and responses as Express hands them to a middleware, made without a network: Node's own classes, with Express's
// prototypes. Every request has strings of its own, as if they had just come off the wire.
import { readFileSync } from 'node:fs';
import http from 'node:http';
import net from 'node:net';
import express from 'express';

/** @typedef {{ req: any, res: any }} Exchange */

const app = express();
const HOST = 'api.example.com';
const socket = new net.Socket(); // never connected
const { end } = http.ServerResponse.prototype;
/** Where a response has what is called when it is complete. */
export const ON_END = Symbol('onEnd');

// Express's response, which says that it is over.
const response = Object.create(app.response, {
  end: {
    /** @this {any} @param {any[]} args */
    value: function (...args) {
      Reflect.apply(end, this, args);
      this[ON_END](this.statusCode < 400);
      return this;
    },
  },
});

/** Tokens out of a file, one on each line, as `Authorization` fields that share no memory with one another. */
export class Pool {
  /** @type {Buffer} */
  #bytes;
  /** Where each line begins. @type {number[]} */
  #starts = [0];
  #position = 0;
  #prefix;

  /** @param {string} path @param {string} scheme */
  constructor(path, scheme) {
    this.#prefix = scheme.length + 1;
    const lines = readFileSync(path, 'latin1').trimEnd().split('\n');
    this.#bytes = Buffer.from(lines.map((token) => `${scheme} ${token}`).join(''), 'latin1');
    for (const line of lines) this.#starts.push((this.#starts.at(-1) ?? 0) + this.#prefix + line.length);
  }

  get size() {
    return this.#starts.length - 1;
  }

  /** The next field, as the mode chooses it. @param {import('./types.js').Mode} mode */
  next(mode) {
    if (mode === 'same') return this.#at(0);
    if (this.#position === this.size) {
      if (mode === 'each') throw new Error(`all ${this.size} tokens are used: make more of them`);
      this.#position = 0;
    }
    return this.#at(this.#position++);
  }

  /** The token of a field. @param {string} field */
  tokenOf(field) {
    return field.slice(this.#prefix);
  }

  /** @param {number} index */
  #at(index) {
    return /** @type {any} */ (this.#bytes).latin1Slice(this.#starts[index], this.#starts[index + 1]);
  }
}

/** A `GET /` with this `Authorization`, and perhaps a proof. @param {string} authorization @param {string} [proof] @returns {Exchange} */
export function makeExchange(authorization, proof) {
  const lines = ['Host', HOST, 'User-Agent', 'bench', 'Accept', '*/*', 'Authorization', authorization];
  if (proof !== undefined) lines.push('DPoP', proof);
  const req = /** @type {any} */ (new http.IncomingMessage(socket));
  // As Node's parser does it; the headers are read there, too, before Express sees them.
  req.httpVersionMajor = req.httpVersionMinor = 1;
  req.httpVersion = '1.1';
  req._addHeaderLines(lines, lines.length);
  req.headers;
  req.method = 'GET';
  req.url = req.originalUrl = '/';
  req.baseUrl = '';
  const res = /** @type {any} */ (new http.ServerResponse(req));
  // As Express does it.
  res.setHeader('X-Powered-By', 'Express');
  req.res = res;
  res.req = req;
  Object.setPrototypeOf(req, app.request);
  Object.setPrototypeOf(res, response);
  res.locals = Object.create(null);
  res[ON_END] = undefined;
  return { req, res };
}
