// @ts-check
// What a remembered token takes, and whether it stays at that when more come than are remembered. EdDSA: quickly signed; what
// is remembered of a token does not depend on its algorithm.
import { IN_FLIGHT } from '../jobs.js';
import { OURS } from '../subjects/index.js';
import { mint } from '../tokens.js';

/** @param {import('../bench.js').Bench} bench @param {import('../results.js').Results} results */
export async function memory(bench, results) {
  const { key, settings } = await bench.issuer('memory', 'EdDSA');
  const bound = bench.either(4000, 10_000);
  const [first, beyond] = [bound / 4, bound * bench.either(1, 3)];
  const tokens = await bench.pool('memory', bound + beyond, () => mint(key, settings));
  const { child } = await bench.subject(
    'worker.js',
    OURS,
    { ...settings, maxCachedTokens: bound },
    { pools: { tokens }, flags: ['--expose-gc'] },
  );
  const send = (/** @type {number} */ count) =>
    child.call('slice', { pool: 'tokens', mode: 'each', passes: true, leadIn: 0, count, inFlight: IN_FLIGHT });
  await send(first);
  const atFirst = await child.call('heap');
  await send(bound - first);
  const atBound = await child.call('heap');
  await send(beyond);
  const after = await child.call('heap');
  await bench.stop([child]);
  results.add('memory', OURS, {
    perToken: (atBound - atFirst) / (bound - first) / 1000,
    beyondBound: (after - atBound) / beyond / 1000,
  });
}
