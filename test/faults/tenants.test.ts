import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { AuthorizationServer, ResourceServerOptions } from '../../lib/index.js';
import { VerificationUnavailableError } from '../../lib/index.js';
import { TestAuthorizationServer } from '../support/authorization-server.js';
import { movableClock } from '../support/clock.js';
import type { Clock } from '../support/clock.js';
import {
  closeAll,
  closing,
  expectAccepted,
  expectRefused,
  expectUnavailable,
  GET_KEYS,
  GET_METADATA,
  SAYS,
  serve,
  unsigned,
} from '../support/faults.js';
import type { App } from '../support/faults.js';

/** As the documentation of the option says. */
const TENANT_FOR = 300;
const NO_TENANT_FOR = 30;

type Find = (issuer: string) => AuthorizationServer | undefined | Promise<AuthorizationServer | undefined>;

let clock: Clock;
let blue: TestAuthorizationServer;
let red: TestAuthorizationServer;
/** The tenants there are, and whom the function was asked for. */
let tenants: Map<string, AuthorizationServer>;
let asked: string[];

beforeEach(async () => {
  clock = movableClock();
  blue = closing(await TestAuthorizationServer.start('/blue'));
  red = closing(await TestAuthorizationServer.start('/red'));
  tenants = new Map([blue, red].map(({ issuer }) => [issuer, { issuer }]));
  asked = [];
});

afterEach(closeAll);

async function tenantApp(find: Find = (issuer) => tenants.get(issuer), options: Partial<ResourceServerOptions> = {}) {
  const authorizationServers: Find = (issuer) => {
    asked.push(issuer);
    return find(issuer);
  };
  return serve({ resource: blue.resource, clock, ...options, authorizationServers } as ResourceServerOptions);
}

function statuses(app: App, tokens: readonly string[]): Promise<number[]> {
  return Promise.all(tokens.map(async (token) => (await app.get(token)).status));
}

const mint = (as: TestAuthorizationServer) => as.mint({}, { now: clock.now });

