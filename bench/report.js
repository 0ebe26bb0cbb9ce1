// @ts-check
// Results → the terminal, and the section of the document that belongs to this Node.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { cpus, totalmem } from 'node:os';
import { join } from 'node:path';
import { chart } from './chart.js';
import { tables, verdict } from './tables.js';
import { targets } from './targets.js';

/** @typedef {import('./types.js').Table} Table */

const INTRODUCTION = `# What it costs

Measured by \`npm run bench\`, which writes the parts between the markers of this page, one for each Node. Every subject runs in a
process of its own; the rounds are interleaved; a quotient is taken within each round, and the median of all rounds is given.
In process means that the middleware is called with requests and responses of Node's own classes under Express's prototypes, ten
at a time; what a request without any middleware costs is subtracted. Tokens are RFC 9068 access tokens of 900 characters.
*Hot* is one token that is repeated; *cold* is a token that was never seen before. Each subject was first seen to accept a good
token and to refuse bad ones; which does not is said. \`npm run bench -- --quick\` gives rough numbers in about a minute, and writes nothing.
`;

/** @param {import('./results.js').Results} results @param {{ node: string, mainThread: string, quick: boolean }} run */
export function report(results, { node, mainThread, quick }) {
  const all = tables(results, targets(results));
  const [cpu] = cpus();
  const machine =
    `Node ${node}, ${cpus().length} cores of ${cpu?.model ?? 'an unknown processor'}, ${Math.round(totalmem() / 2 ** 30)} GiB, ` +
    `${process.platform}, ${new Date().toISOString().slice(0, 10)}${quick ? ', in a hurry: the numbers are rough' : ''}. ` +
    `Time of the main thread by ${mainThread}.`;
  return { machine, all, notes: results.notes };
}

/** @param {ReturnType<typeof report>} report @returns {string} */
export function asText({ machine, all, notes }) {
  const blocks = all.map(({ title, head, rows }) => {
    const lines = [head, ...rows].map((row) => row.map(String));
    const widths = head.map((_, column) => Math.max(...lines.map((line) => (line[column] ?? '').length)));
    const aligned = lines.map((line) =>
      line
        .map((cell, column) => pad(cell, widths[column] ?? 0, column))
        .join('  ')
        .trimEnd(),
    );
    return `${title}\n${aligned.join('\n')}`;
  });
  return [machine, ...notes.map((note) => `! ${note}`), ...blocks].join('\n\n');
}

/** @param {string} cell @param {number} width @param {number} column */
function pad(cell, width, column) {
  return column === 0 ? cell.padEnd(width) : cell.padStart(width);
}

/**
 * Replaces the section of this Node in `performance.md`, and its chart.
 *
 * @param {string} folder
 * @param {import('./results.js').Results} results
 * @param {ReturnType<typeof report>} report
 * @param {string} node version
 */
export function writeDocument(folder, results, { machine, all, notes }, node) {
  const major = /** @type {string} */ (node.split('.')[0]).replace('v', '');
  const [begin, end] = [`<!-- bench: Node ${major} -->`, `<!-- end of bench: Node ${major} -->`];
  const image = `performance-node-${major}.svg`;
  const section = [
    begin,
    `## Node ${major}`,
    machine,
    `![Cost of each subject on Node ${major}](${image})`,
    ...(notes.length === 0 ? [] : [`What a reader must know:\n\n${notes.map((note) => `- ${note}`).join('\n')}`]),
    ...all.map(asMarkdown),
    end,
  ].join('\n\n');
  mkdirSync(folder, { recursive: true });
  const path = join(folder, 'performance.md');
  const old = existsSync(path) ? readFileSync(path, 'utf8') : INTRODUCTION;
  const [from, to] = [old.indexOf(begin), old.indexOf(end)];
  const page =
    from < 0 || to < from
      ? `${old.trimEnd()}\n\n${section}\n`
      : old.slice(0, from) + section + old.slice(to + end.length);
  writeFileSync(path, page);
  writeFileSync(join(folder, image), chart(results, `Cost of authentication, Node ${node.replace('v', '')}`));
  return path;
}

/** @param {Table} table */
function asMarkdown({ title, remark, head, rows }) {
  const rule = head.map((_, column) => (column === 0 ? '---' : '--:'));
  const lines = [head, rule, ...rows].map((row) => `| ${row.join(' | ')} |`);
  return [`### ${title}`, ...(remark === undefined ? [] : [remark]), lines.join('\n')].join('\n\n');
}

/** How many targets were met, in words. @param {import('./results.js').Results} results */
export function summary(results) {
  const verdicts = targets(results).map(verdict);
  const count = (/** @type {string} */ wanted) => verdicts.filter((one) => one === wanted).length;
  return `${count('met')} targets met, ${count('missed')} missed, ${count('not measured')} not measured`;
}
