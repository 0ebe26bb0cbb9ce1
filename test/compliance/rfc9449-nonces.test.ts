import { randomBytes } from 'node:crypto';
import { afterEach, describe, expect, test } from '@jest/globals';
import cors from 'cors';
import type { Express, RequestHandler } from 'express';
import type { DPoPOptions } from '../../lib/index.js';
import { startApp } from '../support/app.js';
import type { Answer, TestApp } from '../support/app.js';
import { TestAuthorizationServer } from '../support/authorization-server.js';
import { movableClock } from '../support/clock.js';
import type { Clock } from '../support/clock.js';
import { badProof, BEARER, DPOP, dpopRefusal, expectChallenges, failing } from '../support/dpop-refusals.js';
import { dpopHeaders, proofKey, prove } from '../support/proofs.js';
import type { ProofKey, ProofOptions } from '../support/proofs.js';
import { sendRaw } from '../support/raw.js';
import { expectRefusal, RESOURCE } from '../support/refusals.js';
import { closeAll, closing } from '../support/stage.js';
import type { Overrides } from '../support/tokens.js';

afterEach(closeAll);

// RFC 9449 section 8.1: NQCHAR = %x21 / %x23-5B / %x5D-7E
const NONCE = /^[\x21\x23-\x5b\x5d-\x7e]+$/;
const USE_NONCE = dpopRefusal('use_dpop_nonce', 'The DPoP proof must have a current nonce of this resource');
/** Seconds that a nonce is accepted, and those after which a newer one is handed out. */
const LIFE = 120;
const RENEWED = 60;

interface Scene {
  readonly as: TestAuthorizationServer;
  readonly clock: Clock;
  readonly key: ProofKey;
  readonly token: string;
  /** One more process of the same server, or of another one. */
  readonly start: (dpop?: DPoPOptions, resource?: string, before?: readonly RequestHandler[]) => Promise<TestApp>;
  /** A request with a proof, which is made now by the clock of the server. */
  readonly ask: (app: TestApp, nonce?: unknown, options?: Partial<ProofOptions>, path?: string) => Promise<Answer>;
}

async function scene(): Promise<Scene> {
  const clock = movableClock();
  const [as, key] = [closing(await TestAuthorizationServer.start()), await proofKey()];
  const token = as.mint({ cnf: { jkt: key.jkt }, exp: clock.now + 86_400 }, { now: clock.now });
  const start = async (dpop = {}, resource = RESOURCE, before: readonly RequestHandler[] = []) => {
    const options = { resource, audience: RESOURCE, realm: RESOURCE, publicUrl: RESOURCE, issuer: as.issuer, clock };
    const routes = (app: Express) => {
      app.get('/cached', (_req, res) => void res.set('Cache-Control', 'public, max-age=60').json({}));
    };
    return closing(await startApp({ ...options, dpop: { nonce: 'required', ...dpop } }, routes, { before }));
  };
  const ask = (app: TestApp, nonce?: unknown, options: Partial<ProofOptions> = {}, path = '/protected') => {
    const { claims, ...rest } = options;
    const proof = prove(key, RESOURCE + path, { token, now: clock.now, ...rest, claims: { nonce, ...claims } });
    return app.request(path, { headers: dpopHeaders(token, proof) });
  };
  return { as, clock, key, token, start, ask };
}

function nonceOf(answer: Answer): string {
  const nonce = answer.headers.get('dpop-nonce');
  expect(nonce).toMatch(NONCE);
  return String(nonce);
}

/** The nonce with one bit changed. */
function flip(nonce: string, at: number): string {
  const bytes = Buffer.from(nonce, 'base64url');
  bytes[at] = (bytes[at] ?? 0) ^ 1;
  return bytes.toString('base64url');
}

/** Refused, with a nonce that is new. */
function expectNonceAsked(app: TestApp, answer: Answer): string {
  const before = app.handled;
  expectRefusal(answer, USE_NONCE);
  expect(app.handled).toBe(before);
  return nonceOf(answer);
}

async function expectAccepted(app: TestApp, asked: () => Promise<Answer>): Promise<Answer> {
  const before = app.handled;
  const answer = await asked();
  expect([answer.status, answer.challenge, app.handled]).toEqual([200, undefined, before + 1]);
  return answer;
}

