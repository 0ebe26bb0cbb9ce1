import { afterEach, describe, expect, test } from '@jest/globals';
import {
  closeAll,
  COOLDOWN,
  expectAccepted,
  expectRefused,
  expectUnavailable,
  FRESH,
  GET_KEYS,
  GET_METADATA,
  KEY_MAX_AGE,
  KEYLESS,
  LONGEST_WAIT,
  METADATA,
  OPENID,
  SAYS,
  stage,
  unsigned,
  warmStage,
} from '../support/faults.js';
import { signingKey } from '../support/tokens.js';

afterEach(closeAll);

const HOUR = 3600;

describe('down at start', () => {
  test('503 and no more; the first request after the wait finds the server that came back', async () => {
    const { as, app, clock, mint } = await stage();
    await as.close();
    expect(await expectUnavailable(app, mint())).toBe(5);
    // The next within the wait asks nobody, and says how long the wait still is: under a second after one failure.
    expect(await expectUnavailable(app, mint())).toBe(1);
    await as.reopen();
    expect(await expectUnavailable(app, mint())).toBe(1);
    expect(as.log).toEqual([]);
    clock.now += 1;
    await expectAccepted(app, mint());
    expect(as.log).toEqual([GET_METADATA, GET_KEYS]);
  });

  test.each(KEYLESS)('%s is refused all the same, and asks nobody', async (_what, claims, header, says) => {
    const { as, app, mint } = await stage();
    await as.close();
    await expectRefused(app, mint(claims, header), says);
    await as.reopen();
    await expectAccepted(app, mint());
    expect(as.log).toEqual([GET_METADATA, GET_KEYS]);
  });

  test('what needs a key is neither good nor bad', async () => {
    const { as, app, clock, mint } = await stage();
    await as.close();
    const forged = as.mint({}, { key: signingKey('ES256', 'first'), now: clock.now });
    await expectUnavailable(app, forged);
    await expectUnavailable(app, unsigned(as, clock.now, { kid: 'invented' }));
    await as.reopen();
    clock.now += LONGEST_WAIT;
    await expectRefused(app, forged, SAYS.signature);
    await expectAccepted(app, mint());
  });
});

describe('down after the keys were cached', () => {
  test('for an hour valid tokens pass', async () => {
    const { as, app, clock, mint } = await warmStage();
    await as.close();
    for (let minute = 0; minute < 60; minute += 5) {
      clock.now += 300;
      await expectAccepted(app, mint());
      await expectAccepted(app, mint());
    }
    await as.reopen();
    expect(as.log).toEqual([]);
  });

  test.each([
    ['the default, a day', {}, KEY_MAX_AGE],
    ['an hour', { keyMaxAge: HOUR }, HOUR],
  ])('past the maximum age, %s: 503, and at the first request after, all is well', async (_name, options, maxAge) => {
    const { as, app, clock, mint } = await warmStage(options);
    await as.close();
    clock.now += maxAge - 1;
    await expectAccepted(app, mint());
    clock.now += 1;
    await expectUnavailable(app, mint());
    await expectRefused(app, mint({ exp: 1 }), SAYS.expired);
    await as.reopen();
    clock.now += LONGEST_WAIT;
    await expectAccepted(app, mint());
    expect(as.log).toEqual([GET_METADATA, GET_KEYS]);
  });

  test('a token that no kept key explains is not called bad, and not good', async () => {
    const { as, app, clock, mint } = await warmStage();
    await as.close();
    clock.now += COOLDOWN;
    const forged = as.mint({}, { key: signingKey('ES256', 'first'), now: clock.now });
    const invented = unsigned(as, clock.now, { kid: 'invented' });
    await expectUnavailable(app, forged);
    await expectUnavailable(app, invented);
    for (const [, claims, header, says] of KEYLESS) await expectRefused(app, mint(claims, header), says);
    await expectAccepted(app, mint());
    await as.reopen();
    clock.now += LONGEST_WAIT;
    await expectRefused(app, forged, SAYS.signature);
    await expectRefused(app, invented, SAYS.key);
  });

  test('keys that change during the outage: the new one is 503, the old one works, until the server is back', async () => {
    const { as, app, clock, mint } = await warmStage();
    const old = mint({ exp: clock.now + HOUR });
    await as.close();
    as.keys = [signingKey('ES256', 'second')];
    clock.now += FRESH;
    await expectUnavailable(app, mint());
    await expectAccepted(app, old);
    await as.reopen();
    clock.now += LONGEST_WAIT;
    await expectAccepted(app, mint());
    await expectRefused(app, old, SAYS.key);
  });

  test('keys that change during an outage that begins a second after they were fetched: 503, however often', async () => {
    const { as, app, clock, mint } = await warmStage();
    await as.close();
    as.keys = [signingKey('ES256', 'second')];
    for (let i = 0; i < 5; i++) {
      clock.now += 1;
      await expectUnavailable(app, mint());
    }
    await as.reopen();
    clock.now += LONGEST_WAIT;
    await expectAccepted(app, mint());
  });

  test('a key withdrawn during the outage works until the maximum age, and never after', async () => {
    const { as, app, clock, mint } = await warmStage({ keyMaxAge: 2 * HOUR });
    const old = mint({ exp: clock.now + 10 * HOUR });
    as.keys = [signingKey('ES256', 'second')];
    await as.close();
    clock.now += 2 * HOUR - 1;
    await expectAccepted(app, old);
    clock.now += 1;
    await expectUnavailable(app, old);
    clock.now += HOUR;
    await expectUnavailable(app, old);
    await as.reopen();
    clock.now += LONGEST_WAIT;
    await expectRefused(app, old, SAYS.key);
    await expectAccepted(app, mint());
  });
});

