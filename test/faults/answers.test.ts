import type { RequestListener } from 'node:http';
import { afterEach, describe, expect, test } from '@jest/globals';
import { sendJson, TestAuthorizationServer } from '../support/authorization-server.js';
import {
  closeAll,
  closing,
  COOLDOWN,
  expectAccepted,
  expectRefused,
  expectUnavailable,
  FRESH,
  GET_KEYS,
  GET_METADATA,
  LONGEST_WAIT,
  METADATA,
  OPENID,
  SAYS,
  stage,
  warmStage,
} from '../support/faults.js';
import { signingKey } from '../support/tokens.js';

afterEach(closeAll);

const JSON_TYPE = { 'Content-Type': 'application/json' };

/** Answers that are no document. */
const NO_DOCUMENT: readonly [what: string, listener: RequestListener][] = [
  ['500', (_req, res) => void res.writeHead(500, JSON_TYPE).end('{"keys":[]}')],
  ['404', (_req, res) => void res.writeHead(404).end()],
  ['204', (_req, res) => void res.writeHead(204).end()],
  ['a login page in HTML', (_req, res) => void res.writeHead(200, { 'Content-Type': 'text/html' }).end('<html>')],
  ['JSON that breaks off', (_req, res) => void res.writeHead(200, JSON_TYPE).end('{"keys":[')],
  [
    'a list',
    (_req, res) => {
      sendJson(res, []);
    },
  ],
  [
    '10 MB',
    (_req, res) => {
      sendJson(res, { pad: 'x'.repeat(10 * 1024 * 1024) });
    },
  ],
];

/** Key sets in which no key can verify a signature. */
const NO_KEYS: readonly [what: string, document: unknown][] = [
  ['an empty key set', { keys: [] }],
  ['a key set without "keys"', {}],
  ['"keys" that is no list', { keys: {} }],
  ['a key set with a private key only', { keys: [privateJwk('first')] }],
  ['a key set with a symmetric key only', { keys: [{ kty: 'oct', k: 'c2VjcmV0', kid: 'first', alg: 'HS256' }] }],
  ['a key set with an encryption key only', { keys: [{ ...signingKey('ES256', 'first').jwk, use: 'enc' }] }],
  ['a key set of things that are no keys', { keys: [null, 1, 'x', [], {}] }],
];

function privateJwk(kid: string) {
  return { ...signingKey().privateKey.export({ format: 'jwk' }), kid, alg: 'ES256', use: 'sig' };
}

describe('in place of the keys', () => {
  test.each(NO_DOCUMENT)('%s at the first token: 503, then recovery', async (_what, listener) => {
    const { as, app, clock, mint } = await stage();
    as.answers.set('/jwks', listener);
    const start = performance.now();
    await expectUnavailable(app, mint());
    await expectUnavailable(app, mint()); // too early to ask again
    expect(performance.now() - start).toBeLessThan(4_000);
    // The place of the keys may have changed, so the metadata is read once more.
    expect(as.log).toEqual([GET_METADATA, GET_KEYS, GET_METADATA]);
    as.answers.clear();
    clock.now += LONGEST_WAIT;
    await expectAccepted(app, mint());
    await expectRefused(app, mint({ exp: 1 }), SAYS.expired);
  });

  test.each(NO_DOCUMENT)('%s when they are old: valid tokens pass', async (_what, listener) => {
    const { as, app, clock, mint } = await warmStage();
    as.answers.set('/jwks', listener);
    clock.now += FRESH;
    await expectAccepted(app, mint());
    await expectAccepted(app, mint());
    expect(as.keyFetches).toBe(1);
    await expectUnavailable(app, as.mint({}, { key: signingKey('ES256', 'new'), now: clock.now }));
  });

  test.each(NO_KEYS)('%s at the first token: 503, then recovery', async (_what, document) => {
    const { as, app, clock, mint } = await stage();
    as.jwks = document;
    await expectUnavailable(app, mint());
    as.jwks = undefined;
    clock.now += LONGEST_WAIT;
    await expectAccepted(app, mint());
  });

  test.each(NO_KEYS)('%s does not take the place of good ones', async (_what, document) => {
    const { as, app, clock, mint } = await warmStage();
    as.jwks = document;
    clock.now += FRESH;
    await expectAccepted(app, mint());
    await expectAccepted(app, mint());
    expect(as.keyFetches).toBe(1);
  });

  test('private and symmetric keys among good ones are left out, and the good ones serve', async () => {
    const { as, app, clock, mint } = await stage();
    const leaked = signingKey('ES256', 'leaked');
    as.jwks = {
      keys: [
        { ...leaked.privateKey.export({ format: 'jwk' }), kid: 'leaked', alg: 'ES256' },
        { kty: 'oct', k: 'c2VjcmV0', kid: 'shared', alg: 'HS256' },
        ...as.keys.map(({ jwk }) => jwk),
      ],
    };
    await expectAccepted(app, mint());
    await expectRefused(app, as.mint({}, { key: leaked, now: clock.now }), SAYS.key);
    expect(as.keyFetches).toBe(1);
  });
});

