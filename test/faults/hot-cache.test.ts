import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals';
import { clientSecretBasic } from '../../lib/index.js';
import type { AuthorizationServer, ResourceServerOptions } from '../../lib/index.js';
import { TestAuthorizationServer } from '../support/authorization-server.js';
import { movableClock } from '../support/clock.js';
import { COOLDOWN, expectAccepted, expectRefused, expectUnavailable, FRESH, KEY_MAX_AGE } from '../support/faults.js';
import { closeAll, closing, SAYS, serve, until, warmStage } from '../support/faults.js';
import type { Stage } from '../support/faults.js';
import { expectHot, expectVerifiedAnew, heat, watchSignatures } from '../support/hot.js';
import type { Signatures } from '../support/hot.js';
import { INACTIVE } from '../support/introspection-stage.js';
import { PAUSE } from '../support/stage.js';
import { signingKey } from '../support/tokens.js';
import type { SigningKey } from '../support/tokens.js';

/** As the documentation says. */
const TENANT_FOR = 300;
const NO_TENANT_FOR = 30;

let signatures: Signatures;

beforeEach(() => {
  signatures = watchSignatures();
});

afterEach(async () => {
  jest.restoreAllMocks();
  await closeAll();
});

interface HotStage extends Stage {
  /** It was accepted a hundred times, and is good for days. */
  readonly token: string;
}

async function hotStage(options: Partial<ResourceServerOptions> = {}): Promise<HotStage> {
  const staged = await warmStage(options);
  const token = staged.mint({ exp: staged.clock.now + 9 * KEY_MAX_AGE });
  await heat(staged.app, signatures, token);
  return { ...staged, token };
}

function firstKey({ keys: [key] }: TestAuthorizationServer): SigningKey {
  if (key === undefined) throw new Error('no key');
  return key;
}

describe('a token that was accepted a hundred times', () => {
  test.each([0, 5])('7519-4.1.4-1 is refused in the second of its exp, tolerance %i', async (clockTolerance) => {
    const { app, clock, mint } = await warmStage({ clockTolerance });
    const token = mint();
    await heat(app, signatures, token);
    clock.now += 300 + clockTolerance - 0.001;
    await expectHot(app, signatures, token);
    clock.now += 0.001;
    await expectRefused(app, token, SAYS.expired);
    await expectHotAfterwards(app, mint());
  });

  test.each([0, 5])('7519-4.1.5-1 is refused before its nbf, tolerance %i', async (clockTolerance) => {
    const { app, clock, mint } = await warmStage({ clockTolerance });
    const token = mint({ nbf: clock.now });
    await heat(app, signatures, token);
    clock.now -= clockTolerance;
    await expectHot(app, signatures, token);
    clock.now -= 0.001;
    await expectRefused(app, token, SAYS.early);
    clock.now += 0.001;
    await expectHot(app, signatures, token);
  });

  test('is verified anew after invalidate(), another one is not', async () => {
    const { app, token, mint } = await hotStage();
    const other = mint();
    await heat(app, signatures, other);
    app.middleware.invalidate(token);
    await expectHot(app, signatures, other);
    await expectVerifiedAnew(app, signatures, token);
  });

  test('is verified each time where nothing is remembered', async () => {
    const { app, mint } = await warmStage({ maxCachedTokens: 0 });
    const token = mint();
    for (let i = 0; i < 3; i++) expect(await signatures.during(() => expectAccepted(app, token))).toBe(1);
  });

  async function expectHotAfterwards(app: Stage['app'], token: string): Promise<void> {
    await expectAccepted(app, token);
    await expectHot(app, signatures, token);
  }
});

