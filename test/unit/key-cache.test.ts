import { describe, expect, test } from '@jest/globals';
import type { Defaults } from '../../lib/authorization-servers.js';
import { exportKeys, importKeys } from '../../lib/key-cache.js';
import { listedServers } from '../../lib/trusted-servers.js';
import { TokenCache } from '../../lib/token-cache.js';
import { movableClock } from '../support/clock.js';
import { keysAtHand } from '../support/keys.js';
import { signingKey } from '../support/tokens.js';

const A = 'https://a.example';
const B = 'https://b.example';
const NOW = 1_000_000;

const { jwk } = signingKey('ES256', 'first');
const entry = { keys: [jwk], fetchedAt: NOW - 10, freshFor: 600 };

function bench(issuers: readonly string[] = [A, B]) {
  const clock = movableClock(NOW);
  const fetch: Defaults['fetch'] = () => Promise.reject(new TypeError('fetch failed'));
  const outside = { fetch, clock, maxAge: 86_400, clockTolerance: 0, tokens: new TokenCache(10, clock) };
  const defaults: Defaults = { terms: {}, resource: 'https://api.example.com', ...outside };
  const given = issuers.map((issuer) => ({ issuer, jwksUri: `${issuer}/jwks` }));
  const servers = listedServers(given, defaults);
  const keysOf = async (issuer: string) => {
    const server = await servers.find(issuer);
    return server && keysAtHand(server.keys, 'ES256', 'first');
  };
  return { clock, servers, keysOf };
}

describe('export and import', () => {
  test('nothing fetched, nothing exported', () => {
    expect(exportKeys(bench().servers)).toEqual({});
  });

  test('what was imported serves without a fetch, and is exported as it came', async () => {
    const { servers, keysOf } = bench();
    importKeys(servers, { [A]: entry });
    expect(await keysOf(A)).toHaveLength(1);
    await expect(keysOf(B)).rejects.toThrow('The access token cannot be verified at the moment');
    expect(exportKeys(servers)).toEqual({ [A]: entry });
  });

  test('through JSON, and into a second list', async () => {
    const first = bench();
    importKeys(first.servers, { [A]: entry, [B]: entry });
    const second = bench([B]);
    importKeys(second.servers, JSON.parse(JSON.stringify(exportKeys(first.servers))));
    expect(await second.keysOf(B)).toHaveLength(1);
    expect(exportKeys(second.servers)).toEqual({ [B]: entry }); // A is not trusted there
  });

  test('only verification keys go out and in', () => {
    const { servers } = bench();
    const others = [
      signingKey().privateKey.export({ format: 'jwk' }),
      { kty: 'oct', k: 'AAAA' },
      { ...jwk, use: 'enc' },
    ];
    importKeys(servers, { [A]: { ...entry, keys: [...others, jwk] } });
    expect(exportKeys(servers)).toEqual({ [A]: entry });
  });

  test('given keys are neither exported nor replaced', async () => {
    const { servers: source } = bench();
    const clock = movableClock(NOW);
    const fetch: Defaults['fetch'] = () => Promise.reject(new TypeError('fetch failed'));
    const own = signingKey('ES256', 'own').jwk as { kty: string };
    const servers = listedServers([{ issuer: A, jwks: { keys: [own] } }], {
      ...{ terms: {}, resource: 'https://api.example.com', fetch, clock, maxAge: 86_400 },
      ...{ clockTolerance: 0, tokens: new TokenCache(10, clock) },
    });
    importKeys(source, { [A]: entry });
    importKeys(servers, exportKeys(source));
    expect(exportKeys(servers)).toEqual({});
    const server = await servers.find(A);
    expect(server && (await keysAtHand(server.keys, 'ES256', 'first'))).toEqual([]);
    expect(server && (await keysAtHand(server.keys, 'ES256', 'own'))).toHaveLength(1);
  });

  test('members of Object are no issuers', () => {
    const { servers } = bench();
    importKeys(servers, Object.create({ [A]: entry }));
    expect(exportKeys(servers)).toEqual({});
  });
});

describe('what exportKeys cannot have given', () => {
  test.each([[undefined], [null], ['{}'], [5], [[]]])('%j in place of the cache', (cache) => {
    expect(() => {
      importKeys(bench().servers, cache);
    }).toThrow(/^importKeys takes an object, got/);
  });

  test.each([
    ['null', null],
    ['a text', 'x'],
    ['nothing at all', {}],
    ['an empty set', { ...entry, keys: [] }],
    ['keys that are a text', { ...entry, keys: 'x' }],
    ['keys that are none', { ...entry, keys: [null, 1] }],
    ['a secret key', { ...entry, keys: [{ kty: 'oct', k: 'AAAA' }] }],
    ['a time that is a text', { ...entry, fetchedAt: '1' }],
    ['a time that is no number', { ...entry, fetchedAt: NaN }],
    ['a time below zero', { ...entry, fetchedAt: -1 }],
    ['no fresh time', { ...entry, freshFor: undefined }],
    ['a fresh time below zero', { ...entry, freshFor: -1 }],
  ])('%s for an issuer is a TypeError, and nothing is taken, not from the others either', (_what, bad) => {
    const { servers } = bench();
    for (const cache of [{ [A]: bad }, { [A]: entry, [B]: bad }]) {
      expect(() => {
        importKeys(servers, cache);
      }).toThrow(new TypeError('importKeys takes what exportKeys gave, unchanged'));
      expect(exportKeys(servers)).toEqual({});
    }
  });
});
