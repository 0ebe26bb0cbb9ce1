// @ts-check
// What the library is held to, and what was measured.
import { ALGORITHMS } from './scenarios/in-process.js';
import { REFUSED } from './scenarios/refused.js';
import { JOSE, OURS, SUBJECTS } from './subjects/index.js';

/** @typedef {import('./types.js').Target} Target @typedef {import('./results.js').Results} Results */

const BARES = /** @type {[string, string]} */ (['bare', 'bare again']);
const [FAST, BEARER, AWS] = ['fast-jwt, cache on', 'express-oauth2-jwt-bearer', 'aws-jwt-verify'];

/** @param {Results} results @returns {Target[]} */
export function targets(results) {
  return [
    ...hot(results),
    ...overHttp(results),
    ...cold(results),
    ...growth(results),
    ...refused(results),
    ...others(results),
  ];
}

/** @param {Results} results @returns {Target[]} */
function hot(results) {
  const against = (/** @type {string} */ subject) => results.ratio('cpu', ['hot RS256', OURS], ['hot RS256', subject]);
  return [
    { text: 'Hot RS256, CPU, of fast-jwt with its cache on', limit: 0.45, value: against(FAST) },
    { text: 'Hot RS256, CPU, of express-oauth2-jwt-bearer', limit: 1 / 30, value: against(BEARER) },
    { text: 'Hot RS256, CPU, of jose by hand', limit: 1 / 20, value: against(JOSE) },
    ...['ES256', 'EdDSA'].map((alg) => ({
      text: `Hot ${alg}, CPU, of hot RS256`,
      limit: 1.1,
      value: results.ratio('cpu', [`hot ${alg}`, OURS], ['hot RS256', OURS]),
    })),
    {
      text: '10,000 hot tokens in turn, CPU, of one',
      limit: 1.2,
      value: remembered(results, results.ratio('cpu', ['many ES256', OURS], ['hot ES256', OURS])),
      remark: 'the middleware alone',
    },
  ];
}

/** @param {Results} results @returns {Target[]} */
function overHttp(results) {
  const peers = results.subjects('HTTP hot').filter((subject) => !BARES.includes(subject) && subject !== OURS);
  const ahead = peers.map((peer) => results.ratio('rate', ['HTTP hot', OURS], ['HTTP hot', peer]) ?? NaN);
  return [
    {
      text: 'Hot over HTTP, CPU, of bare Express',
      limit: 1.15,
      value: results.ratioToPair('cpu', 'HTTP hot', OURS, BARES),
    },
    {
      text: 'Hot over HTTP, requests per second, of bare Express',
      limit: 0.9,
      atLeast: true,
      value: results.ratioToPair('rate', 'HTTP hot', OURS, BARES),
    },
    {
      text: 'Hot over HTTP, requests per second, of the best peer',
      limit: 1,
      atLeast: true,
      value: ahead.length === 0 ? undefined : Math.min(...ahead),
      remark: `of ${peers.length} peers`,
    },
    {
      text: '10,000 hot tokens in turn over HTTP, CPU, of one',
      limit: 1.2,
      value: remembered(results, results.ratio('cpu', ['HTTP many', OURS], ['HTTP hot', OURS])),
    },
  ];
}

/** @param {Results} results @returns {Target[]} */
function cold(results) {
  /** @param {string} metric @param {string} alg @param {string} subject */
  const against = (metric, alg, subject) => results.ratio(metric, [`cold ${alg}`, OURS], [`cold ${alg}`, subject]);
  const onJose = Object.entries(SUBJECTS).flatMap(([name, { jose }]) =>
    jose && name !== OURS && name !== JOSE ? [name] : [],
  );
  return [
    ...ALGORITHMS.flatMap((alg) => [
      { text: `Cold ${alg}, main thread, of jose by hand`, limit: 1, value: against('main', alg, JOSE) },
      { text: `Cold ${alg}, CPU, of jose by hand`, limit: 1.1, value: against('cpu', alg, JOSE) },
      {
        text: `Cold ${alg}, main thread, of the best peer that is built on jose`,
        limit: 1,
        value: most(onJose.flatMap((peer) => against('main', alg, peer) ?? [])),
      },
    ]),
    { text: 'Cold ES256, main thread, of aws-jwt-verify', limit: 0.6, value: against('main', 'ES256', AWS) },
    { text: 'Cold EdDSA, main thread, of aws-jwt-verify', limit: 0.4, value: against('main', 'EdDSA', AWS) },
  ];
}

