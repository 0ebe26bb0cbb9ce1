// @ts-check
// Slices of in-process work, interleaved, above what a request costs without any middleware.
import { rounds } from './bench.js';
import { OURS } from './subjects/index.js';

/** So many requests at a time, as in a server that has something to do: hand-overs to other threads are shared among them. */
export const IN_FLIGHT = 10;

/** @typedef {{ pool: string, mode: import('./types.js').Mode, passes: boolean, leadIn: number, count?: number, ms?: number, answering?: boolean, inFlight: number }} Slice */
/** @typedef {{ scenario: string, subject: string, child: import('./child.js').Child, slice: Slice, warmUp: number }} Job */

/**
 * Runs every job once in each round. In each scenario there must be one of the subject `bare`: it is subtracted.
 *
 * @param {import('./results.js').Results} results
 * @param {number} count rounds
 * @param {Job[]} jobs
 */
export async function runJobs(results, count, jobs) {
  /** @type {Set<Job>} */
  const broken = new Set();
  /** @param {Job} job @param {() => Promise<void>} run */
  const guarded = async (job, run) => {
    if (broken.has(job)) return;
    try {
      await run();
    } catch (error) {
      if (job.subject === OURS) throw error;
      broken.add(job);
      results.remove(job.scenario, job.subject);
      results.notes.push(
        `${job.subject} is left out of "${job.scenario}": ${/** @type {Error} */ (error).message.split('\n')[0]}`,
      );
    }
  };
  for (const job of jobs) {
    const { pool, mode, passes, inFlight, answering = false } = job.slice;
    await guarded(job, () =>
      job.child.call('slice', { pool, mode, passes, answering, inFlight, leadIn: 0, count: job.warmUp }),
    );
  }
  await rounds(count, jobs, (job) =>
    guarded(job, async () => results.add(job.scenario, job.subject, await job.child.call('slice', job.slice))),
  );
  for (const scenario of new Set(jobs.map((job) => job.scenario))) results.subtract(scenario, 'bare');
}
