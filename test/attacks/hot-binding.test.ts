import https from 'node:https';
import { afterEach, beforeAll, beforeEach, describe, expect, jest, test } from '@jest/globals';
import express from 'express';
import { requireBoundToken, requireScope, resourceServer } from '../../lib/index.js';
import type { CommonOptions } from '../../lib/index.js';
import { startApp } from '../support/app.js';
import type { TestApp } from '../support/app.js';
import { TestAuthorizationServer } from '../support/authorization-server.js';
import { clientIdentity } from '../support/client-certificates.js';
import type { ClientIdentity } from '../support/client-certificates.js';
import { movableClock } from '../support/clock.js';
import type { Clock } from '../support/clock.js';
import { badProof, BEARER, DPOP, dpopRefusal, failing } from '../support/dpop-refusals.js';
import { KINDS } from '../support/guard-stage.js';
import type { Kind } from '../support/guard-stage.js';
import { watchSignatures } from '../support/hot.js';
import type { Signatures } from '../support/hot.js';
import { clientAuthentication } from '../support/introspection-stage.js';
import { fetchOverTls } from '../support/mtls-fetch.js';
import { portOf } from '../support/mutual-tls.js';
import { dpopHeaders, proofKey, prove } from '../support/proofs.js';
import type { ProofKey, ProofOptions } from '../support/proofs.js';
import { sendRaw } from '../support/raw.js';
import { expectRefusal, invalidToken, RESOURCE } from '../support/refusals.js';
import type { Refusal } from '../support/refusals.js';
import { closeAll, closing, expectPassed } from '../support/stage.js';
import { selfSigned } from '../support/tls.js';
import type { Overrides } from '../support/tokens.js';

const UNPROVEN = 'The access token is bound to a key that was not proven';
const NOT_BOUND = 'The access token is not bound to a key';

let signatures: Signatures;
let mine: ProofKey;
let theirs: ProofKey;

beforeAll(async () => {
  [mine, theirs] = [await proofKey(), await proofKey()];
});

beforeEach(() => {
  signatures = watchSignatures();
});

afterEach(async () => {
  jest.restoreAllMocks();
  await closeAll();
});

interface Scene {
  readonly as: TestAuthorizationServer;
  readonly app: TestApp;
  readonly clock: Clock;
  readonly issue: (claims?: Overrides) => string;
  readonly proof: (token: string, more?: Partial<ProofOptions>, path?: string) => string;
}

async function scene(kind: Kind, options: Partial<CommonOptions> = { dpop: true }): Promise<Scene> {
  const clock = movableClock();
  const as = closing(await TestAuthorizationServer.start());
  const introspection = { clientAuthentication, endpoint: as.introspectionEndpoint };
  const all = {
    resource: RESOURCE,
    issuer: as.issuer,
    clock,
    ...(kind === 'introspection' && { introspection }),
    ...options,
  };
  const app = closing(
    await startApp(all, (server) => {
      server.get('/bound', requireBoundToken(), requireScope('read'), (_req, res) => void res.json({}));
    }),
  );
  const issue = (claims: Overrides = {}) =>
    kind === 'JWT' ? as.mint(claims, { now: clock.now }) : as.issue(claims, clock.now);
  const proof: Scene['proof'] = (token, more = {}, path = '/protected') =>
    prove(mine, `${RESOURCE}${path}`, { token, now: clock.now, ...more });
  return { as, app, clock, issue, proof };
}

/** A token that passed ten times, each time with a proof of its own, at one signature for each proof. */
async function hotScene(kind: Kind, options?: Partial<CommonOptions>) {
  const at = await scene(kind, options);
  const token = at.issue({ cnf: { jkt: mine.jkt } });
  await expectPassed(at.app, dpopHeaders(token, at.proof(token)));
  const cost = await signatures.during(async () => {
    for (let i = 0; i < 9; i++) await expectPassed(at.app, dpopHeaders(token, at.proof(token)));
  });
  expect(cost).toBe(9);
  return { ...at, token };
}

type Headers = Readonly<Record<string, string>>;

async function expectStopped(
  { app }: Scene,
  headers: Headers,
  refusal: Refusal,
  init: RequestInit = {},
  path = '/protected',
) {
  const before = app.handled;
  expectRefusal(await app.request(path, { headers, ...init }), refusal);
  expect(app.handled).toBe(before);
}

/** 401 for what came as a bearer token where DPoP is offered, too. */
function bearerRefusal(says: string): Refusal {
  const body = { error: 'invalid_token', error_description: says };
  return { status: 401, challenge: `${failing(BEARER, 'invalid_token', says)}, ${DPOP}`, body };
}

const SEND_AS_DPOP = bearerRefusal('The access token is bound to a key: send it as DPoP, with a proof');
const NO_PROOF = dpopRefusal('invalid_dpop_proof', 'A DPoP proof is required');
const USED = badProof('was used before');
const OTHER_KEY = dpopRefusal('invalid_token', 'The access token is bound to another key');

