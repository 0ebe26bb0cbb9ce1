// @ts-check
// What a stretch of work cost: wall, CPU of all threads, CPU of the main thread.
import { readFileSync } from 'node:fs';
import { performance } from 'node:perf_hooks';

/** @typedef {import('./types.js').Cost} Cost */

const THREAD = '/proc/thread-self/schedstat';
const sleeper = new Int32Array(new SharedArrayBuffer(4));

const [mainThread, readMain] = chooseMain();

/** By what the time of the main thread is told on this Node. */
export const MAIN_THREAD = mainThread;

/** @returns {[string, () => number]} */
function chooseMain() {
  // Since Node 23.9; without it the types of Node 20 do not know it.
  const { threadCpuUsage } = /** @type {{ threadCpuUsage?: () => { user: number, system: number } }} */ (
    /** @type {unknown} */ (process)
  );
  if (typeof threadCpuUsage === 'function') {
    const read = () => {
      nap();
      const { user, system } = threadCpuUsage.call(process);
      return user + system;
    };
    return ['process.threadCpuUsage()', read];
  }
  try {
    readFileSync(THREAD);
    const read = () => {
      nap();
      return Number(readFileSync(THREAD, 'latin1').split(' ', 1)[0]) / 1000;
    };
    return [THREAD, read];
  } catch {
    // No Linux: active time is wall time, and so counts what other processes took away.
    return ['performance.eventLoopUtilization()', () => performance.eventLoopUtilization().active * 1000];
  }
}

/** The kernel brings the account of a running thread up to date when it stops: let it stop for an instant. */
function nap() {
  Atomics.wait(sleeper, 0, 0, 0.001);
}

/** Starts to measure; the function it returns ends that, and gives microseconds. @returns {() => Cost} */
export function startClock() {
  const main = readMain();
  const cpu = process.cpuUsage();
  const wall = process.hrtime.bigint();
  return () => {
    const ended = process.hrtime.bigint();
    const { user, system } = process.cpuUsage(cpu);
    return { wall: Number(ended - wall) / 1000, cpu: user + system, main: readMain() - main };
  };
}
