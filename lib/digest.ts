import { hash } from 'node:crypto';

/** By what a token is remembered: no token is kept at rest. */
export function digestOf(token: string): string {
  return hash('sha256', token, 'binary');
}
