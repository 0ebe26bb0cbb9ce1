// @ts-check
// Whether a new token costs more where there are a thousand keys, or a thousand trusted servers. ES256, for its keys are quickly made.
import { AUDIENCE } from '../bench.js';
import { IN_FLIGHT, runJobs } from '../jobs.js';
import { JOSE, OURS } from '../subjects/index.js';
import { makeKey, mint } from '../tokens.js';

const THOUSAND = 1000;

/** @param {import('../bench.js').Bench} bench @param {import('../results.js').Results} results */
export async function growth(bench, results) {
  const [count, leadIn, repeats] = [bench.either(100, 400), 30, bench.either(5, 15)];
  const size = THOUSAND + repeats * (leadIn + count);
  /** @type {import('../jobs.js').Job[]} */
  const jobs = [];
  for (const [scenario, keys, servers] of /** @type {const} */ ([
    ['one of each', 1, 1],
    ['1,000 keys', THOUSAND, 1],
    ['1,000 servers', 1, THOUSAND],
  ])) {
    /** @type {{ key: import('../tokens.js').Key, issuer: string }[]} */
    const signers = [];
    const issuers = [];
    for (let index = 0; index < servers; index++) {
      const path = `growth-${keys}-${servers}-${index}`;
      const all = Array.from({ length: keys }, (_, number) => makeKey('ES256', `${path}-${number}`));
      const server = await bench.publish(path, all);
      issuers.push(server);
      for (const key of all) signers.push({ key, issuer: server.issuer });
    }
    const path = await bench.pool(scenario, size, (index) => {
      const { key, issuer } = /** @type {typeof signers[0]} */ (signers[index % signers.length]);
      return mint(key, { issuer, audience: AUDIENCE });
    });
    const [first] = issuers;
    if (first === undefined) throw new Error('no issuer');
    const settings = bench.settings(first, 'ES256');
    for (const subject of ['bare', OURS, ...bench.either([], [JOSE])]) {
      const given = servers === 1 ? settings : { ...settings, issuers };
      const { child } = await bench.subject('worker.js', subject, given, { pools: { tokens: path } });
      const slice = {
        pool: 'tokens',
        mode: /** @type {const} */ ('each'),
        passes: true,
        leadIn,
        count,
        inFlight: IN_FLIGHT,
      };
      // Every key and every server is met once before.
      jobs.push({ subject, child, scenario, warmUp: THOUSAND, slice });
    }
  }
  await runJobs(results, repeats, jobs);
  await bench.stop(jobs.map(({ child }) => child));
}
