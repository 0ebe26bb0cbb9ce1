import { expect, test } from '@jest/globals';
import { spawnSync } from 'node:child_process';
import { ROOT } from '../package/project.js';

// In a process of its own: an unhandled rejection ends it.
const PROGRAM = `
import { createServer } from 'node:http';
import express from 'express';
import { requireActor, requireAuthorizationDetails, requireClaim, requireScope, resourceServer } from './dist/index.js';
import { generateKeyPair, exportJWK, SignJWT } from 'jose';
const { publicKey, privateKey } = await generateKeyPair('ES256');
const issuer = 'https://as.example.com', resource = 'https://api.example.com';
const fails = async () => { throw new Error('asynchronous'); };
const app = express();
app.use(resourceServer({ resource, issuer, jwks: { keys: [await exportJWK(publicKey)] }, impliesScope: fails }));
const ok = (_req, res) => res.json({});
app.get('/claim', requireClaim('sub', fails), ok);
app.get('/actor', requireActor(fails), ok);
app.get('/details', requireAuthorizationDetails('pay', fails), ok);
app.get('/scope', requireScope('more'), ok);
app.get('/good', requireScope('read'), ok);
const claims = { client_id: 'c', scope: 'read', act: { sub: 'a' }, authorization_details: [{ type: 'pay' }] };
const token = await new SignJWT(claims).setProtectedHeader({ typ: 'at+jwt', alg: 'ES256' }).setIssuer(issuer).setAudience(resource)
  .setSubject('alice').setJti('1').setIssuedAt().setExpirationTime('1h').sign(privateKey);
const server = createServer(app).listen(0, '127.0.0.1', async () => {
  const url = 'http://127.0.0.1:' + server.address().port;
  for (const path of ['claim', 'actor', 'details', 'scope', 'good'])
    console.log(path, (await fetch(url + '/' + path, { headers: { authorization: 'Bearer ' + token } })).status);
  server.close();
  server.closeAllConnections();
});`;

test('a test that is asynchronous, and fails, opens no door and ends no process', () => {
  const { stdout, status, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', PROGRAM], {
    cwd: ROOT,
    encoding: 'utf8',
  });
  expect({ status, stdout, stderr }).toEqual({
    status: 0,
    stdout: 'claim 403\nactor 403\ndetails 403\nscope 403\ngood 200\n',
    stderr: '',
  });
});