describe('metadata down, keys well', () => {
  test('the place of the keys that is known serves for as long as the keys may', async () => {
    const { as, app, clock, mint } = await warmStage();
    for (const path of [METADATA, OPENID]) as.answers.set(path, (_req, res) => void res.writeHead(500).end());
    for (let quarter = 0; quarter < 4; quarter++) {
      clock.now += 900;
      await expectAccepted(app, mint());
    }
    expect(as.keyFetches).toBe(4); // each time the keys themselves are anew
    as.keys = [signingKey('ES256', 'second')];
    clock.now += COOLDOWN;
    await expectAccepted(app, mint()); // and so is a rotation
  });

  test('at start: 503, and no key is asked for', async () => {
    const { as, app, clock, mint } = await stage();
    for (const path of [METADATA, OPENID]) as.answers.set(path, (_req, res) => void res.writeHead(500).end());
    await expectUnavailable(app, mint());
    expect(as.log).toEqual([GET_METADATA, `GET ${OPENID}`]);
    as.answers.clear();
    clock.now += LONGEST_WAIT;
    await expectAccepted(app, mint());
  });
});

describe('the clock jumps', () => {
  test('forward a week while the server is up: one refresh, and tokens of that time pass', async () => {
    const { as, app, clock, mint } = await warmStage();
    clock.now += 7 * KEY_MAX_AGE;
    await expectAccepted(app, mint());
    expect(as.log).toEqual([GET_METADATA, GET_KEYS]);
    await expectAccepted(app, mint());
    expect(as.keyFetches).toBe(1);
  });

  test('forward a week while it is down: 503; put right again, the kept keys serve', async () => {
    const { as, app, clock, mint } = await warmStage();
    await as.close();
    clock.now += 7 * KEY_MAX_AGE;
    await expectUnavailable(app, mint());
    clock.now -= 7 * KEY_MAX_AGE;
    await expectAccepted(app, mint());
  });

  test.each([
    ['an hour', HOUR],
    ['a week', 7 * KEY_MAX_AGE],
  ])('back by %s: the keys count as old, are fetched once, and are fresh again', async (_name, jump) => {
    const { as, app, clock, mint } = await warmStage();
    clock.now -= jump;
    await expectAccepted(app, mint());
    await expectAccepted(app, mint());
    expect(as.keyFetches).toBe(1);
    clock.now += FRESH / 2 - 1;
    await expectAccepted(app, mint());
    expect(as.keyFetches).toBe(1);
  });

  test('back while the server is down: the keys serve, and not for longer than without the jump', async () => {
    const { as, app, clock, mint } = await warmStage({ keyMaxAge: HOUR });
    await as.close();
    clock.now -= 7 * KEY_MAX_AGE;
    await expectAccepted(app, mint());
    clock.now += HOUR - FRESH - 1;
    await expectAccepted(app, mint());
    clock.now += 1;
    await expectUnavailable(app, mint());
  });

  test('back during the wait after a failure: nobody waits for the lost time', async () => {
    const { as, app, clock, mint } = await stage();
    await as.close();
    await expectUnavailable(app, mint());
    await as.reopen();
    clock.now -= KEY_MAX_AGE;
    await expectAccepted(app, mint());
  });
});