describe('a refresh of the key set', () => {
  test('that brings the same keys costs no signature, in the background or waited for', async () => {
    const { as, app, clock, token } = await hotStage();
    clock.now += FRESH / 2;
    await expectHot(app, signatures, token);
    await until(() => as.keyFetches === 1, 'the refresh');
    for (const later of [FRESH, 10 * FRESH, KEY_MAX_AGE]) {
      const before = as.keyFetches;
      clock.now += later;
      await expectHot(app, signatures, token);
      expect(as.keyFetches).toBe(before + 1);
    }
  });

  const [first, second] = [signingKey('ES256', 'first'), signingKey('ES256', 'second')];
  test.each<[what: string, next: (old: SigningKey) => SigningKey[]]>([
    ['one more key', (old) => [old, second]],
    ['the keys in another order', (old) => [second, old]],
  ])('that brings %s: it is verified anew, once', async (_what, next) => {
    const { as, app, clock, token } = await hotStage();
    as.keys = next(firstKey(as));
    clock.now += FRESH;
    await expectVerifiedAnew(app, signatures, token);
  });

  test.each<[what: string, next: SigningKey, says: string]>([
    ['no longer its key', second, SAYS.key],
    ['another key under the same id', first, SAYS.signature],
  ])('that brings %s: it is refused, and the token of the new key passes', async (_what, next, says) => {
    const { as, app, clock, token, mint } = await hotStage();
    as.keys = [next];
    await expectHot(app, signatures, token); // nobody has noticed yet
    clock.now += FRESH;
    await expectRefused(app, token, says);
    await expectVerifiedAnew(app, signatures, mint());
    await expectRefused(app, token, says);
  });

  test('in the background: it is refused from then on', async () => {
    const { as, app, clock, token, mint } = await hotStage();
    as.keys = [second];
    clock.now += FRESH / 2;
    await expectHot(app, signatures, token); // the last time, and it is what asks
    await until(() => Object.values(app.middleware.exportKeys())[0]?.keys[0]?.kid === 'second', 'the refresh');
    await expectRefused(app, token, SAYS.key);
    await expectAccepted(app, mint());
  });

  test('for an unknown kid: it is refused if its key is gone, else verified anew', async () => {
    const { as, app, clock, token, mint } = await hotStage();
    const old = firstKey(as);
    as.keys = [second, old];
    clock.now += COOLDOWN;
    await expectVerifiedAnew(app, signatures, mint());
    await expectVerifiedAnew(app, signatures, token);
    as.keys = [first]; // under the id of the old one
    clock.now += COOLDOWN;
    await expectRefused(app, mint({}, { kid: 'invented' }), SAYS.key);
    await expectRefused(app, token, SAYS.signature);
    await expectAccepted(app, mint());
  });

  test('by purge(): it is verified anew with the same keys, and refused without its key', async () => {
    const { as, app, token, mint } = await hotStage();
    app.middleware.purge();
    await expectVerifiedAnew(app, signatures, token);
    as.keys = [second];
    await expectHot(app, signatures, token);
    app.middleware.purge();
    await expectRefused(app, token, SAYS.key);
    await expectAccepted(app, mint());
  });

  test('by importKeys(): it is refused, and the token of the new key passes', async () => {
    const { as, app, clock, token, mint } = await hotStage();
    clock.now += 1;
    const entry = { fetchedAt: clock.now, freshFor: FRESH };
    app.middleware.importKeys({ [as.issuer]: { ...entry, keys: [firstKey(as).jwk] } });
    await expectVerifiedAnew(app, signatures, token); // another set, which has its key
    clock.now += 1;
    app.middleware.importKeys({ [as.issuer]: { ...entry, fetchedAt: clock.now, keys: [second.jwk] } });
    await expectRefused(app, token, SAYS.key);
    as.keys = [second];
    await expectAccepted(app, mint());
    expect(as.keyFetches).toBe(0);
  });
});

describe('while the server is down', () => {
  test('it passes until the keys are too old, then 503; back again, it passes without a signature', async () => {
    const { as, app, clock, token } = await hotStage();
    await as.close();
    clock.now += KEY_MAX_AGE - 0.001;
    await expectHot(app, signatures, token);
    clock.now += PAUSE; // older than keys may be
    await expectUnavailable(app, token);
    await as.reopen();
    clock.now += PAUSE;
    await expectHot(app, signatures, token);
  });

  test('an expired one is refused however old the keys are, as one that nobody knows', async () => {
    const { as, app, clock, mint } = await warmStage();
    const [hot, cold] = [mint(), mint()];
    await heat(app, signatures, hot);
    await as.close();
    clock.now += KEY_MAX_AGE;
    await expectUnavailable(app, mint()); // the twin: what is not expired needs keys
    await expectRefused(app, cold, SAYS.expired);
    await expectRefused(app, hot, SAYS.expired);
    await as.reopen();
  });
});

