// @ts-check
// How often the keys are asked for: by a crowd that comes before there are any, and by tokens with key ids that do not exist.
import { setTimeout } from 'node:timers/promises';
import { OURS } from '../subjects/index.js';
import { makeKey, mint } from '../tokens.js';

const CROWD = 1000;
/** The keys take so long to come, in milliseconds: who waits for them is seen. */
const DELAY = 1500;
const DELAY_IN_A_HURRY = 700;
/** A subject that is not done by then is reported as such. */
const PATIENCE = 20_000;

/** @param {import('../bench.js').Bench} bench @param {import('../results.js').Results} results */
export async function keyFetches(bench, results) {
  const { key, settings } = await bench.issuer('fetches', 'ES256');
  const { issuer, audience } = settings;
  const strange = makeKey('ES256', '');
  const pools = {
    good: await bench.pool('fetches good', CROWD + 20, () => mint(key, { issuer, audience })),
    unknown: await bench.pool('fetches unknown', CROWD, (index) =>
      mint({ ...strange, kid: `unknown-${index}` }, { issuer, audience }),
    ),
  };
  const path = '/fetches/jwks';
  const delay = bench.either(DELAY_IN_A_HURRY, DELAY);
  await bench.server.call('count', { path });
  for (const subject of [OURS, 'jose by hand']) {
    const { child } = await bench.subject('worker.js', subject, settings, { pools });
    await bench.publish('fetches', [key]);
    const start = await child.call('burst', { crowd: 'good', count: CROWD });
    if (start.passed !== CROWD) throw new Error(`${subject}: ${start.passed} of ${CROWD} passed at the start`);
    const atStart = await bench.server.call('count', { path });

    await setTimeout(bench.either(1100, 3000)); // a set that has just come is not asked for again
    await bench.publish('fetches', [key], delay);
    const late = setTimeout(PATIENCE, undefined, { ref: false });
    const burst = child.call('burst', { crowd: 'unknown', count: CROWD, watched: 'good', watchedCount: 20 });
    const found = await Promise.race([burst, late]);
    const unknown = await bench.server.call('count', { path });
    const waited = found?.waited ?? PATIENCE;
    results.add('key fetches', subject, {
      atStart,
      unknown,
      waited,
      waits: waited < delay ? 0 : 1,
      ms: found?.ms ?? PATIENCE,
    });
    burst.catch(() => undefined); // it may be stopped before it is done
    await bench.stop([child]);
  }
}
