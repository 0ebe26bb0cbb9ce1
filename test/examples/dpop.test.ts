import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, expect, jest, test } from '@jest/globals';
import { ROOT, run } from '../package/project.js';
import type { Outcome } from '../package/project.js';

jest.setTimeout(30_000);

const FOLDER = join(ROOT, 'examples/dpop');
const COMMAND = ['examples/dpop/start.js'];

/** A request with its answer, as they are printed. */
interface Exchange {
  /** Where it went, and with which proof. */
  readonly request: string;
  /** Method and path, the status, and the schemes of the challenges with their errors. */
  readonly summary: string;
}

let program: Outcome;
/** What went over the wire under each of the numbered titles. */
let steps: readonly (readonly Exchange[])[];

beforeAll(async () => {
  program = await run(process.execPath, COMMAND, ROOT);
  const [, ...texts] = program.stdout.split(/^\d\. /m);
  steps = texts.map((text) =>
    text
      .split(/^(?= {3}> [A-Z]+ http)/m)
      .slice(1)
      .map(exchangeOf),
  );
});

function exchangeOf(text: string): Exchange {
  const [request = '', answer = ''] = text.split(/^ {3}< (?=\d{3}$)/m);
  const [, method = '', path = ''] = /^ {3}> ([A-Z]+) http:\/\/127\.0\.0\.1:\d+(\/\S+)$/m.exec(request) ?? [];
  const challenges = [...answer.matchAll(/^ {3}< WWW-Authenticate: (\w+)(?:.* error="(\w+)")?/gm)];
  const words = challenges.flatMap(([, scheme, error]) => [scheme, error]).filter((word) => word !== undefined);
  return { request, summary: [method, path, answer.slice(0, 3), ...words].join(' ') };
}

test('it ends by itself, and complains of nothing', () => {
  const complaints = program.stderr.split('\n').filter((line) => !line.startsWith('oidc-provider WARNING: '));
  expect([program.code, complaints.join('\n')]).toEqual([0, '']);
});

test('the client passes after the round trip for a nonce, and no thief does', () => {
  expect(steps.map((step) => step.map(({ summary }) => summary))).toEqual([
    ['POST /token 400', 'POST /token 200'],
    ['POST /payments 401 DPoP use_dpop_nonce', 'POST /payments 201'],
    ['POST /payments 401 DPoP invalid_dpop_proof'],
    ['POST /payments 401 Bearer invalid_token DPoP'],
    ['POST /payments 401 DPoP invalid_token'],
    ['POST /token 200', 'GET /balance 200', 'POST /payments 401 Bearer invalid_token DPoP'],
  ]);
});

test('what the thief sends again is what the client had sent, to the letter', () => {
  const [, paying = [], replaying = []] = steps;
  expect(replaying[0]?.request).toBe(paying[1]?.request);
  expect(replaying[0]?.request).toContain('DPoP: eyJ');
});

test('the bank was paid from once', () => {
  expect(program.stdout).toContain('\n     {"balance":90}\n');
  expect(program.stdout).toMatch(/\n\nOf 100 the bank has 90: the client paid 10, once, and nobody else could\.\n$/);
});

test('tokens and proofs are shortened', () => {
  expect(program.stdout).toMatch(/ DPoP eyJ[\w-]{7}\.\.\.[\w-]{5}\n/);
  expect(program.stdout).not.toMatch(/[\w-]{30}/);
});

test('the README has the command, and every file', () => {
  const text = readFileSync(join(FOLDER, 'README.md'), 'utf8');
  expect(text).toContain(`npm ci && npm run build && node ${COMMAND.join(' ')}\n`);
  const files = readdirSync(FOLDER).filter((name) => name !== 'README.md');
  expect(files.filter((name) => !text.includes(`\`${name}\``))).toEqual([]);
});
