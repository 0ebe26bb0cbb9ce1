import { afterEach, describe, expect, test } from '@jest/globals';
import type { DPoPOptions, ReplayStore } from '../../lib/index.js';
import { diagnosticsOf } from '../support/diagnostics.js';
import { badProof } from '../support/dpop-refusals.js';
import { dpopHeaders, proofKey, prove } from '../support/proofs.js';
import type { ProofKey } from '../support/proofs.js';
import { expectRefusal, RESOURCE } from '../support/refusals.js';
import type { Refusal } from '../support/refusals.js';
import { closeAll, closing, stage } from '../support/stage.js';
import type { Stage } from '../support/stage.js';
import { startApp } from '../support/app.js';
import type { Answer } from '../support/app.js';
import type { Overrides } from '../support/tokens.js';

afterEach(closeAll);

interface Holder extends Stage {
  readonly key: ProofKey;
  readonly token: string;
  /** A proof made now, by the clock of the app, for `path`. */
  readonly proof: (claims?: Overrides, path?: string) => string;
}

/** A client with a bound token that outlives the test, and an app whose clock stands still until it is moved. */
async function holder(dpop: DPoPOptions = {}, clockTolerance = 0): Promise<Holder> {
  const staged = await stage({ dpop, clockTolerance });
  const { as, clock } = staged;
  const key = await proofKey();
  const token = as.mint({ cnf: { jkt: key.jkt }, exp: clock.now + 86_400 }, { now: clock.now });
  const proof = (claims: Overrides = {}, path = '/protected') =>
    prove(key, `${RESOURCE}${path}`, { token, now: clock.now, claims });
  return { ...staged, key, token, proof };
}

function send({ app, token }: Pick<Holder, 'app' | 'token'>, proof: string, path = '/protected'): Promise<Answer> {
  return app.request(path, { headers: dpopHeaders(token, proof) });
}

const USED = badProof('was used before');

async function expectAccepted(at: Pick<Holder, 'app' | 'token'>, proof: string, path?: string): Promise<void> {
  const before = at.app.handled;
  const answer = await send(at, proof, path);
  expect([answer.status, answer.challenge, at.app.handled]).toEqual([200, undefined, before + 1]);
}

async function expectRefused(at: Pick<Holder, 'app' | 'token'>, proof: string, expected: Refusal): Promise<void> {
  const before = at.app.handled;
  expectRefusal(await send(at, proof), expected);
  expect(at.app.handled).toBe(before);
}

/** 503 without a challenge, and the operator is told what to look at. */
async function expectUnavailable(at: Holder, proof: string, reason: string, path?: string): Promise<void> {
  const before = at.app.handled;
  const events = await diagnosticsOf(async () => {
    const answer = await send(at, proof, path);
    expect([answer.status, answer.challenge, answer.headers.get('retry-after')]).toEqual([503, undefined, '5']);
    expect(answer.body).toMatchObject({ error: 'temporarily_unavailable' });
  });
  expect(events).toContainEqual({ type: 'refusal', status: 503, code: undefined, reason });
  expect(at.app.handled).toBe(before);
}

