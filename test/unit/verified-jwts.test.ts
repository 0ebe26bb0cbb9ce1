import { describe, expect, test } from '@jest/globals';
import { InvalidTokenError, VerificationUnavailableError } from '../../lib/errors.js';
import type { JwtServer, VerifiedJwt } from '../../lib/jwt.js';
import { KeySet } from '../../lib/key-set.js';
import type { KeySource } from '../../lib/keys.js';
import { checkedTerms } from '../../lib/token-terms.js';
import type { VerifiedToken } from '../../lib/types.js';
import { VerifiedJwts } from '../../lib/verified-jwts.js';
import { movableClock } from '../support/clock.js';
import { SAYS } from '../support/stage.js';

const START = 1_000_000;
const ISSUER = 'https://as.example.com';
const DOWN = new VerificationUnavailableError('The key set is down');

function token(jti = 'one', times: { exp?: number; nbf?: number } = {}): VerifiedToken {
  return { claims: { iss: ISSUER, exp: START + 300, jti, ...times }, scopes: [], clientId: 'editor' };
}

/** A server with keys that can be exchanged. */
function serverWith(keys: KeySet) {
  const source = { current: () => keys as ReturnType<KeySource['current']>, newer: () => Promise.resolve(keys) };
  const server: JwtServer = { issuers: [ISSUER], terms: checkedTerms({}, 'https://api.example.com'), keys: source };
  return { server, source };
}

type Found = JwtServer | undefined | Promise<JwtServer | undefined>;

/** Remembered JWTs of one server, which is found as the test says. */
function bench({ max = 100, tolerance = 0 } = {}) {
  const clock = movableClock(START);
  const keys = new KeySet([]);
  const { server, source } = serverWith(keys);
  const at: { find: (issuer: unknown) => Found } = { find: () => server };
  const jwts = new VerifiedJwts(max, (issuer) => at.find(issuer), clock, tolerance);
  const keep = (digest = 'd', kept = token(), more: Partial<VerifiedJwt> = {}) => {
    const verified = { ...kept, server, keys, ...more };
    jwts.keep(digest, verified);
    return verified;
  };
  return { clock, keys, server, source, at, jwts, keep, recall: (digest = 'd') => jwts.recall(digest) };
}

const refusal = (says: string) => new InvalidTokenError(says);

describe('a token that was good before', () => {
  test('is recalled without a promise, the very object, as often as it is asked for', () => {
    const { keep, recall } = bench();
    expect(recall()).toBeUndefined();
    const kept = keep();
    for (let i = 0; i < 100; i++) expect(recall()).toBe(kept);
  });

  test.each(['D', 'd ', ' d', 'd=', ''])('is not the token of another digest, such as %j', (other) => {
    const { keep, recall } = bench();
    const kept = keep();
    expect([recall(other), recall()]).toEqual([undefined, kept]);
  });

  test('the trusted server is looked for by its iss, each time', () => {
    const { at, server, keep, recall } = bench();
    const asked: unknown[] = [];
    at.find = (issuer) => (asked.push(issuer), server);
    const kept = keep();
    expect([recall(), recall('other'), recall()]).toEqual([kept, undefined, kept]);
    expect(asked).toEqual([ISSUER, ISSUER]);
  });

  test('is replaced by what is kept later', () => {
    const { keep, recall } = bench();
    keep();
    const later = keep('d', token('later'));
    expect(recall()).toBe(later);
  });
});

describe('its times', () => {
  test.each([0, 5])('until the second of exp, with a tolerance of %i', (tolerance) => {
    const { clock, keep, recall } = bench({ tolerance });
    const kept = keep();
    clock.now = START + 300 + tolerance - 0.001;
    expect(recall()).toBe(kept);
    clock.now = START + 300 + tolerance;
    expect(recall).toThrow(refusal(SAYS.expired));
    clock.now += 1e9;
    expect(recall).toThrow(refusal(SAYS.expired));
  });

  test.each([0, 5])('from nbf, when the clock was put back, with a tolerance of %i', (tolerance) => {
    const { clock, keep, recall } = bench({ tolerance });
    const kept = keep('d', token('one', { nbf: START }));
    clock.now = START - tolerance - 0.001;
    expect(recall).toThrow(refusal(SAYS.early));
    clock.now = START - tolerance;
    expect(recall()).toBe(kept);
  });

  test('are looked at after the wait for server and keys as well', async () => {
    const { clock, keys, server, source, at, keep, recall } = bench();
    const kept = keep();
    at.find = () => Promise.resolve(server);
    expect(await recall()).toBe(kept);
    const early = recall();
    clock.now = START + 300;
    await expect(early).rejects.toEqual(refusal(SAYS.expired));
    clock.now = START;
    at.find = () => server;
    source.current = () => Promise.resolve(keys);
    expect(await recall()).toBe(kept);
    const late = recall();
    clock.now = START + 300;
    await expect(late).rejects.toEqual(refusal(SAYS.expired));
  });

  test('are looked at before the keys are asked for: an outage hides no bad token', async () => {
    const { clock, source, keep, recall } = bench();
    keep();
    let asked = 0;
    source.current = () => (asked++, Promise.reject(DOWN));
    await expect(recall()).rejects.toBe(DOWN);
    clock.now = START + 300;
    await expect((async () => recall())()).rejects.toEqual(refusal(SAYS.expired));
    expect(asked).toBe(1);
  });
});