/** @param {Results} results @returns {Target[]} */
function growth(results) {
  return ['1,000 keys', '1,000 servers'].map((scenario) => ({
    text: `New tokens with ${scenario}, CPU, of one`,
    limit: 1.1,
    value: results.ratio('cpu', [scenario, OURS], ['one of each', OURS]),
  }));
}

/** @param {Results} results @returns {Target[]} */
function refused(results) {
  /** @param {string} one @param {string} other */
  const between = (one, other) => results.ratio('cpu', [`refused ${one}`, OURS], [`refused ${other}`, OURS]);
  return [
    ...REFUSED.filter((name) => name !== 'wrong signature').map((name) => ({
      text: `Refused, ${name}: CPU, of a wrong signature`,
      limit: 1,
      value: between(name, 'wrong signature'),
    })),
    { text: 'Refused, wrong signature: CPU, of a good new token', limit: 1, value: between('wrong signature', 'good') },
  ];
}

/** @param {Results} results @returns {Target[]} */
function others(results) {
  const [one, many] = ['1,000 with one opaque token', '10,000 with 100 opaque tokens'];
  const perToken = results.median('memory', OURS, 'perToken');
  const beyond = results.median('memory', OURS, 'beyondBound') ?? NaN;
  const nothing = remembered(results, 0) === undefined ? { remark: 'no token is remembered' } : {};
  return [
    {
      text: 'Memory for a cached token of 900 characters',
      limit: 1.15,
      unit: 'kB',
      value: remembered(results, perToken),
      ...nothing,
    },
    {
      text: 'Memory for a token beyond the bound, of one within',
      limit: 0.05,
      value: remembered(results, Math.abs(beyond) / (perToken ?? NaN)),
      ...nothing,
    },
    { text: `${one}: calls`, limit: 1, value: results.median(one, OURS, 'calls') },
    { text: `${one}: time, of bare Express`, limit: 1.15, value: results.ratio('ms', [one, OURS], [one, 'bare']) },
    { text: `${many}: calls`, limit: 100, value: results.median(many, OURS, 'calls') },
    { text: `${many}: time, of bare Express`, limit: 1.15, value: results.ratio('ms', [many, OURS], [many, 'bare']) },
    { text: '1,000 cold requests: key fetches', limit: 1, value: results.median('key fetches', OURS, 'atStart') },
    { text: '1,000 unknown key ids: key fetches', limit: 1, value: results.median('key fetches', OURS, 'unknown') },
    {
      text: '1,000 unknown key ids: valid tokens that wait for them',
      limit: 0,
      value: results.median('key fetches', OURS, 'waits'),
    },
    {
      text: 'DPoP, new token and proof: CPU, of the two verifications',
      limit: 1.25,
      value: results.ratio('cpu', ['DPoP cold', OURS], ['DPoP cold', 'two verifications']),
    },
    {
      text: 'DPoP, hot token and fresh proof: CPU, of the one verification',
      limit: 1.25,
      value: results.ratio('cpu', ['DPoP hot', OURS], ['DPoP hot', 'proof alone']),
    },
  ];
}

/** @param {number[]} list */
function most(list) {
  return list.length === 0 ? undefined : Math.max(...list);
}

/** The value, if tokens are remembered at all: without that it would mean nothing. @param {Results} results @param {number | undefined} value */
function remembered(results, value) {
  const hotOfCold = results.ratio('cpu', ['hot RS256', OURS], ['cold RS256', OURS]);
  return hotOfCold !== undefined && hotOfCold < 0.5 ? value : undefined;
}