describe('nonces are required (RFC 9449 9 and 11.3)', () => {
  test('9449-9-1 a proof without a nonce is answered with one, and the next with it passes', async () => {
    const { start, ask } = await scene();
    const app = await start();
    const nonce = expectNonceAsked(app, await ask(app));
    const answer = await expectAccepted(app, () => ask(app, nonce));
    expect(answer.headers.get('dpop-nonce')).toBeNull();
    expect(answer.headers.get('cache-control')).toBeNull();
  });

  test('9449-11.3-1 no proof without a nonce passes, however often the client had one', async () => {
    const { start, ask, clock } = await scene();
    const app = await start();
    for (const seconds of [0, 10, LIFE, 3600]) {
      clock.now += seconds;
      const nonce = expectNonceAsked(app, await ask(app));
      await expectAccepted(app, () => ask(app, nonce));
    }
    expect(app.handled).toBe(4);
  });

  test.each<[what: string, change: (good: string) => unknown]>([
    ['truncated', (good) => good.slice(0, -1)],
    ['truncated by a group of characters', (good) => good.slice(0, -4)],
    ['longer', (good) => `${good}AAAA`],
    ['padded', (good) => `${good}=`],
    ['followed by a space', (good) => `${good} `],
    ['changed in its time', (good) => flip(good, 3)],
    ['changed in its chance', (good) => flip(good, 9)],
    ['changed in its seal', (good) => flip(good, 31)],
    ['changed in its unused bits', (good) => good.slice(0, -1) + String.fromCharCode(good.charCodeAt(42) + 1)],
    ['all in lower case', (good) => good.toLowerCase()],
    ['made of chance', () => randomBytes(32).toString('base64url')],
    ['of zeros', () => Buffer.alloc(32).toString('base64url')],
    ['empty', () => ''],
    ['a number', () => 1],
    ['null', () => null],
    ['a list', (good) => [good]],
    ['the example of RFC 9449', () => 'eyJ7S_zG.eyJH0-Z.HX4w-7v'],
  ])('9449-4.3-10 a nonce that is %s is refused, and answered with a good one', async (_what, change) => {
    const { start, ask } = await scene();
    const app = await start();
    const good = nonceOf(await ask(app));
    const fresh = expectNonceAsked(app, await ask(app, change(good)));
    expect(fresh).not.toBe(good);
    for (const nonce of [good, fresh]) await expectAccepted(app, () => ask(app, nonce));
  });

  test('9449-4.3-11 a nonce says when the proof was made: the clock of the client may be anywhere', async () => {
    const { start, ask, clock } = await scene();
    const app = await start();
    const nonce = nonceOf(await ask(app));
    for (const now of [0, clock.now - 3600, clock.now + 3600])
      await expectAccepted(app, () => ask(app, nonce, { now }));
    expectRefusal(
      await ask(app, nonce, { claims: { iat: undefined } }),
      badProof('lacks a claim that every proof has'),
    );
    expectNonceAsked(app, await ask(app, undefined, { now: 0 }));
  });

  test('9449-11.1-5 one nonce serves many proofs, each of them once, as long as it lives', async () => {
    const { start, ask, clock } = await scene();
    const app = await start();
    const nonce = nonceOf(await ask(app));
    const twice = { now: clock.now, claims: { jti: 'one' } };
    await expectAccepted(app, () => ask(app, nonce, twice));
    await expectAccepted(app, () => ask(app, nonce, { now: clock.now, claims: { jti: 'two' } }));
    for (const seconds of [0, 100, LIFE - 101]) {
      clock.now += seconds;
      expectRefusal(await ask(app, nonce, twice), badProof('was used before'));
    }
    clock.now += 1;
    expectNonceAsked(app, await ask(app, nonce, twice));
    expect(app.handled).toBe(2);
  });
});

