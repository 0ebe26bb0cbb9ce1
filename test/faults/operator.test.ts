import { afterEach, describe, expect, test } from '@jest/globals';
import { VerificationUnavailableError } from '../../lib/index.js';
import type { KeyCache } from '../../lib/key-cache.js';
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
  KEY_MAX_AGE,
  LONGEST_WAIT,
  SAYS,
  serve,
  stage,
  until,
  warmStage,
} from '../support/faults.js';
import { TestAuthorizationServer } from '../support/authorization-server.js';
import type { Stage } from '../support/faults.js';
import { signingKey } from '../support/tokens.js';

afterEach(closeAll);

/** A second process, as far as keys go: the same options, nothing kept. */
async function second({ as, clock }: Stage) {
  return serve({ resource: as.resource, issuer: as.issuer, clock });
}

describe('ready()', () => {
  test('fetches ahead of the first token', async () => {
    const { as, app, mint } = await stage();
    await app.middleware.ready();
    expect(as.log).toEqual([GET_METADATA, GET_KEYS]);
    await expectAccepted(app, mint());
    expect(as.log).toHaveLength(2);
  });

  test('rejects when the server is down; the app works on and recovers', async () => {
    const { as, app, clock, mint } = await stage();
    await as.close();
    const error: unknown = await app.middleware.ready().catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(VerificationUnavailableError);
    expect(error).toMatchObject({
      reason: 'The metadata of the authorization server could not be fetched: no connection, or no answer in time',
    });
    await expectUnavailable(app, mint());
    await as.reopen();
    clock.now += LONGEST_WAIT;
    await expectAccepted(app, mint());
    await expect(app.middleware.ready()).resolves.toBeUndefined();
  });

  test('one of several servers is down: rejects, and the tokens of the other pass', async () => {
    const up = closing(await TestAuthorizationServer.start());
    const down = closing(await TestAuthorizationServer.start());
    await down.close();
    const app = await serve({
      resource: up.resource,
      authorizationServers: [{ issuer: down.issuer }, { issuer: up.issuer }],
    });
    await expect(app.middleware.ready()).rejects.toBeInstanceOf(VerificationUnavailableError);
    await expectAccepted(app, up.mint());
    await expectUnavailable(app, down.mint());
    expect(up.log).toEqual([GET_METADATA, GET_KEYS]);
    await down.reopen();
  });

  test('has nothing to fetch where the keys are given, or tenants are found by a function', async () => {
    const as = closing(await TestAuthorizationServer.start());
    const { resource, issuer } = as;
    const given = await serve({ resource, issuer, jwks: { keys: as.keys.map(({ jwk }) => jwk as { kty: string }) } });
    await expect(given.middleware.ready()).resolves.toBeUndefined();
    await expectAccepted(given, as.mint());
    const found = await serve({ resource, authorizationServers: (iss) => (iss === issuer ? { issuer } : undefined) });
    await expect(found.middleware.ready()).resolves.toBeUndefined();
    expect(as.log).toEqual([]);
    await expectAccepted(found, as.mint());
  });
});

describe('purge()', () => {
  test('a compromised key stops with the next token, not with the next refresh', async () => {
    const { as, app, mint } = await warmStage();
    const stolen = mint();
    as.keys = [signingKey('ES256', 'second')];
    await expectAccepted(app, stolen);
    app.middleware.purge();
    await expectRefused(app, stolen, SAYS.key);
    await expectAccepted(app, mint());
    expect(as.log).toEqual([GET_METADATA, GET_KEYS]);
  });

  test('what was asked for before is not kept after it', async () => {
    const { as, app, clock, mint } = await warmStage();
    const before = as.keys.map(({ jwk }) => jwk);
    const stolen = mint();
    const held: (() => void)[] = [];
    as.answers.set('/jwks', (_req, res) => {
      held.push(() => res.setHeader('Content-Type', 'application/json').end(JSON.stringify({ keys: before })));
    });
    clock.now += FRESH / 2;
    await expectAccepted(app, mint()); // starts a refresh, which hangs
    await until(() => held.length === 1, 'the refresh');
    as.keys = [signingKey('ES256', 'second')];
    as.answers.clear();
    app.middleware.purge();
    await expectAccepted(app, mint());
    held[0]?.();
    await new Promise((resolve) => setTimeout(resolve, 100));
    await expectRefused(app, stolen, SAYS.expired);
    await expectRefused(app, as.mint({}, { header: { kid: 'first' }, now: clock.now }), SAYS.key);
  });

  test('a failure of what was asked for before makes nobody wait after it', async () => {
    const { as, app, clock, mint } = await warmStage();
    const held: (() => void)[] = [];
    as.answers.set('/jwks', (_req, res) => void held.push(() => res.writeHead(500).end()));
    clock.now += FRESH / 2;
    await expectAccepted(app, mint());
    await until(() => held.length === 1, 'the refresh');
    as.answers.clear();
    app.middleware.purge();
    held[0]?.();
    await new Promise((resolve) => setTimeout(resolve, 100));
    await expectAccepted(app, mint());
  });

  test('while the server is down there is nothing to fall back on: 503, not the old keys', async () => {
    const { as, app, clock, mint } = await warmStage();
    await as.close();
    app.middleware.purge();
    await expectUnavailable(app, mint());
    await as.reopen();
    clock.now += LONGEST_WAIT;
    await expectAccepted(app, mint());
  });
});

