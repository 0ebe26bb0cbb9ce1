import { describe, expect, test } from '@jest/globals';
import type { AuthorizationServer, Defaults } from '../../lib/authorization-servers.js';
import { foundServers, listedServers } from '../../lib/trusted-servers.js';
import { TokenCache } from '../../lib/token-cache.js';
import { movableClock } from '../support/clock.js';

const A = 'https://a.example';
const B = 'https://b.example';

/** Whoever fetches fails the test: finding a server asks no server. */
function bench() {
  const clock = movableClock(1_000_000);
  const fetched: unknown[] = [];
  const fetch: Defaults['fetch'] = (url) => {
    fetched.push(url);
    return Promise.reject(new TypeError('fetch failed'));
  };
  const outside = { fetch, clock, maxAge: 86_400, clockTolerance: 0, tokens: new TokenCache(10, clock) };
  const defaults: Defaults = { terms: {}, resource: 'https://api.example.com', ...outside };
  return { clock, defaults, fetched };
}

describe('listedServers', () => {
  test('finds by every spelling, and by nothing else', () => {
    const { defaults, fetched } = bench();
    const servers = listedServers([{ issuer: A, issuerAliases: [`${A}/`] }, { issuer: B }], defaults);
    const found = servers.find(A);
    expect(found).toMatchObject({ issuers: [A, `${A}/`] });
    expect(servers.find(`${A}/`)).toBe(found);
    expect(servers.find(B)).not.toBe(found);
    for (const other of ['https://A.example', `${B}/`, '', undefined, null, 5, [A], { issuer: A }]) {
      expect(servers.find(other)).toBeUndefined();
    }
    expect([...servers.known()].map(([issuer]) => issuer)).toEqual([A, B]);
    expect(servers.issuers).toEqual([A, `${A}/`, B]);
    servers.purge();
    expect(servers.find(A)).toBe(found); // the list is not forgotten
    expect(fetched).toEqual([]);
  });

  test.each([
    ['twice the same', [{ issuer: A }, { issuer: A }], A],
    ['an alias that is the issuer of another', [{ issuer: A }, { issuer: B, issuerAliases: [A] }], A],
    ['an alias that is its own issuer', [{ issuer: A, issuerAliases: [A] }], A],
  ])('%s is a TypeError', (_what, given, issuer) => {
    const { defaults } = bench();
    expect(() => listedServers(given, defaults)).toThrow(
      new TypeError(`the issuer "${issuer}" is named twice, by "issuer" or "issuerAliases"`),
    );
  });

  test('what a server does not say of its terms comes from the options beside it', () => {
    const { defaults } = bench();
    const given = [{ issuer: A }, { issuer: B, audience: 'own' }];
    const servers = listedServers(given, { ...defaults, terms: { audience: 'common' } });
    const audiences = [...servers.known()].map(([, { terms }]) => [...terms.audiences]);
    expect(audiences).toEqual([['common'], ['own']]);
  });
});

