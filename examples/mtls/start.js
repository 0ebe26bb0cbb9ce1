// @ts-check
// A client with a certificate, thieves, and an API that tells them apart: read from top to bottom.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { nginx } from 'express-oauth2-resource-server/proxies';
import { decodeJwt } from 'jose';
import * as oauth from 'openid-client';
import { createApi } from './api.js';
import { createAuthorizationServer } from './authorization-server.js';
import { makeCertificate, thumbprint } from './certificates.js';
import { httpsFetch } from './https-fetch.js';
import { HEADER, startNginx } from './nginx.js';

const folder = mkdtempSync(join(tmpdir(), 'mtls-'));
process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(1));
const server = makeCertificate(folder, 'server');
const client = makeCertificate(folder, 'client');
const thief = makeCertificate(folder, 'thief');
const ca = server.cert; // it is self-signed: whoever trusts it needs no other authority

// These servers ask for a certificate, and take any, or none. What it is good for, the application decides.
const tls = { key: server.key, cert: server.cert, requestCert: true, rejectUnauthorized: false };
const [authorizationServer, api] = [https.createServer(tls), https.createServer(tls)];
const [issuer, apiUrl] = [`https://${await listen(authorizationServer)}`, `https://${await listen(api)}`];
const resource = 'https://payroll.example.com';
const taxOffice = { id: 'tax-office', cert: client.cert };
authorizationServer.on('request', await createAuthorizationServer({ issuer, resource, client: taxOffice }));
const common = { resource, issuer, fetch: httpsFetch({ ca }) }; // without `fetch` where the authority is a public one
api.on('request', createApi({ ...common, clientCertificate: 'tls' }));

tell('The API ends TLS itself.');

tell('1. The client shows the certificate by which it is known, and gets a token that is bound to it');
const trusting = { [oauth.customFetch]: httpsFetch({ ca }) };
const configuration = await oauth.discovery(new URL(issuer), taxOffice.id, undefined, oauth.TlsClientAuth(), trusting);
configuration[oauth.customFetch] = (url, request) => fetchAndTell(url, request, client);
const { access_token } = await oauth.clientCredentialsGrant(configuration, { resource, scope: 'salaries' });
const { cnf } = decodeJwt(access_token);
tell(`   The token names the certificate: ${JSON.stringify({ cnf })}`);
assert.deepEqual(cnf, { 'x5t#S256': thumbprint(client) });
const headers = { Authorization: `Bearer ${access_token}` };

tell('2. The client calls the API');
const direct = `${apiUrl}/salaries`;
assert.equal((await fetchAndTell(direct, { headers }, client)).status, 200);

tell('3. A thief has the token, and shows another certificate');
assert.equal((await fetchAndTell(direct, { headers }, thief)).status, 401);

tell('4. A thief has the token, and shows no certificate');
assert.equal((await fetchAndTell(direct, { headers })).status, 401);

// The same API once more. Its certificates come in a header, which is believed from the address of nginx alone.
const inner = http.createServer();
const innerUrl = `http://${await listen(inner)}`;
const clientCertificate = { from: nginx({ header: HEADER }), proxies: ['127.0.0.1'] };
inner.on('request', createApi({ ...common, clientCertificate }));
const proxy = await startNginx(folder, innerUrl);
if (proxy === undefined) {
  tell('nginx is not installed (or set NGINX to its path): the second part is left out.');
} else {
  tell(`nginx ends TLS in front of the API, and tells it the certificate in ${HEADER}.`);
  const through = 'https://127.0.0.1/salaries';

  tell('5. The client calls the API');
  assert.equal((await fetchAndTell(through, { headers }, client, proxy)).status, 200);

  tell('6. A thief has the token, and shows another certificate');
  assert.equal((await fetchAndTell(through, { headers }, thief, proxy)).status, 401);

  tell('7. A thief has the token, and shows no certificate');
  assert.equal((await fetchAndTell(through, { headers }, undefined, proxy)).status, 401);

  tell('8. A thief has the token, and the certificate of the client without its key, and sends it in the header');
  const forged = { ...headers, [HEADER]: encodeURIComponent(String(client.cert)) };
  assert.equal((await fetchAndTell(through, { headers: forged }, undefined, proxy)).status, 401);
  await proxy.close();
}

tell('Only the client was told the salaries.');
for (const each of [authorizationServer, api, inner]) each.close().closeAllConnections();

/** At a port that is free. @param {http.Server | https.Server} listening */
async function listen(listening) {
  listening.listen(0, '127.0.0.1');
  await once(listening, 'listening');
  return `127.0.0.1:${/** @type {import('node:net').AddressInfo} */ (listening.address()).port}`;
}

/**
 * Sends a request, and prints what matters of it and of its answer.
 *
 * @param {string} url
 * @param {{ method?: string, headers: Record<string, string> }} request
 * @param {import('./certificates.js').Identity} [identity] the certificate that is shown, with its key
 * @param {{ socketPath?: string }} [proxy] where the connection goes, if not where the URL says
 */
async function fetchAndTell(url, request, identity, { socketPath } = {}) {
  const { method = 'GET', headers } = request;
  const answer = await httpsFetch({ ca, ...identity, ...(socketPath && { socketPath }) })(url, request);
  tell(`   > ${method} ${url}`);
  console.log(
    `     ${identity ? `with the certificate ${identity.name}, ${thumbprint(identity)}` : 'without a certificate'}`,
  );
  for (const name of ['Authorization', HEADER]) {
    if (headers[name] !== undefined) console.log(`   > ${name}: ${shorten(headers[name])}`);
  }
  console.log(`   < ${answer.status}`);
  const challenge = answer.headers.get('WWW-Authenticate');
  console.log(challenge ? `   < WWW-Authenticate: ${challenge}` : `     ${shorten(await answer.clone().text())}`);
  return answer;
}

/** @param {string} text */
function tell(text) {
  console.log(`\n${text}`);
}

/** Tokens and certificates, by their ends. @param {string} text */
function shorten(text) {
  return text.replace(/[\w-]{20,}[\w.%-]*/g, (long) => `${long.slice(0, 10)}...${long.slice(-5)}`);
}
