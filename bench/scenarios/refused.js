// @ts-check
// What a bad token costs, the answer included, against a good one that is new, its answer included.
import { IN_FLIGHT, runJobs } from '../jobs.js';
import { OURS } from '../subjects/index.js';
import { forge, garbage, mint } from '../tokens.js';

export const REFUSED = ['expired', 'wrong issuer', 'wrong algorithm', 'garbage', 'wrong signature'];

/** @param {import('../bench.js').Bench} bench @param {import('../results.js').Results} results */
export async function refused(bench, results) {
  const [count, leadIn, warmUp, repeats] = [bench.either(100, 300), 20, bench.either(300, 1000), bench.either(5, 15)];
  const { key, settings } = await bench.issuer('refused', 'RS256');
  const { issuer, audience } = settings;
  const size = warmUp + repeats * (leadIn + count);
  const hourAgo = Math.floor(Date.now() / 1000) - 3600;
  const good = () => mint(key, { issuer, audience });
  /** @type {Record<string, () => string | Promise<string>>} */
  const makers = {
    good: good,
    expired: () => mint(key, { issuer, audience, claims: { exp: hourAgo } }),
    'wrong issuer': () => mint(key, { issuer: `${issuer}/other`, audience }),
    'wrong algorithm': () => mint(key, { issuer, audience, header: { alg: 'HS256' } }),
    garbage: garbage,
    'wrong signature': async () => forge(await good()),
  };
  /** @type {Record<string, string>} */
  const pools = {};
  for (const [name, make] of Object.entries(makers)) pools[name] = await bench.pool(`refused ${name}`, size, make);

  /** @type {import('../jobs.js').Job[]} */
  const jobs = [];
  for (const subject of [
    'bare',
    OURS,
    ...bench.either([], ['jose by hand', 'express-oauth2-jwt-bearer', 'fast-jwt, cache on']),
  ]) {
    const { child } = await bench.subject('worker.js', subject, settings, { pools });
    for (const pool of Object.keys(makers)) {
      const passes = pool === 'good' || subject === 'bare';
      const slice = {
        pool,
        mode: /** @type {const} */ ('each'),
        passes,
        leadIn,
        count,
        answering: true,
        inFlight: IN_FLIGHT,
      };
      jobs.push({ subject, child, scenario: `refused ${pool}`, warmUp, slice });
    }
  }
  await runJobs(results, repeats, jobs);
  await bench.stop([...new Set(jobs.map(({ child }) => child))]);
}