describe('foundServers', () => {
  function found(
    answer: (issuer: string) => AuthorizationServer | undefined | Promise<AuthorizationServer | undefined>,
  ) {
    const { clock, defaults, fetched } = bench();
    const asked: string[] = [];
    const servers = foundServers((issuer) => {
      asked.push(issuer);
      return answer(issuer);
    }, defaults);
    return { clock, servers, asked, fetched };
  }

  test('asks once for all who ask at the same time, and answers without a promise after that', async () => {
    const { servers, asked, fetched } = found((issuer) => ({ issuer }));
    const [first, second] = await Promise.all([servers.find(A), servers.find(A)]);
    expect(first).toBe(second);
    expect(first).toMatchObject({ issuers: [A] });
    expect(servers.find(A)).toBe(first);
    expect([asked, fetched]).toEqual([[A], []]);
  });

  test('keeps a server, and with it its keys, as long as its description says the same', async () => {
    let audience = 'one';
    const { servers, clock, asked } = found((issuer) => ({ issuer, audience }));
    const first = await servers.find(A);
    clock.now += 300;
    expect(await servers.find(A)).toBe(first);
    audience = 'two';
    clock.now += 299;
    expect(servers.find(A)).toBe(first);
    clock.now += 1;
    expect(await servers.find(A)).not.toBe(first);
    expect(asked).toHaveLength(3);
  });

  test('remembers for half a minute that there is none, and forgets a server that is gone', async () => {
    let there = true;
    const { servers, clock, asked } = found((issuer) => (there ? { issuer } : undefined));
    await servers.find(A);
    there = false;
    clock.now += 300;
    expect(await servers.find(A)).toBeUndefined();
    expect([...servers.known()]).toEqual([]);
    clock.now += 29;
    expect(servers.find(A)).toBeUndefined();
    expect(asked).toHaveLength(2);
    there = true;
    clock.now += 1;
    expect(await servers.find(A)).toMatchObject({ issuers: [A] });
  });

  test('10,000 servers and 1,000 strangers are remembered, the longest unused forgotten first', async () => {
    const { servers, asked } = found((issuer) => (issuer.includes('tenant') ? { issuer } : undefined));
    for (let i = 0; i <= 10_000; i++) await servers.find(`https://tenant-${i}.example`);
    for (let i = 0; i <= 1000; i++) await servers.find(`https://invented-${i}.example`);
    expect([...servers.known()]).toHaveLength(10_000);
    const before = asked.length;
    expect(servers.find('https://tenant-1.example')).toMatchObject({ issuers: ['https://tenant-1.example'] });
    expect(servers.find('https://invented-1.example')).toBeUndefined();
    expect(asked).toHaveLength(before);
    await servers.find('https://tenant-0.example');
    await servers.find('https://invented-0.example');
    expect(asked).toHaveLength(before + 2);
  });

  test('an issuer of 512 characters is looked up, a longer one, or what is no string, is not', async () => {
    const { servers, asked } = found((issuer) => ({ issuer }));
    const longest = A.padEnd(512, '/x');
    for (const iss of [`${longest}x`, undefined, null, 5, [A], {}]) expect(servers.find(iss)).toBeUndefined();
    expect(asked).toEqual([]);
    expect(await servers.find(longest)).toMatchObject({ issuers: [longest] });
  });

  test('what changes in its place is noticed after five minutes, and keeps no key', async () => {
    const row = { issuer: A, audience: 'old' };
    const { servers, clock } = found(() => row);
    const before = await servers.find(A);
    row.audience = 'new';
    expect(servers.find(A)).toBe(before);
    clock.now += 300;
    const after = await servers.find(A);
    expect([before?.terms.audiences, after?.terms.audiences]).toEqual([new Set(['old']), new Set(['new'])]);
    clock.now += 300;
    expect((await servers.find(A))?.keys).toBe(after?.keys); // described as before
  });

  test('a look-up that hangs is not waited for after a purge', async () => {
    let answer: ((found: undefined) => void) | undefined;
    const { servers, asked } = found((issuer) =>
      asked.length === 1 ? new Promise((resolve) => (answer = resolve)) : { issuer },
    );
    const hanging = servers.find(A);
    servers.purge();
    expect(await servers.find(A)).toMatchObject({ issuers: [A] });
    answer?.(undefined);
    expect(await hanging).toMatchObject({ issuers: [A] }); // asked again: what it was told is from before the purge
  });

  test('an answer for another issuer is none; one by an alias is not', async () => {
    const { servers } = found((issuer) => (issuer === A ? { issuer: B } : { issuer: A, issuerAliases: [`${A}/`] }));
    expect(await servers.find(A)).toBeUndefined();
    expect(await servers.find(`${A}/`)).toMatchObject({ issuers: [A, `${A}/`] });
  });

  test('an error goes to all who ask, and is not remembered', async () => {
    let fails = true;
    const { servers, asked } = found((issuer) => {
      if (fails) throw new Error('no database');
      return { issuer };
    });
    const both = await Promise.allSettled([servers.find(A), servers.find(A)]);
    expect(both.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    expect(asked).toHaveLength(1);
    fails = false;
    expect(await servers.find(A)).toMatchObject({ issuers: [A] });
  });

  test('purge forgets both kinds', async () => {
    const { servers, asked } = found((issuer) => (issuer === A ? { issuer } : undefined));
    await servers.find(A);
    await servers.find(B);
    servers.purge();
    expect([...servers.known()]).toEqual([]);
    await servers.find(A);
    await servers.find(B);
    expect(asked).toEqual([A, B, A, B]);
  });
});
