import { afterEach, describe, expect, test } from '@jest/globals';
import { startApp } from '../support/app.js';
import { closeAll, closing, expectAccepted, expectRefused, SAYS, stage } from '../support/stage.js';
import { base64url, signingKey, signRaw, validClaims } from '../support/tokens.js';
import type { SigningKey } from '../support/tokens.js';

const API = 'https://api.example.com';

afterEach(closeAll);

/** A token whose payload is this text, signed as it stands. */
function tokenOf(payload: string, key: SigningKey) {
  return signRaw(`${base64url({ typ: 'at+jwt', alg: key.alg, kid: key.kid })}.${base64url(payload)}`, key);
}

describe('RFC 7519 4.1.4 to 4.1.6 times', () => {
  test('7519-4.1.4-1 a token passes until, and is refused from, the second of its exp', async () => {
    const { as, app, clock } = await stage();
    const exp = clock.now + 100;
    const token = as.mint({ exp });
    for (const now of [exp - 100, exp - 1, exp - 0.001]) {
      clock.now = now;
      await expectAccepted(app, token);
    }
    for (const now of [exp, exp + 0.001, exp + 1, exp + 1e9]) {
      clock.now = now;
      await expectRefused(app, token, SAYS.expired);
    }
  });

  test('7519-4.1.4-2 a tolerance of 30 seconds covers 29 and not 30, after exp and before nbf', async () => {
    const { as, app, clock } = await stage({ clockTolerance: 30 });
    const at = clock.now;
    await expectAccepted(app, as.mint({ exp: at - 29 }));
    await expectRefused(app, as.mint({ exp: at - 30 }), SAYS.expired);
    await expectRefused(app, as.mint({ exp: at - 31 }), SAYS.expired);
    await expectAccepted(app, as.mint({ nbf: at + 30 }));
    await expectRefused(app, as.mint({ nbf: at + 31 }), SAYS.early);
  });

  test.each([301, 86_400, Infinity, NaN, -1, '30', null])(
    '7519-4.1.4-2 a tolerance of %p is refused at construction',
    async (clockTolerance) => {
      const options = { resource: API, issuer: API, clockTolerance } as { resource: string; issuer: string };
      await expect(startApp(options)).rejects.toThrow('"clockTolerance" must be a number of seconds from 0 to 300');
      closing(await startApp({ resource: API, issuer: API, clockTolerance: 300 }));
    },
  );

  test.each([
    ['a string', '9999999999'],
    ['null', null],
    ['true', true],
    ['a list', [9_999_999_999]],
    ['absent', undefined],
  ])('7519-4.1.4-3 an exp that is %s is refused', async (_name, exp) => {
    const { as, app } = await stage();
    await expectRefused(app, as.mint({ exp }), SAYS.times);
    expect(as.log).toEqual([]);
    await expectAccepted(app, as.mint());
  });

  test('7519-4.1.4-3 an exp with a fraction passes before it, and not at it', async () => {
    const { as, app, clock } = await stage();
    const token = as.mint({ exp: clock.now + 0.5 });
    await expectAccepted(app, token);
    clock.now += 0.5;
    await expectRefused(app, token, SAYS.expired);
  });

  test.each(['1e999', '-1e999'])('7519-4.1.4-3 an exp of %s, which is no finite number, is refused', async (exp) => {
    const { as, app } = await stage();
    const [key = signingKey()] = as.keys;
    const claims = validClaims(as.issuer, as.resource);
    const withExp = (number: string) => JSON.stringify(claims).replace(/"exp":\d+/, `"exp":${number}`);
    await expectRefused(app, tokenOf(withExp(exp), key), SAYS.times);
    await expectAccepted(app, tokenOf(withExp('1e11'), key));
  });

  test('7519-4.1.5-1 a token is refused before its nbf and passes from it on', async () => {
    const { as, app, clock } = await stage();
    const nbf = clock.now + 60;
    const token = as.mint({ nbf });
    clock.now = nbf - 1;
    await expectRefused(app, token, SAYS.early);
    clock.now = nbf - 0.001;
    await expectRefused(app, token, SAYS.early);
    clock.now = nbf;
    await expectAccepted(app, token);
  });

  test.each([
    ['a string', '1'],
    ['null', null],
    ['false', false],
    ['an object', {}],
  ])('7519-4.1.5-1 an nbf that is %s is refused', async (_name, nbf) => {
    const { as, app } = await stage();
    await expectRefused(app, as.mint({ nbf }), SAYS.times);
    await expectAccepted(app, as.mint({ nbf: 1 }));
  });

  test.each([
    ['a string', '1'],
    ['null', null],
    ['true', true],
    ['a list', [1]],
  ])('7519-4.1.6-1 an iat that is %s is refused', async (_name, iat) => {
    const { as, app, clock } = await stage();
    await expectRefused(app, as.mint({ iat }), SAYS.times);
    await expectAccepted(app, as.mint({ iat: clock.now + 0.25 }));
  });
});
