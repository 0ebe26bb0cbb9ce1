import type { RequestListener, ServerResponse } from 'node:http';
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
  unsigned,
  until,
  warmStage,
} from '../support/faults.js';
import { signingKey } from '../support/tokens.js';

afterEach(closeAll);

/** A key set of these keys, with these header fields. */
function keysWith(
  as: Pick<TestAuthorizationServer, 'keys'>,
  headers: Readonly<Record<string, string>>,
): RequestListener {
  return (_req, res) => {
    for (const [name, value] of Object.entries(headers)) res.setHeader(name, value);
    sendJson(res, { keys: as.keys.map(({ jwk }) => jwk) });
  };
}

describe('how long keys are fresh', () => {
  test('in the first half of ten minutes nothing is asked; in the second one refresh runs, and nobody waits', async () => {
    const { as, app, clock, mint } = await warmStage();
    clock.now += FRESH / 2 - 1;
    await expectAccepted(app, mint());
    expect(as.log).toEqual([]);
    const held: ServerResponse[] = [];
    as.answers.set('/jwks', (_req, res) => void held.push(res)); // hangs
    clock.now += 1;
    const seen = await Promise.all(Array.from({ length: 20 }, () => app.get(mint())));
    expect(seen.map(({ status }) => status)).toEqual(Array.from({ length: 20 }, () => 200));
    await until(() => held.length > 0, 'the refresh in the background');
    clock.now += FRESH / 2 - 1;
    await expectAccepted(app, mint());
    expect(held.map(({ writableEnded }) => writableEnded)).toEqual([false]); // one refresh, which was not answered yet
  });

  test.each([
    ['max-age=600', 600],
    ['public, max-age="120", must-revalidate', 120],
    ['max-age=5', 60],
    ['max-age=0', 60],
    ['no-store', 60],
    ['no-cache, max-age=900', 60],
    ['max-age=86400', 3600],
    ['max-age=999999999', 3600],
    ['max-age=-1', FRESH],
    ['max-age=soon', FRESH],
    ['s-maxage=60', FRESH],
    ['', FRESH],
  ])('Cache-Control: %s makes it %i seconds, half of them without a refresh', async (cacheControl, fresh) => {
    const { as, app, clock, mint } = await stage();
    as.answers.set('/jwks', keysWith(as, { 'Cache-Control': cacheControl }));
    await expectAccepted(app, mint());
    clock.now += fresh / 2 - 1;
    await expectAccepted(app, mint());
    expect(as.keyFetches).toBe(1);
    clock.now += 1;
    await expectAccepted(app, mint());
    await until(() => as.keyFetches === 2, 'the refresh ahead of need');
  });

  test('no-store on the metadata does not make them asked for with every token', async () => {
    const { as, app, clock, mint } = await stage();
    as.answers.set(METADATA, (_req, res) => {
      res.setHeader('Cache-Control', 'no-store');
      sendJson(res, as.document);
    });
    for (let i = 0; i < 5; i++) await expectAccepted(app, mint());
    expect(as.log).toEqual([GET_METADATA, GET_KEYS]);
    clock.now += FRESH;
    await expectAccepted(app, mint());
    expect(as.log).toEqual([GET_METADATA, GET_KEYS, GET_METADATA, GET_KEYS]);
  });
});

describe('a key that changes', () => {
  test('removed, with traffic: it stops at the first refresh', async () => {
    const { as, app, clock, mint } = await warmStage();
    const old = mint({ exp: clock.now + 10 * FRESH });
    as.keys = [signingKey('ES256', 'second')];
    clock.now += FRESH / 2 - 1;
    await expectAccepted(app, old);
    clock.now += 1;
    await expectAccepted(app, old); // starts the refresh
    await until(() => as.keyFetches === 1, 'the refresh');
    clock.now += 1;
    await expectAccepted(app, mint());
    await expectRefused(app, old, SAYS.key);
  });

  test('removed, without traffic: the first token after the fresh time waits, and does not pass', async () => {
    const { as, app, clock, mint } = await warmStage();
    const old = mint({ exp: clock.now + 10 * FRESH });
    as.keys = [signingKey('ES256', 'second')];
    clock.now += FRESH;
    await expectRefused(app, old, SAYS.key);
    await expectAccepted(app, mint());
    expect(as.keyFetches).toBe(1);
  });

  test('new material under an old kid is picked up after the cooldown', async () => {
    const { as, app, clock, mint } = await warmStage();
    const old = mint({ exp: clock.now + 10 * FRESH });
    as.keys = [signingKey('ES256', 'first')];
    clock.now += COOLDOWN;
    await expectAccepted(app, mint());
    await expectRefused(app, old, SAYS.signature);
    expect(as.keyFetches).toBe(1);
  });

  test('a changed jwks_uri is noticed when the old place answers no more', async () => {
    const { as, app, clock, mint } = await warmStage();
    as.answers.set('/jwks', (_req, res) => void res.writeHead(410).end());
    as.keys = [signingKey('ES256', 'second')];
    as.metadata = { jwks_uri: `${as.origin}/moved` };
    as.answers.set('/moved', keysWith(as, {}));
    clock.now += COOLDOWN;
    await expectAccepted(app, mint());
    expect(as.log).toEqual([GET_KEYS, GET_METADATA, 'GET /moved']);
  });

  test('a changed jwks_uri is noticed when nobody listens at the old place any more', async () => {
    const { as, app, clock, mint } = await stage();
    const keyHost = closing(await TestAuthorizationServer.start());
    keyHost.keys = as.keys;
    as.metadata = { jwks_uri: keyHost.jwksUri };
    await expectAccepted(app, mint());
    await keyHost.close();
    as.metadata = {};
    as.keys = [signingKey('ES256', 'second')];
    clock.now += COOLDOWN;
    await expectAccepted(app, mint());
    await keyHost.reopen();
  });

  test('a changed jwks_uri is noticed when the old place goes on with old keys, once the metadata are old', async () => {
    const { as, app, clock, mint } = await warmStage();
    as.answers.set('/jwks', keysWith({ keys: as.keys }, {}));
    as.keys = [signingKey('ES256', 'second')];
    as.metadata = { jwks_uri: `${as.origin}/moved` };
    as.answers.set('/moved', keysWith(as, {}));
    clock.now += FRESH;
    await expectAccepted(app, mint());
  });
});

