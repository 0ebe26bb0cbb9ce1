// @ts-check
// A client meets an MCP server for the first time: read from top to bottom.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';
import { createAuthorizationServer } from './authorization-server.js';
import { createClient } from './client.js';
import { createServer } from './server.js';

// Each server must know the address of the other, so both listen before they have something to do.
const [authorizationServer, notes] = [http.createServer(), http.createServer()];
const [issuer, notesUrl] = [await listen(authorizationServer), await listen(notes)];
const resource = `${notesUrl}/mcp`;
const scopes = ['notes:read', 'notes:write'];
authorizationServer.on('request', await createAuthorizationServer({ issuer, resource, scopes }));
notes.on('request', createServer({ resource, issuer }));

// What is said of each exchange, by its path; and what is printed of JSON, of which the rest plays no part in the story.
/** @type {[path: string, says: string][]} */
const CAPTIONS = [
  ['/.well-known/oauth-protected-resource', 'What does this server take, and from whom?'],
  ['/.well-known/oauth-authorization-server', 'Where does one register there, log in, and get a token?'],
  ['/reg', 'The client introduces itself'],
  ['/auth', 'The browser of alice'],
  ['/interaction', 'She logs in, and agrees'],
  ['/token', 'The code becomes a token for this server, and for no other'],
  ['/mcp', 'The client and the server'],
];
const TELLING = [
  ...['resource', 'resource_name', 'authorization_servers', 'scopes_supported'],
  ...['issuer', 'registration_endpoint', 'authorization_endpoint', 'token_endpoint'],
  ...['client_id', 'client_name', 'access_token', 'token_type', 'scope', 'error', 'error_description'],
  ...['method', 'params', 'name', 'arguments', 'result', 'content', 'text'],
];

// The client knows this address, and nothing else.
const client = createClient(new URL(resource), fetchAndTell);

tell('1. First contact: where to log in, registration, login, code, token, and in');
await client.connect();

tell('2. Reading takes notes:read, which the client has');
const empty = await client.callTool('list_notes');
assert.deepEqual(empty.content, []);

tell('3. Writing takes more. The refusal says what, alice agrees, and the client tries again by itself');
const written = await client.callTool('add_note', { text: 'milk' });
assert.deepEqual(written.content, [{ type: 'text', text: 'noted for alice' }]);

tell('4. From now on the client has both');
const listed = await client.callTool('list_notes');
assert.deepEqual(listed.content, [{ type: 'text', text: 'milk' }]);

tell('The client knew one address. It asked alice twice, and never for more than it needed.');
await client.close();
for (const server of [authorizationServer, notes]) server.close().closeAllConnections();

/** At a port that is free. @param {http.Server} server */
async function listen(server) {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return `http://127.0.0.1:${/** @type {import('node:net').AddressInfo} */ (server.address()).port}`;
}

/** Sends a request, and prints what matters of it and of its answer. @param {string | URL} url @param {RequestInit} [init] */
async function fetchAndTell(url, init = {}) {
  const request = new globalThis.Request(url, init);
  const sent = await request.clone().text();
  const answer = await fetch(request);
  const { origin, pathname, searchParams } = new URL(url);
  const [, caption] = CAPTIONS.find(([path]) => pathname.startsWith(path)) ?? [];
  tell(`   ${caption ?? ''}`);
  console.log(`   > ${request.method} ${origin}${shorten(pathname)}`);
  tellHeader('>', 'Authorization', request.headers.get('authorization'));
  const isForm = request.headers.get('content-type')?.includes('urlencoded');
  tellParams(isForm ? new URLSearchParams(sent) : searchParams);
  if (!isForm && sent !== '') tellJson(sent);
  console.log(`   < ${answer.status}`);
  tellHeader('<', 'WWW-Authenticate', answer.headers.get('www-authenticate'));
  tellHeader('<', 'Location', answer.headers.get('location'));
  if (answer.headers.get('content-type')?.includes('json')) tellJson(await answer.clone().text());
  return answer;
}

/** @param {'>' | '<'} direction @param {string} name @param {string | null} value */
function tellHeader(direction, name, value) {
  if (value !== null) console.log(`   ${direction} ${name}: ${shorten(value)}`);
}

/** @param {URLSearchParams} params */
function tellParams(params) {
  for (const [name, value] of params) console.log(`     ${name}=${shorten(value)}`);
}

/** @param {string} text */
function tellJson(text) {
  console.log(`     ${shorten(JSON.stringify(JSON.parse(text), TELLING))}`);
}

/** @param {string} text */
function tell(text) {
  console.log(`\n${text}`);
}

/** Tokens, keys and the like, by their ends. @param {string} text */
function shorten(text) {
  return text.replace(
    /(?=[\w~-]*[A-Z])[\w~-]{20,}[\w.~-]*(?<!\.)/g,
    (long) => `${long.slice(0, 10)}...${long.slice(-5)}`,
  );
}
