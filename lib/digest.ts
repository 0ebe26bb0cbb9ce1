import { hash } from 'node:crypto';

/** By what a token is remembered: no token is kept at rest. A character for each byte, which takes the least room; nobody reads it. */
export function digestOf(token: string): string {
  return hash('sha256', token, 'binary');
}