describe('a proof lives for a short time (RFC 9449 4.3 and 11.1)', () => {
  test.each<[id: string, what: string, iat: number, dpop: DPoPOptions, tolerance: number, says?: string]>([
    ['9449-11.1-1', '59 s old, by default passes', -59, {}, 0],
    ['9449-11.1-1', '60 s old, by default is refused', -60, {}, 0, 'is too old'],
    ['9449-11.1-1', 'an hour old is refused', -3600, {}, 0, 'is too old'],
    ['9449-11.1-1', 'from 1970 is refused', -1e9, {}, 0, 'is too old'],
    ['9449-11.1-1', '4 s old, maxAge 5 passes', -4, { maxAge: 5 }, 0],
    ['9449-11.1-1', '5 s old, maxAge 5 is refused', -5, { maxAge: 5 }, 0, 'is too old'],
    ['9449-11.1-1', '299 s old, maxAge 300 passes', -299, { maxAge: 300 }, 0],
    ['9449-11.1-1', '300 s old, maxAge 300 is refused', -300, { maxAge: 300 }, 0, 'is too old'],
    ['9449-11.1-1', '64 s old, clockTolerance 5 passes', -64, {}, 5],
    ['9449-11.1-1', '65 s old, clockTolerance 5 is refused', -65, {}, 5, 'is too old'],
    ['9449-4.3-11', 'of half a second ago passes', -0.5, {}, 0],
    ['9449-11.1-4', '5 s ahead passes', 5, {}, 0],
    ['9449-11.1-4', '10 s ahead passes', 10, {}, 0],
    ['9449-11.1-4', '11 s ahead is refused', 11, {}, 0, 'is from the future'],
    ['9449-11.1-4', '15 s ahead, clockTolerance 5 passes', 15, {}, 5],
    ['9449-11.1-4', '16 s ahead, clockTolerance 5 is refused', 16, {}, 5, 'is from the future'],
    ['9449-11.1-4', '10 minutes ahead is refused', 600, {}, 0, 'is from the future'],
    ['9449-4.3-11', 'ahead by more than there is time is refused', 1e308, {}, 0, 'is from the future'],
    ['9449-4.3-11', 'in milliseconds is refused', 1.7e12, {}, 0, 'is from the future'],
  ])('%s a proof %s', async (_id, _what, iat, dpop, tolerance, says = '') => {
    const at = await holder(dpop, tolerance);
    const proof = at.proof({ iat: at.clock.now + iat });
    await (says === '' ? expectAccepted(at, proof) : expectRefused(at, proof, badProof(says)));
    await expectAccepted(at, at.proof());
  });

  test('9449-11.1-1 a proof that was put by passes at once and not after its window', async () => {
    const at = await holder();
    const [now, later] = [at.proof(), at.proof()];
    await expectAccepted(at, now);
    at.clock.now += 60;
    await expectRefused(at, later, badProof('is too old'));
  });
});

