import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import https from 'node:https';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { describe } from '@jest/globals';
import { getAnswer } from './mutual-tls.js';
import type { TextAnswer } from './mutual-tls.js';
import { selfSigned } from './tls.js';

const TIMEOUT = 10_000;

/** A real proxy with TLS in front of a server of ours. It listens at a Unix domain socket: no port can be taken by another. */
export interface Proxy {
  readonly socket: string;
  /** Its certificate, for `localhost`. */
  readonly ca: Buffer;
  /** GET by way of the proxy. */
  get(path: string, options?: https.RequestOptions): Promise<TextAnswer>;
  readonly close: () => Promise<void>;
}

/** The path of a program: out of the variable of its name, of `PATH`, or where programs of administrators are. */
export function findProgram(name: string): string | undefined {
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin', '/usr/local/sbin'];
  const paths = [process.env[name.toUpperCase()] ?? '', ...folders.map((folder) => join(folder, name))];
  return paths.find((path) => path !== '' && existsSync(path));
}

/**
 * `describe`, or `describe.skip` with a line that says so, where the program is missing. In continuous integration a missing
 * program is a failure, of the first test that wants it.
 */
export function describeWith(program: string): typeof describe | typeof describe.skip {
  if (findProgram(program) !== undefined || process.env['CI'] !== undefined) return describe;
  process.stderr.write(
    `The tests with ${program} are skipped: it is not installed (or set ${program.toUpperCase()})\n`,
  );
  return describe.skip;
}

/** What a configuration is written from. */
export interface Place {
  /** A folder of its own; files in it have absolute paths. */
  readonly file: (name: string) => string;
  /** Where the proxy is to listen, and its certificate and key, in one file and apart. */
  readonly listen: string;
  readonly cert: string;
  readonly key: string;
  readonly both: string;
}

/** Starts the program with its configuration, and waits until it listens. Does not keep it longer than this process. */
export async function startProxy(
  program: string,
  args: (configuration: string) => readonly string[],
  configure: (place: Place) => string,
): Promise<Proxy> {
  const path = findProgram(program);
  if (path === undefined) throw new Error(`${program} is not installed (or set ${program.toUpperCase()} to its path)`);
  const folder = mkdtempSync(join(tmpdir(), `${program}-`));
  const file = (name: string) => join(folder, name);
  const { key, cert } = selfSigned('DNS:localhost');
  const place = { file, listen: file('tls'), cert: file('cert.pem'), key: file('key.pem'), both: file('both.pem') };
  writeFileSync(place.cert, cert);
  writeFileSync(place.key, key);
  writeFileSync(place.both, Buffer.concat([cert, key]));
  writeFileSync(file('configuration'), configure(place));

  const child = spawn(path, args(file('configuration')), { stdio: ['ignore', 'pipe', 'pipe'] });
  const output: string[] = [];
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => output.push(text));
  }
  const ended = once(child, 'close');
  const kill = () => void child.kill('SIGKILL');
  process.once('exit', kill);
  const close = async () => {
    process.removeListener('exit', kill);
    kill();
    await ended;
    rmSync(folder, { recursive: true });
  };
  if (!(await listens(place.listen, () => child.exitCode !== null))) {
    await close();
    throw new Error(`${program} does not start: ${output.join('')}`);
  }
  return {
    socket: place.listen,
    ca: cert,
    get: (url, options = {}) =>
      getAnswer({ socketPath: place.listen, servername: 'localhost', path: url, ca: cert, agent: false, ...options }),
    close,
  };
}

async function listens(path: string, isOver: () => boolean): Promise<boolean> {
  const end = Date.now() + TIMEOUT;
  while (Date.now() < end && !isOver()) {
    const socket = connect(path);
    const answered = await Promise.race([
      once(socket, 'connect').then(() => true),
      once(socket, 'error').then(() => false),
    ]).catch(() => false);
    socket.destroy();
    if (answered) return true;
    await setTimeout(20);
  }
  return false;
}