describe.each(KINDS)('a token that is known under DPoP, by %s', (kind) => {
  test('is no bearer token, with a good proof or without one, in any place', async () => {
    const at = await hotScene(kind, { dpop: true, methods: ['header', 'body', 'query'] });
    const { token, proof } = at;
    const unused = proof(token);
    for (const scheme of ['Bearer', 'bearer', 'BEARER  ']) {
      await expectStopped(at, { authorization: `${scheme} ${token}` }, SEND_AS_DPOP);
      await expectStopped(at, { authorization: `${scheme} ${token}`, dpop: unused }, SEND_AS_DPOP);
    }
    await expectStopped(at, { dpop: unused }, SEND_AS_DPOP, {}, `/protected?access_token=${token}`);
    const post = { method: 'POST', body: new URLSearchParams({ access_token: token }) };
    await expectStopped(at, { dpop: proof(token, { method: 'POST' }) }, SEND_AS_DPOP, post);
    await expectPassed(at.app, dpopHeaders(token, unused)); // it is not used up
  });

  test('needs a fresh proof each time: one that passed is refused', async () => {
    const at = await hotScene(kind);
    const used = dpopHeaders(at.token, at.proof(at.token));
    await expectPassed(at.app, used);
    for (let i = 0; i < 2; i++) await expectStopped(at, used, USED);
    await expectStopped(at, { authorization: `DPoP ${at.token}` }, NO_PROOF);
    const same = at.proof(at.token, { claims: { jti: 'the same' } });
    const again = at.proof(at.token, { claims: { jti: 'the same', x: 1 } });
    await expectPassed(at.app, dpopHeaders(at.token, same));
    await expectStopped(at, dpopHeaders(at.token, again), USED);
    await expectPassed(at.app, dpopHeaders(at.token, at.proof(at.token)));
    at.clock.now += 300;
    const expired = dpopRefusal('invalid_token', 'The access token expired');
    await expectStopped(at, dpopHeaders(at.token, at.proof(at.token)), expired);
  });

  test('of twenty requests at once with one proof one passes', async () => {
    const { app, token, proof } = await hotScene(kind);
    const headers = dpopHeaders(token, proof(token));
    const before = app.handled;
    const answers = await Promise.all(Array.from({ length: 20 }, () => app.request('/protected', { headers })));
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(1);
    for (const answer of answers) if (answer.status !== 200) expectRefusal(answer, USED);
    expect(app.handled).toBe(before + 1);
  });

  test.each<[what: string, refusal: Refusal, more: () => Partial<ProofOptions>]>([
    ['of another key', OTHER_KEY, () => ({ signer: theirs, header: { jwk: theirs.publicJwk } })],
    ['that another key signed', badProof('has a wrong signature'), () => ({ signer: theirs })],
    ['for another token', badProof('is for another access token'), () => ({ token: 'x' })],
    ['for another method', badProof('is for another method'), () => ({ method: 'POST' })],
    ['for another address', badProof('is for another address'), () => ({ claims: { htu: `${RESOURCE}/x` } })],
    ['that is old', badProof('is too old'), () => ({ now: 1 })],
    ['from the future', badProof('is from the future'), () => ({ now: 4e9 })],
    ['of another type', badProof('is no proof by its type'), () => ({ header: { typ: 'at+jwt' } })],
  ])('with a proof %s is refused, and passes with its own', async (_what, refusal, more) => {
    const at = await hotScene(kind);
    for (let i = 0; i < 2; i++) await expectStopped(at, dpopHeaders(at.token, at.proof(at.token, more())), refusal);
    await expectPassed(at.app, dpopHeaders(at.token, at.proof(at.token)));
  });

  test('with two proofs, or in two lines, is refused', async () => {
    const { app, token, proof } = await hotScene(kind);
    const send = (...lines: string[]) => sendRaw(app.port, ['GET /protected HTTP/1.1', `Host: x`, ...lines]);
    const [line, own] = [`Authorization: DPoP ${token}`, () => `DPoP: ${proof(token)}`];
    expectRefusal(
      await send(line, own(), own()),
      dpopRefusal('invalid_dpop_proof', 'The DPoP header must be sent once'),
    );
    const twice = { error: 'invalid_request', error_description: 'The Authorization header must be sent once' };
    const challenge = `${failing(BEARER, twice.error, twice.error_description)}, ${failing(DPOP, twice.error, twice.error_description)}`;
    expectRefusal(await send(line, line, own()), { status: 400, challenge, body: twice });
    expect((await send(line, own())).status).toBe(200);
  });

  test('needs a nonce each time, where it is required', async () => {
    const at = await scene(kind, { dpop: { nonce: 'required' } });
    const token = at.issue({ cnf: { jkt: mine.jkt } });
    const refused = await at.app.request('/protected', { headers: dpopHeaders(token, at.proof(token)) });
    const nonce = refused.headers.get('dpop-nonce') ?? '';
    const wanted = dpopRefusal('use_dpop_nonce', 'The DPoP proof must have a current nonce of this resource');
    for (let i = 0; i < 10; i++) await expectPassed(at.app, dpopHeaders(token, at.proof(token, { nonce })));
    expectRefusal(refused, wanted);
    await expectStopped(at, dpopHeaders(token, at.proof(token)), wanted);
    at.clock.now += 200; // longer than a nonce is good, shorter than the token
    await expectStopped(at, dpopHeaders(token, at.proof(token, { nonce })), wanted);
  });

  test('shows guards what it is; a plain token that is known is none under DPoP', async () => {
    const at = await hotScene(kind);
    const plain = at.issue();
    const bearer = { authorization: `Bearer ${plain}` };
    for (let i = 0; i < 3; i++) {
      await expectPassed(at.app, bearer);
      await expectPassed(at.app, dpopHeaders(at.token, at.proof(at.token, {}, '/bound')), '/bound');
      const says = `${NOT_BOUND}: send it as Bearer`;
      await expectStopped(at, dpopHeaders(plain, at.proof(plain)), dpopRefusal('invalid_token', says));
      expect((await at.app.request('/bound', { headers: bearer })).status).toBe(401);
    }
  });
});