describe('in place of the metadata', () => {
  test.each(NO_DOCUMENT)('%s: 503, the keys are not asked for, then recovery', async (_what, listener) => {
    const { as, app, clock, mint } = await stage();
    as.answers.set(METADATA, listener);
    await expectUnavailable(app, mint());
    expect(as.log).toEqual([GET_METADATA, `GET ${OPENID}`]);
    as.answers.clear();
    clock.now += LONGEST_WAIT;
    await expectAccepted(app, mint());
  });

  test.each([
    ['another issuer', (issuer: string) => `${issuer}/`],
    ['the issuer in capitals', (issuer: string) => issuer.toUpperCase()],
    ['the issuer of somebody else', () => 'https://as.example.com'],
    ['no issuer', () => undefined],
  ])('%s: 503, nothing of it is used, then recovery', async (_what, issuer) => {
    const { as, app, clock, mint } = await stage();
    as.metadata = { issuer: issuer(as.issuer) };
    await expectUnavailable(app, mint());
    expect(as.log).toEqual([GET_METADATA]);
    as.metadata = {};
    clock.now += LONGEST_WAIT;
    await expectAccepted(app, mint());
  });

  test('another issuer after the keys were cached: the known place serves on', async () => {
    const { as, app, clock, mint } = await warmStage();
    const attacker = closing(await TestAuthorizationServer.start());
    as.metadata = { issuer: attacker.issuer, jwks_uri: attacker.jwksUri };
    clock.now += FRESH;
    await expectAccepted(app, mint());
    clock.now += FRESH;
    await expectAccepted(app, mint());
    expect(as.keyFetches).toBe(2);
    expect(attacker.log).toEqual([]);
  });
});

describe('a redirect to another host', () => {
  test.each([301, 302, 303, 307, 308])('%i is not followed', async (status) => {
    const attacker = closing(await TestAuthorizationServer.start());
    for (const path of ['/jwks', METADATA]) {
      const { as, app, clock, mint } = await stage();
      attacker.metadata = { issuer: as.issuer };
      const location = `${attacker.origin}${path}`;
      as.answers.set(path, (_req, res) => void res.writeHead(status, { Location: location }).end());
      await expectUnavailable(app, attacker.mint({ iss: as.issuer }, { now: clock.now }));
      as.answers.clear();
      clock.now += LONGEST_WAIT;
      await expectAccepted(app, mint());
    }
    expect(attacker.log).toEqual([]);
  });

  test('when the keys are old, neither: the old ones serve, those of the other host do not', async () => {
    const { as, app, clock, mint } = await warmStage();
    const attacker = closing(await TestAuthorizationServer.start());
    as.answers.set('/jwks', (_req, res) => void res.writeHead(302, { Location: attacker.jwksUri }).end());
    clock.now += FRESH;
    await expectAccepted(app, mint());
    await expectUnavailable(app, attacker.mint({ iss: as.issuer }, { header: { kid: 'x' }, now: clock.now }));
    clock.now += COOLDOWN;
    expect(attacker.log).toEqual([]);
  });
});
