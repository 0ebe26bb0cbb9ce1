import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, jest, test } from '@jest/globals';
import ts from 'typescript';
import { ROOT, run, temporaryFolder } from '../package/project.js';
import type { Outcome } from '../package/project.js';

jest.setTimeout(30_000);

const FOLDER = join(ROOT, 'examples/mcp-server');
const COMMAND = ['examples/mcp-server/start.js'];

/** A request with its answer, as they are printed. */
interface Exchange {
  readonly request: string;
  readonly answer: string;
  /** Method and path, the tool that is called, the status, and the error of the challenge with its scope. */
  readonly summary: string;
}

let program: Outcome;
/** What went over the wire under each of the numbered titles. */
let steps: readonly (readonly Exchange[])[];

beforeAll(async () => {
  program = await run(process.execPath, COMMAND, ROOT);
  const [, ...texts] = program.stdout.split(/^\d\. /m);
  steps = texts.map((text) =>
    text
      .split(/^(?= {3}> [A-Z]+ http)/m)
      .slice(1)
      .map(exchangeOf),
  );
});

function exchangeOf(text: string): Exchange {
  const [request = '', answer = ''] = text.split(/^ {3}< (?=\d{3}$)/m);
  const [, method = '', path = ''] = /^ {3}> ([A-Z]+) http:\/\/127\.0\.0\.1:\d+(\/\S+)$/m.exec(request) ?? [];
  const [, tool] = /"method":"tools\/call","params":\{"name":"(\w+)"/.exec(request) ?? [];
  const [challenge = ''] = /^ {3}< WWW-Authenticate: .*$/m.exec(answer) ?? [];
  const [, error] = / error="(\w+)"/.exec(challenge) ?? [];
  const [, scope] = / scope="([^"]+)"/.exec(challenge) ?? [];
  const words = [method, path.replace(/(interaction|auth)\/.*/, '$1/…'), tool, answer.slice(0, 3), error, scope];
  return { request, answer, summary: words.filter((word) => word !== undefined).join(' ') };
}

const LOGIN = ['GET /auth 303', 'GET /interaction/… 303', 'GET /auth/… 303', 'POST /token 200'];

test('it ends by itself, and complains of nothing', () => {
  const complaints = program.stderr.split('\n').filter((line) => !line.startsWith('oidc-provider WARNING: '));
  expect([program.code, complaints.join('\n')]).toEqual([0, '']);
});

test('the client finds its way in from one address, and steps up for the tool that needs more', () => {
  expect(steps.map((step) => step.map(({ summary }) => summary))).toEqual([
    [
      'POST /mcp 401 notes:read',
      'GET /.well-known/oauth-protected-resource/mcp 200',
      'GET /.well-known/oauth-authorization-server 200',
      'POST /reg 201',
      ...LOGIN,
      'POST /mcp 200',
    ],
    ['POST /mcp list_notes 200'],
    ['POST /mcp add_note 403 insufficient_scope notes:read notes:write', ...LOGIN, 'POST /mcp add_note 200'],
    ['POST /mcp list_notes 200'],
  ]);
});

test('the challenges say where the metadata is, which names the server and whom it trusts', () => {
  const [[contact, metadata] = [], , [refused] = []] = steps;
  const [, address = ''] = /^ {3}> POST (\S+)$/m.exec(contact?.request ?? '') ?? [];
  const document = address.replace('/mcp', '/.well-known/oauth-protected-resource/mcp');
  expect(contact?.answer).toContain(`resource_metadata="${document}"`);
  expect(refused?.answer).toContain(`resource_metadata="${document}"`);
  expect(metadata?.request).toContain(`> GET ${document}\n`);
  expect(metadata?.answer).toContain(`"resource":"${address}"`);
  expect(metadata?.answer).toMatch(/"authorization_servers":\["http:\/\/127\.0\.0\.1:\d+"\]/);
});

