import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import ts from 'typescript';
import { ROOT } from './project.js';

/** `lib/` from top to bottom, as in CONTRIBUTING.md: a file imports only from files below it. */
const ORDER = [
  'index',
  'typed-request',
  'issuers',
  'mcp',
  'resource-server',
  'upgrade',
  'authenticate',
  'configuration',
  'contexts',
  'metadata',
  'binding-options',
  'resource-server-options',
  'error-handler',
  'authorization-details',
  'guards',
  'guard',
  'auth',
  'answer',
  'binding',
  'client-certificate',
  'proxies',
  'dpop',
  'dpop-options',
  'dpop-key',
  'dpop-nonce',
  'dpop-replay',
  'request-uri',
  'success-headers',
  'metadata-options',
  'needs',
  'key-cache',
  'trusted-servers',
  'token-verifier',
  'authorization-servers',
  'verified-jwts',
  'jwt',
  'introspection',
  'introspection-endpoint',
  'introspection-question',
  'introspection-answer',
  'signed-answer',
  'introspection-options',
  'bearer-authentication',
  'client-authentication',
  'signing-key',
  'token-cache',
  'verified-token',
  'hints',
  'access-token',
  'token-terms',
  'signature',
  'keys',
  'kept',
  'back-off',
  'key-set',
  'discovery',
  'claims',
  'decode',
  'digest',
  'grammar',
  'fetch-json',
  'internal-address',
  'credentials',
  'form-body',
  'header-lines',
  'challenge',
  'diagnostics',
  'options',
  'errors',
  'types',
];

/** Everything that comes from outside of `lib/`. `type` in front: its types alone, nothing at run time. */
const OUTSIDE: Readonly<Record<string, readonly string[]>> = {
  'resource-server': ['type express'],
  'error-handler': ['type express'],
  mcp: ['type express', 'type node:http'],
  upgrade: ['express', 'node:http', 'node:net', 'node:util', 'type express', 'type node:http', 'type node:stream'],
  authenticate: ['type express'],
  metadata: ['jose/jwt/sign', 'type express'],
  needs: ['type express'],
  'authorization-details': ['type express', 'type node:http'],
  guards: ['type express', 'type node:http'],
  guard: ['type express', 'type node:http'],
  auth: ['node:util', 'type node:http'],
  answer: ['type express'],
  'binding-options': ['type express'],
  'client-certificate': ['node:crypto', 'node:net', 'type node:http', 'type node:net', 'type node:tls'],
  proxies: ['node:crypto'],
  dpop: ['node:crypto'],
  'dpop-options': ['node:crypto'],
  'dpop-key': ['lru-cache', 'node:crypto', 'type jose'],
  'dpop-nonce': ['node:crypto'],
  'request-uri': ['type express'],
  'success-headers': ['on-headers', 'type node:http'],
  'key-cache': ['type jose'],
  'trusted-servers': ['lru-cache', 'node:util'],
  'authorization-servers': ['type jose'],
  introspection: ['node:crypto'],
  'introspection-endpoint': ['node:crypto', 'p-limit'],
  'introspection-question': ['node:timers/promises'],
  'introspection-options': ['type jose'],
  'signed-answer': ['jose/jwe/compact/decrypt'],
  'client-authentication': ['jose/jwt/sign', 'node:crypto'],
  'signing-key': ['type jose', 'type node:crypto'],
  'token-cache': ['lru-cache'],
  'verified-jwts': ['lru-cache'],
  decode: ['node:buffer'],
  digest: ['node:crypto'],
  keys: ['node:util'],
  signature: ['type jose', 'type node:crypto'],
  'key-set': ['jose/key/import', 'type jose'],
  'internal-address': ['node:dns/promises', 'node:net', 'node:timers/promises'],
  credentials: ['type express'],
  'form-body': ['express', 'type express'],
  diagnostics: ['node:diagnostics_channel'],
};

/** The files that may see a request or a response. What verifies tokens is not among them. */
const SEE_REQUESTS = [
  'mcp',
  'resource-server',
  'upgrade',
  'authenticate',
  'metadata',
  'binding-options',
  'error-handler',
  'authorization-details',
  'guards',
  'guard',
  'auth',
  'needs',
  'answer',
  'client-certificate',
  'request-uri',
  'success-headers',
  'credentials',
  'form-body',
];