describe('a proof is used once (RFC 9449 11.1)', () => {
  test('9449-11.1-2 the same proof again is refused as long as it could be used, another passes', async () => {
    const at = await holder();
    const proof = at.proof({ iat: at.clock.now + 10 });
    await expectAccepted(at, proof);
    for (const seconds of [0, 30, 39, 0.9]) {
      at.clock.now += seconds;
      await expectRefused(at, proof, USED);
    }
    at.clock.now += 0.1;
    await expectRefused(at, proof, badProof('is too old'));
    await expectAccepted(at, at.proof());
  });

  test('9449-11.1-2 the query, the spelling of the address and the signature make no other proof of it', async () => {
    const at = await holder();
    const claims = { jti: 'the same' };
    await expectAccepted(at, at.proof(claims));
    expectRefusal(await send(at, at.proof(claims), '/protected?again=1'), USED);
    await expectRefused(at, at.proof({ ...claims, htu: `${RESOURCE}:443/x/../protected?a` }), USED);
    await expectAccepted(at, at.proof({ jti: 'another' }));
  });

  test('9449-11.1-2 the same jti at another address, of another client or after the window is another proof', async () => {
    const at = await holder();
    const claims = { jti: 'the same' };
    await expectAccepted(at, at.proof(claims));
    await expectAccepted(at, at.proof(claims, '/scoped'), '/scoped');
    const key = await proofKey();
    const token = at.as.mint({ cnf: { jkt: key.jkt } }, { now: at.clock.now });
    const theirs = () => prove(key, `${RESOURCE}/protected`, { token, now: at.clock.now, claims });
    await expectAccepted({ app: at.app, token }, theirs());
    await expectRefused({ app: at.app, token }, theirs(), USED);
    at.clock.now += 80;
    await expectAccepted(at, at.proof(claims));
  });

  test('9449-11.1-2 of twenty at the same time exactly one passes', async () => {
    const at = await holder();
    const proof = at.proof();
    const answers = await Promise.all(Array.from({ length: 20 }, () => send(at, proof)));
    const refused = answers.filter(({ status }) => status !== 200);
    expect([refused.length, at.app.handled]).toEqual([19, 1]);
    for (const answer of refused) expectRefusal(answer, USED);
  });

  test('9449-11.1-2 a proof that was refused is not used up', async () => {
    const at = await holder();
    const proof = at.proof();
    const other = { app: at.app, token: at.as.mint({ cnf: { jkt: at.key.jkt } }, { now: at.clock.now }) };
    await expectRefused(other, proof, badProof('is for another access token'));
    expectRefusal(await send(at, proof, '/scoped'), badProof('is for another address'));
    await expectAccepted(at, proof);
    await expectRefused(at, proof, USED);
  });

  test('9449-11.1-2 two processes with one replayStore accept a proof once, without one each once', async () => {
    const used = new Set<string>();
    const replayStore: ReplayStore = {
      unique: async (id) => {
        await new Promise((resolve) => setImmediate(resolve));
        return !used.has(id) && used.add(id).has(id);
      },
    };
    for (const [dpop, statuses] of [
      [{ replayStore }, [200, 401]],
      [{}, [200, 200]],
    ] as const) {
      const at = await holder(dpop);
      const { as, clock } = at;
      const second = closing(await startApp({ resource: RESOURCE, issuer: as.issuer, clock, dpop }));
      const proof = at.proof();
      const first = await send(at, proof);
      const again = await send({ ...at, app: second }, proof);
      expect([first.status, again.status, at.app.handled + second.handled]).toEqual([
        ...statuses,
        statuses.filter((status) => status === 200).length,
      ]);
    }
  });

  test.each<[what: string, down: ReplayStore['unique']]>([
    [
      'throws',
      () => {
        throw new Error('down');
      },
    ],
    ['rejects', () => Promise.reject(new Error('down'))],
  ])('9449-11.1-2 a replayStore that %s: 503, for nobody knows, and the proof passes later', async (_what, down) => {
    const replayStore = { unique: down };
    const at = await holder({ replayStore });
    const proof = at.proof();
    await expectUnavailable(at, proof, 'The store of used DPoP proofs failed: see "replayStore" of "dpop"');
    replayStore.unique = () => true;
    await expectAccepted(at, proof);
  });

  test.each([undefined, null, 0, 1, '', 'true', 'OK', {}])(
    '9449-11.1-2 a replayStore that says %j has said neither yes nor no: 503, and the proof passes later',
    async (said) => {
      const replayStore = { unique: () => said as boolean };
      const at = await holder({ replayStore });
      const proof = at.proof();
      await expectUnavailable(at, proof, '"unique" of "replayStore" must answer true or false');
      replayStore.unique = () => true;
      await expectAccepted(at, proof);
    },
  );
});

describe('the memory of used proofs is bounded (RFC 9449 11.1)', () => {
  test('9449-11.1-3 a long jti costs as much as a short one, and one that is longer is refused', async () => {
    const kept: [id: string, seconds: number, client: string][] = [];
    const replayStore: ReplayStore = {
      unique: (...given) => {
        kept.push(given);
        return true;
      },
    };
    const at = await holder({ replayStore });
    for (const jti of ['a', 'x'.repeat(2000), '\u{1F600}', 'a b"\\']) await expectAccepted(at, at.proof({ jti }));
    await expectRefused(at, at.proof({ jti: 'x'.repeat(4000) }), badProof('is too long'));
    expect(new Set(kept.map(([id]) => id)).size).toBe(4);
    for (const [id, seconds, client] of kept) {
      expect([id, seconds, client]).toEqual([expect.stringMatching(/^[A-Za-z0-9_-]{43}$/), 80, at.key.jkt]);
    }
  });

  test('9449-11.1-3 a full store answers 503 and forgets nobody, until what it holds is of no use any more', async () => {
    const at = await holder({ maxProofs: 2 });
    const [first, second] = [at.proof(), at.proof()];
    await expectAccepted(at, first);
    await expectUnavailable(at, second, 'One client used more DPoP proofs than fit: raise "maxProofs" of "dpop"');
    await expectRefused(at, first, USED);
    at.clock.now += 80;
    await expectAccepted(at, at.proof());
  });
});
