// @ts-check
// The results as tables.
import { ALGORITHMS } from './scenarios/in-process.js';
import { REFUSED } from './scenarios/refused.js';

/** @typedef {import('./types.js').Table} Table @typedef {import('./types.js').Target} Target @typedef {import('./results.js').Results} Results */

/** @param {Results} results @param {Target[]} targets @returns {Table[]} */
export function tables(results, targets) {
  return [
    targetTable(targets),
    inProcessTable(results),
    httpTable(results),
    refusedTable(results),
    growthTable(results),
    outsideTable(results),
    dpopTable(results),
  ].filter(({ rows }) => rows.length > 0);
}

/** @param {Target} target @returns {'met' | 'missed' | 'not measured'} */
export function verdict({ value, limit, atLeast = false }) {
  if (value === undefined || Number.isNaN(value)) return 'not measured';
  return (atLeast ? value >= limit : value <= limit) ? 'met' : 'missed';
}

/** @param {Target[]} targets @returns {Table} */
function targetTable(targets) {
  const rows = targets.map((target) => {
    const { text, limit, atLeast, value, unit = '', remark } = target;
    const bound = `${atLeast ? 'at least' : 'at most'} ${figure(limit)} ${unit}`.trimEnd();
    return [
      remark === undefined ? text : `${text} (${remark})`,
      bound,
      `${figure(value)} ${unit}`.trimEnd(),
      verdict(target),
    ];
  });
  return { title: 'Targets', head: ['what', 'target', 'measured', ''], rows };
}

/** @param {Results} results @returns {Table} */
function inProcessTable(results) {
  const columns = [
    { name: 'hot RS256', scenario: 'hot RS256', metric: 'cpu' },
    ...['ES256', 'EdDSA'].map((alg) => ({ name: `hot ${alg}`, scenario: `hot ${alg}`, metric: 'cpu' })),
    { name: '10,000 hot ES256', scenario: 'many ES256', metric: 'cpu' },
    ...ALGORITHMS.flatMap((alg) => [
      { name: `cold ${alg}`, scenario: `cold ${alg}`, metric: 'cpu' },
      { name: 'main thread', scenario: `cold ${alg}`, metric: 'main' },
    ]),
  ];
  return {
    title: 'In process: microseconds of CPU that a subject adds to a request',
    remark: 'All threads, or the main thread where the column says so.',
    head: ['', ...columns.map(({ name }) => name)],
    rows: results
      .subjects('cold RS256')
      .map((subject) => [
        subject,
        ...columns.map(({ scenario, metric }) => figure(results.median(scenario, subject, metric))),
      ]),
  };
}

/** @param {Results} results @returns {Table} */
function httpTable(results) {
  const scenarios = ['hot', 'many', 'cold', 'refused'].map((name) => `HTTP ${name}`);
  const used = scenarios.filter((scenario) => results.subjects(scenario).length > 0);
  return {
    title: 'Over HTTP, RS256, as a part of what bare Express does in the same round',
    remark:
      'Requests per second and CPU of the server as quotients; the 99th percentile of the event-loop delay in milliseconds. ' +
      '"bare" and "bare again" are the same server in two processes: how far they are from 1 is noise.',
    head: ['', ...used.flatMap((scenario) => [`${scenario.slice(5)}: requests/s`, 'CPU', 'delay'])],
    rows: results
      .subjects('HTTP hot')
      .map((subject) => [
        subject,
        ...used.flatMap((scenario) => [
          figure(results.ratioToPair('rate', scenario, subject, ['bare', 'bare again'])),
          figure(results.ratioToPair('cpu', scenario, subject, ['bare', 'bare again'])),
          figure(results.median(scenario, subject, 'delay')),
        ]),
      ]),
  };
}

/** @param {Results} results @returns {Table} */
function refusedTable(results) {
  const kinds = ['good', ...REFUSED];
  return {
    title: 'Refused tokens, RS256: microseconds of CPU above bare Express, answers included',
    remark: 'Each token is new. "good" is a token that passes, for comparison.',
    head: ['', ...kinds],
    rows: results
      .subjects('refused good')
      .map((subject) => [subject, ...kinds.map((kind) => figure(results.median(`refused ${kind}`, subject, 'cpu')))]),
  };
}

/** @param {Results} results @returns {Table} */
function growthTable(results) {
  const scenarios = ['one of each', '1,000 keys', '1,000 servers'];
  return {
    title: 'Growth: microseconds of CPU for a new ES256 token',
    head: ['', ...scenarios],
    rows: results
      .subjects('one of each')
      .map((subject) => [subject, ...scenarios.map((scenario) => figure(results.median(scenario, subject, 'cpu')))]),
  };
}

/** @param {Results} results @returns {Table} */
function outsideTable(results) {
  const opaque = ['1,000 with one opaque token', '10,000 with 100 opaque tokens'];
  const subjects = new Set([
    ...results.subjects('key fetches'),
    ...opaque.flatMap((scenario) => results.subjects(scenario)),
  ]);
  subjects.delete('bare');
  return {
    title: 'What the authorization server has to do',
    remark:
      'Introspection takes 20 ms there. Times are quotients to bare Express; waiting is that of 20 good tokens in the crowd, in milliseconds.',
    head: [
      '',
      'key fetches, 1,000 at the start',
      'key fetches, 1,000 unknown key ids',
      'good ones wait',
      ...opaque.flatMap((name) => [name, 'time']),
    ],
    rows: [...subjects].map((subject) => [
      subject,
      ...['atStart', 'unknown', 'waited'].map((metric) => figure(results.median('key fetches', subject, metric))),
      ...opaque.flatMap((scenario) => [
        figure(results.median(scenario, subject, 'calls')),
        figure(results.ratio('ms', [scenario, subject], [scenario, 'bare'])),
      ]),
    ]),
  };
}

/** @param {Results} results @returns {Table} */
function dpopTable(results) {
  const scenarios = ['DPoP cold', 'DPoP hot'];
  const subjects = new Set(scenarios.flatMap((scenario) => results.subjects(scenario)));
  return {
    title: 'DPoP: microseconds of CPU for a request',
    remark:
      'The token is RS256, the proof ES256. The verifications are by jose, with keys at hand, and check nothing else.',
    head: ['', 'new token, fresh proof', 'hot token, fresh proof'],
    rows: [...subjects].map((subject) => [
      subject,
      ...scenarios.map((scenario) => figure(results.median(scenario, subject, 'cpu'))),
    ]),
  };
}

/** A number with the digits that mean something. @param {number | undefined} value */
export function figure(value) {
  if (value === undefined || !Number.isFinite(value)) return '–';
  const size = Math.abs(value);
  if (Number.isInteger(value) || size >= 100) return String(Math.round(value));
  return value.toFixed(size >= 10 ? 1 : size >= 0.1 ? 2 : 3);
}
