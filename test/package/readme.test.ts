import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import * as lib from '../../lib/index.js';
import { NAME, projectFiles, ROOT, run, temporaryFolder, TSC } from './project.js';

const PROGRAMS = projectFiles('.md').filter((path) => path === 'README.md' || path.startsWith('docs/'));

interface Block {
  readonly from: string;
  readonly language: 'ts' | 'js';
  readonly flags: string;
  readonly code: string;
}

/** The blocks of code of a document. `fragment` behind the language exempts one that is no program. */
function blocksOf(path: string, text: string): Block[] {
  const fence = /^```(ts|js|typescript|javascript|mts|cts)\b([^\n]*)\n([\s\S]*?)^```$/gm;
  return [...text.matchAll(fence)].map(({ 1: language = '', 2: flags = '', 3: code = '', index }) => ({
    from: `${path}:${String(text.slice(0, index).split('\n').length)}`,
    language: /js|java/.test(language) ? 'js' : 'ts',
    flags: flags.trim(),
    code,
  }));
}

/** A program of its own is left as it is; statements without imports are put where such statements stand. */
function programOf({ code, language }: Block): { extension: string; text: string } {
  if (language === 'js' && /\brequire\(/.test(code)) return { extension: 'cjs', text: code };
  if (/^(import|export) /m.test(code)) return { extension: language, text: code };
  const prelude = [
    `import express from 'express';`,
    `import { ${Object.keys(lib).join(', ')} } from '${NAME}';`,
    'declare const app: express.Express;',
    'declare const req: express.Request;',
    'declare const res: express.Response;',
  ];
  return { extension: 'ts', text: `${prelude.join(' ')} {\n${code}}\n` };
}

const blocks = PROGRAMS.flatMap((path) => blocksOf(path, readFileSync(join(ROOT, path), 'utf8')));
const programs = blocks.filter(({ flags }) => flags !== 'fragment');

describe('the code of the documentation', () => {
  const folder = temporaryFolder(ROOT, '.documentation-'); // inside, so that the package finds itself by its name
  let errors: string;

  beforeAll(async () => {
    for (const block of programs) {
      const { extension, text } = programOf(block);
      writeFileSync(join(folder.path, `${block.from.replaceAll(/[/:]/g, '-')}.${extension}`), text);
    }
    const compilerOptions = {
      ...{ target: 'es2023', lib: ['es2023'], types: ['node'], module: 'nodenext', noEmit: true },
      ...{ strict: true, allowJs: true, checkJs: true, skipLibCheck: true, moduleDetection: 'force' },
      noPropertyAccessFromIndexSignature: true,
    };
    const config = { compilerOptions, include: ['*'] };
    writeFileSync(join(folder.path, 'tsconfig.json'), JSON.stringify(config));
    const { stdout, stderr } = await run(process.execPath, [TSC, '--pretty', 'false', '-p', '.'], folder.path);
    errors = `${stdout}${stderr}`;
  }, 120_000);

  afterAll(() => {
    folder.remove();
  });

  test('there is some, and every block says what it is', () => {
    expect(programs.filter(({ from }) => from.startsWith('README.md')).length).toBeGreaterThan(3);
    expect(blocks.filter(({ flags }) => flags !== '' && flags !== 'fragment')).toEqual([]);
  });

  test.each(programs)('$from compiles', ({ from }) => {
    const prefix = `${from.replaceAll(/[/:]/g, '-')}.`;
    expect(errors.split('\n').filter((line) => line.startsWith(prefix))).toEqual([]);
  });

  test('and the compiler says nothing else', () => {
    expect(errors).toBe('');
  });
});

describe('the links of the documentation', () => {
  test.each(projectFiles('.md'))('%s', (path) => {
    expect(brokenLinks(path, readFileSync(join(ROOT, path), 'utf8'))).toEqual([]);
  });

  test('a broken one is found', () => {
    const text =
      '# A b\n[1](README.md) [2](#a-b) [3](none.md) [4](#none) [5](README.md#none) [6](https://a.example) `[7](x)`';
    expect(brokenLinks('README.md', text)).toEqual(['none.md', '#none', 'README.md#none']);
  });
});

/** The links within the project that lead nowhere: no such file, or no such heading. */
function brokenLinks(path: string, text: string): string[] {
  const prose = withoutCode(text);
  const targets = [...prose.matchAll(/\]\(<?([^)\s>]+)>?(?: "[^"]*")?\)|^\[[^\]]+\]: (\S+)$/gm)];
  return targets
    .map(({ 1: inline, 2: reference }) => inline ?? reference ?? '')
    .filter((target) => !/^[a-z][a-z0-9+.-]*:/i.test(target) && !leadsSomewhere(path, text, target));
}

function leadsSomewhere(path: string, text: string, target: string): boolean {
  const [file = '', heading] = target.split('#', 2);
  const absolute = file === '' ? join(ROOT, path) : join(ROOT, dirname(path), decodeURIComponent(file));
  if (!existsSync(absolute) || relative(ROOT, absolute).startsWith('..')) return false;
  if (heading === undefined) return true;
  if (!statSync(absolute).isFile()) return false;
  return headings(file === '' ? text : readFileSync(absolute, 'utf8')).includes(heading);
}

/** As GitHub makes them. */
function headings(text: string): string[] {
  const lines = [...text.replaceAll(/^```[\s\S]*?^```$/gm, '').matchAll(/^#+ (.*)$/gm)];
  return lines.map(([, title = '']) =>
    title
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}\s_-]/gu, '')
      .replaceAll(' ', '-'),
  );
}

function withoutCode(text: string): string {
  return text.replaceAll(/^```[\s\S]*?^```$/gm, '').replaceAll(/`[^`\n]*`(?!\])/g, '');
}
