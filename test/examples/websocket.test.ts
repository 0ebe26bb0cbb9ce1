import { beforeAll, expect, jest, test } from '@jest/globals';
import { expectReadme, expectShortened, runExample, stepsIn } from './printed.js';
import type { Printed } from './printed.js';

jest.setTimeout(30_000);

let program: Printed;
/** What came back under each of the numbered titles. */
let steps: readonly (readonly string[])[];

beforeAll(async () => {
  program = await runExample('websocket');
  steps = stepsIn(program.stdout).map((step) =>
    [...step.matchAll(/^ {3}(?:< | {2})(.*)$/gm)].map(([, line = '']) => line),
  );
});

test('it ends by itself, and complains of nothing', () => {
  expect([program.code, program.complaints]).toEqual([0, '']);
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
  expectShortened(program.stdout, 'Bearer');
});

test('the README has the command, and every file', () => {
  expectReadme('websocket');
});
