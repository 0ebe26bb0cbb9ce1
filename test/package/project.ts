import { spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The folder of the package, with a separator at its end. */
export const ROOT = fileURLToPath(new URL('../../', import.meta.url));
export const NAME = 'express-oauth2-resource-server';
/** The entries in `exports` that hold code. */
export const ENTRIES = ['index', 'issuers', 'mcp', 'proxies', 'typed-request'];
/** The compiler of this project. */
export const TSC = join(ROOT, 'node_modules/typescript/bin/tsc');

export interface Outcome {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a program to its end, without a shell and without input. */
export function run(command: string, args: readonly string[], cwd: string): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    // What npm hands down to its scripts is meant for this project, and not for those that the tests make.
    const env = Object.fromEntries(
      Object.entries(process.env).filter(([name]) => !/^npm_(?!config_(cache|registry|userconfig)$)/i.test(name)),
    );
    delete env['NODE_OPTIONS'];
    const child = spawn(command, args, { cwd, env, stdio: ['ignore', 'pipe', 'pipe'], timeout: 300_000 });
    let stdout = '';
    let stderr = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
    child.on('error', reject);
    child.on('close', (code) => {
      resolve({ code, stdout, stderr });
    });
  });
}

/** As `run`, and throws with everything that was said unless it went well. */
export async function mustRun(command: string, args: readonly string[], cwd: string): Promise<string> {
  const { code, stdout, stderr } = await run(command, args, cwd);
  if (code === 0) return stdout;
  throw new Error(`${command} ${args.join(' ')} ended with ${String(code)}\n${stdout}\n${stderr}`);
}

export interface Folder {
  readonly path: string;
  remove(): void;
}

/** A new empty folder. */
export function temporaryFolder(parent = tmpdir(), prefix = 'package-test-'): Folder {
  const path = mkdtempSync(join(parent, prefix));
  return {
    path,
    remove: () => {
      rmSync(path, { recursive: true, force: true, maxRetries: 3 });
    },
  };
}

export interface Tarball {
  readonly path: string;
  /** The paths inside, sorted. */
  readonly files: readonly string[];
  readonly packedBytes: number;
}

/** Packs the package as it would be published, from `dist/` as it is: `npm test` has built it. */
export async function pack(destination: string): Promise<Tarball> {
  const args = ['pack', '--ignore-scripts', '--json', '--pack-destination', destination];
  const [packed] = JSON.parse(await mustRun('npm', args, ROOT)) as [
    { filename: string; size: number; files: readonly { path: string }[] },
  ];
  return {
    path: join(destination, packed.filename),
    files: packed.files.map(({ path }) => path).sort(),
    packedBytes: packed.size,
  };
}

/** The files below the package's folder whose names end with `ending`, but for what is installed or made. */
export function projectFiles(ending: string): string[] {
  const found: string[] = [];
  const look = (folder: string): void => {
    for (const entry of readdirSync(folder, { withFileTypes: true })) {
      const path = join(folder, entry.name);
      const made = ['node_modules', 'dist', 'coverage'].includes(entry.name) || entry.name.startsWith('.');
      if (entry.isDirectory() && !made && path !== join(ROOT, 'docs/api')) look(path);
      else if (entry.isFile() && entry.name.endsWith(ending)) found.push(relative(ROOT, path));
    }
  };
  look(ROOT);
  return found.sort();
}
