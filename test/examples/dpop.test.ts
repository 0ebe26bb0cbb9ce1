import { beforeAll, expect, jest, test } from '@jest/globals';
import { exchangesIn, expectReadme, expectShortened, runExample, stepsIn, summaryOf } from './printed.js';
import type { Exchange, Printed } from './printed.js';

jest.setTimeout(30_000);

let program: Printed;
/** What went over the wire under each of the numbered titles. */
let steps: readonly (readonly Exchange[])[];

beforeAll(async () => {
  program = await runExample('dpop');
  steps = stepsIn(program.stdout).map((step) => exchangesIn(step));
});

test('it ends by itself, and complains of nothing', () => {
  expect([program.code, program.complaints]).toEqual([0, '']);
});

test('the client passes after the round trip for a nonce, and no thief does', () => {
  expect(steps.map((step) => step.map(summaryOf))).toEqual([
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
  expectShortened(program.stdout, 'DPoP');
});

test('the README has the command, and every file', () => {
  expectReadme('dpop');
});
