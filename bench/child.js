// @ts-check
// Child processes that are told what to do, one command after the other, over the channel of fork().
import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';

/** @typedef {{ call: (command: string, args?: object) => Promise<any>, stop: () => Promise<void> }} Child */

/** Running children, so that none outlives a run that fails. @type {Set<import('node:child_process').ChildProcess>} */
const running = new Set();
process.on('exit', () => running.forEach((child) => child.kill()));

/**
 * Starts a file of this folder as a process of its own.
 *
 * @param {string} file
 * @param {{ node: string, flags?: string[] }} options the executable of Node, and its flags
 * @returns {Child}
 */
export function startChild(file, { node, flags = [] }) {
  const path = fileURLToPath(new URL(file, import.meta.url));
  const child = fork(path, [], { execPath: node, execArgv: ['--no-warnings', ...flags] });
  running.add(child);
  /** @type {Map<number, { resolve: (value: any) => void, reject: (error: Error) => void }>} */
  const waiting = new Map();
  let calls = 0;
  child.on('message', (/** @type {any} */ { id, result, error }) => {
    const call = waiting.get(id);
    waiting.delete(id);
    if (error === undefined) call?.resolve(result);
    else call?.reject(new Error(`${file}: ${error}`));
  });
  child.on('exit', (code, signal) => {
    running.delete(child);
    for (const { reject } of waiting.values()) reject(new Error(`${file} stopped with ${code ?? signal}`));
  });
  return {
    call: (command, args = {}) =>
      new Promise((resolve, reject) => {
        const id = calls++;
        waiting.set(id, { resolve, reject });
        child.send({ id, command, args });
      }),
    stop: () =>
      new Promise((resolve) => {
        child.once('exit', () => resolve());
        if (child.exitCode === null && child.connected) child.disconnect();
        else resolve();
      }),
  };
}

/**
 * In a child: answers commands until the parent is gone.
 *
 * @param {Record<string, (args: any) => any>} commands
 */
export function serve(commands) {
  process.on('disconnect', () => process.exit());
  process.on('message', async (/** @type {any} */ { id, command, args }) => {
    try {
      const run = commands[command];
      if (run === undefined) throw new Error(`there is no command ${command}`);
      process.send?.({ id, result: await run(args) });
    } catch (error) {
      process.send?.({ id, error: error instanceof Error ? (error.stack ?? error.message) : String(error) });
    }
  });
}
