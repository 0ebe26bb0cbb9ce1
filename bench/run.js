// @ts-check
// The command: `npm run bench`. Measures the library beside its peers, prints tables, writes `docs/performance.md` and its
// charts. It reports: that a target is missed is no failure.
//
//   --quick            less than a minute, rough numbers, writes nothing
//   --node <path>      the Node that runs the subjects; more than once for several. Default: this one
//   --library <path>   the built library. Default: dist/index.js
//   --out <folder>     where the document is. Default: docs
//   --only <scenario>  one scenario; more than once for several. Writes nothing
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { loadavg } from 'node:os';
import { resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';

const root = fileURLToPath(new URL('..', import.meta.url));

const { values } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    node: { type: 'string', multiple: true, default: [process.execPath] },
    library: { type: 'string', default: resolve(root, 'dist/index.js') },
    out: { type: 'string', default: resolve(root, 'docs') },
    only: { type: 'string', multiple: true, default: [] },
  },
});

for (const [path, command] of /** @type {const} */ ([
  [resolve(root, 'bench/node_modules'), 'npm ci --prefix bench'],
  [resolve(values.library), 'npm run build'],
])) {
  if (existsSync(path)) continue;
  console.error(`Run "${command}" first: there is no ${path}`);
  process.exit(1);
}

// Not before it is known that what they import is there.
const { Bench } = await import('./bench.js');
const { asText, report, summary, writeDocument } = await import('./report.js');
const { Results } = await import('./results.js');
const { SCENARIOS } = await import('./scenarios/index.js');

const names = values.only.length === 0 ? Object.keys(SCENARIOS) : values.only;
for (const name of names) {
  if (name in SCENARIOS) continue;
  console.error(`There is no scenario "${name}"; there are ${Object.keys(SCENARIOS).join(', ')}`);
  process.exit(1);
}
for (const node of values.node) await measure(node);

/** @param {string} node */
async function measure(node) {
  const { quick, only } = values;
  const version = execFileSync(node, ['--version'], { encoding: 'utf8' }).trim();
  const clock = new URL('./clock.js', import.meta.url).href;
  const askClock = `import('${clock}').then(({ MAIN_THREAD }) => console.log(MAIN_THREAD))`;
  const mainThread = execFileSync(node, ['-e', askClock], { encoding: 'utf8' }).trim();
  const library = pathToFileURL(resolve(values.library)).href;
  const bench = new Bench({ node, library, quick });
  const results = new Results();
  const [load = 0] = loadavg();
  if (load > 0.5) results.notes.push(`the machine was not idle: its load was ${load.toFixed(1)} when this began`);
  await bench.open();
  for (const name of names) {
    const started = Date.now();
    await SCENARIOS[name]?.(bench, results);
    console.error(`${version}: ${name} took ${Math.round((Date.now() - started) / 1000)} s`);
  }
  await bench.close();
  const found = report(results, { node: version, mainThread, quick });
  console.log(`${asText(found)}\n\n${summary(results)}\n`);
  if (quick || only.length > 0) return;
  console.log(`Written to ${writeDocument(values.out, results, found, version)}`);
}
