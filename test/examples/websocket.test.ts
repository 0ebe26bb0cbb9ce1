import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, expect, jest, test } from '@jest/globals';
import { ROOT, run } from '../package/project.js';
import type { Outcome } from '../package/project.js';

jest.setTimeout(30_000);

const FOLDER = join(ROOT, 'examples/websocket');
const COMMAND = ['examples/websocket/start.js'];

let program: Outcome;
/** What came back under each of the numbered titles. */
let steps: readonly (readonly string[])[];

beforeAll(async () => {
  program = await run(process.execPath, COMMAND, ROOT);
  const [, ...texts] = program.stdout.split(/^\d\. /m);
  steps = texts.map((text) => [...text.matchAll(/^ {3}(?:< | {2})(.*)$/gm)].map(([, line = '']) => line));
});

test('it ends by itself, and complains of nothing', () => {
  const complaints = program.stderr.split('\n').filter((line) => !line.startsWith('oidc-provider WARNING: '));
  expect([program.code, complaints.join('\n')]).toEqual([0, '']);
});

test('who has a good token is in the room, for as long as it lives', () => {
  const challenge = 'WWW-Authenticate: Bearer realm="https://chat.example.com"';
  const says = 'error="insufficient_scope", error_description="The access token lacks a required scope"';
  expect(steps).toEqual([
    ['401', `${challenge}, scope="chat"`],
    ['403', `${challenge}, ${says}, scope="chat"`],
    ['101', 'welcome, robot', 'robot: hello', 'closed: 1000'],
    ['101', 'welcome, robot', 'robot: hello', 'closed: 3000 The access token expired'],
  ]);
});

test('tokens are shortened', () => {
  expect(program.stdout).toMatch(/ Bearer eyJ[\w-]{7}\.\.\.[\w-]{5}\n/);
  expect(program.stdout).not.toMatch(/[\w-]{30}/);
});

test('the README has the command, and every file', () => {
  const text = readFileSync(join(FOLDER, 'README.md'), 'utf8');
  expect(text).toContain(`npm ci && npm run build && node ${COMMAND.join(' ')}\n`);
  const files = readdirSync(FOLDER).filter((name) => name !== 'README.md');
  expect(files.filter((name) => !text.includes(`\`${name}\``))).toEqual([]);
});
