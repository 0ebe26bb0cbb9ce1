// @ts-check
// A chat room, and a client that gets in, is refused, and has to leave: read from top to bottom.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import http from 'node:http';
import * as oauth from 'openid-client';
import { WebSocket } from 'ws';
import { createAuthorizationServer } from './authorization-server.js';
import { createChat } from './chat.js';

// The authorization server listens before it has something to do: it must know its own address.
const resource = 'https://chat.example.com';
const client = { id: 'robot', secret: randomBytes(32).toString('base64url') };
const authorizationServer = http.createServer();
const issuer = `http://${await listen(authorizationServer)}`;
authorizationServer.on('request', await createAuthorizationServer({ issuer, resource, client }));
const chat = createChat({ resource, issuer });
const address = `ws://${await listen(chat)}/room`;

// The client is openid-client as it is. It is told that http will do, because all of this stays on one machine.
const onlyHere = { execute: [oauth.allowInsecureRequests] };
const robot = await oauth.discovery(new URL(issuer), client.id, client.secret, undefined, onlyHere);

tell('1. No token: the upgrade is answered as any request is, and says what is needed');
assert.deepEqual(await connect(), [401]);

tell('2. A token, but for something else');
assert.deepEqual(await connect(await getToken('news')), [403]);

tell('3. The right token: the connection is upgraded, and messages come and go');
assert.deepEqual(await connect(await getToken('chat'), 'hello'), [101, 'welcome, robot', 'robot: hello', 1000]);

tell('4. A token of two seconds: the room says goodbye when it ends, so that the client comes back with a new one');
assert.deepEqual(await connect(await getToken('chat chat:short'), 'hello', false), [
  ...[101, 'welcome, robot', 'robot: hello', 3000],
]);

tell('Nobody was in the room without a good token, and nobody for longer than it lived.');
for (const server of [authorizationServer, chat]) server.close().closeAllConnections();

/** A new token of a scope. @param {string} scope */
async function getToken(scope) {
  const { access_token: token } = await oauth.clientCredentialsGrant(robot, { resource, scope });
  return token;
}

/**
 * Connects, says something, and hangs up when that has come back, or waits to be sent away. Gives all that happened: the
 * status of the answer, the messages, the code of the end.
 *
 * @param {string} [token] @param {string} [message]
 */
async function connect(token, message = '', hangUp = true) {
  const headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
  const socket = new WebSocket(address, { headers });
  console.log(`   > GET ${address}, Upgrade: websocket`);
  if (token !== undefined) console.log(`   > Authorization: Bearer ${token.slice(0, 10)}...${token.slice(-5)}`);
  /** @type {(number | string)[]} */
  const happened = [];
  socket.on('unexpected-response', (_request, response) => {
    happened.push(response.statusCode ?? 0);
    console.log(`   < ${response.statusCode}\n   < WWW-Authenticate: ${response.headers['www-authenticate']}`);
    socket.terminate();
  });
  socket.on('open', () => {
    happened.push(101);
    console.log('   < 101');
    socket.send(message);
  });
  socket.on('message', (data) => {
    happened.push(String(data));
    console.log(`     ${data}`);
    if (hangUp && happened.length === 3) socket.close(1000);
  });
  socket.on('error', () => {}); // 'close' follows
  /** @type {[code: number, reason: Buffer]} */
  const [code, reason] = await new Promise((resolve) => {
    socket.on('close', (...end) => resolve(end)); // `once` of Node would throw the error of a refusal
  });
  if (happened[0] !== 101) return happened;
  console.log(`     closed: ${code} ${reason}`.trimEnd());
  return [...happened, code];
}

/** At a port that is free. @param {http.Server} server */
async function listen(server) {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return `127.0.0.1:${/** @type {import('node:net').AddressInfo} */ (server.address()).port}`;
}

/** @param {string} text */
function tell(text) {
  console.log(`\n${text}`);
}
