// @ts-check
// The scenarios by name, in the order in which they run.
import { dpop } from './dpop.js';
import { growth } from './growth.js';
import { overHttp } from './http.js';
import { inProcess } from './in-process.js';
import { introspection } from './introspection.js';
import { keyFetches } from './key-fetches.js';
import { memory } from './memory.js';
import { refused } from './refused.js';

/** @type {Record<string, (bench: import('../bench.js').Bench, results: import('../results.js').Results) => Promise<void>>} */
export const SCENARIOS = {
  'in-process': inProcess,
  http: overHttp,
  refused: refused,
  growth: growth,
  memory: memory,
  dpop: dpop,
  introspection: introspection,
  'key-fetches': keyFetches,
};
