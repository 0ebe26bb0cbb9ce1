import { spawnSync } from 'node:child_process';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import createApp from 'express';
import { resourceServer } from '../../lib/index.js';
import type { DiagnosticsEvent } from '../../lib/index.js';
import { sendJson } from '../support/authorization-server.js';
import {
  closeAll,
  closing,
  expectAccepted,
  expectRefused,
  expectUnavailable,
  FRESH,
  LONGEST_WAIT,
  METADATA,
  SAYS,
  stage,
  until,
  warmStage,
} from '../support/faults.js';
import { listen } from '../support/listen.js';
import { signingKey } from '../support/tokens.js';

const events: DiagnosticsEvent[] = [];
const listener = (event: unknown) => void events.push(event as DiagnosticsEvent);
beforeAll(() => {
  subscribe('express-oauth2-resource-server', listener);
});
afterAll(() => {
  unsubscribe('express-oauth2-resource-server', listener);
});
afterEach(closeAll);

/** How often something has become of the keys of this issuer. A request in the log is not yet an answer that was taken. */
function happened(what: string, issuer: string): number {
  return events.filter((e) => e.type === 'document' && e.document === 'keys' && e.event === what && e.issuer === issuer)
    .length;
}

// What a reader with fresh eyes has found. Each was there once.
describe('a failure long ago', () => {
  test('does not let a key that was withdrawn meanwhile serve once more', async () => {
    const { as, app, clock, mint } = await warmStage();
    const stolen = mint({ exp: clock.now + 1000 * FRESH });
    clock.now += FRESH / 2;
    as.answers.set('/jwks', (_req, res) => void res.writeHead(500).end());
    await expectAccepted(app, mint()); // its refresh in the background fails
    await until(() => happened('failed', as.issuer) === 1, 'the refresh that fails');
    as.answers.clear();
    as.keys = [signingKey('ES256', 'second')];
    clock.now += 100 * FRESH; // nobody comes
    const seen = await Promise.all([stolen, stolen, stolen].map((token) => app.get(token)));
    expect(seen.map(({ status }) => status)).toEqual([401, 401, 401]);
    await expectAccepted(app, mint());
  });

  test('but while the server is down it serves for its longest time', async () => {
    const { as, app, clock, mint } = await warmStage();
    as.answers.set('/jwks', (_req, res) => void res.writeHead(500).end());
    for (let hours = 0; hours < 23; hours++) {
      clock.now += 3600;
      await expectAccepted(app, mint());
    }
    clock.now += 3600;
    await expectUnavailable(app, mint());
  });
});

test('metadata in a pause do not make the pause of the keys longer than thirty seconds', async () => {
  const { as, app, clock, mint } = await stage();
  as.answers.set(METADATA, (_req, res) => void res.writeHead(500).end());
  for (let i = 0; i < 40; i++) {
    await expectUnavailable(app, mint());
    clock.now += 7;
  }
  as.answers.clear();
  clock.now += LONGEST_WAIT;
  await expectAccepted(app, mint());
});

test.each([
  ['without members', { kty: 'EC' }],
  ['without a modulus', { kty: 'RSA', kid: 'first', use: 'sig' }],
  ['of a type that we do not know', { kty: 'AKP', alg: 'ML-DSA-44', pub: 'AAAA', kid: 'first' }],
  ['with empty coordinates', { kty: 'EC', crv: 'P-256', x: '', y: '', kid: 'first' }],
  ['with an algorithm that we do not know', { ...signingKey('ES256', 'first').jwk, alg: 'ES256K' }],
  ['with a certificate only', { kty: 'RSA', x5c: ['AAAA'], kid: 'first' }],
])('a set with one key %s does not take the place of a good one', async (_what, key) => {
  const { as, app, clock, mint } = await warmStage();
  as.jwks = { keys: [key] };
  clock.now += FRESH / 2;
  await expectAccepted(app, mint());
  await until(() => happened('failed', as.issuer) === 1, 'the refresh that fails');
  await expectAccepted(app, mint());
  clock.now += FRESH;
  await expectAccepted(app, mint());
  await until(() => happened('failed', as.issuer) === 2, 'the second one');
  as.jwks = { keys: [key, signingKey('ES256', 'third').jwk] }; // a good one beside it, and it is a rotation
  clock.now += LONGEST_WAIT;
  await expectAccepted(app, mint());
  await until(() => happened('refreshed', as.issuer) === 2, 'the refresh'); // the first was the first of all
  clock.now += 1;
  await expectRefused(app, mint(), SAYS.key);
});

test('the time that keys spent in a cache on the way is taken off their fresh time', async () => {
  const { as, app, clock, mint } = await stage();
  as.answers.set('/jwks', (_req, res) => {
    res.setHeader('Cache-Control', 'max-age=3600');
    res.setHeader('Age', '3400');
    sendJson(res, { keys: as.keys.map(({ jwk }) => jwk) });
  });
  await expectAccepted(app, mint());
  clock.now += 99;
  await expectAccepted(app, mint());
  expect(as.keyFetches).toBe(1);
  clock.now += 1; // half of the 200 seconds that were left
  await expectAccepted(app, mint());
  await until(() => as.keyFetches === 2, 'the refresh ahead of need');
});

test('a fetch that throws at once is an outage, and does not end the process', () => {
  const program = `
    import { createServer } from 'node:http';
    import express from 'express';
    import { resourceServer } from './dist/index.js';
    const app = express();
    app.use(resourceServer({ resource: 'https://api.example.com', issuer: 'https://as.example.com',
      fetch: () => { throw new Error('open circuit'); } }));
    const part = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
    const now = Date.now() / 1000;
    const token = [part({ typ: 'at+jwt', alg: 'ES256' }), part({ iss: 'https://as.example.com', sub: 's', client_id: 'c',
      aud: 'https://api.example.com', jti: 'j', iat: now, exp: now + 60 }), 'AAAA'].join('.');
    const server = createServer(app).listen(0, '127.0.0.1', async () => {
      const url = 'http://127.0.0.1:' + server.address().port;
      const answer = await fetch(url, { headers: { authorization: 'Bearer ' + token } });
      await new Promise((resolve) => setTimeout(resolve, 5500)); // longer than the time limit
      console.log(answer.status);
      server.close();
      server.closeAllConnections();
    });`;
  const { status, stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', program], {
    encoding: 'utf8',
    timeout: 30_000,
  });
  expect({ status, stdout, stderr }).toEqual({ status: 0, stdout: '503\n', stderr: '' });
}, 40_000);

test('an answer that somebody else gave while the keys were fetched stays as it is', async () => {
  const { as, clock } = await stage();
  as.answers.set(METADATA, (_req, res) => void setTimeout(() => res.writeHead(500).end(), 200));
  const app = createApp();
  app.use((_req, res, next) => {
    setTimeout(() => {
      if (!res.headersSent) res.status(504).json({ error: 'too slow' });
    }, 50);
    next();
  });
  app.use(resourceServer({ resource: as.resource, issuer: as.issuer, clock }));
  const server = closing(await listen(app));
  const answer = await fetch(server.url, { headers: { authorization: `Bearer ${as.mint()}` } });
  expect([answer.status, await answer.json()]).toEqual([504, { error: 'too slow' }]);
  await new Promise((resolve) => setTimeout(resolve, 300));
  const again = await fetch(server.url, { headers: { authorization: `Bearer ${as.mint()}` } });
  expect(again.status).toBe(503); // within the pause we are quicker than the other
});