describe('nonces come and go (RFC 9449 8)', () => {
  test('9449-8-1 9449-8.1-1 a thousand nonces of one second: all different, 96 bits or more like tossed coins', async () => {
    const { start } = await scene();
    const app = await start();
    const nonces: string[] = [];
    for (let i = 0; i < 20; i++) {
      const answers = await Promise.all(Array.from({ length: 50 }, () => app.get('/protected')));
      nonces.push(...answers.map(nonceOf));
    }
    expect(new Set(nonces).size).toBe(1000);
    const samples = nonces.map((nonce) => Buffer.from(nonce, 'base64url'));
    const bits = Array.from({ length: 8 * (samples[0]?.length ?? 0) }, (_, bit) => {
      return samples.filter((sample) => ((sample[bit >> 3] ?? 0) >> (bit & 7)) & 1).length;
    });
    expect(bits.filter((ones) => ones > 400 && ones < 600).length).toBeGreaterThanOrEqual(96);
  });

  test('9449-8.2-1 9449-8.2-2 half-way a newer one comes with the answer, the old one passes until its end', async () => {
    const { start, ask, clock } = await scene();
    const app = await start();
    const old = nonceOf(await ask(app));
    const at = async (second: number, nonce: string) => {
      clock.now += second;
      const { headers } = await expectAccepted(app, () => ask(app, nonce, {}, '/cached'));
      return [headers.get('dpop-nonce'), headers.get('cache-control')] as const;
    };
    expect(await at(RENEWED - 1, old)).toEqual([null, 'public, max-age=60']);
    const [renewed, caching] = await at(1, old);
    expect([renewed, caching]).toEqual([expect.stringMatching(NONCE), 'no-store']);
    expect(await at(0, String(renewed))).toEqual([null, 'public, max-age=60']);
    expect(await at(LIFE - RENEWED - 1, old)).toEqual([expect.stringMatching(NONCE), 'no-store']);
    clock.now += 1;
    expectNonceAsked(app, await ask(app, old));
    await expectAccepted(app, () => ask(app, renewed));
  });

  test('9449-8-2 9449-8.2-2 one DPoP-Nonce line and no-store, on refusals and on successes', async () => {
    const { start, ask, clock, token, key } = await scene();
    const setsIts: RequestHandler = (_req, res, next) => {
      res.setHeader('DPoP-Nonce', 'of-somebody-else');
      res.setHeader('Cache-Control', 'public');
      next();
    };
    const app = await start({}, RESOURCE, [setsIts]);
    const nonce = nonceOf(await ask(app));
    clock.now += RENEWED;
    const lines = (path: string, claims: Overrides) => {
      const proof = prove(key, RESOURCE + path, { token, now: clock.now, claims });
      return [`GET ${path} HTTP/1.1`, 'Host: a', `Authorization: DPoP ${token}`, `DPoP: ${proof}`];
    };
    for (const [request, status] of [
      [lines('/protected', {}), 401],
      [lines('/protected', { nonce }), 200],
      [lines('/cached', { nonce }), 200],
      [['GET /protected HTTP/1.1', 'Host: a'], 401],
    ] as const) {
      const raw = await sendRaw(app.port, request);
      expect([raw.status, raw.all('cache-control'), raw.all('dpop-nonce').length]).toEqual([status, ['no-store'], 1]);
      expect(raw.all('dpop-nonce')).not.toEqual(['of-somebody-else']);
    }
  });

  test('9449-9-1 every refusal in the DPoP scheme brings a nonce along, one in the Bearer scheme none', async () => {
    const { start, ask, clock, token, as, key } = await scene();
    const app = await start();
    const { headers: first } = await app.get('/protected');
    const nonce = String(first.get('dpop-nonce'));
    const refusals: Answer[] = [
      await app.request('/protected', { headers: { authorization: `DPoP ${token}` } }),
      await app.request('/protected', { headers: { authorization: 'DPoP a b' } }),
      await app.request('/protected', { headers: { authorization: 'DPoP a' } }),
      await ask(app, nonce, { method: 'POST' }),
    ];
    const poor = as.mint({ cnf: { jkt: key.jkt }, scope: 'none' }, { now: clock.now });
    const proof = prove(key, `${RESOURCE}/scoped`, { token: poor, now: clock.now, nonce });
    refusals.push(await app.request('/scoped', { headers: dpopHeaders(poor, proof) }));
    expect(refusals.map(({ status }) => status)).toEqual([401, 400, 401, 401, 403]);
    for (const refusal of refusals) await expectAccepted(app, () => ask(app, nonceOf(refusal)));
    const bearer = await app.get('/protected', 'a');
    const says = failing(BEARER, 'invalid_token', 'The access token is not a JSON Web Token');
    await expectChallenges(bearer, 401, says, DPOP);
    expect(bearer.headers.has('dpop-nonce')).toBe(false);
  });

  test('9449-7.1-9 scripts of other origins can read the nonce, and what cors exposed before', async () => {
    const { start, ask, clock } = await scene();
    const app = await start({}, RESOURCE, [cors({ exposedHeaders: ['X-Page'] })]);
    const exposed = ({ headers }: Answer) => headers.get('access-control-expose-headers')?.split(/, */);
    const refused = await ask(app);
    expect(exposed(refused)).toEqual(['X-Page', 'WWW-Authenticate', 'DPoP-Nonce']);
    clock.now += RENEWED;
    const passed = await expectAccepted(app, () => ask(app, nonceOf(refused)));
    expect([nonceOf(passed), exposed(passed)]).toEqual([expect.stringMatching(NONCE), ['X-Page', 'DPoP-Nonce']]);
  });
});

