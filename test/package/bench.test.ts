import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { ROOT, run } from './project.js';

const isInstalled = existsSync(join(ROOT, 'bench/node_modules'));
// In continuous integration it is installed, or this fails.
const testWithBench = isInstalled || process.env['CI'] !== undefined ? test : test.skip;
if (!isInstalled) process.stderr.write('The benchmark is not tried: "npm ci --prefix bench" installs what it needs\n');

testWithBench(
  'the benchmark runs: the library passes its check, refused tokens are told apart, keys are fetched once',
  async () => {
    const command = ['bench/run.js', '--quick', '--only', 'refused', '--only', 'key-fetches'];
    const { code, stdout, stderr } = await run(process.execPath, command, ROOT);
    expect([code, stderr.split('\n').filter((line) => !/ took \d+ s$/.test(line) && line !== '')]).toEqual([0, []]);
    for (const row of [
      /^Refused, garbage: CPU, of a wrong signature {2,}at most 1 +\d/m,
      /^1,000 cold requests: key fetches {2,}at most 1 +1 +met$/m,
      /^1,000 unknown key ids: key fetches {2,}at most 1 +[01] +met$/m,
    ]) {
      expect(stdout).toMatch(row);
    }
  },
  120_000,
);
