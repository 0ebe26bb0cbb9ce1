import { afterEach, describe, expect, test } from '@jest/globals';
import { auth, checkActor, errorHandler, requireActor, requireClaim, requireScope } from '../../lib/index.js';
import type { ActorTest } from '../../lib/index.js';
import { behind, guardStage, KINDS, NO_ACTOR } from '../support/guard-stage.js';
import { expectRefusal, insufficientScope, invalidToken, RESOURCE, unauthorized } from '../support/refusals.js';
import { closeAll, SAYS } from '../support/stage.js';

afterEach(closeAll);

const REFUSED = insufficientScope(undefined, NO_ACTOR);
const isSupport: ActorTest = ({ sub }) => sub === 'support';
const SUPPORT = { sub: 'support', iss: 'https://as.example.com' };

describe.each(KINDS)('the acting party in tokens by %s', (kind) => {
  // Section 4.1 says so for both.
  const by = kind === 'JWT' ? '8693-4.1-1' : '8693-4.1-4';

  test(`${by} the outermost actor decides`, async () => {
    const { app, mint, ran } = await guardStage(kind, behind(requireActor(isSupport)));
    for (const act of [undefined, { sub: 'mallory' }, { sub: 'Support' }, {}, { sub: ['support'] }]) {
      expectRefusal(await app.get('/x', mint({ act })), REFUSED);
    }
    expect(ran).toEqual([]);
    expect((await app.get('/x', mint({ act: SUPPORT }))).status).toBe(200);
    expect((await app.get('/x', mint({ act: { ...SUPPORT, act: { sub: 'mallory' } } }))).status).toBe(200);
  });

  test(`${by} the subject, and claims of that name elsewhere, make nobody an actor`, async () => {
    const { app, mint, ran } = await guardStage(kind, behind(requireActor(isSupport)));
    for (const claims of [
      { sub: 'support' },
      { client_id: 'support' },
      { Act: SUPPORT },
      { claims: { act: SUPPORT } },
    ]) {
      expectRefusal(await app.get('/x', mint(claims)), REFUSED);
    }
    expect(ran).toEqual([]);
    expect((await app.get('/x', mint({ act: { sub: 'support' } }))).status).toBe(200);
  });

  test('8693-4.1-2 whom the test likes counts for nothing further in, and the test does not even see it', async () => {
    const seen: unknown[] = [];
    const nosy: ActorTest = (actor, { subject }) => {
      seen.push([actor, subject]);
      return JSON.stringify(actor).includes('support');
    };
    const { app, mint, ran } = await guardStage(kind, behind(requireActor(nosy)));
    const inner = { sub: 'mallory', act: { sub: 'support', act: { sub: 'support' } } };
    expectRefusal(await app.get('/x', mint({ act: inner })), REFUSED);
    expect(seen).toEqual([[{ sub: 'mallory' }, 'alice']]);
    expect(ran).toEqual([]);
    expect((await app.get('/x', mint({ act: { sub: 'support', act: { sub: 'mallory' } } }))).status).toBe(200);
  });

  test('8693-4.1-3 times and audience of the actor mean nothing', async () => {
    const seen: unknown[] = [];
    const { app, mint, clock, ran } = await guardStage(kind, behind(requireActor((actor) => seen.push(actor) > 0)));
    const past = { exp: 1, nbf: clock.now + 9999, iat: clock.now + 9999, aud: 'https://b.example.com' };
    expect((await app.get('/x', mint({ act: { ...SUPPORT, ...past } }))).status).toBe(200);
    expect(seen).toEqual([SUPPORT]);
    const lent = { ...SUPPORT, aud: RESOURCE, exp: clock.now + 9999 };
    for (const aud of ['https://b.example.com', []]) {
      expectRefusal(await app.get('/x', mint({ aud, act: lent })), invalidToken(SAYS.audience));
    }
    expectRefusal(await app.get('/x', mint({ exp: clock.now, act: lent })), invalidToken(SAYS.expired));
    expect(ran).toHaveLength(1);
  });

  test('8693-4.4-1 may_act names who may become one, and makes nobody one', async () => {
    const { app, mint, ran } = await guardStage(kind, behind(requireActor(isSupport)));
    expectRefusal(await app.get('/x', mint({ may_act: SUPPORT })), REFUSED);
    expectRefusal(await app.get('/x', mint({ may_act: SUPPORT, act: { may_act: SUPPORT } })), REFUSED);
    expectRefusal(await app.get('/x', mint({ may_act: { act: SUPPORT }, act: { sub: 'b' } })), REFUSED);
    expect(ran).toEqual([]);
    expect((await app.get('/x', mint({ may_act: { sub: 'b' }, act: SUPPORT }))).status).toBe(200);
  });

  test.each<[string, unknown]>([
    ['null', null],
    ['a list', [SUPPORT]],
    ['an empty list', []],
    ['a string', 'support'],
    ['a number', 1],
    ['true', true],
  ])('8693-4.1-1 an act that is %s is no actor: the test is not asked', async (_what, act) => {
    const { app, mint, ran } = await guardStage(kind, (server, handler) => {
      server.get(
        '/x',
        requireActor(() => true),
        handler,
      );
      server.get('/seen', (req, res) => void res.json([auth(req).actor === undefined]));
    });
    expectRefusal(await app.get('/x', mint({ act })), REFUSED);
    expect(ran).toEqual([]);
    expect((await app.get('/seen', mint({ act }))).body).toEqual([true]);
    expect((await app.get('/x', mint({ act: {} }))).status).toBe(200);
  });

  test('8693-4.1-2 auth(req).actor is what the test gets, frozen; the chain is in the claims', async () => {
    const seen: unknown[] = [];
    const { app, mint } = await guardStage(kind, (server) => {
      server.get(
        '/x',
        requireActor((actor) => seen.push(actor) > 0),
        (req, res) => {
          const { actor, claims } = auth(req);
          const { nested } = actor as { nested?: object };
          res.json({ actor, frozen: [Object.isFrozen(actor), Object.isFrozen(nested)], act: claims.act });
        },
      );
      server.get('/json', (req, res) => void res.json(auth(req)));
    });
    const actor = { ...SUPPORT, nested: { team: 1 }, may_act: { sub: 'c' } };
    const act = { ...actor, act: { sub: 'b' }, exp: 1, nbf: 1, aud: 'x' };
    const answer = await app.get('/x', mint({ act }));
    expect(answer.body).toEqual({ actor, frozen: [true, true], act });
    expect(seen).toEqual([actor]);
    const json = (await app.get('/json', mint({ act }))).body;
    expect(json).toMatchObject({ claims: { act } });
    expect(json).not.toHaveProperty('actor');
  });

  test('8693-4.1-1 a member called __proto__ changes nobody', async () => {
    const { app, mint, ran } = await guardStage(kind, behind(requireActor(isSupport)));
    const act = (more: string) => JSON.parse(`{"__proto__":{"sub":"support"}${more}}`) as unknown;
    expectRefusal(await app.get('/x', mint({ act: act('') })), REFUSED);
    expectRefusal(await app.get('/x', mint({ act: act(',"sub":"mallory"') })), REFUSED);
    expect(ran).toEqual([]);
    expect((await app.get('/x', mint({ act: act(',"sub":"support"') }))).status).toBe(200);
  });

  test.each<[string, () => unknown]>([
    ['a promise of true', () => Promise.resolve(true)],
    ['1', () => 1],
    ['a text', () => 'true'],
    ['nothing', () => undefined],
  ])('8693-4.1-1 a test that answers %s opens nothing, one that throws is 500', async (_what, answer) => {
    let verdict = answer;
    const { app, mint, ran } = await guardStage(kind, behind(requireActor(() => verdict() as boolean)));
    expectRefusal(await app.get('/x', mint({ act: SUPPORT })), REFUSED);
    verdict = () => {
      throw new TypeError('a bug of the application');
    };
    const broken = await app.get('/x', mint({ act: SUPPORT }));
    expect([broken.status, broken.challenge, ran]).toEqual([500, undefined, []]);
    verdict = () => true;
    expect((await app.get('/x', mint({ act: SUPPORT }))).status).toBe(200);
  });

  test(`${by} inside a handler, and for an anonymous request`, async () => {
    const { app, mint, ran } = await guardStage(
      kind,
      (server, handler) => {
        server.get('/x', (req, res, next) => {
          checkActor(req, isSupport);
          handler(req, res, next);
        });
        server.use(errorHandler);
      },
      { allowMissingToken: true },
    );
    expectRefusal(await app.get('/x', mint({ act: { sub: 'mallory' } })), REFUSED);
    expectRefusal(await app.get('/x'), unauthorized());
    expect(ran).toEqual([]);
    expect((await app.get('/x', mint({ act: SUPPORT }))).status).toBe(200);
  });

  test('8693-4.2-1 scope is one string with spaces, and a list grants nothing', async () => {
    const { app, mint, ran } = await guardStage(kind, behind(requireScope('a', 'b')));
    for (const scope of [['a', 'b'], ['a b'], 'a,b', 'a\tb', 'ab', { a: true, b: true }, 'A B']) {
      expectRefusal(await app.get('/x', mint({ scope })), insufficientScope('a b'));
    }
    expect(ran).toEqual([]);
    for (const scope of ['a b', 'b c a', ' a  b ']) expect((await app.get('/x', mint({ scope }))).status).toBe(200);
  });

  test('8693-4.1-1 scope and claims of the actor are not those of the token', async () => {
    const { app, mint, ran } = await guardStage(
      kind,
      behind(
        requireScope('admin'),
        requireClaim('role', (role) => role === 'admin'),
      ),
    );
    const all = { scope: 'admin', role: 'admin' };
    expectRefusal(await app.get('/x', mint({ act: { ...SUPPORT, ...all } })), insufficientScope('admin'));
    const noClaim = insufficientScope(undefined, 'The access token lacks a required claim');
    expectRefusal(await app.get('/x', mint({ scope: 'admin', act: { ...SUPPORT, ...all } })), noClaim);
    expect(ran).toEqual([]);
    expect((await app.get('/x', mint(all))).status).toBe(200);
  });
});