describe.each(KINDS)('what one middleware knows, by %s', (kind) => {
  test('a plain token never passes where bound ones are required', async () => {
    const at = await scene(kind, { dpop: true, requireBoundTokens: true });
    const plain = at.issue();
    for (let i = 0; i < 5; i++) {
      await expectStopped(at, { authorization: `Bearer ${plain}` }, bearerRefusal(NOT_BOUND));
      await expectStopped(at, dpopHeaders(plain, at.proof(plain)), dpopRefusal('invalid_token', NOT_BOUND));
    }
    const token = at.issue({ cnf: { jkt: mine.jkt } });
    for (let i = 0; i < 2; i++) await expectPassed(at.app, dpopHeaders(token, at.proof(token)));
  });

  test.each<[what: string, cnf: unknown]>([
    ['an unknown confirmation', { kid: 'x' }],
    ['an empty one', {}],
    ['a key that DPoP is off for', { jkt: 'x' }],
    ['null', null],
    ['a list', [{ jkt: 'x' }]],
    ['a text', 'x'],
  ])('a token with %s for cnf never passes as a bearer token', async (_what, cnf) => {
    const at = await scene(kind, {});
    const token = at.issue({ cnf });
    for (let i = 0; i < 5; i++) await expectStopped(at, { authorization: `Bearer ${token}` }, invalidToken(UNPROVEN));
    await expectPassed(at.app, { authorization: `Bearer ${at.issue()}` });
  });

  test('another one, which ignores unknown confirmations, does not share', async () => {
    const lenient = await scene(kind, { dangerouslyIgnoreUnknownConfirmation: true });
    const introspection = { clientAuthentication, endpoint: lenient.as.introspectionEndpoint };
    const common = { resource: RESOURCE, issuer: lenient.as.issuer };
    const strict = closing(await startApp(kind === 'JWT' ? common : { ...common, introspection }));
    const token = lenient.issue({ cnf: { kid: 'x' } });
    for (let i = 0; i < 3; i++) {
      await expectPassed(lenient.app, { authorization: `Bearer ${token}` });
      expectRefusal(await strict.get('/protected', token), invalidToken(UNPROVEN));
    }
    expect(strict.handled).toBe(0);
  });
});

describe.each(KINDS)('a token that is known with its certificate, by %s', (kind) => {
  test('passes with that only, each time', async () => {
    const server = selfSigned();
    const [own, other] = [clientIdentity(), clientIdentity()];
    const as = closing(await TestAuthorizationServer.start());
    const introspection = { clientAuthentication, endpoint: as.introspectionEndpoint };
    let handled = 0;
    const app = express().use(
      resourceServer({
        ...{ resource: RESOURCE, issuer: as.issuer, clientCertificate: 'tls' },
        ...(kind === 'introspection' && { introspection }),
      }),
      (_req, res) => {
        handled++;
        res.json({});
      },
    );
    const port = await portOf(https.createServer({ ...server, requestCert: true, rejectUnauthorized: false }, app));
    const ask = async (token: string, shown?: ClientIdentity) => {
      const send = fetchOverTls({ ca: server.cert, ...(shown && { shows: { key: shown.key, cert: shown.cert } }) });
      const headers = { authorization: `Bearer ${token}` };
      const { status, headers: got } = await send(`https://127.0.0.1:${String(port)}/`, { headers });
      return { status, challenge: got.get('www-authenticate') };
    };
    const claims = { cnf: { 'x5t#S256': own.thumbprint } };
    const token = kind === 'JWT' ? as.mint(claims) : as.issue(claims);
    for (let i = 0; i < 5; i++) {
      const statuses: number[] = [];
      const cost = await signatures.during(async () => statuses.push((await ask(token, own)).status));
      expect({ cost, statuses }).toEqual({ cost: i === 0 && kind === 'JWT' ? 1 : 0, statuses: [200] });
      const refused = { status: 401, challenge: invalidToken(UNPROVEN).challenge };
      for (const shown of [other, undefined]) expect(await ask(token, shown)).toEqual(refused);
    }
    expect(handled).toBe(5);
  });
});
