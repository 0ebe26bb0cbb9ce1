// @ts-check
// The chart of the document: two rows of bars, as plain SVG that is readable on a dark page as well.
import { OURS } from './subjects/index.js';

/** @typedef {import('./results.js').Results} Results @typedef {{ label: string, value: number, text: string }} Bar */

const WIDTH = 760;
const LABELS = 230;
const VALUES = 90;
const ROW = 22;

/** @param {Results} results @param {string} title */
export function chart(results, title) {
  const hot = bars(results, 'hot RS256', (subject) => results.median('hot RS256', subject, 'cpu'), ' µs').sort(
    smallest,
  );
  const http = bars(
    results,
    'HTTP hot',
    (subject) => results.ratioToPair('rate', 'HTTP hot', subject, ['bare', 'bare again']),
    '',
  )
    .filter(({ label }) => label !== 'bare again')
    .sort((a, b) => -smallest(a, b));
  const parts = [
    {
      heading: 'CPU that a repeated RS256 token adds to a request (less is better; logarithmic scale)',
      list: hot,
      scale: log(hot),
    },
    { heading: 'Requests per second over HTTP, bare Express = 1 (more is better)', list: http, scale: linear(http) },
  ];
  let y = 40;
  const drawn = parts.flatMap(({ heading, list, scale }) => {
    const lines = [`<text x="0" y="${y}" class="heading">${escape(heading)}</text>`];
    y += 12;
    for (const bar of list) {
      lines.push(row(bar, y, scale(bar.value)));
      y += ROW;
    }
    y += 32;
    return lines;
  });
  const style =
    'text{font:13px system-ui,sans-serif;fill:#57606a}.title{font-size:15px;font-weight:600}.heading{font-weight:600}' +
    'rect{fill:#8c959f}.ours{fill:#1a7f37}@media(prefers-color-scheme:dark){text{fill:#adbac7}.ours{fill:#57ab5a}}';
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${y - 20}" role="img" aria-label="${escape(title)}">
<style>${style}</style>
<text x="0" y="16" class="title">${escape(title)}</text>
${drawn.join('\n')}
</svg>
`;
}

/** @param {Results} results @param {string} scenario @param {(subject: string) => number | undefined} read @param {string} unit @returns {Bar[]} */
function bars(results, scenario, read, unit) {
  return results.subjects(scenario).flatMap((label) => {
    const value = read(label);
    if (value === undefined || !(value > 0)) return [];
    return [{ label, value, text: `${value.toFixed(value < 10 ? 2 : 0)}${unit}` }];
  });
}

/** @param {Bar} bar @param {number} y @param {number} part of the whole width */
function row({ label, text }, y, part) {
  const width = Math.max(2, part * (WIDTH - LABELS - VALUES)).toFixed(1);
  const kind = label === OURS ? ' class="ours"' : '';
  return (
    `<text x="${LABELS - 8}" y="${y + 14}" text-anchor="end">${escape(label)}</text>` +
    `<rect x="${LABELS}" y="${y + 3}" width="${width}" height="${ROW - 8}"${kind}/>` +
    `<text x="${(LABELS + Number(width) + 6).toFixed(1)}" y="${y + 14}">${escape(text)}</text>`
  );
}

/** @param {Bar[]} list */
function linear(list) {
  const most = Math.max(...list.map(({ value }) => value));
  return (/** @type {number} */ value) => value / most;
}

/** From a tenth of a microsecond. @param {Bar[]} list */
function log(list) {
  const most = Math.max(...list.map(({ value }) => value));
  return (/** @type {number} */ value) => Math.log(Math.max(value, 0.1) / 0.1) / Math.log(most / 0.1);
}

/** @param {Bar} a @param {Bar} b */
function smallest(a, b) {
  return a.value - b.value;
}

/** @param {string} text */
function escape(text) {
  return text.replace(/[&<>"]/g, (character) => `&#${character.charCodeAt(0)};`);
}
