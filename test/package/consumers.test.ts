import { cpSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { mustRun, NAME, pack, ROOT, run, temporaryFolder, TSC } from './project.js';
import type { Folder } from './project.js';

/**
 * The packed tarball in other people's projects. Each folder of `consumers/` is one of them; those whose dependencies get
 * along share an installation, and what each compiles against is still only what it imports.
 */
const INSTALLATIONS = {
  express5: [
    ...['esm-js', 'cjs-js', 'ts-nodenext', 'ts-nodenext-cjs', 'ts-bundler', 'ts-typed-request'],
    'should-not-compile',
  ],
  express4: ['ts-express4'],
  others: ['ts-beside-mcp', 'ts-beside-mcp-2', 'ts-beside-auth0'],
} as const;
type Installation = keyof typeof INSTALLATIONS;

/** The oldest Node that `engines` allows, and the lines after it. */
const NODE_VERSIONS = ['20.19.0', '22.22.0', '24.21.0'];

const CONSUMERS = join(ROOT, 'test/package/consumers');
const TIMEOUT = 300_000;
const folder: Folder = temporaryFolder();

interface Manifest {
  readonly dependencies: Readonly<Record<string, string>>;
}

function manifestOf(consumer: string): Manifest {
  return JSON.parse(readFileSync(join(CONSUMERS, consumer, 'package.json'), 'utf8')) as Manifest;
}

async function install(name: Installation, tarball: string): Promise<void> {
  const path = join(folder.path, name);
  cpSync(CONSUMERS, path, { recursive: true });
  const dependencies: Record<string, string> = { [NAME]: `file:${tarball}` };
  for (const consumer of INSTALLATIONS[name]) {
    for (const [dependency, version] of Object.entries(manifestOf(consumer).dependencies)) {
      if ((dependencies[dependency] ??= version) !== version) throw new Error(`${consumer}: another ${dependency}`);
    }
  }
  writeFileSync(join(path, 'package.json'), JSON.stringify({ private: true, dependencies }));
  const quiet = ['--ignore-scripts', '--no-audit', '--no-fund', '--no-package-lock', '--prefer-offline'];
  await mustRun('npm', ['install', ...quiet], path);
}

/** The path of that very Node, from npm, or undefined where npm has none for this system or cannot be reached. */
async function findNode(version: string): Promise<string | undefined> {
  if (process.version === `v${version}`) return process.execPath;
  const system = `${process.platform === 'win32' ? 'win' : process.platform}-${process.arch}`;
  const spec = `--package=node-${system}@${version}`;
  const options = ['--yes', '--prefer-offline', '--fetch-retries=1'];
  const { code, stdout } = await run('npm', ['exec', ...options, spec, '--', 'node', '-p', 'process.execPath'], ROOT);
  const path = stdout.trim();
  return code === 0 && path !== '' && path !== process.execPath ? path : undefined;
}

async function compile(installation: Installation, consumer: string, compiler = TSC): Promise<string> {
  const path = join(folder.path, installation);
  const { code, stdout, stderr } = await run(process.execPath, [compiler, '--pretty', 'false', '-p', consumer], path);
  return code === 0 ? `compiles${stdout}${stderr}` : `${stdout}${stderr}`;
}

const nodes: [version: string, path: string | undefined][] = [];
for (const version of NODE_VERSIONS) nodes.push([version, await findNode(version)]);
const missing = nodes.filter(([, path]) => path === undefined).map(([version]) => version);

beforeAll(async () => {
  const { path } = await pack(folder.path);
  await Promise.all((Object.keys(INSTALLATIONS) as Installation[]).map((name) => install(name, path)));
}, TIMEOUT);

afterAll(() => {
  folder.remove();
});

describe('TypeScript programs, skipLibCheck: false', () => {
  test.each<[string, Installation, string]>([
    ['ESM, nodenext', 'express5', 'ts-nodenext'],
    ['CommonJS, nodenext', 'express5', 'ts-nodenext-cjs'],
    ['for a bundler', 'express5', 'ts-bundler'],
    ['with req.auth typed', 'express5', 'ts-typed-request'],
    ['with Express 4', 'express4', 'ts-express4'],
    ['beside the Model Context Protocol SDK, version 1', 'others', 'ts-beside-mcp'],
    ['beside the Model Context Protocol SDK, version 2', 'others', 'ts-beside-mcp-2'],
    ['beside express-oauth2-jwt-bearer', 'others', 'ts-beside-auth0'],
  ])(
    '%s',
    async (_title, installation, consumer) => {
      expect(await compile(installation, consumer)).toBe('compiles');
      const config = readFileSync(join(CONSUMERS, consumer, 'tsconfig.json'), 'utf8');
      expect(config).toContain('"skipLibCheck": false');
    },
    TIMEOUT,
  );

  test(
    'with TypeScript 5.9',
    async () => {
      const compiler = join(folder.path, 'express4/node_modules/typescript/bin/tsc');
      expect(await mustRun(process.execPath, [compiler, '--version'], folder.path)).toBe('Version 5.9.3\n');
      expect(await compile('express4', 'ts-express4', compiler)).toBe('compiles');
    },
    TIMEOUT,
  );

  test(
    'what should not compile fails line by line for the reason that it gives',
    async () => {
      const source = join(folder.path, 'express5/should-not-compile/main.ts');
      const text = readFileSync(source, 'utf8');
      const directive = /\/\/ @ts-expect-error (\d+):/;
      const expected = text.split('\n').flatMap((line, index) => {
        const [, code] = directive.exec(line) ?? [];
        return code === undefined ? [] : [`line ${String(index + 2)} error TS${code}`];
      });
      expect(expected.length).toBeGreaterThan(20);
      expect(text.match(/@ts-expect-error/g)).toHaveLength(expected.length);
      writeFileSync(source, text.replaceAll('@ts-expect-error', 'fails'));
      const said = await compile('express5', 'should-not-compile');
      writeFileSync(source, text);
      const found = [...said.matchAll(/^\S+main\.ts\((\d+),\d+\): (error TS\d+)/gm)];
      expect(found.map(([, line, error]) => `line ${String(line)} ${String(error)}`)).toEqual(expected);
    },
    TIMEOUT,
  );

  test('nothing but express and @types/express need be there', () => {
    const { dependencies } = JSON.parse(readFileSync(join(folder.path, 'express5/package.json'), 'utf8')) as Manifest;
    expect(Object.keys(dependencies).sort()).toEqual(['@types/express', 'express', NAME]);
  });

  test.each(['express5', 'express4'])('%s: one copy of every dependency', (installation) => {
    const modules = join(folder.path, installation, 'node_modules');
    expect(existsSync(join(modules, NAME, 'dist/index.js'))).toBe(true);
    expect(existsSync(join(modules, NAME, 'node_modules'))).toBe(false);
    expect(existsSync(join(modules, 'jose/package.json'))).toBe(true);
  });
});

describe('JavaScript programs, with a token and without', () => {
  // `require()` would throw ERR_REQUIRE_ASYNC_MODULE for a top-level await anywhere in the package, or in jose.
  const programs: [Installation, string][] = [
    ['express5', 'esm-js'],
    ['express5', 'cjs-js'],
    ['express4', 'esm-js'],
    ['express4', 'cjs-js'],
  ];
  const rows = [[process.version.slice(1), process.execPath] as const, ...nodes].flatMap(([version, path]) =>
    programs.map(([installation, program]) => [version, installation, program, path] as const),
  );

  if (missing.length > 0 && process.env['CI'] === undefined) {
    console.warn(`Skipped: Node ${missing.join(' and ')} cannot be had from npm here. In CI this is a failure.`);
  }

  for (const [version, installation, program, path] of new Map(rows.map((row) => [row.join(), row])).values()) {
    const testOrSkip = path === undefined && process.env['CI'] === undefined ? test.skip : test;
    testOrSkip(
      `Node ${version}, ${installation}, ${program}`,
      async () => {
        if (path === undefined) throw new Error(`Node ${version} cannot be had from npm`);
        const cwd = join(folder.path, installation, program);
        const { code, stdout, stderr } = await run(path, ['main.js'], cwd);
        expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
        const { names, ...rest } = JSON.parse(stdout) as { names: readonly string[] };
        expect(names).toEqual(expect.arrayContaining(['auth', 'errorHandler', 'requireScope', 'resourceServer']));
        expect(rest).toEqual({ node: `v${version}`, oneCopy: true, answers: ANSWERS });
      },
      TIMEOUT,
    );
  }
});

const ANSWERS = {
  good: { status: 200, challenge: null, body: { owner: 'alice' } },
  none: { status: 401, challenge: 'Bearer realm="https://api.example.com", scope="pictures:read"', body: {} },
  expired: {
    status: 401,
    challenge:
      'Bearer realm="https://api.example.com", error="invalid_token", ' +
      'error_description="The access token expired", scope="pictures:read"',
    body: { error: 'invalid_token', error_description: 'The access token expired' },
  },
  other: {
    status: 403,
    challenge:
      'Bearer realm="https://api.example.com", error="insufficient_scope", ' +
      'error_description="The access token lacks a required scope", scope="pictures:read"',
    body: { error: 'insufficient_scope', error_description: 'The access token lacks a required scope' },
  },
};
