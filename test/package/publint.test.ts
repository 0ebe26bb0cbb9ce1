import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { ENTRIES, mustRun, pack, ROOT, run, temporaryFolder } from './project.js';
import type { Tarball } from './project.js';

const TIMEOUT = 120_000;
/** What one installation costs. Raise it on purpose, and say why in the commit. */
const MOST_PACKED_BYTES = 300_000; // more than half of it source maps with the sources in them

const folder = temporaryFolder();
const sources = readdirSync(join(ROOT, 'lib')).map((file) => file.replace(/\.ts$/, ''));
let tarball: Tarball;

beforeAll(async () => {
  tarball = await pack(folder.path);
  await mustRun('tar', ['-xzf', tarball.path, '-C', folder.path], folder.path);
}, TIMEOUT);

afterAll(() => {
  folder.remove();
});

function read(path: string): string {
  return readFileSync(join(folder.path, 'package', path), 'utf8');
}

/** Runs a program that came with this project's development dependencies. */
function tool(path: string, args: readonly string[]): ReturnType<typeof run> {
  return run(process.execPath, [join(ROOT, 'node_modules', path), ...args], folder.path);
}

describe('the tarball', () => {
  test('has dist, what a reader needs, and nothing else', () => {
    const built = sources.flatMap((file) => [`${file}.d.ts`, `${file}.js`, `${file}.js.map`]);
    const documents = ['CHANGELOG.md', 'LICENSE', 'README.md', 'package.json'];
    expect(tarball.files).toEqual([...documents, ...built.map((file) => `dist/${file}`)].sort());
  });

  test('is small', () => {
    const unpacked = tarball.files.reduce((sum, file) => sum + statSync(join(folder.path, 'package', file)).size, 0);
    process.stdout.write(`the tarball: ${String(tarball.packedBytes)} bytes packed, ${String(unpacked)} unpacked\n`);
    expect(tarball.packedBytes).toBeLessThan(MOST_PACKED_BYTES);
  });

  test.each(sources)('dist/%s.js was built from lib/ as it is now, and its map carries the source', (file) => {
    const map = JSON.parse(read(`dist/${file}.js.map`)) as { sources: string[]; sourcesContent?: string[] };
    expect(map.sources).toEqual([`../lib/${file}.ts`]);
    expect(map.sourcesContent).toEqual([readFileSync(join(ROOT, 'lib', `${file}.ts`), 'utf8')]);
    expect(read(`dist/${file}.js`)).toContain(`//# sourceMappingURL=${file}.js.map`);
    expect(read(`dist/${file}.d.ts`)).not.toContain('sourceMappingURL');
  });

  test('runs no script when it is installed', () => {
    const { scripts } = JSON.parse(read('package.json')) as { scripts: Readonly<Record<string, string>> };
    expect(Object.keys(scripts).filter((name) => /install$|^prepare$/.test(name))).toEqual([]);
  });
});

test(
  'publint has nothing to say',
  async () => {
    const { code, stdout, stderr } = await tool('publint/src/cli.js', ['run', tarball.path, '--strict']);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toContain('All good!');
  },
  TIMEOUT,
);

test(
  'Are the Types Wrong? finds none that are',
  async () => {
    // ESM alone, on purpose (docs/decisions.md). Not --pack: that would delete a tarball of this name beside package.json.
    const args = [tarball.path, '--profile', 'esm-only', '--format', 'json', '--no-definitely-typed'];
    const { code, stdout } = await tool('@arethetypeswrong/cli/dist/index.js', args);
    expect(code).toBe(0);
    const { analysis } = JSON.parse(stdout) as { analysis: { entrypoints: Readonly<Record<string, unknown>> } };
    expect(Object.keys(analysis.entrypoints)).toEqual(
      expect.arrayContaining(ENTRIES.map((entry) => (entry === 'index' ? '.' : `./${entry}`))),
    );
  },
  TIMEOUT,
);
