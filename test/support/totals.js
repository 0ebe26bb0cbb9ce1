import { writeFileSync } from 'node:fs';

/** A reporter of jest for `.ci/run`: writes `N passed, N failed` to the file that `TEST_TOTALS` names. */
export default class Totals {
  onRunComplete(_contexts, results) {
    // A suite that could not even start has no failed test of its own.
    const failed = results.numFailedTests + results.numRuntimeErrorTestSuites;
    writeFileSync(process.env.TEST_TOTALS, `${results.numPassedTests} passed, ${failed} failed\n`);
  }
}
