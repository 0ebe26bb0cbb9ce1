import type { RequestListener } from 'node:http';
import { expect } from '@jest/globals';
import { SLACK, TIMEOUT } from './faults.js';

export interface Measured {
  readonly milliseconds: number;
  readonly failure: unknown;
}

/** How long it took, and what went wrong in it. Never rejects: the test that asks for it tells. */
export async function measure(step: () => Promise<unknown>): Promise<Measured> {
  const start = performance.now();
  let failure: unknown;
  try {
    await step();
  } catch (error) {
    failure = error;
  }
  return { milliseconds: performance.now() - start, failure };
}

/** The time limit ended it: not earlier, and not much later. */
export function expectLimited(measured: Measured | undefined): void {
  expect(measured).toMatchObject({ failure: undefined });
  expect(measured?.milliseconds).toBeGreaterThan(TIMEOUT - 100);
  expect(measured?.milliseconds).toBeLessThan(TIMEOUT + SLACK);
}

/** An answer that comes a byte at a time, and does not end. */
export const trickle: RequestListener = (_req, res) => {
  res.writeHead(200, { 'Content-Type': 'application/json' });
  const bytes = setInterval(() => res.write(' '), 50).unref();
  res.on('close', () => {
    clearInterval(bytes);
  });
};
