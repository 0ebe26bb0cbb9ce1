import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/** The example, started as a stranger would start it. */
export interface Program {
  readonly editor: string;
  readonly storage: string;
  readonly authorizationServer: string;
  /** All that it has printed, on both channels. */
  printed(): string;
  /** Sends the signal and waits for the end: the exit code, or the signal that killed it. */
  stop(signal?: NodeJS.Signals): Promise<number | string | null>;
}

/** Runs `node examples/pictures/start.js` with these arguments until it has printed its addresses. */
export async function startProgram(...args: readonly string[]): Promise<Program> {
  const child = spawn(process.execPath, ['examples/pictures/start.js', ...args], {
    cwd: ROOT,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let text = '';
  const ended = once(child, 'exit') as Promise<[number | null, NodeJS.Signals | null]>;
  const addresses = await new Promise<string[]>((resolve, reject) => {
    const read = (chunk: Buffer): void => {
      text += chunk.toString();
      if (text.includes('Ctrl+C')) resolve(text.match(/http:\/\/127\.0\.0\.1:\d+/g) ?? []);
    };
    child.stdout.on('data', read);
    child.stderr.on('data', read);
    child.on('exit', () => {
      reject(new Error(`the example ended before it was ready (is dist/ built?):\n${text}`));
    });
  });
  const [editor = '', storage = '', authorizationServer = ''] = addresses;
  return {
    editor,
    storage,
    authorizationServer,
    printed: () => text,
    stop: async (signal = 'SIGTERM') => {
      child.kill(signal);
      const [code, killedBy] = await ended;
      return code ?? killedBy;
    },
  };
}