test('the client asks for what the challenge names, for this server', () => {
  const logins = steps.flat().filter(({ summary }) => summary === 'GET /auth 303');
  const asked = logins.map(({ request }) =>
    [/^ {5}scope=(.*)$/m, /^ {5}resource=.*(\/.*)$/m].map((at) => at.exec(request)?.[1]),
  );
  expect(asked).toEqual([
    ['notes:read', '/mcp'],
    ['notes:read notes:write', '/mcp'],
  ]);
});

test('the tool knows who called, and wrote once', () => {
  const [, , writing = [], [listing] = []] = steps;
  expect(writing.at(-1)?.answer).toContain('{"content":[{"text":"noted for alice"}]}');
  expect(listing?.answer).toContain('{"content":[{"text":"milk"}]}');
  expect(program.stdout).toMatch(/\n\nThe client knew one address\. .*\n$/);
});

test('tokens and codes are shortened', () => {
  expect(program.stdout).toMatch(/ Bearer eyJ[\w-]{7}\.\.\.[\w-]{5}\n/);
  expect(program.stdout.replace(/\/\S+oauth-(protected-resource|authorization-server)\S*/g, '')).not.toMatch(
    /[\w-]{30}/,
  );
});

test('the README has the command, and every file', () => {
  const text = readFileSync(join(FOLDER, 'README.md'), 'utf8');
  expect(text).toContain(`npm ci && npm run build && node ${COMMAND.join(' ')}\n`);
  const files = readdirSync(FOLDER).filter((name) => name !== 'README.md');
  expect(files.filter((name) => !text.includes(`\`${name}\``))).toEqual([]);
});

/** What `start.js` does, with the program of the documentation in place of the server of the example. */
const MAIN = `
import { once } from 'node:events';
import http from 'node:http';
import { createAuthorizationServer } from '../examples/mcp-server/authorization-server.js';
import { createClient } from '../examples/mcp-server/client.js';

const servers = [http.createServer(), http.createServer()];
const [issuer, origin] = await Promise.all(servers.map(async (server) => {
  await once(server.listen(0, '127.0.0.1'), 'listening');
  return 'http://127.0.0.1:' + server.address().port;
}));
const resource = process.env.RESOURCE = origin + '/mcp';
process.env.ISSUER = issuer;
const scopes = ['notes:read', 'notes:write'];
servers[0].on('request', await createAuthorizationServer({ issuer, resource, scopes }));
const { app } = await import('./program.js');
servers[1].on('request', app);
const client = createClient(new URL(resource), fetch);
await client.connect();
await client.callTool('add_note', { text: 'milk' });
console.log(JSON.stringify((await client.callTool('list_notes')).content));
await client.close();
for (const server of servers) server.close().closeAllConnections();
`;

const folder = temporaryFolder(ROOT, '.documentation-'); // inside, so that the package finds itself by its name
afterAll(() => {
  folder.remove();
});

test('the program on the first screen of the documentation does the same, but for its addresses', async () => {
  const [, program = ''] = /```ts\n([\s\S]*?)```/.exec(readFileSync(join(ROOT, 'docs/mcp.md'), 'utf8')) ?? [];
  const replaced = [
    ["'https://notes.example.com/mcp'", 'process.env.RESOURCE'],
    ["'https://as.example.com'", 'process.env.ISSUER'],
    ['app.listen(3000);', 'export { app };'],
  ] as const;
  const source = replaced.reduce((text, [from, to]) => {
    expect(text.split(from)).toHaveLength(2);
    return text.replace(from, to);
  }, program);
  const compilerOptions = { module: ts.ModuleKind.ESNext, target: ts.ScriptTarget.ES2023 };
  writeFileSync(join(folder.path, 'program.js'), ts.transpileModule(source, { compilerOptions }).outputText);
  writeFileSync(join(folder.path, 'main.js'), MAIN);
  const { code, stdout, stderr } = await run(process.execPath, ['main.js'], folder.path);
  expect([code, stdout, stderr.split('\n').filter((line) => !line.startsWith('oidc-provider WARNING: '))]).toEqual([
    0,
    '[{"type":"text","text":"milk"}]\n',
    [''],
  ]);
});
