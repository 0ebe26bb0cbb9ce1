// @ts-check
// A bound token with a fresh proof, against the verifications that nobody can avoid: of both, or, where the token is known
// already, of the proof alone.
import { calculateJwkThumbprint } from 'jose';
import { IN_FLIGHT, runJobs } from '../jobs.js';
import { OURS } from '../subjects/index.js';
import { makeKey, mint } from '../tokens.js';

/** @param {import('../bench.js').Bench} bench @param {import('../results.js').Results} results */
export async function dpop(bench, results) {
  const [count, leadIn, warmUp, repeats] = [bench.either(150, 400), 30, bench.either(400, 1000), bench.either(5, 15)];
  const { key, settings } = await bench.issuer('dpop', 'RS256');
  const client = makeKey('ES256', 'client');
  const cnf = { jkt: await calculateJwkThumbprint(client.jwk) };
  const dpopKey = /** @type {import('jose').JWK} */ (client.privateKey.export({ format: 'jwk' }));
  const { issuer, audience } = settings;
  const size = warmUp + repeats * (leadIn + count) + 1;
  const tokens = await bench.pool('dpop', size, () => mint(key, { issuer, audience, claims: { cnf } }));

  /** @type {import('../jobs.js').Job[]} */
  const jobs = [];
  for (const [scenario, mode, reference] of /** @type {const} */ ([
    ['DPoP cold', 'each', 'two verifications'],
    ['DPoP hot', 'same', 'proof alone'],
  ])) {
    for (const subject of ['bare', OURS, reference]) {
      const { child } = await bench.subject('worker.js', subject, { ...settings, dpopKey }, { pools: { tokens } });
      jobs.push({
        subject,
        child,
        scenario,
        warmUp,
        slice: { pool: 'tokens', mode, passes: true, leadIn, count, inFlight: IN_FLIGHT },
      });
    }
  }
  await runJobs(results, repeats, jobs);
  await bench.stop(jobs.map(({ child }) => child));
}