interface Import {
  readonly from: string;
  readonly typeOnly: boolean;
}

const entries = readdirSync(join(ROOT, 'lib'), { withFileTypes: true });
const files = entries.map(({ name }) => name.replace(/\.ts$/, ''));

function read(file: string): string {
  return readFileSync(join(ROOT, 'lib', `${file}.ts`), 'utf8');
}

/** Every module that a file names: `import`, `export … from`, `import()` at run time and in types. */
function importsOf(text: string): Import[] {
  const found: Import[] = [];
  const visit = (node: ts.Node): void => {
    if (ts.isImportDeclaration(node)) {
      add(node.moduleSpecifier, node.importClause?.phaseModifier === ts.SyntaxKind.TypeKeyword);
    } else if (ts.isExportDeclaration(node) && node.moduleSpecifier !== undefined) {
      add(node.moduleSpecifier, node.isTypeOnly);
    } else if (ts.isImportTypeNode(node)) add(node.argument, true);
    else if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword) {
      add(node.arguments[0], false);
    }
    ts.forEachChild(node, visit);
  };
  const add = (specifier: ts.Node | undefined, typeOnly: boolean): void => {
    const literal = specifier !== undefined && ts.isLiteralTypeNode(specifier) ? specifier.literal : specifier;
    found.push({ from: literal !== undefined && ts.isStringLiteral(literal) ? literal.text : '(computed)', typeOnly });
  };
  visit(ts.createSourceFile('file.ts', text, ts.ScriptTarget.Latest, true));
  return found;
}

describe('lib/ is flat and in one order', () => {
  test('every file is in the order, and the order has no other', () => {
    expect(entries.filter((entry) => !entry.isFile() || !entry.name.endsWith('.ts'))).toEqual([]);
    expect([...files].sort()).toEqual([...ORDER].sort());
  });

  test('the table of CONTRIBUTING.md has the same files in the same order', () => {
    const text = readFileSync(join(ROOT, 'CONTRIBUTING.md'), 'utf8');
    const [, table = ''] = /^\| file \| job \|\n\|[ -|]+\|\n((?:\|.*\n)+)/m.exec(text) ?? [];
    const rows = [...table.matchAll(/^\| `([a-z-]+)\.ts` \| \S/gm)].map(([, file]) => file);
    expect(rows).toEqual(ORDER);
    expect(table.trimEnd().split('\n')).toHaveLength(ORDER.length);
  });

  test.each(ORDER)('%s.ts imports only from files below it', (file) => {
    const below = ORDER.slice(ORDER.indexOf(file) + 1).map((name) => `./${name}.js`);
    const own = importsOf(read(file)).filter(({ from }) => from.startsWith('.'));
    expect(own.filter(({ from }) => !below.includes(from))).toEqual([]);
  });

  test.each(ORDER)('%s.ts imports from outside only what is its own to use', (file) => {
    const outside = importsOf(read(file)).filter(({ from }) => !from.startsWith('.'));
    const found = outside.map(({ from, typeOnly }) => (typeOnly ? `type ${from}` : from));
    expect([...new Set(found)].sort()).toEqual(OUTSIDE[file] ?? []);
  });

  test('only the files at the edge see requests and responses', () => {
    const seeing = files.filter((file) =>
      importsOf(read(file)).some(({ from }) => from === 'express' || from === 'node:http'),
    );
    expect(seeing.sort()).toEqual([...SEE_REQUESTS].sort());
  });

  test('no file is longer than 200 lines', () => {
    expect(files.filter((file) => read(file).split('\n').length > 201)).toEqual([]);
  });
});

test('the reader of imports sees every way to import', () => {
  const text = `
    import 'a'; import b from 'b'; import type { C } from 'c'; export { d } from 'd'; export type { E } from 'e';
    const f = await import('f'); type G = import('g').G; import { type H } from 'h'; import(i);`;
  expect(importsOf(text).map(({ from, typeOnly }) => (typeOnly ? `type ${from}` : from))).toEqual([
    ...['a', 'b', 'type c', 'd', 'type e', 'f', 'type g', 'h', '(computed)'],
  ]);
});