describe('exportKeys() and importKeys()', () => {
  test('a second process fetches nothing', async () => {
    const first = await warmStage();
    const { as, app, mint } = first;
    const cache = JSON.parse(JSON.stringify(app.middleware.exportKeys())) as KeyCache;
    expect(cache).toEqual({
      [as.issuer]: { keys: as.keys.map(({ jwk }) => jwk), fetchedAt: first.clock.now, freshFor: FRESH },
    });
    const other = await second(first);
    other.middleware.importKeys(cache);
    await expectAccepted(other, mint());
    await expectRefused(other, as.mint({}, { key: signingKey('ES256', 'x') }), SAYS.key);
    expect(as.log).toEqual([]);
  });

  test('what was imported ages on: refreshed when it is due, and worth nothing past the maximum age', async () => {
    const first = await warmStage();
    const { as, app, clock, mint } = first;
    const cache = app.middleware.exportKeys();
    clock.now += FRESH - COOLDOWN;
    const late = await second(first);
    late.middleware.importKeys(cache);
    await expectAccepted(late, mint());
    await until(() => as.keyFetches === 1, 'the refresh ahead of need');
    await as.close();
    const offline = await second(first);
    offline.middleware.importKeys(cache);
    await expectAccepted(offline, mint());
    clock.now += KEY_MAX_AGE - (FRESH - COOLDOWN) - 1;
    await expectAccepted(offline, mint());
    const tooLate = await second(first);
    clock.now += 1;
    tooLate.middleware.importKeys(cache);
    await expectUnavailable(tooLate, mint());
    await expectUnavailable(offline, mint());
  });

  test('newer keys are not replaced by older ones, nor by some of the future', async () => {
    const { as, app, clock, mint } = await warmStage();
    const cache = app.middleware.exportKeys();
    as.keys = [signingKey('ES256', 'second')];
    clock.now += FRESH;
    await expectAccepted(app, mint());
    app.middleware.importKeys(cache);
    await expectAccepted(app, mint());
    const ahead = Object.fromEntries(
      Object.entries(cache).map(([issuer, kept]) => [issuer, { ...kept, fetchedAt: clock.now + 1 }]),
    );
    app.middleware.importKeys(ahead);
    await expectAccepted(app, mint());
    expect(as.keyFetches).toBe(1);
  });

  test('keys of an issuer that is not trusted are not taken', async () => {
    const first = await warmStage();
    const { as, clock } = first;
    const attacker = closing(await TestAuthorizationServer.start());
    const other = await second(first);
    const keys = attacker.keys.map(({ jwk }) => jwk as { kty: string });
    other.middleware.importKeys({ [attacker.issuer]: { keys, fetchedAt: clock.now, freshFor: FRESH } });
    await expectRefused(other, attacker.mint(), SAYS.issuer);
    expect(other.middleware.exportKeys()).toEqual({});
    await expectAccepted(other, as.mint());
    expect(attacker.log).toEqual([]);
  });

  test('a private key in the cache is not used', async () => {
    const first = await warmStage();
    const { as, clock, mint } = first;
    const leaked = signingKey('ES256', 'leaked');
    const keys = [...as.keys.map(({ jwk }) => jwk), leaked.privateKey.export({ format: 'jwk' })] as { kty: string }[];
    const other = await second(first);
    other.middleware.importKeys({ [as.issuer]: { keys, fetchedAt: clock.now, freshFor: FRESH } });
    await expectRefused(other, as.mint({}, { key: leaked }), SAYS.key);
    await expectAccepted(other, mint());
  });

  const GOOD = { keys: [signingKey().jwk], fetchedAt: 1, freshFor: FRESH };

  test.each([
    ['nothing', undefined],
    ['null', null],
    ['a text', '{}'],
    ['a list', []],
  ])('%s in place of a cache is a TypeError', async (_what, cache) => {
    const { app } = await stage();
    expect(() => {
      app.middleware.importKeys(cache as unknown as KeyCache);
    }).toThrow(/^importKeys takes an object/);
    expect(app.middleware.exportKeys()).toEqual({});
  });

  test.each([
    ['null', null],
    ['a text', 'x'],
    ['no keys', { ...GOOD, keys: undefined }],
    ['an empty list of keys', { ...GOOD, keys: [] }],
    ['a list of things that are no keys', { ...GOOD, keys: [1, null, 'x'] }],
    ['keys that are an object', { ...GOOD, keys: {} }],
    ['no time', { ...GOOD, fetchedAt: undefined }],
    ['a time that is a text', { ...GOOD, fetchedAt: '1' }],
    ['a time below zero', { ...GOOD, fetchedAt: -1 }],
    ['a time that is infinite', { ...GOOD, freshFor: Infinity }],
    ['no fresh time', { ...GOOD, freshFor: null }],
  ])('an entry that is %s is a TypeError, and changes nothing', async (_what, entry) => {
    const { as, app, mint } = await warmStage();
    const before = app.middleware.exportKeys();
    expect(() => {
      app.middleware.importKeys({ [as.issuer]: entry } as unknown as KeyCache);
    }).toThrow(new TypeError('importKeys takes what exportKeys gave, unchanged'));
    expect(app.middleware.exportKeys()).toEqual(before);
    await expectAccepted(app, mint());
  });

  test('an imported fresh time has the same limits as one from the server', async () => {
    const first = await warmStage();
    const { as, clock, mint } = first;
    const [[issuer, kept] = []] = Object.entries(first.app.middleware.exportKeys());
    const other = await second(first);
    other.middleware.importKeys({ [String(issuer)]: { ...kept, freshFor: 1e9 } } as KeyCache);
    clock.now += 3600;
    await expectAccepted(other, mint());
    await until(() => as.keyFetches === 1, 'the refresh');
  });
});
