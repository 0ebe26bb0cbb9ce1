import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { InvalidTokenError } from '../../lib/errors.js';

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

/** Bytes in use on the heap after what is garbage has gone. */
export async function heapInUse(): Promise<number> {
  for (let i = 0; i < 3; i++) {
    await new Promise((resolve) => setImmediate(resolve));
    collect();
  }
  return process.memoryUsage().heapUsed;
}

/** Has the tokens from one number to another verified, one after the other. Gives how many were refused as bad. */
export async function countRefused(
  verify: (token: string) => unknown,
  token: (i: number) => string,
  from: number,
  to: number,
): Promise<number> {
  let refused = 0;
  for (let i = from; i < to; i++) {
    try {
      await verify(token(i));
    } catch (error) {
      if (!(error instanceof InvalidTokenError)) throw error;
      refused++;
    }
  }
  return refused;
}
