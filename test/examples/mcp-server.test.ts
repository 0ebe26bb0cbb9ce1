import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, jest, test } from '@jest/globals';
import ts from 'typescript';
import { ROOT, run, temporaryFolder } from '../package/project.js';
import { complaintsIn, exchangesIn, expectReadme, expectShortened, runExample, sentence, stepsIn } from './printed.js';
import type { Exchange, Printed } from './printed.js';

jest.setTimeout(30_000);

let program: Printed;
/** What went over the wire under each of the numbered titles. */
let steps: readonly (readonly Exchange[])[];

beforeAll(async () => {
  program = await runExample('mcp-server');
  steps = stepsIn(program.stdout).map((step) => exchangesIn(step));
});

/** Method and path, the tool that is called, the status, and the error of the challenge with its scope. */
function summaryOf({ method, path, request, status, answer }: Exchange): string {
  const [, tool] = /"method":"tools\/call","params":\{"name":"(\w+)"/.exec(request) ?? [];
  const [challenge = ''] = /^ {3}< WWW-Authenticate: .*$/m.exec(answer) ?? [];
  const [, error] = / error="(\w+)"/.exec(challenge) ?? [];
  const [, scope] = / scope="([^"]+)"/.exec(challenge) ?? [];
  return sentence(method, path.replace(/(interaction|auth)\/.*/, '$1/…'), tool, status, error, scope);
}

const LOGIN = ['GET /auth 303', 'GET /interaction/… 303', 'GET /auth/… 303', 'POST /token 200'];

test('it ends by itself, and complains of nothing', () => {
  expect([program.code, program.complaints]).toEqual([0, '']);
});

test('the client finds its way in from one address, and steps up for the tool that needs more', () => {
  expect(steps.map((step) => step.map(summaryOf))).toEqual([
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
  const logins = steps.flat().filter((exchange) => summaryOf(exchange) === 'GET /auth 303');
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
  const wellKnown = /\/\S+oauth-(protected-resource|authorization-server)\S*/g;
  expectShortened(program.stdout.replace(wellKnown, ''), 'Bearer');
});

test('the README has the command, and every file', () => {
  expectReadme('mcp-server');
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
  expect([code, stdout, complaintsIn(stderr)]).toEqual([0, '[{"type":"text","text":"milk"}]\n', '']);
});
