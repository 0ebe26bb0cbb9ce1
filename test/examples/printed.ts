import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from '@jest/globals';
import { ROOT, run } from '../package/project.js';

/** The folder of an example. */
export const folderOf = (name: string): string => join(ROOT, 'examples', name);

/** What Node is told to start, in the folder of the package. */
export const programOf = (name: string): string => `examples/${name}/start.js`;

/** What an example left that prints what goes over the wire, and ends by itself. */
export interface Printed {
  readonly code: number | null;
  readonly stdout: string;
  readonly complaints: string;
}

/** Runs an example to its end. */
export async function runExample(name: string): Promise<Printed> {
  const { code, stdout, stderr } = await run(process.execPath, [programOf(name)], ROOT);
  return { code, stdout, complaints: complaintsIn(stderr) };
}

/** What a program said on its standard error, but for the warnings of oidc-provider. */
export function complaintsIn(stderr: string): string {
  const lines = stderr.split('\n').filter((line) => !line.startsWith('oidc-provider WARNING: '));
  return lines.join('\n');
}

/** What was printed under each of the numbered titles. */
export function stepsIn(stdout: string): readonly string[] {
  return stdout.split(/^\d\. /m).slice(1);
}

/** A request with its answer, as they are printed. */
export interface Exchange {
  /** Where it went, and with what. */
  readonly request: string;
  /** From the status on. */
  readonly answer: string;
  readonly method: string;
  readonly path: string;
  readonly status: string;
}

/** The requests to servers on loopback, in their order. One that went elsewhere has neither method nor path. */
export function exchangesIn(text: string, scheme: 'http' | 'https' = 'http'): readonly Exchange[] {
  const line = new RegExp(`^ {3}> ([A-Z]+) ${scheme}://127\\.0\\.0\\.1(?::\\d+)?(/\\S+)$`, 'm');
  const [, ...texts] = text.split(/^(?= {3}> [A-Z]+ http)/m);
  return texts.map((exchange) => {
    const [request = '', answer = ''] = exchange.split(/^ {3}< (?=\d{3}$)/m);
    const [, method = '', path = ''] = line.exec(request) ?? [];
    return { request, answer, method, path, status: answer.slice(0, 3) };
  });
}

/** Method and path, the status, and the schemes of the challenges with their errors. */
export function summaryOf({ method, path, status, answer }: Exchange): string {
  const challenges = [...answer.matchAll(/^ {3}< WWW-Authenticate: (\w+)(?:.* error="(\w+)")?/gm)];
  return sentence(method, path, status, ...challenges.flatMap(([, scheme, error]) => [scheme, error]));
}

/** The words that there are. */
export function sentence(...words: readonly (string | undefined)[]): string {
  return words.filter((word) => word !== undefined).join(' ');
}

/** Access tokens are printed, under this scheme, and neither they nor any other secret whole. */
export function expectShortened(text: string, scheme: 'Bearer' | 'DPoP'): void {
  expect(text).toMatch(new RegExp(` ${scheme} eyJ[\\w-]{7}\\.\\.\\.[\\w-]{5}\n`));
  expect(text).not.toMatch(/[\w-]{30}/);
}

/** The README says how the example is started, and names all of its files. */
export function expectReadme(name: string): void {
  const text = readFileSync(join(folderOf(name), 'README.md'), 'utf8');
  expect(text).toContain(`npm ci && npm run build && node ${programOf(name)}\n`);
  const files = readdirSync(folderOf(name)).filter((file) => file !== 'README.md');
  expect(files.filter((file) => !text.includes(`\`${file}\``))).toEqual([]);
}