describe('after a failure', () => {
  test('the wait doubles up to half a minute; in it nobody asks, after it one does', async () => {
    const { as, app, clock, mint } = await warmStage();
    as.answers.set('/jwks', (_req, res) => void res.writeHead(500).end());
    clock.now += COOLDOWN;
    for (let doubled = 1; doubled <= 64; doubled *= 2) {
      const longest = Math.min(doubled, LONGEST_WAIT);
      const before = as.keyFetches;
      const forged = unsigned(as, clock.now, { kid: 'unknown' });
      await expectUnavailable(app, forged);
      const told = await expectUnavailable(app, forged);
      expect(as.keyFetches).toBe(before + 1);
      expect(told).toBeGreaterThanOrEqual(longest / 2);
      expect(told).toBeLessThanOrEqual(longest);
      clock.now += longest / 2 - 0.01; // with the most jitter, half of it
      await expectUnavailable(app, forged);
      expect(as.keyFetches).toBe(before + 1);
      clock.now += longest / 2 + 0.01;
    }
    as.answers.clear();
    await expectAccepted(app, mint());
  });

  test.each([429, 503])('Retry-After of a %i of the keys is honoured, and at most half a minute', async (status) => {
    for (const [said, wait] of [
      ['20', 20],
      ['3600', LONGEST_WAIT],
    ] as const) {
      const { as, app, clock, mint } = await stage();
      as.answers.set('/jwks', (_req, res) => void res.writeHead(status, { 'Retry-After': said }).end());
      await expectUnavailable(app, mint());
      expect(await expectUnavailable(app, mint())).toBe(wait);
      clock.now += wait - 0.01;
      expect(await expectUnavailable(app, mint())).toBe(1);
      expect(as.keyFetches).toBe(1);
      as.answers.clear();
      clock.now += 0.01;
      await expectAccepted(app, mint());
    }
  });

  test('the first answer names the wait that the server asked for, too', async () => {
    const { as, app, mint } = await stage();
    as.answers.set('/jwks', (_req, res) => void res.writeHead(503, { 'Retry-After': '20' }).end());
    expect(await expectUnavailable(app, mint())).toBe(20);
  });

  test.each([429, 503])('Retry-After of a %i of the metadata is honoured as well', async (status) => {
    const { as, app, clock, mint } = await stage();
    for (const path of [METADATA, OPENID]) {
      as.answers.set(path, (_req, res) => void res.writeHead(status, { 'Retry-After': '20' }).end());
    }
    await expectUnavailable(app, mint());
    const asked = as.log.length;
    clock.now += 19;
    await expectUnavailable(app, mint());
    expect(as.log).toHaveLength(asked);
    as.answers.clear();
    clock.now += 1;
    await expectAccepted(app, mint());
  });

  test('Retry-After counts when the whole host is overloaded, keys and metadata', async () => {
    const { as, app, clock, mint } = await warmStage();
    for (const path of ['/jwks', METADATA, OPENID]) {
      as.answers.set(path, (_req, res) => void res.writeHead(503, { 'Retry-After': '20' }).end());
    }
    clock.now += FRESH;
    await expectAccepted(app, mint());
    const asked = as.log.length;
    clock.now += 19;
    await expectAccepted(app, mint());
    await expectUnavailable(app, unsigned(as, clock.now, { kid: 'unknown' }));
    expect(as.log).toHaveLength(asked);
  });

  test.each(['Wed, 21 Oct 2026 07:28:00 GMT', '-5', '1.5', 'soon', ''])(
    'a Retry-After of "%s" counts as none',
    async (said) => {
      const { as, app, clock, mint } = await stage();
      as.answers.set('/jwks', (_req, res) => void res.writeHead(503, { 'Retry-After': said }).end());
      await expectUnavailable(app, mint());
      as.answers.clear();
      clock.now += 1;
      await expectAccepted(app, mint());
    },
  );
});
