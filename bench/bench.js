// @ts-check
// What all scenarios share: the authorization server, keys, tokens in files, children, rounds.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startChild } from './child.js';
import { makeKey, many } from './tokens.js';

/** @typedef {import('./types.js').Settings} Settings @typedef {import('./tokens.js').Key} Key */

export const AUDIENCE = 'https://api.example.com';

/** One run of all scenarios, under one Node. */
export class Bench {
  /** @type {import('./child.js').Child[]} */
  #children = [];
  #folder = mkdtempSync(join(tmpdir(), 'bench-'));
  /** Where the authorization server is. */
  origin = '';
  /** @type {import('./child.js').Child} */
  server;

  /** @param {{ node: string, library: string, quick: boolean }} options `node` runs the subjects */
  constructor({ node, library, quick }) {
    this.node = node;
    this.library = library;
    this.quick = quick;
    process.once('exit', () => rmSync(this.#folder, { recursive: true, force: true }));
    this.server = this.#start('authorization-server.js', process.execPath);
  }

  async open() {
    this.origin = await this.server.call('start');
  }

  async close() {
    await Promise.all(this.#children.map((child) => child.stop()));
    rmSync(this.#folder, { recursive: true, force: true });
  }

  /** Stops the children of a scenario, and keeps the authorization server. @param {import('./child.js').Child[]} children */
  async stop(children) {
    this.#children = this.#children.filter((child) => !children.includes(child));
    await Promise.all(children.map((child) => child.stop()));
  }

  /** The one or the other number, as the run is quick or full. @template T @param {T} quick @param {T} full */
  either(quick, full) {
    return this.quick ? quick : full;
  }

  /** An issuer at a path of the authorization server, with its published keys. @param {string} path @param {Key[]} keys */
  async publish(path, keys, delay = 0) {
    const issuer = `${this.origin}/${path}`;
    await this.server.call('publish', { path: `/${path}/jwks`, document: { keys: keys.map(({ jwk }) => jwk) }, delay });
    return { issuer, jwksUri: `${issuer}/jwks` };
  }

  /** A new issuer with one key, and the settings for it. @param {string} path @param {string} alg */
  async issuer(path, alg) {
    const key = makeKey(alg, `${path}-1`);
    const server = await this.publish(path, [key]);
    return { key, settings: this.settings(server, alg) };
  }

  /** @param {{ issuer: string, jwksUri: string }} server @param {string} alg @returns {Settings} */
  settings(server, alg) {
    return { library: this.library, ...server, audience: AUDIENCE, algorithms: [alg] };
  }

  /** A file of tokens. @param {string} name @param {number} count @param {(index: number) => string | Promise<string>} make */
  async pool(name, count, make) {
    return this.write(name, await many(count, make));
  }

  /** @param {string} name @param {string[]} tokens */
  write(name, tokens) {
    const path = join(this.#folder, name);
    writeFileSync(path, tokens.join('\n') + '\n');
    return path;
  }

  /**
   * A subject in a process of its own.
   *
   * @param {'worker.js' | 'server.js'} file
   * @param {string} subject
   * @param {Settings} settings
   * @param {{ pools?: Record<string, string>, flags?: string[] }} [more]
   */
  async subject(file, subject, settings, { pools = {}, flags = [] } = {}) {
    const child = this.#start(file, this.node, flags);
    return { child, started: await child.call('start', { subject, settings, pools }) };
  }

  /** The clients, in a process of their own, under the Node of this command: always the same. */
  clients() {
    return this.#start('load.js', process.execPath);
  }

  /** @param {string} file @param {string} node @param {string[]} [flags] */
  #start(file, node, flags = []) {
    const child = startChild(file, { node, flags });
    this.#children.push(child);
    return child;
  }
}

/**
 * Rounds over all, in another order each time: what slows the machine for a while hits all alike.
 *
 * @template T
 * @param {number} count
 * @param {readonly T[]} list
 * @param {(item: T, round: number) => Promise<void>} run
 */
export async function rounds(count, list, run) {
  for (let round = 0; round < count; round++) {
    const start = round % list.length;
    const turned = [...list.slice(start), ...list.slice(0, start)];
    for (const item of round % 2 === 0 ? turned : turned.reverse()) await run(item, round);
  }
}
