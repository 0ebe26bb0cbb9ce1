// @ts-check
// A client, three thieves, and a bank that tells them apart: read from top to bottom.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import http from 'node:http';
import { decodeJwt } from 'jose';
import * as oauth from 'openid-client';
import { createApi } from './api.js';
import { createAuthorizationServer } from './authorization-server.js';

// Each server must know the address of the other, so both listen before they have something to do.
const [authorizationServer, bank] = [http.createServer(), http.createServer()];
const [issuer, bankUrl] = [await listen(authorizationServer), await listen(bank)];
const resource = 'https://bank.example.com';
const client = { id: 'shop', secret: randomBytes(32).toString('base64url') };
authorizationServer.on('request', await createAuthorizationServer({ issuer, resource, client }));
bank.on('request', createApi({ resource, issuer, publicUrl: bankUrl }));

// The client is openid-client as it is. It is told that http will do, because all of this stays on one machine.
const onlyHere = { execute: [oauth.allowInsecureRequests] };
const shop = await oauth.discovery(new URL(issuer), client.id, client.secret, undefined, onlyHere);
shop[oauth.customFetch] = fetchAndTell;
const wanted = { resource, scope: 'balance:read payments:write' };
const [balance, payments] = [new URL('/balance', bankUrl), new URL('/payments', bankUrl)];

/** @typedef {{ method?: string, headers: Record<string, string> }} Message */
/** @type {Message & { url: string }} The latest request, as a thief could find it in a log. */
let logged = { url: '', headers: {} };

tell('1. The client makes a key, and gets a token that is bound to it');
const DPoP = oauth.getDPoPHandle(shop, await oauth.randomDPoPKeyPair('ES256'));
const { access_token: token } = await oauth.clientCredentialsGrant(shop, wanted, { DPoP });
tell(`   The token names the key: ${shorten(JSON.stringify({ cnf: decodeJwt(token)['cnf'] }))}`);

tell('2. The client pays. From the first answer it learns the nonce of the bank, and it tries again by itself');
const paid = await oauth.fetchProtectedResource(shop, token, payments, 'POST', null, undefined, { DPoP });
assert.equal(paid.status, 201);

tell('3. A thief has recorded the whole request of the client, and sends it once more');
const replayed = await fetchAndTell(logged.url, logged);
assert.equal(replayed.status, 401);

tell('4. A thief has the token, and sends it as a bearer token');
const asBearer = await fetchAndTell(payments.href, { method: 'POST', headers: { authorization: `Bearer ${token}` } });
assert.equal(asBearer.status, 401);

tell('5. A thief has the token, and proves another key');
const own = oauth.getDPoPHandle(shop, await oauth.randomDPoPKeyPair('ES256'));
const proven = oauth.fetchProtectedResource(shop, token, payments, 'POST', null, undefined, { DPoP: own });
await assert.rejects(proven, { status: 401 });

tell('6. A client that knows nothing of DPoP has a plain bearer token. It may look, and not pay');
const { access_token: plain } = await oauth.clientCredentialsGrant(shop, wanted);
const headers = { authorization: `Bearer ${plain}` };
const seen = await fetchAndTell(balance.href, { headers });
assert.deepEqual(await seen.json(), { balance: 90 });
const unbound = await fetchAndTell(payments.href, { method: 'POST', headers });
assert.equal(unbound.status, 401);

tell('Of 100 the bank has 90: the client paid 10, once, and nobody else could.');
for (const server of [authorizationServer, bank]) server.close().closeAllConnections();

/** At a port that is free. @param {http.Server} server */
async function listen(server) {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return `http://127.0.0.1:${/** @type {import('node:net').AddressInfo} */ (server.address()).port}`;
}

/** Sends a request, and prints what matters of it and of its answer. @param {string} url @param {Message} request */
async function fetchAndTell(url, request) {
  logged = { ...request, url };
  const { method = 'GET', headers } = request;
  const answer = await fetch(url, { ...request, method });
  tell(`   > ${method} ${url}`);
  for (const name of ['Authorization', 'DPoP']) tellHeader('>', name, headers[name.toLowerCase()]);
  if (headers['dpop'] !== undefined) console.log(`     says ${shorten(JSON.stringify(decodeJwt(headers['dpop'])))}`);
  console.log(`   < ${answer.status}`);
  for (const name of ['WWW-Authenticate', 'DPoP-Nonce']) tellHeader('<', name, answer.headers.get(name) ?? undefined);
  if (!answer.headers.has('WWW-Authenticate')) console.log(`     ${shorten(await answer.clone().text())}`);
  return answer;
}

/** @param {'>' | '<'} direction @param {string} name @param {string | undefined} value several lines come as one, with commas */
function tellHeader(direction, name, value) {
  for (const line of value?.split(/, (?=DPoP )/) ?? []) console.log(`   ${direction} ${name}: ${shorten(line)}`);
}

/** @param {string} text */
function tell(text) {
  console.log(`\n${text}`);
}

/** Tokens, keys and the like, by their ends. @param {string} text */
function shorten(text) {
  return text.replace(/[\w-]{20,}[\w.-]*(?<!\.)/g, (long) => `${long.slice(0, 10)}...${long.slice(-5)}`);
}
