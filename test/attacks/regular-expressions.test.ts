import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import ts from 'typescript';
import { decodeJwt } from '../../lib/decode.js';

describe('regular expressions do work that is linear in their input', () => {
  const folder = new URL('../../lib/', import.meta.url);
  const found = readdirSync(folder).flatMap((file) => patternsOf(readFileSync(new URL(file, folder), 'utf8')));
  const units = [
    ' ',
    'a',
    'A',
    '1',
    '=',
    '.',
    '..',
    '-',
    ',',
    '/',
    '\\',
    '"',
    '[',
    ']',
    '.1',
    '1.',
    'ab12',
    'a=',
    'bearer ',
    'AAAA.',
    '\t',
    '\u00e9',
  ];
  const prefixes = ['', 'Bearer ', 'Bearer', '127', '127.1', 'application/', 'private', '[', 'AAAA.AAAA.', 'AA', 'a='];
  const suffixes = ['', '!', ' ', ' x y', '\n', '.', '=', '=!', '"', '.A', 'AAAAA'];

  test('there are some to look at, and all are found', () => {
    const slashes = readdirSync(folder)
      .map((file) => readFileSync(new URL(file, folder), 'utf8'))
      .join('\n');
    expect(found.length).toBeGreaterThanOrEqual(15);
    expect(slashes.match(/new RegExp\(/g) ?? []).toHaveLength(1); // COMPACT_JWS, looked at by way of decodeJwt() below
  });

  test('the measure tells one that is not', () => {
    expect(
      growth(
        (text) => /a*!/.test(text),
        (size) => 'a'.repeat(size / 4),
      ),
    ).toBeGreaterThan(8);
  });

  test.each(found)('%s', (source, flags) => {
    const pattern = new RegExp(source, flags.replace('g', ''));
    for (const prefix of prefixes) {
      for (const unit of units) {
        for (const suffix of suffixes) {
          const input = (size: number) => prefix + unit.repeat(Math.ceil(size / unit.length)) + suffix;
          expect([prefix, unit, suffix, growth((text) => pattern.test(text), input) < 8]).toEqual([
            prefix,
            unit,
            suffix,
            true,
          ]);
        }
      }
    }
  });

  test('the shape of a token', () => {
    const works = (text: string) => {
      try {
        decodeJwt(text);
      } catch {
        // refused, which is not the question
      }
    };
    for (const unit of ['A', 'AAAA', 'AAAA.', '.', '..', 'AAA.A', '-', '=']) {
      for (const suffix of ['', '!', '.', '.A', '..', '=']) {
        expect([
          unit,
          suffix,
          growth(works, (size) => unit.repeat(Math.ceil(size / unit.length)) + suffix) < 8,
        ]).toEqual([unit, suffix, true]);
      }
    }
  });
});

/**
 * How much longer four times the input takes: 4 for linear work, 16 for quadratic. The best of some measurements, for a
 * machine that others use as well; 0 where even the large input is too quick to tell.
 */
function growth(run: (text: string) => unknown, input: (size: number) => string): number {
  const [small, large] = [input(16_384), input(65_536)];
  const time = (text: string) => {
    const start = performance.now();
    run(text);
    return performance.now() - start;
  };
  let best = Infinity;
  for (let i = 0; i < 8 && best >= 8; i++) {
    const long = time(large);
    best = Math.min(best, long < 2 ? 0 : long / Math.max(time(small), 0.01));
  }
  return best;
}

/** The literals of regular expressions in a source text. */
function patternsOf(text: string): [source: string, flags: string][] {
  const patterns: [string, string][] = [];
  const visit = (node: ts.Node): void => {
    if (ts.isRegularExpressionLiteral(node)) {
      const end = node.text.lastIndexOf('/');
      patterns.push([node.text.slice(1, end), node.text.slice(end + 1)]);
    }
    ts.forEachChild(node, visit);
  };
  visit(ts.createSourceFile('x.ts', text, ts.ScriptTarget.Latest));
  return patterns;
}
