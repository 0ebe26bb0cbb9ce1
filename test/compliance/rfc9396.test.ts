import { afterEach, describe, expect, test } from '@jest/globals';
import { auth, checkAuthorizationDetails, errorHandler, requireAuthorizationDetails } from '../../lib/index.js';
import { requireScope } from '../../lib/index.js';
import { behind, guardStage, KINDS, NO_DETAILS } from '../support/guard-stage.js';
import { expectRefusal, insufficientScope, RESOURCE, unauthorized } from '../support/refusals.js';
import { closeAll } from '../support/stage.js';

afterEach(closeAll);

const LACKS = insufficientScope(undefined, NO_DETAILS);
const PAYMENT = { type: 'payment' };

interface Payment {
  readonly amount: number;
}
const upTo100 = requireAuthorizationDetails<Payment>('payment', ({ amount }) => amount <= 100);

describe.each(KINDS)('authorization details with tokens by %s', (kind) => {
  const by = kind === 'JWT' ? '9396-9.1-1' : '9396-9.2-1';

  test(`${by} the member at the top level is read by the guard, and seen by the handler`, async () => {
    const { app, mint } = await guardStage(kind, (server) => {
      server.get('/x', requireAuthorizationDetails('payment'), (req, res) => {
        res.json(auth(req).claims['authorization_details']);
      });
    });
    const details = [{ type: 'payment', amount: { currency: 'EUR', value: '5' }, actions: ['a'] }, { type: 'other' }];
    expectRefusal(await app.get('/x', mint({ authorization_details: [{ type: 'other' }] })), LACKS);
    for (const elsewhere of [{ act: { authorization_details: details } }, { authorizationDetails: details }]) {
      expectRefusal(await app.get('/x', mint(elsewhere)), LACKS);
    }
    const answer = await app.get('/x', mint({ authorization_details: details }));
    expect([answer.status, answer.body]).toEqual([200, details]);
  });

  test.each<[string, unknown]>([
    ['nothing', undefined],
    ['null', null],
    ['an object', PAYMENT],
    ['an object with numbers', { 0: PAYMENT, length: 1 }],
    ['a string', 'payment'],
    ['the JSON of a list', JSON.stringify([PAYMENT])],
    ['a number', 1],
    ['an empty list', []],
    ['a list of strings', ['payment']],
    ['a list in a list', [[PAYMENT]]],
    ['an entry without type', [{ types: 'payment' }]],
    ['a type that is a list', [{ type: ['payment'] }]],
    ['a type that is an object', [{ type: { toString: 'payment' } }]],
    ['a good entry beside null', [PAYMENT, null]],
    ['a good entry beside one without type', [PAYMENT, {}]],
    ['a good entry beside a string', ['payment', PAYMENT]],
    ['a good entry beside a list', [PAYMENT, []]],
    ['a good entry beside one whose locations are no list', [PAYMENT, { type: 'other', locations: RESOURCE }]],
  ])('9396-2-1 %s grants nothing', async (_what, authorization_details) => {
    const { app, mint, ran } = await guardStage(kind, behind(requireAuthorizationDetails('payment')));
    expectRefusal(await app.get('/x', mint({ authorization_details })), LACKS);
    expect(ran).toEqual([]);
    expect((await app.get('/x', mint({ authorization_details: [PAYMENT] }))).status).toBe(200);
  });

  test('9396-2-1 a type that is inherited is none', async () => {
    const { app, mint, ran } = await guardStage(kind, behind(requireAuthorizationDetails('payment')));
    const inherited = JSON.parse('[{"__proto__":{"type":"payment"}}]') as unknown;
    expectRefusal(await app.get('/x', mint({ authorization_details: inherited })), LACKS);
    expect(ran).toEqual([]);
    const own = JSON.parse('[{"__proto__":{"type":"other"},"type":"payment"}]') as unknown;
    expect((await app.get('/x', mint({ authorization_details: own }))).status).toBe(200);
  });

  test('9396-2-2 one entry of several is enough, and no entry completes another', async () => {
    const { app, mint, ran } = await guardStage(kind, behind(upTo100));
    const ask = (...entries: object[]) => app.get('/x', mint({ authorization_details: entries }));
    const [small, large, foreign] = [
      { ...PAYMENT, amount: 100 },
      { ...PAYMENT, amount: 101 },
      { type: 'refund', amount: 1 },
    ];
    expectRefusal(await ask(large, foreign), LACKS);
    expectRefusal(await ask(large, PAYMENT, foreign), LACKS);
    expect(ran).toEqual([]);
    for (const entries of [[small], [small, large], [large, small], [foreign, PAYMENT, large, small]]) {
      expect((await ask(...entries)).status).toBe(200);
    }
  });

  test('9396-2.2-1 an entry for other resources grants nothing here, nor does one whose locations are none', async () => {
    const { app, mint, ran } = await guardStage(kind, behind(requireAuthorizationDetails('payment')));
    const ask = (...places: unknown[]) =>
      app.get('/x', mint({ authorization_details: places.map((locations) => ({ ...PAYMENT, locations })) }));
    const near = [`${RESOURCE}/`, `${RESOURCE}/x`, RESOURCE.toUpperCase(), 'https://api.example.co', `${RESOURCE}:443`];
    for (const foreign of [['https://b.example.com'], [], near, [`${RESOURCE} ${RESOURCE}/`]]) {
      expectRefusal(await ask(foreign), LACKS);
      expectRefusal(await ask(foreign, foreign), LACKS);
    }
    for (const none of [RESOURCE, null, { 0: RESOURCE }, [RESOURCE, 1], [[RESOURCE]], true]) {
      expectRefusal(await ask(none), LACKS);
    }
    expect(ran).toEqual([]);
    for (const ours of [[RESOURCE], ['https://b.example.com', RESOURCE], undefined]) {
      expect((await ask(ours)).status).toBe(200);
    }
    expect((await ask(['https://b.example.com'], [RESOURCE])).status).toBe(200);
  });

  test('9396-12-1 the type is compared as it stands', async () => {
    const { app, mint, ran } = await guardStage(kind, (server, handler) => {
      server.get('/ascii', requireAuthorizationDetails('payment'), handler);
      server.get('/accent', requireAuthorizationDetails('caf\u00e9'), handler);
    });
    const ask = (path: string, type: string) => app.get(path, mint({ authorization_details: [{ type }] }));
    for (const type of ['Payment', 'payment ', ' payment', 'payments', 'payment\u0000', '']) {
      expectRefusal(await ask('/ascii', type), LACKS);
    }
    expectRefusal(await ask('/accent', 'cafe\u0301'), LACKS); // the same to the eye, and after normalization
    expect(ran).toEqual([]);
    expect((await ask('/ascii', 'payment')).status).toBe(200);
    expect((await ask('/accent', 'caf\u00e9')).status).toBe(200);
  });

  test.each<[string, () => unknown]>([
    ['a promise of true', () => Promise.resolve(true)],
    ['1', () => 1],
    ['a text', () => 'true'],
    ['an object', () => ({})],
    ['nothing', () => undefined],
    ['false', () => false],
  ])('9396-2-1 a test that answers %s opens nothing, one that throws is 500', async (_what, answer) => {
    let verdict = answer;
    const { app, mint, ran } = await guardStage(
      kind,
      behind(requireAuthorizationDetails('payment', () => verdict() as boolean)),
    );
    const token = mint({ authorization_details: [PAYMENT] });
    expectRefusal(await app.get('/x', token), LACKS);
    verdict = () => {
      throw new TypeError('a bug of the application');
    };
    const broken = await app.get('/x', token);
    expect([broken.status, broken.challenge, ran]).toEqual([500, undefined, []]);
    verdict = () => true;
    expect((await app.get('/x', token)).status).toBe(200);
  });

  test(`${by} inside a handler, which compares with what is asked for; with a scope that is missing first`, async () => {
    const { app, mint, ran } = await guardStage(kind, (server, handler) => {
      server.get('/pay/:amount', requireScope('pay'), (req, res, next) => {
        const asked = Number(req.params['amount']);
        checkAuthorizationDetails<Payment>(req, 'payment', ({ amount }, { subject }) => {
          return subject === 'alice' && asked <= amount;
        });
        handler(req, res, next);
      });
      server.use(errorHandler);
    });
    const authorization_details = [{ ...PAYMENT, amount: 5 }];
    expectRefusal(await app.get('/pay/6', mint({ authorization_details, scope: 'pay' })), LACKS);
    expectRefusal(await app.get('/pay/5', mint({ authorization_details })), insufficientScope('pay'));
    expect(ran).toEqual([]);
    expect((await app.get('/pay/5', mint({ authorization_details, scope: 'pay' }))).status).toBe(200);
  });

  test(`${by} an anonymous request is 401`, async () => {
    const { app, mint } = await guardStage(kind, behind(upTo100), { allowMissingToken: true });
    expectRefusal(await app.get('/x'), unauthorized());
    expect((await app.get('/x', mint({ authorization_details: [{ ...PAYMENT, amount: 1 }] }))).status).toBe(200);
  });
});
