// @ts-check
// What a good token costs in process: one that is repeated, new ones, and ten thousand in turn; every subject, every algorithm.
import { IN_FLIGHT, runJobs } from '../jobs.js';
import { JOSE, OURS, subjectsFor } from '../subjects/index.js';
import { mint } from '../tokens.js';
import { makeTrials, tryOut } from '../verify-subjects.js';

/** @typedef {import('../jobs.js').Job} Job @typedef {import('../types.js').Settings} Settings @typedef {import('../tokens.js').Key} Key */

export const ALGORITHMS = ['RS256', 'ES256', 'EdDSA'];
/** As many as a busy API sees within the life of a token. */
const MANY = 10_000;
/** In a hurry, the algorithms after the first are measured for those that a target names. */
const NAMED = [OURS, JOSE, 'express-oauth2-jwt-bearer', 'MCP SDK guard with jose', 'aws-jwt-verify'];

/** @param {import('../bench.js').Bench} bench @param {import('../results.js').Results} results */
export async function inProcess(bench, results) {
  const repeats = bench.either(5, 15);
  /** @type {Job[]} */
  const jobs = [];
  for (const alg of ALGORITHMS) {
    const { key, settings } = await bench.issuer(alg, alg);
    jobs.push(...(await jobsFor(bench, results, alg, key, settings, repeats)));
    if (alg === 'ES256') jobs.push(...(await manyJobs(bench, key, settings)));
  }
  await runJobs(results, repeats, jobs);
  await bench.stop([...new Set(jobs.map(({ child }) => child))]);
}

/** Hot and cold, in one process for each subject. @param {import('../bench.js').Bench} bench @param {import('../results.js').Results} results @param {string} alg @param {Key} key @param {Settings} settings @param {number} repeats */
async function jobsFor(bench, results, alg, key, settings, repeats) {
  const [count, leadIn, warmUp] = [bench.either(100, 400), bench.either(20, 60), bench.either(500, 2000)];
  const size = 1 + warmUp + repeats * (leadIn + count);
  const tokens = await bench.pool(alg, size, () => mint(key, settings));
  const trials = await makeTrials(key, settings);
  const isFirst = alg === ALGORITHMS[0];
  /** @type {Job[]} */
  const jobs = [];
  const isWanted = (/** @type {string} */ subject) => !bench.quick || isFirst || NAMED.includes(subject);
  const start = async (/** @type {string} */ subject) => {
    const { child } = await bench.subject('worker.js', subject, settings, { pools: { tokens } });
    const faults = subject === 'bare' ? [] : await tryOut(child, trials);
    results.notes.push(...faults.map((fault) => `${subject} ${fault} (${alg})`));
    if (faults.includes('refuses a good token')) return;
    const common = { pool: 'tokens', passes: true, inFlight: IN_FLIGHT };
    const cold = { ...common, mode: /** @type {const} */ ('each'), leadIn, count };
    jobs.push({ subject, child, scenario: `cold ${alg}`, warmUp, slice: cold });
    if (bench.quick && !isFirst && subject !== OURS && subject !== 'bare') return;
    // What takes next to nothing is done when there are enough of them.
    const enough = { leadIn: bench.either(50, 200), count: bench.either(3000, 20_000), ms: bench.either(15, 150) };
    const hot = { ...common, mode: /** @type {const} */ ('same'), ...enough };
    jobs.push({ subject, child, scenario: `hot ${alg}`, warmUp, slice: hot });
  };
  await Promise.all(['bare', ...subjectsFor(alg).filter(isWanted)].map(start));
  return jobs;
}

/** In processes of their own: nothing else is remembered there. @param {import('../bench.js').Bench} bench @param {Key} key @param {Settings} settings */
async function manyJobs(bench, key, settings) {
  const tokens = await bench.pool('many', MANY, () => mint(key, settings));
  /** @type {Job[]} */
  const jobs = [];
  for (const subject of ['bare', OURS, ...bench.either([], ['fast-jwt, cache on'])]) {
    const { child } = await bench.subject('worker.js', subject, settings, { pools: { tokens } });
    const count = bench.either(1000, MANY);
    const slice = {
      pool: 'tokens',
      mode: /** @type {const} */ ('cycle'),
      passes: true,
      leadIn: 200,
      count,
      inFlight: IN_FLIGHT,
    };
    jobs.push({ subject, child, scenario: 'many ES256', warmUp: MANY, slice });
  }
  return jobs;
}