describe('a function that finds tenants', () => {
  test('each tenant with its own keys: those of the one do not open the other', async () => {
    const app = await tenantApp();
    await expectAccepted(app, mint(blue));
    await expectAccepted(app, mint(red));
    const [key] = red.keys;
    if (key === undefined) throw new Error('no key');
    await expectRefused(app, blue.mint({}, { key, now: clock.now }), SAYS.signature);
    await expectAccepted(app, mint(red));
    expect(asked).toEqual([blue.issuer, red.issuer]);
    for (const as of [blue, red]) expect(as.keyFetches).toBe(1);
  });

  test('a hundred tokens of a new tenant ask once, and wait for an answer that comes later', async () => {
    const app = await tenantApp(async (issuer) => {
      await new Promise((resolve) => setTimeout(resolve, 50));
      return tenants.get(issuer);
    });
    const tokens = Array.from({ length: 100 }, () => mint(blue));
    expect(new Set(await statuses(app, tokens))).toEqual(new Set([200]));
    expect(asked).toEqual([blue.issuer]);
    expect(blue.keyFetches).toBe(1);
  });

  test('a tenant is believed for five minutes, and keeps its keys when it is the same after them', async () => {
    const app = await tenantApp();
    await expectAccepted(app, mint(blue));
    clock.now += TENANT_FOR - 1;
    await expectAccepted(app, mint(blue));
    expect(asked).toHaveLength(1);
    tenants.set(blue.issuer, { issuer: blue.issuer }); // another object that says the same
    clock.now += 1;
    await expectAccepted(app, mint(blue));
    expect(asked).toHaveLength(2);
    expect(blue.log.filter((line) => line === GET_KEYS).length).toBeLessThanOrEqual(2); // the refresh ahead of need
    expect(app.middleware.exportKeys()).toHaveProperty([blue.issuer, 'keys']);
  });

  test('a tenant whose settings change has the new ones after five minutes', async () => {
    const app = await tenantApp();
    await expectAccepted(app, mint(blue));
    tenants.set(blue.issuer, { issuer: blue.issuer, audience: 'https://other.example' });
    await expectAccepted(app, mint(blue));
    clock.now += TENANT_FOR;
    await expectRefused(app, mint(blue), SAYS.audience);
    await expectAccepted(app, blue.mint({ aud: 'https://other.example' }, { now: clock.now }));
  });

  test('a removed tenant is refused after five minutes, at once after purge()', async () => {
    const app = await tenantApp();
    await expectAccepted(app, mint(blue));
    tenants.delete(blue.issuer);
    clock.now += TENANT_FOR - 1;
    await expectAccepted(app, mint(blue));
    clock.now += 1;
    await expectRefused(app, mint(blue), SAYS.issuer);
    await expectAccepted(app, mint(red));
    tenants.delete(red.issuer);
    app.middleware.purge();
    await expectRefused(app, mint(red), SAYS.issuer);
  });

  test('purge() counts also for an answer that was on its way', async () => {
    let answer: (found: AuthorizationServer | undefined) => void = () => undefined;
    const late = new Promise<AuthorizationServer | undefined>((resolve) => {
      answer = resolve;
    });
    const app = await tenantApp((issuer) => (asked.length === 1 ? late : tenants.get(issuer)));
    const first = app.get(mint(blue));
    while (asked.length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
    tenants.delete(blue.issuer);
    app.middleware.purge();
    answer({ issuer: blue.issuer });
    await first;
    await expectRefused(app, mint(blue), SAYS.issuer);
  });

  test('that there is none is believed for half a minute', async () => {
    const found = tenants.get(blue.issuer);
    tenants.delete(blue.issuer);
    const app = await tenantApp();
    await expectRefused(app, mint(blue), SAYS.issuer);
    if (found !== undefined) tenants.set(blue.issuer, found);
    clock.now += NO_TENANT_FOR - 1;
    await expectRefused(app, mint(blue), SAYS.issuer);
    expect(asked).toHaveLength(1);
    clock.now += 1;
    await expectAccepted(app, mint(blue));
    expect(asked).toHaveLength(2);
  });

  test('a clock that was put back believes nothing', async () => {
    const app = await tenantApp();
    await expectAccepted(app, mint(blue));
    clock.now -= 3600;
    await expectAccepted(app, mint(blue));
    expect(asked).toHaveLength(2);
  });

  test('a tenant that is down is 503, the others go on', async () => {
    const app = await tenantApp();
    await red.close();
    await expectUnavailable(app, mint(red));
    await expectAccepted(app, mint(blue));
    await red.reopen();
  });
});

describe('a function that fails', () => {
  const failures: readonly [what: string, fail: () => never | Promise<never>][] = [
    [
      'throws',
      () => {
        throw new Error('no database');
      },
    ],
    ['rejects', () => Promise.reject(new Error('no database'))],
  ];

  test.each(failures)(
    'and %s: the error goes to Express, nothing passes, nothing is remembered',
    async (_what, fail) => {
      let broken = true;
      const app = await tenantApp((issuer) => (broken ? fail() : tenants.get(issuer)));
      expect(await app.get(mint(blue))).toMatchObject({ status: 500, challenge: null, body: { bug: 'no database' } });
      expect(app.handled).toBe(0);
      broken = false;
      await expectAccepted(app, mint(blue));
    },
  );

  test('with VerificationUnavailableError answers 503', async () => {
    const app = await tenantApp((issuer) => {
      if (asked.length === 1) throw new VerificationUnavailableError('The database of tenants is down');
      return tenants.get(issuer);
    });
    expect(await expectUnavailable(app, mint(blue))).toBe(5);
    await expectAccepted(app, mint(blue));
  });

  test('and answers with another issuer than asked for has no such tenant', async () => {
    const app = await tenantApp((issuer) => (issuer === blue.issuer ? { issuer: red.issuer } : tenants.get(issuer)));
    await expectRefused(app, mint(blue), SAYS.issuer);
    expect(red.log).toEqual([]);
    await expectAccepted(app, mint(red));
  });

  test.each([
    ['plain http', { issuer: 'http://tenant.example' }],
    ['a wrong option', { issuer: 'https://tenant.example', audiences: 'x' }],
  ])('and answers with %s lets nobody in', async (_what, answer) => {
    const app = await tenantApp((issuer) => (issuer === answer.issuer ? answer : tenants.get(issuer)));
    const { status } = await app.get(blue.mint({ iss: answer.issuer }, { now: clock.now }));
    expect({ status, handled: app.handled }).toEqual({ status: 500, handled: 0 });
    await expectAccepted(app, mint(blue));
  });

  test('and answers null, as databases do, has no such tenant', async () => {
    const app = await tenantApp((issuer) => (tenants.get(issuer) ?? null) as AuthorizationServer | undefined);
    await expectRefused(app, blue.mint({ iss: 'https://nobody.example' }, { now: clock.now }), SAYS.issuer);
    await expectAccepted(app, mint(blue));
  });
});

describe('issuers that are no tenants', () => {
  test.each([
    ['no iss', undefined],
    ['an iss that is a number', 1],
    ['an iss that is a list', ['https://as.example.com']],
    ['an iss of 600 characters', `https://as.example.com/${'x'.repeat(600)}`],
  ])('%s is refused without asking the function', async (_what, iss) => {
    const app = await tenantApp();
    await expectRefused(app, blue.mint({ iss }, { now: clock.now }), SAYS.issuer);
    expect(asked).toEqual([]);
    await expectAccepted(app, mint(blue));
  });

  test('500 invented ones call nobody, and cost known tenants nothing', async () => {
    const app = await tenantApp();
    await expectAccepted(app, mint(blue));
    const tokens = Array.from({ length: 500 }, (_, i) =>
      unsigned(blue, clock.now, { kid: 'x' }, { iss: `${blue.origin}/invented/${i}` }),
    );
    expect(new Set(await statuses(app, tokens))).toEqual(new Set([401]));
    expect(blue.log).toEqual([`${GET_METADATA}/blue`, GET_KEYS]);
    expect(red.log).toEqual([]);
    expect(asked).toHaveLength(501);
    await expectAccepted(app, mint(blue));
    expect(asked).toHaveLength(501);
  });
});
