import { expect } from '@jest/globals';
import { resourceServer } from '../../lib/index.js';

/** The message of the TypeError that this call meets, made as a program without types would make it. */
export function complaintOf(make: (...args: never[]) => unknown, ...args: readonly unknown[]): string {
  try {
    make(...(args as never[]));
  } catch (error) {
    expect(error).toBeInstanceOf(TypeError);
    return (error as TypeError).message;
  }
  throw new Error('the arguments were taken');
}

/** The message that these options of `resourceServer` meet, beside a resource and an issuer. */
export function complaint(options: object): string {
  return complaintOf(resourceServer, { resource: 'https://a.example', issuer: 'https://b.example', ...options });
}