describe('its server', () => {
  const other = serverWith(new KeySet([])).server;

  test.each([
    ['gone', undefined],
    ['another one', other],
    ['one that has the same keys and terms', 'copy' as const],
  ])('%s: it has to be verified, and is known again when the same is back', async (_what, found) => {
    const { at, server, keep, recall } = bench();
    const kept = keep();
    const now = found === 'copy' ? { ...server } : found;
    at.find = () => now;
    expect(recall()).toBeUndefined();
    at.find = () => Promise.resolve(now);
    expect(await recall()).toBeUndefined();
    at.find = () => Promise.resolve(server);
    expect(await recall()).toBe(kept);
    at.find = () => server;
    expect(recall()).toBe(kept);
  });

  test('that cannot be found out is what it says', async () => {
    const { at, keep, recall, server } = bench();
    const kept = keep();
    at.find = () => {
      throw DOWN;
    };
    expect(recall).toThrow(DOWN);
    at.find = () => Promise.reject(DOWN);
    await expect(recall()).rejects.toBe(DOWN);
    at.find = () => server;
    expect(recall()).toBe(kept);
  });
});

describe('its keys', () => {
  test('another set, even one that says the same: it has to be verified', async () => {
    const { source, keys, keep, recall } = bench();
    const kept = keep();
    const others = new KeySet(keys.jwks);
    source.current = () => others;
    expect(recall()).toBeUndefined();
    source.current = () => Promise.resolve(others);
    expect(await recall()).toBeUndefined();
    source.current = () => Promise.resolve(keys);
    expect(await recall()).toBe(kept);
    source.current = () => keys;
    expect(recall()).toBe(kept);
  });

  test('that cannot be had are what it says, and it is good again afterwards', async () => {
    const { source, keys, keep, recall } = bench();
    const kept = keep();
    source.current = () => Promise.reject(DOWN);
    await expect(recall()).rejects.toBe(DOWN);
    source.current = () => {
      throw DOWN;
    };
    expect(recall).toThrow(DOWN);
    source.current = () => keys;
    expect(recall()).toBe(kept);
  });

  test('that it was not verified with are no keys of it', () => {
    const { keep, recall, keys } = bench();
    keep('d', token(), { keys: new KeySet(keys.jwks) });
    expect(recall()).toBeUndefined();
    const kept = keep();
    expect(recall()).toBe(kept);
  });
});

describe('what is forgotten', () => {
  test('one, or all', () => {
    const { jwts, keep, recall } = bench();
    const kept = ['a', 'b', 'c'].map((name) => keep(name, token(name)));
    jwts.forget('a');
    jwts.forget('nobody');
    expect(['a', 'b', 'c'].map(recall)).toEqual([undefined, kept[1], kept[2]]);
    jwts.clear();
    expect(['a', 'b', 'c'].map(recall)).toEqual([undefined, undefined, undefined]);
    const again = keep('a');
    expect(recall('a')).toBe(again);
  });

  test('the longest unused, where there is no more room', () => {
    const { keep, recall } = bench({ max: 2 });
    const a = keep('a', token('a'));
    keep('b', token('b'));
    expect(recall('a')).toBe(a); // used now
    const c = keep('c', token('c'));
    expect(['a', 'b', 'c'].map(recall)).toEqual([a, undefined, c]);
  });

  test('everything, where there is no room at all', () => {
    const { jwts, keep, recall, at } = bench({ max: 0 });
    keep();
    at.find = () => {
      throw new Error('nobody has to be found');
    };
    expect(recall()).toBeUndefined();
    jwts.forget('d');
    jwts.clear();
    expect(recall()).toBeUndefined();
    const roomy = bench({ max: 1 });
    expect(roomy.keep()).toBe(roomy.recall());
  });
});
