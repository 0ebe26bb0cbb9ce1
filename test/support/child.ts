import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import ts from 'typescript';

export interface Ended {
  /** The exit code; null when it did not end in time and was stopped. */
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a module in a Node of its own, beside the library in `./lib/`, until it ends by itself; for half a minute at most. */
export async function runChild(source: string, flags: readonly string[], args: readonly string[]): Promise<Ended> {
  const folder = mkdtempSync(join(tmpdir(), 'resource-server-'));
  try {
    compileInto(folder);
    writeFileSync(join(folder, 'main.js'), source);
    return await run([...flags, join(folder, 'main.js'), ...args]);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** The library without its types; imports find the packages of this project. */
function compileInto(folder: string): void {
  const options = { module: ts.ModuleKind.ESNext, target: ts.ScriptTarget.ES2023 };
  mkdirSync(join(folder, 'lib'));
  for (const file of readdirSync('lib').filter((name) => name.endsWith('.ts'))) {
    const { outputText } = ts.transpileModule(readFileSync(join('lib', file), 'utf8'), { compilerOptions: options });
    writeFileSync(join(folder, 'lib', file.replace(/ts$/, 'js')), outputText);
  }
  writeFileSync(join(folder, 'package.json'), '{ "type": "module" }');
  symlinkSync(resolve('node_modules'), join(folder, 'node_modules'));
}

function run(args: readonly string[]): Promise<Ended> {
  return new Promise((done) => {
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'], timeout: 30_000 });
    const output = { stdout: '', stderr: '' };
    for (const name of ['stdout', 'stderr'] as const) {
      child[name].setEncoding('utf8').on('data', (text: string) => (output[name] += text));
    }
    child.on('close', (code) => {
      done({ code, ...output });
    });
  });
}
