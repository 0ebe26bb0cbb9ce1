import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { requirements } from '../requirements.js';
import { projectFiles, ROOT } from './project.js';

/** `6750-2.1-2`, `8725b-3.1-4`, `6749-A.12-1`, `OIDCD-3-1`, `9449-4.3-9b`, `MCP-A8.1-1`, `OA21-5-1`: document, section, ordinal. */
const ID = String.raw`(?:\d{4}[a-z]?|MCP|OA21|[A-Z]{4,})-(?:[A-Z]?[1-9]\d*|[A-Z])(?:\.\d+)*-[1-9]\d*[a-z]?`;
/** An id, or several, at the start of a quoted string: the title of a test that runs, or the cell of a table of titles. */
const TITLE = new RegExp(
  String.raw`(?<!(?:skip|todo|failing|xit|xtest)\()['"\x60](${ID}(?:,? (?:and )?${ID})*)(?=[\s,:'"\x60])`,
  'g',
);
const WHOLE_ID = new RegExp(`^${ID}$`);

function idsIn(source: string): string[] {
  return [...source.matchAll(TITLE)].flatMap(([, ids = '']) => ids.match(new RegExp(ID, 'g')) ?? []);
}

/** Where the requirement is named, by id. This folder names some as examples only. */
function citations(): Map<string, string[]> {
  const cited = new Map<string, string[]>();
  // Tables that several suites share are in test/support.
  const files = projectFiles('.ts').filter((path) => /^test\/(?!package\/|requirements\.ts$)/.test(path));
  for (const path of files) {
    for (const id of idsIn(readFileSync(join(ROOT, path), 'utf8'))) cited.set(id, [...(cited.get(id) ?? []), path]);
  }
  return cited;
}

describe('every requirement has a test, or an exception', () => {
  const cited = citations();
  const known = new Set(requirements.map(({ id }) => id));

  test.each(requirements)('$id', ({ id, exception }) => {
    const tests = cited.get(id) ?? [];
    if (exception === undefined) expect(tests).not.toEqual([]);
    else expect(tests).toEqual([]);
  });

  test('no test cites a requirement that is not in the catalogue', () => {
    const unknown = [...cited].filter(([id]) => !known.has(id)).map(([id, paths]) => `${id} in ${paths.join(', ')}`);
    expect(unknown).toEqual([]);
  });

  test('an id is an id, and stands once', () => {
    expect(requirements.map(({ id }) => id).filter((id) => !WHOLE_ID.test(id))).toEqual([]);
    expect(known.size).toBe(requirements.length);
  });

  test('a row says what is required, by whom, and an exception says why', () => {
    const level =
      /^(?:(?:C|AS):)?(?:MUST|MUST NOT|REQUIRED|SHALL|SHALL NOT|SHOULD|SHOULD NOT|RECOMMENDED|NOT RECOMMENDED|MAY|REC|OPTIONAL)$|^(?:(?:C|AS):)?(?:def|drv)$/;
    const poor = requirements.filter(
      (row) => !level.test(row.level) || row.text.length < 10 || (row.exception ?? 'as long as this').length < 10,
    );
    expect(poor).toEqual([]);
  });
});

test('the search finds ids in titles, tables and templates, and nowhere else', () => {
  const source = [
    `test('6750-2.1-2 lower-case scheme', …); test.each(rows)("8725b-3.1-4: %s", …);`,
    'it(`OIDCD-3-1 ${name}`, …); const rows = [["6749-A.12-1", 1]];',
    `test('9068-4-1, 9068-4-2 both', …); test('9068-4-3 9068-4-4 and 9068-4-5 all', …); test('MCP-A8.1-1 OA21-5.1-1 …', …)`,
    `// 7519-4-1 in a comment; test('not 7519-4-2 at the start', …); '2025-01-02T00:00:00Z' '2011-04-29 ex'; test.skip('7519-4-3 no')`,
  ].join('\n');
  expect(idsIn(source)).toEqual([
    ...['6750-2.1-2', '8725b-3.1-4', 'OIDCD-3-1', '6749-A.12-1'],
    ...['9068-4-1', '9068-4-2', '9068-4-3', '9068-4-4', '9068-4-5', 'MCP-A8.1-1', 'OA21-5.1-1'],
  ]);
});
