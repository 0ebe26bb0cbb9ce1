import { afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { setTimeout as wait } from 'node:timers/promises';
import createApp from 'express';
import { resourceServer } from '../../lib/index.js';
import type { DPoPOptions, ReplayStore } from '../../lib/index.js';
import { startApp } from '../support/app.js';
import type { TestApp } from '../support/app.js';
import type { TestAuthorizationServer } from '../support/authorization-server.js';
import type { Clock } from '../support/clock.js';
import { diagnosticsOf } from '../support/diagnostics.js';
import { listen } from '../support/listen.js';
import { dpopHeaders, proofKey, prove } from '../support/proofs.js';
import type { ProofKey } from '../support/proofs.js';
import { closeAll, closing, stage } from '../support/stage.js';
import { base64url, signRaw } from '../support/tokens.js';
import type { Overrides } from '../support/tokens.js';

const API = 'https://api.example.com';
const DPOP = `DPoP realm="${API}", algs="ES256 ES384 ES512 EdDSA Ed25519 PS256 RS256"`;
const refused = (says: string, code = 'invalid_dpop_proof') => ({
  status: 401,
  challenge: `${DPOP}, error="${code}", error_description="${says}"`,
});
const USED = refused('The DPoP proof was used before');
const UNAVAILABLE = { status: 503, challenge: undefined };
const PASSED = { status: 200, challenge: undefined };

let key: ProofKey;
beforeAll(async () => {
  key = await proofKey();
});
afterEach(closeAll);

interface Seen {
  readonly status: number;
  readonly challenge: string | undefined;
}

interface Held {
  readonly as: TestAuthorizationServer;
  readonly app: TestApp;
  readonly clock: Clock;
  readonly token: string;
  readonly proof: (claims?: Overrides, path?: string) => string;
  readonly send: (proof: string, path?: string, init?: RequestInit, at?: { url: string }) => Promise<Seen>;
}

/** A client with a bound token, and an app whose clock stands still. */
async function hold(dpop: DPoPOptions = {}): Promise<Held> {
  const { as, app, clock } = await stage({ dpop });
  const token = as.mint({ cnf: { jkt: key.jkt }, exp: clock.now + 9999 }, { now: clock.now });
  const proof = (claims: Overrides = {}, path = '/protected') =>
    prove(key, `${API}${path}`, { token, now: clock.now, claims });
  const send: Held['send'] = async (sent, path = '/protected', init = {}, { url } = app) => {
    const { status, headers, body } = await fetch(`${url}${path}`, { headers: dpopHeaders(token, sent), ...init });
    await body?.cancel();
    return { status, challenge: headers.get('www-authenticate') ?? undefined };
  };
  return { as, app, clock, token, proof, send };
}

/** A store as several processes would share it: every answer takes its time, the test-and-set is one step. */
class SharedStore implements ReplayStore {
  readonly used = new Set<string>();
  async unique(id: string): Promise<boolean> {
    await wait(this.used.size % 3);
    const isNew = !this.used.has(id);
    this.used.add(id);
    await wait(3);
    return isNew;
  }
}

/** One of many has passed, and all others were told why not. */
function expectOne(seen: readonly Seen[]): void {
  expect(seen.filter(({ status }) => status === 200)).toEqual([PASSED]);
  expect(seen.filter(({ status }) => status !== 200)).toEqual(seen.slice(1).map(() => USED));
}

describe('one proof, many times', () => {
  test('of fifty uses at the same time exactly one passes', async () => {
    const { app, proof, send } = await hold();
    const sent = proof();
    expectOne(await Promise.all(Array.from({ length: 50 }, () => send(sent))));
    expect(app.handled).toBe(1);
    expect(await send(proof())).toEqual(PASSED);
  });

  test('of fifty uses at two processes with one store exactly one passes', async () => {
    const replayStore = new SharedStore();
    const { as, app, clock, proof, send } = await hold({ replayStore });
    const second = closing(await startApp({ resource: API, issuer: as.issuer, clock, dpop: { replayStore } }));
    const sent = proof();
    const seen = await Promise.all(
      Array.from({ length: 50 }, (_, i) => send(sent, '/protected', {}, i % 2 ? app : second)),
    );
    expectOne(seen);
    expect(app.handled + second.handled).toBe(1);
    expect(await send(proof(), '/protected', {}, second)).toEqual(PASSED);
  });

  test('from the first use to the last second of its window it passes once, however its times lie', async () => {
    for (const ahead of [-59, 0, 10]) {
      const { app, clock, proof, send } = await hold();
      const sent = proof({ iat: clock.now + ahead });
      expect(await send(sent)).toEqual(PASSED);
      for (let passed = 0; passed < 75; passed++) {
        expect((await send(sent)).status).toBe(401);
        clock.now += 1;
      }
      expect(await send(sent)).toEqual(refused('The DPoP proof is too old'));
      expect(app.handled).toBe(1);
    }
  });

  test('with a nonce, too, which lives longer than the window', async () => {
    const { app, clock, proof, send } = await hold({ nonce: 'required' });
    const nonceOf = async () => (await app.get('/protected')).headers.get('dpop-nonce') ?? '';
    const sent = proof({ nonce: await nonceOf() });
    expect(await send(sent)).toEqual(PASSED);
    for (let passed = 0; passed < 400; passed += 10) {
      expect((await send(sent)).status).toBe(401);
      clock.now += 10;
    }
    expect(app.handled).toBe(1);
    expect(await send(proof({ nonce: await nonceOf() }))).toEqual(PASSED);
  });

  test('a clock that is set back by nearly ten seconds makes no used proof new, nor one that was to be forgotten', async () => {
    const { clock, proof, send } = await hold();
    const sent = proof({ iat: clock.now + 10 });
    for (const step of [0, -5, 5, 79.5]) {
      clock.now += step;
      expect((await send(sent)).status).toBe(step === 0 ? 200 : 401);
      expect(await send(proof())).toEqual(PASSED);
    }
    clock.now -= 9.9;
    expect(await send(sent)).toEqual(USED);
  });

  test('a store is told whole seconds, longer than a proof can be used: many take no others', async () => {
    for (const clockTolerance of [0, 0.3, 5]) {
      const told: number[] = [];
      const unique = (_id: string, seconds: number) => told.push(seconds) > 0;
      const { as, clock, proof, send } = await hold();
      const dpop = { replayStore: { unique } };
      const app = closing(await startApp({ resource: API, issuer: as.issuer, clock, clockTolerance, dpop }));
      expect(await send(proof(), '/protected', {}, app)).toEqual(PASSED);
      expect(told.filter(Number.isInteger)).toHaveLength(1);
      expect(told[0]).toBe(Math.ceil(80 + 2 * clockTolerance));
    }
  });

  test('the same request may come through the middleware twice: mounted for the application and for a router', async () => {
    const { as, clock, proof, send } = await hold();
    const middleware = resourceServer({ resource: API, issuer: as.issuer, clock, dpop: true });
    const router = createApp().get('/protected', middleware, (_req, res) => void res.json({}));
    const app = closing(await listen(createApp().use(middleware, router)));
    const sent = proof();
    expect(await send(sent, '/protected', {}, app)).toEqual(PASSED);
    expect(await send(sent, '/protected', {}, app)).toEqual(USED);
  });

  test('another middleware on the same request does not take it for its own: with one store it is refused', async () => {
    const { as, clock, proof, send } = await hold();
    for (const [replayStore, expected] of [
      [new SharedStore(), USED],
      [undefined, PASSED],
    ] as const) {
      const dpop = replayStore === undefined ? true : { replayStore };
      const middleware = () => resourceServer({ resource: API, issuer: as.issuer, clock, dpop });
      const router = createApp().get('/protected', middleware(), (_req, res) => void res.json({}));
      const app = closing(await listen(createApp().use(middleware(), router)));
      expect(await send(proof(), '/protected', {}, app)).toEqual(expected);
    }
  });
});

describe('one proof in other clothes', () => {
  test.each<[what: string, twin: (proof: string) => string]>([
    ['the other signature that ECDSA has for the same text', (proof) => otherSignature(proof)],
    ['signed anew', (proof) => signRaw(proof.replace(/\.[^.]*$/, ''), key)],
    ['another claim beside the same jti', (proof) => withClaims(proof, { foo: 'bar' })],
    ['a later iat', (proof) => withClaims(proof, { iat: (claimsOf(proof)['iat'] as number) + 5 })],
    ['host in upper case', (proof) => withClaims(proof, { htu: 'https://API.EXAMPLE.COM/~protected' })],
    ['default port', (proof) => withClaims(proof, { htu: `${API}:443/~protected` })],
    ['dot segments', (proof) => withClaims(proof, { htu: `${API}/a/../~protected` })],
    ['a tilde encoded', (proof) => withClaims(proof, { htu: `${API}/%7Eprotected` })],
    ['a query', (proof) => withClaims(proof, { htu: `${API}/~protected?a=b` })],
  ])('%s: refused after it, passes before it', async (_what, twin) => {
    const { proof, send } = await hold();
    const sent = proof({}, '/~protected');
    const other = twin(sent);
    expect(other).not.toBe(sent);
    // Nobody answers there but Express: that it is asked is what counts.
    expect((await send(sent, '/~protected')).status).toBe(404);
    expect(await send(other, '/~protected')).toEqual(USED);
    expect(await send(other, '/%7eprotected?x')).toEqual(USED);
    const fresh = twin(proof({}, '/~protected'));
    expect((await send(fresh, '/~protected')).status).toBe(404);
  });

  test('the same jti of another client, or at another address, is another proof', async () => {
    const { as, clock, proof, send, app } = await hold();
    expect(await send(proof({ jti: 'same' }))).toEqual(PASSED);
    expect(await send(proof({ jti: 'same' }))).toEqual(USED);
    expect((await send(proof({ jti: 'same' }, '/other'), '/other')).status).toBe(404);
    const other = await proofKey();
    const token = as.mint({ cnf: { jkt: other.jkt } }, { now: clock.now });
    const headers = dpopHeaders(
      token,
      prove(other, `${API}/protected`, { token, now: clock.now, claims: { jti: 'same' } }),
    );
    expect((await app.request('/protected', { headers })).status).toBe(200);
  });

  test('a proof that was refused is not used up', async () => {
    const { as, app, clock, token, proof, send } = await hold();
    const sent = proof();
    const other = as.mint({ cnf: { jkt: key.jkt }, scope: 'other' }, { now: clock.now });
    const strange = as.mint({ cnf: { jkt: (await proofKey()).jkt } }, { now: clock.now });
    for (const refusal of [
      () => send(sent, '/protected', { method: 'POST', headers: dpopHeaders(token, sent) }),
      () => send(sent, '/scoped'),
      () => send(sent, '/protected', { headers: dpopHeaders(other, sent) }),
      () => send(sent, '/protected', { headers: dpopHeaders(strange, sent) }),
      () => send(sent, '/protected', { headers: dpopHeaders('x', sent) }),
      () => send(sent, '/protected', { headers: { authorization: `Bearer ${token}`, dpop: sent } }),
      () => send(`${sent.slice(0, -4)}AAAA`),
    ]) {
      expect((await refusal()).status).toBe(401);
    }
    clock.now -= 11;
    expect(await send(sent)).toEqual(refused('The DPoP proof is from the future'));
    clock.now += 11;
    expect(app.handled).toBe(0);
    expect(await send(sent)).toEqual(PASSED);
    expect(await send(sent)).toEqual(USED);
  });
});

describe('a store that fails', () => {
  /** What the store does, then the same proof at a store that works. */
  async function neverPasses(unique: () => unknown): Promise<Seen> {
    let answer = unique;
    const { app, proof, send } = await hold({ replayStore: { unique: () => answer() as boolean } });
    const sent = proof();
    const seen = await send(sent);
    expect(app.handled).toBe(0);
    answer = () => true;
    expect(await send(sent)).toEqual(PASSED);
    return seen;
  }

  test.each<[what: string, unique: () => unknown]>([
    ['throws', () => fail(new Error('down'))],
    ['throws nothing', () => fail(undefined)],
    ['rejects', () => Promise.reject(new Error('down'))],
    ['hangs', () => new Promise(() => undefined)],
    ['throws when it is waited for', () => ({ then: () => fail(true) })],
  ])(
    'one that %s: 503, the operator can see why, and the same proof passes when it works',
    async (_what, unique) => {
      const events = await diagnosticsOf(async () => {
        expect(await neverPasses(unique)).toEqual(UNAVAILABLE);
      });
      const reason = 'The store of used DPoP proofs failed: see "replayStore" of "dpop"';
      expect(events).toEqual([{ type: 'refusal', status: 503, code: undefined, reason }]);
    },
    20_000,
  );

  test.each([undefined, null, 1, 'true', 'OK', [true], {}, () => true, Symbol('true'), 1n])(
    'one that says %p, now or later: 503, the operator can see why, and the proof passes when the store says true',
    async (value) => {
      const reason = '"unique" of "replayStore" must answer true or false';
      for (const unique of [() => value, () => Promise.resolve(value)]) {
        const events = await diagnosticsOf(async () => {
          expect(await neverPasses(unique)).toEqual(UNAVAILABLE);
        });
        expect(events).toEqual([{ type: 'refusal', status: 503, code: undefined, reason }]);
      }
    },
  );

  test('is full: 503 for all that is new, and the operator is told what to raise; it passes when there is room', async () => {
    const { app, clock, proof, send } = await hold({ maxProofs: 1 });
    const [first, second] = [proof(), proof()];
    expect(await send(first)).toEqual(PASSED);
    const events = await diagnosticsOf(async () => {
      expect(await send(second)).toEqual(UNAVAILABLE);
    });
    expect(events).toEqual([expect.objectContaining({ status: 503, reason: expect.stringContaining('"maxProofs"') })]);
    expect(await send(first)).toEqual(USED);
    expect(app.handled).toBe(1);
    clock.now += 300;
    expect(await send(proof())).toEqual(PASSED);
  });

  test('one client fills its share only: the others pass', async () => {
    const { as, app, clock, proof, send } = await hold({ maxProofs: 20 });
    const seen = await Promise.all(Array.from({ length: 30 }, () => send(proof())));
    expect(seen.filter(({ status }) => status === 200)).toHaveLength(10);
    expect(seen.filter(({ status }) => status === 503)).toHaveLength(20);
    for (let i = 0; i < 10; i++) {
      const other = await proofKey();
      const token = as.mint({ cnf: { jkt: other.jkt } }, { now: clock.now });
      const headers = dpopHeaders(token, prove(other, `${API}/protected`, { token, now: clock.now }));
      expect(await send('', '/protected', { headers })).toEqual(PASSED);
    }
    expect(app.handled).toBe(20);
  });
});

function fail(error: unknown): never {
  throw error;
}

function claimsOf(proof: string): Overrides {
  return JSON.parse(Buffer.from(proof.split('.')[1] ?? '', 'base64url').toString()) as Overrides;
}

/** The proof of the same key with other claims, signed anew. */
function withClaims(proof: string, claims: Overrides): string {
  return signRaw(`${proof.split('.')[0] ?? ''}.${base64url({ ...claimsOf(proof), ...claims })}`, key);
}

/** With (r, s) also (r, n - s) is a signature of the same text, and anybody can compute it. */
function otherSignature(proof: string): string {
  const [header = '', payload = '', signature = ''] = proof.split('.');
  const bytes = Buffer.from(signature, 'base64url');
  const order = BigInt('0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551');
  const other = order - BigInt(`0x${bytes.subarray(32).toString('hex')}`);
  const twin = Buffer.concat([bytes.subarray(0, 32), Buffer.from(other.toString(16).padStart(64, '0'), 'hex')]);
  return `${header}.${payload}.${twin.toString('base64url')}`;
}
