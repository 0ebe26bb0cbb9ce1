// @ts-check
// Real servers, real connections: requests per second and CPU against bare Express, of which there are two, at different
// places of each round: what they differ by is noise.
import { rounds } from '../bench.js';
import { JOSE, OURS, subjectsFor } from '../subjects/index.js';
import { forge, mint } from '../tokens.js';

/** @typedef {import('../bench.js').Bench} Bench @typedef {import('../types.js').Settings} Settings */
/** @typedef {{ url: string, pool: string, mode: import('../types.js').Mode, passes: boolean, connections: number }} Load */
/** @typedef {{ scenario: string, subject: string, child: import('../child.js').Child, load: Load, amount: number, leadIn: number, warmUp: number }} HttpJob */

const CONNECTIONS = 16;
const MANY = 10_000;
const FAST = 'fast-jwt, cache on';
const PEERS_IN_A_HURRY = [OURS, JOSE, 'express-oauth2-jwt-bearer', FAST];

/** @param {Bench} bench @param {import('../results.js').Results} results */
export async function overHttp(bench, results) {
  const repeats = bench.either(3, 11);
  const numbers = {
    hot: bench.either(800, 5000),
    cold: bench.either(200, 1000),
    leadIn: bench.either(100, 500),
    warmUp: bench.either(250, 2000),
  };
  const { key, settings } = await bench.issuer('http', 'RS256');
  const quick = await bench.issuer('http-many', 'ES256'); // quickly signed; the cost of a hit is the same
  const few = numbers.warmUp + repeats * (numbers.leadIn + numbers.cold);
  const pools = {
    tokens: await bench.pool('http', few, () => mint(key, settings)),
    many: await bench.pool('http many', MANY, () => mint(quick.key, quick.settings)),
    refused: await bench.pool('http refused', bench.either(1, few), async () => forge(await mint(key, settings))),
  };
  const clients = bench.clients();
  for (const [name, path] of Object.entries(pools)) await clients.call('pool', { name, path });

  /** @type {HttpJob[]} */
  const jobs = [];
  for (const subject of ['bare', ...bench.either(PEERS_IN_A_HURRY, subjectsFor('RS256')), 'bare again']) {
    jobs.push(...(await jobsOf(bench, subject, settings, quick.settings, numbers)));
  }
  for (const { load, warmUp: amount } of jobs) await clients.call('load', { ...load, amount });
  await rounds(repeats, jobs, async ({ scenario, subject, child, load, amount, leadIn }) => {
    await clients.call('load', { ...load, amount: leadIn });
    await child.call('begin');
    const rate = await clients.call('load', { ...load, amount });
    const { cpu, delay } = await child.call('end');
    results.add(scenario, subject, { rate, cpu: cpu / amount, delay });
  });
  await bench.stop([clients, ...new Set(jobs.map(({ child }) => child))]);
}

/** @param {Bench} bench @param {string} subject @param {Settings} settings @param {Settings} manySettings @param {{ hot: number, cold: number, leadIn: number, warmUp: number }} numbers */
async function jobsOf(bench, subject, settings, manySettings, { hot, cold, leadIn, warmUp }) {
  const isBare = subject.startsWith('bare');
  const start = async (/** @type {Settings} */ given) => {
    const { child, started: url } = await bench.subject('server.js', isBare ? 'bare' : subject, given);
    return { subject, child, url };
  };
  /** @param {string} name @param {{ child: import('../child.js').Child, url: string }} server @param {Partial<Load>} load @param {number} amount @param {number} warm */
  const job = (name, { child, url }, load, amount, warm) => {
    const all = {
      url,
      pool: 'tokens',
      mode: /** @type {const} */ ('same'),
      passes: true,
      connections: CONNECTIONS,
      ...load,
    };
    return { scenario: `HTTP ${name}`, subject, child, load: all, amount, leadIn, warmUp: warm };
  };
  const one = await start(settings);
  const jobs = [job('hot', one, {}, hot, warmUp)];
  if (isBare || subject === OURS || !bench.quick) jobs.push(job('cold', one, { mode: 'each' }, cold, warmUp));
  if (!bench.quick) jobs.push(job('refused', one, { pool: 'refused', mode: 'each', passes: isBare }, cold, warmUp));
  const many = { pool: 'many', mode: /** @type {const} */ ('cycle') };
  if (isBare) jobs.push(job('many', one, many, hot, warmUp));
  // In a process of its own: nothing else is remembered there.
  else if (subject === OURS || (subject === FAST && !bench.quick)) {
    jobs.push(job('many', await start(manySettings), many, hot, MANY));
  }
  return jobs;
}