describe('whose nonces count (RFC 9449 9)', () => {
  const secret = 'thirty-two bytes, or a few more than that';

  test('9449-9-2 processes with one nonceSecret accept the nonces of each other, text or bytes', async () => {
    const { start, ask } = await scene();
    const [one, two] = [await start({ nonceSecret: secret }), await start({ nonceSecret: Buffer.from(secret) })];
    await expectAccepted(two, async () => ask(two, nonceOf(await ask(one))));
    await expectAccepted(one, async () => ask(one, nonceOf(await ask(two))));
  });

  test('9449-9-2 with secrets of their own, or for different resources, they do not', async () => {
    const { start, ask } = await scene();
    const one = await start({ nonceSecret: secret });
    const others = [
      await start({ nonceSecret: `${secret}.` }),
      await start(),
      await start({ nonceSecret: secret }, 'https://other.example.com'),
    ];
    for (const two of others) {
      for (const [issuing, asked] of [
        [one, two],
        [two, one],
      ] as const) {
        const foreign = nonceOf(await ask(issuing));
        const own = expectNonceAsked(asked, await ask(asked, foreign));
        await expectAccepted(asked, () => ask(asked, own));
      }
    }
  });

  test('9449-9-2 the clocks of two processes may differ by twelve seconds', async () => {
    const { start, ask, clock } = await scene();
    const [ahead, behind] = [await start({ nonceSecret: secret }), await start({ nonceSecret: secret })];
    const nonce = nonceOf(await ask(ahead));
    clock.now -= LIFE / 10;
    await expectAccepted(behind, () => ask(behind, nonce));
    clock.now -= 1;
    expectNonceAsked(behind, await ask(behind, nonce));
  });
});

describe('nonces are off, or optional (RFC 9449 9)', () => {
  test('9449-4.2-3 off: nobody is given a nonce, and the claim is one like any other', async () => {
    const { start, ask, clock } = await scene();
    const app = await start({ nonce: 'off' });
    const answers = [await app.get('/protected'), await ask(app, undefined, { now: clock.now - 61 })];
    for (const nonce of [undefined, 'x', 5]) answers.push(await expectAccepted(app, () => ask(app, nonce)));
    expect(answers.map(({ status }) => status)).toEqual([401, 401, 200, 200, 200]);
    expect(answers.filter(({ headers }) => headers.has('dpop-nonce'))).toEqual([]);
  });

  test('9449-4.3-10 9449-11.3-1 optional: none is demanded, none is given, and one of ours says how old the proof is', async () => {
    const { start, ask, clock } = await scene();
    const nonceSecret = randomBytes(32);
    const strict = await start({ nonceSecret });
    const app = await start({ nonceSecret, nonce: 'optional' });
    const accepted = async (...args: [nonce?: string, options?: { readonly now?: number }]) => {
      const answer = await expectAccepted(app, () => ask(app, ...args));
      expect(answer.headers.has('dpop-nonce')).toBe(false);
    };
    await accepted();
    const nonce = nonceOf(await ask(strict));
    await accepted(nonce, { now: 0 });
    await accepted(`${nonce}x`); // none of ours: as if there were none
    for (const none of [undefined, `${nonce}x`]) {
      const refused = await ask(app, none, { now: clock.now - 61 });
      expectRefusal(refused, badProof('is too old'));
      expect(refused.headers.has('dpop-nonce')).toBe(false);
    }
    clock.now += RENEWED;
    await accepted(nonce);
    expect((await app.get('/protected')).headers.has('dpop-nonce')).toBe(false);
  });
});
