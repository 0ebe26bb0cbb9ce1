// @ts-check
// A child: one subject, measured in process.
import { setImmediate } from 'node:timers/promises';
import { serve } from './child.js';
import { MAIN_THREAD, startClock } from './clock.js';
import { drive, driveTogether } from './drive.js';
import { makeExchange, Pool } from './exchanges.js';
import { createSubject } from './subjects/index.js';
import { proofMaker } from './tokens.js';

/** @typedef {import('./types.js').Mode} Mode */

/** So many exchanges are made ahead, and measured together: making them is not measured. */
const BATCH = 100;
const ALONE = { answering: true, inFlight: 1 };

/** @type {Function} */
let middleware;
/** @type {Map<string, Pool>} */
const pools = new Map();
/** @type {((token: string) => string) | undefined} */
let makeProof;

serve({
  /** @param {{ subject: string, settings: import('./types.js').Settings, pools?: Record<string, string> }} args */
  start: async ({ subject, settings, pools: paths = {} }) => {
    const { dpopKey, audience } = settings;
    middleware = (await createSubject(subject, settings)) ?? passOn;
    if (dpopKey !== undefined) makeProof = proofMaker(dpopKey, `${audience}/`);
    const scheme = dpopKey === undefined ? 'Bearer' : 'DPoP';
    for (const [name, path] of Object.entries(paths)) pools.set(name, new Pool(path, scheme));
    return { mainThread: MAIN_THREAD, node: process.version };
  },

  /** Whether a token passes. @param {{ token: string }} args */
  passes: async ({ token }) => (await drive(middleware, [makeExchange(`Bearer ${token}`)], ALONE)) === 1,

  /**
   * Microseconds for each request.
   *
   * @param {{ pool: string, mode: Mode, passes: boolean, leadIn: number, count?: number, ms?: number, answering?: boolean, inFlight?: number }} args
   *   a number of requests, or a time
   */
  slice: async ({ pool, mode, passes, leadIn, count = Infinity, ms = Infinity, answering = false, inFlight = 1 }) => {
    const options = { answering, inFlight };
    await batches(pool, mode, passes, leadIn, Infinity, options);
    return batches(pool, mode, passes, count, ms, options);
  },

  /**
   * Everything at once: first a crowd, then some that are watched.
   *
   * @param {{ crowd: string, count: number, watched?: string, watchedCount?: number }} args
   */
  burst: async ({ crowd, count, watched, watchedCount = 0 }) => {
    const all = take(crowd, 'each', count);
    if (watched !== undefined) all.push(...take(watched, 'cycle', watchedCount));
    const results = await driveTogether(middleware, all);
    const [first, rest] = [results.slice(0, count), results.slice(count)];
    const passed = first.filter((result) => result.passed).length;
    const watchedPassed = rest.filter((result) => result.passed).length;
    return {
      passed,
      ms: Math.max(...first.map(({ ms }) => ms)),
      watchedPassed,
      waited: Math.max(0, ...rest.map(({ ms }) => ms)),
    };
  },

  /** The heap, after all garbage is gone, in bytes. */
  heap: async () => {
    const { gc } = globalThis;
    if (gc === undefined) throw new Error('start with --expose-gc');
    for (let i = 0; i < 4; i++) {
      await setImmediate();
      gc();
    }
    return process.memoryUsage().heapUsed;
  },
});

/** @param {unknown} _req @param {unknown} _res @param {() => void} next */
function passOn(_req, _res, next) {
  next();
}

/** @param {string} name @param {Mode} mode @param {number} count */
function take(name, mode, count) {
  const pool = pools.get(name);
  if (pool === undefined) throw new Error(`there is no pool ${name}`);
  return Array.from({ length: count }, () => {
    const authorization = pool.next(mode);
    return makeExchange(authorization, makeProof?.(pool.tokenOf(authorization)));
  });
}

/** @param {string} pool @param {Mode} mode @param {boolean} passes @param {number} count @param {number} ms @param {{ answering: boolean, inFlight: number }} options */
async function batches(pool, mode, passes, count, ms, options) {
  const sum = { wall: 0, cpu: 0, main: 0 };
  let done = 0;
  while (done < count && sum.wall < ms * 1000) {
    const exchanges = take(pool, mode, Math.min(BATCH, count - done));
    await setImmediate();
    const stop = startClock();
    const passed = await drive(middleware, exchanges, options);
    const { wall, cpu, main } = stop();
    if (passed !== (passes ? exchanges.length : 0)) {
      throw new Error(`${passed} of ${exchanges.length} requests with ${pool} passed`);
    }
    sum.wall += wall;
    sum.cpu += cpu;
    sum.main += main;
    done += exchanges.length;
  }
  return { wall: sum.wall / done, cpu: sum.cpu / done, main: sum.main / done };
}