describe('a tenant of a function', () => {
  async function tenantStage(first: Partial<AuthorizationServer> = {}, options: Partial<ResourceServerOptions> = {}) {
    const clock = movableClock();
    const as = closing(await TestAuthorizationServer.start('/blue'));
    const tenants = new Map<string, AuthorizationServer>([[as.issuer, { issuer: as.issuer, ...first }]]);
    const find = (issuer: string) => tenants.get(issuer);
    const all = { resource: as.resource, clock, ...options, authorizationServers: find };
    const app = await serve(all as ResourceServerOptions);
    const token = as.mint({ exp: clock.now + 9999 }, { now: clock.now });
    await heat(app, signatures, token);
    return { as, app, clock, tenants, token };
  }

  test('that is the same after 300 seconds costs no signature', async () => {
    const { as, app, clock, tenants, token } = await tenantStage();
    tenants.set(as.issuer, { issuer: as.issuer });
    for (let i = 0; i < 3; i++) {
      clock.now += TENANT_FOR;
      await expectHot(app, signatures, token);
    }
  });

  test('that is gone: refused after 300 seconds, and verified anew when it is back', async () => {
    const { as, app, clock, tenants, token } = await tenantStage();
    const [tenant] = tenants.values();
    tenants.clear();
    clock.now += TENANT_FOR - 0.001;
    await expectHot(app, signatures, token);
    clock.now += 0.001;
    await expectRefused(app, token, SAYS.issuer);
    if (tenant !== undefined) tenants.set(as.issuer, tenant);
    app.middleware.purge();
    await expectVerifiedAnew(app, signatures, token);
    tenants.clear();
    app.middleware.purge();
    await expectRefused(app, token, SAYS.issuer);
  });

  test.each<[what: string, terms: Partial<AuthorizationServer>, says: string]>([
    ['another audience', { audience: 'https://other.example' }, SAYS.audience],
    ['other algorithms', { algorithms: ['RS256'] }, SAYS.algorithm],
    ['other keys', { jwks: { keys: [signingKey('ES256', 'second').jwk] } }, SAYS.key],
    ['a claim that it lacks', { requiredClaims: { kind: 'x' } }, 'The access token is not of the accepted kind'],
    ['introspection', { introspection: { clientAuthentication: clientSecretBasic('rs', 'secret') } }, INACTIVE],
  ])('that has %s: refused after 300 seconds, at once after purge()', async (_what, terms, says) => {
    const { as, app, clock, tenants, token } = await tenantStage();
    const change = (to: Partial<AuthorizationServer>) => tenants.set(as.issuer, { issuer: as.issuer, ...to });
    change(terms);
    clock.now += TENANT_FOR - 1;
    await expectHot(app, signatures, token);
    clock.now += 1;
    await expectRefused(app, token, says);
    change({});
    clock.now += TENANT_FOR;
    await expectVerifiedAnew(app, signatures, token);
    change(terms);
    app.middleware.purge();
    await expectRefused(app, token, says);
  });

  test('that is added, and introspects, while introspectAt answers for others: never by its signature', async () => {
    const clock = movableClock();
    const as = closing(await TestAuthorizationServer.start('/green'));
    const introspection = { clientAuthentication: clientSecretBasic('rs', 'secret') };
    let tenant: AuthorizationServer | undefined;
    const app = await serve({
      ...{ resource: as.resource, clock, authorizationServers: () => tenant },
      introspectAt: () => {
        if (tenant === undefined) clock.now += NO_TENANT_FOR; // so slow that the tenant is looked for again
        tenant = { issuer: as.issuer, jwksUri: as.jwksUri, introspection };
        return [];
      },
    });
    const token = as.mint({}, { now: clock.now });
    await expectRefused(app, token, SAYS.issuer); // it was a stranger when this request came
    await expectRefused(app, token, INACTIVE);
    as.opaque.set(token, { client_id: 'editor', token_type: 'Bearer' });
    app.middleware.invalidate(token);
    await expectAccepted(app, token);
  });
});
