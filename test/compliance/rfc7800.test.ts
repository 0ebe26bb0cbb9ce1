import https from 'node:https';
import { afterEach, describe, expect, test } from '@jest/globals';
import express from 'express';
import { clientSecretBasic, resourceServer } from '../../lib/index.js';
import type { CommonOptions } from '../../lib/index.js';
import { startApp } from '../support/app.js';
import type { Answer, TestApp } from '../support/app.js';
import { TestAuthorizationServer } from '../support/authorization-server.js';
import { clientIdentity } from '../support/client-certificates.js';
import { BEARER, DPOP, dpopRefusal, expectChallenges, failing } from '../support/dpop-refusals.js';
import { getAnswer, portOf } from '../support/mutual-tls.js';
import { dpopHeaders, proofKey, prove } from '../support/proofs.js';
import type { ProofKey } from '../support/proofs.js';
import { expectRefusal, invalidToken, RESOURCE } from '../support/refusals.js';
import { closeAll, closing } from '../support/stage.js';
import { selfSigned } from '../support/tls.js';
import type { Overrides } from '../support/tokens.js';

afterEach(closeAll);

const X5T = 'A4DtL2JmUMhAsvJj5tKyn64SqzmuXbMrJa0n761y5v0';
const UNPROVEN = 'The access token is bound to a key that was not proven';
const NOT_AS_BEARER = 'The access token is bound to a key: send it as DPoP, with a proof';
const OTHER_KEY = 'The access token is bound to another key';
const NOT_OF_DPOP = 'The access token is not bound to a DPoP key';
const WRONG_TYPE = 'The token is not an access token by its type';

interface Scene {
  readonly app: TestApp;
  readonly key: ProofKey;
  /** A token with these claims, as Bearer or with a good proof as DPoP. */
  readonly send: (claims: Overrides, scheme: 'Bearer' | 'DPoP', to?: TestApp) => Promise<Answer>;
  readonly another: (options: Partial<CommonOptions>) => Promise<TestApp>;
}

async function scene(kind: string, options: Partial<CommonOptions> = { dpop: true }): Promise<Scene> {
  const [as, key] = [closing(await TestAuthorizationServer.start()), await proofKey()];
  const introspection = { clientAuthentication: clientSecretBasic('rs1', 'secret') };
  const server = { issuer: as.issuer, ...(kind === 'introspection' && { introspection }) };
  const another = async (more: Partial<CommonOptions>) =>
    closing(await startApp({ resource: RESOURCE, ...server, ...more }));
  const app = await another(options);
  const send = (claims: Overrides, scheme: 'Bearer' | 'DPoP', to = app) => {
    const token = kind === 'introspection' ? as.issue(claims) : as.mint(claims);
    if (scheme === 'Bearer') return to.get('/protected', token);
    return to.request('/protected', { headers: dpopHeaders(token, prove(key, `${RESOURCE}/protected`, { token })) });
  };
  return { app, key, send, another };
}

const bearerError = (says: string) => failing(BEARER, 'invalid_token', says);
const UNKNOWN: readonly [what: string, cnf: Overrides][] = [
  ['nothing', {}],
  ['a member that nobody knows', { foo: 1 }],
  ['jwk, the key itself', { jwk: { kty: 'EC', crv: 'P-256', x: 'a', y: 'b' } }],
  ['kid', { kid: 'dfd1aa97-6d8d-4575-a0fe-34b96de2bfad' }],
  ['jkt in other letters', { JKT: 'a' }],
  ['x5t by SHA-1', { x5t: 'a' }],
];

describe.each(['JWT', 'introspection'])('what cnf says, by %s (RFC 7800 3.1)', (kind) => {
  test('7800-3.1-1 members that are not known stand beside jkt and are ignored; jkt is not', async () => {
    const { app, key, send } = await scene(kind);
    const cnf = { jkt: key.jkt, foo: 1, jwk: null, kid: 'a' };
    expect((await send({ cnf }, 'DPoP')).status).toBe(200);
    expect(app.handled).toBe(1);
    await expectChallenges(await send({ cnf }, 'Bearer'), 401, bearerError(NOT_AS_BEARER), DPOP);
    expectRefusal(await send({ cnf: { ...cnf, jkt: X5T } }, 'DPoP'), dpopRefusal('invalid_token', OTHER_KEY));
    expect(app.handled).toBe(1);
  });

  test.each(UNKNOWN)('7800-3.1-1 cnf with %s: refused, ignored only with the option for it', async (_what, cnf) => {
    const { app, send, another } = await scene(kind);
    await expectChallenges(await send({ cnf }, 'Bearer'), 401, bearerError(UNPROVEN), DPOP);
    expectRefusal(await send({ cnf }, 'DPoP'), dpopRefusal('invalid_token', UNPROVEN));
    expect(app.handled).toBe(0);
    expect((await send({}, 'Bearer')).status).toBe(200);
    const lenient = await another({ dpop: true, dangerouslyIgnoreUnknownConfirmation: true });
    expect((await send({ cnf }, 'Bearer', lenient)).status).toBe(200);
    expect(lenient.handled).toBe(1);
    expectRefusal(await send({ cnf }, 'DPoP', lenient), dpopRefusal('invalid_token', NOT_OF_DPOP));
    expect(lenient.handled).toBe(1);
  });

  test('7800-3.1-1 the option takes no bound token for a bearer token, and none where bound ones are required', async () => {
    const dangerously = { dpop: true as const, dangerouslyIgnoreUnknownConfirmation: true };
    const { app, key, send, another } = await scene(kind, dangerously);
    for (const [cnf, says] of [
      [{ jkt: key.jkt, foo: 1 }, NOT_AS_BEARER],
      [{ 'x5t#S256': X5T, foo: 1 }, UNPROVEN],
      [{ jkt: null, foo: 1 }, UNPROVEN],
      [{ 'x5t#S256': null, foo: 1 }, UNPROVEN],
      [null, UNPROVEN],
    ] as const) {
      await expectChallenges(await send({ cnf }, 'Bearer'), 401, bearerError(says), DPOP);
    }
    const strict = await another({ ...dangerously, requireBoundTokens: true });
    await expectChallenges(await send({ cnf: { foo: 1 } }, 'Bearer', strict), 401, bearerError(UNPROVEN), DPOP);
    expect([app.handled, strict.handled]).toEqual([0, 0]);
    expect((await send({ cnf: { foo: 1 } }, 'Bearer')).status).toBe(200);
    expect((await send({ cnf: { jkt: key.jkt } }, 'DPoP', strict)).status).toBe(200);
  });

  test.each([null, 'jkt', '', 5, true, [], [{ jkt: 'a' }]])(
    '7800-3.1-1 cnf that is %j binds to who knows what',
    async (cnf) => {
      const { app, send } = await scene(kind);
      await expectChallenges(await send({ cnf }, 'Bearer'), 401, bearerError(UNPROVEN), DPOP);
      expectRefusal(await send({ cnf }, 'DPoP'), dpopRefusal('invalid_token', UNPROVEN));
      expect(app.handled).toBe(0);
      expect((await send({ cnf: undefined }, 'Bearer')).status).toBe(200);
    },
  );

  test.each([null, 5, true, {}, []])('9449-6-1 a jkt that is %j is a binding, and nobody can prove it', async (jkt) => {
    const { app, key, send } = await scene(kind);
    await expectChallenges(await send({ cnf: { jkt } }, 'Bearer'), 401, bearerError(UNPROVEN), DPOP);
    expectRefusal(await send({ cnf: { jkt } }, 'DPoP'), dpopRefusal('invalid_token', UNPROVEN));
    expect(app.handled).toBe(0);
    expect((await send({ cnf: { jkt: key.jkt } }, 'DPoP')).status).toBe(200);
  });

  test('7800-3.1-2 jkt and x5t#S256: the proof alone is not enough, where certificates are not looked at and where they are', async () => {
    const { key, send, another } = await scene(kind);
    for (const app of [await another({ dpop: true }), await another({ dpop: true, clientCertificate: 'tls' })]) {
      const both = { jkt: key.jkt, 'x5t#S256': X5T };
      expectRefusal(await send({ cnf: both }, 'DPoP', app), dpopRefusal('invalid_token', UNPROVEN));
      expect(app.handled).toBe(0);
      expect((await send({ cnf: { jkt: key.jkt } }, 'DPoP', app)).status).toBe(200);
    }
  });

  test('8705-3-4 certificates are not looked at: a token that is bound to one is refused, whatever the options', async () => {
    const cnf = { 'x5t#S256': X5T };
    for (const dpop of [undefined, true] as const) {
      for (const lenient of [false, true]) {
        const options = { ...(dpop && { dpop }), dangerouslyIgnoreUnknownConfirmation: lenient };
        const { app, send } = await scene(kind, options);
        await expectChallenges(await send({ cnf }, 'Bearer'), 401, bearerError(UNPROVEN), ...(dpop ? [DPOP] : []));
        expect(app.handled).toBe(0);
        expect((await send({}, 'Bearer')).status).toBe(200);
      }
    }
  });

  test('8705-3-4 9449-6-1 dpop off: a token that is bound to a key is refused, and not sent to a scheme that is not there', async () => {
    const { app, key, send } = await scene(kind, {});
    expectRefusal(await send({ cnf: { jkt: key.jkt } }, 'Bearer'), invalidToken(UNPROVEN));
    expect(app.handled).toBe(0);
    expect((await send({}, 'Bearer')).status).toBe(200);
  });
});

describe('token_type of introspection (RFC 9449 6.2)', () => {
  test.each(['DPoP', 'dpop', 'Bearer', undefined])(
    '9449-6.2-1 token_type %j with cnf.jkt: bound',
    async (token_type) => {
      const { app, key, send } = await scene('introspection');
      const cnf = { jkt: key.jkt };
      await expectChallenges(await send({ token_type, cnf }, 'Bearer'), 401, bearerError(NOT_AS_BEARER), DPOP);
      expect(app.handled).toBe(0);
      expect((await send({ token_type, cnf }, 'DPoP')).status).toBe(200);
    },
  );

  test.each<[what: string, cnf: unknown]>([
    ['without cnf', undefined],
    ['with an empty cnf', {}],
    ['with a cnf of something else', { foo: 1 }],
    ['with a cnf for a certificate', { 'x5t#S256': X5T }],
  ])('9449-6.2-1 token_type DPoP %s: refused, also where unknown bindings are ignored', async (_what, cnf) => {
    const { send, another } = await scene('introspection');
    for (const lenient of [false, true]) {
      const app = await another({ dpop: true, dangerouslyIgnoreUnknownConfirmation: lenient });
      for (const scheme of ['Bearer', 'DPoP'] as const) {
        const answer = await send({ token_type: 'DPoP', cnf }, scheme, app);
        expect([answer.status, answer.body]).toEqual([401, { error: 'invalid_token', error_description: WRONG_TYPE }]);
      }
      expect(app.handled).toBe(0);
      expect((await send({ token_type: 'Bearer' }, 'Bearer', app)).status).toBe(200);
    }
  });
});

test('7800-3.1-2 jkt and x5t#S256 over TLS: proof and certificate, each of them the right one, and nothing less', async () => {
  const [as, key, other] = [closing(await TestAuthorizationServer.start()), await proofKey(), await proofKey()];
  const [mine, theirs] = [clientIdentity(), clientIdentity({ name: 'another' })];
  let handled = 0;
  const app = express();
  app.use(resourceServer({ resource: RESOURCE, issuer: as.issuer, dpop: true, clientCertificate: 'tls' }));
  app.use((_req, res) => {
    handled++;
    res.json({});
  });
  const tls = { ...selfSigned(), requestCert: true, rejectUnauthorized: false };
  const port = await portOf(https.createServer(tls, app));
  const token = as.mint({ cnf: { jkt: key.jkt, 'x5t#S256': mine.thumbprint } });
  const ask = async (holder?: ProofKey, identity?: { readonly key: Buffer; readonly cert: Buffer }) => {
    const proof = holder && prove(holder, `${RESOURCE}/things`, { token });
    const headers = proof === undefined ? { authorization: `Bearer ${token}` } : dpopHeaders(token, proof);
    const { key: secret, cert } = identity ?? {};
    const shown = identity === undefined ? {} : { key: secret, cert };
    const { status, body } = await getAnswer({
      port,
      path: '/things',
      headers,
      rejectUnauthorized: false,
      agent: false,
      ...shown,
    });
    return [status, (JSON.parse(body) as { error_description?: string }).error_description];
  };
  expect(await ask(key)).toEqual([401, UNPROVEN]);
  expect(await ask(key, theirs)).toEqual([401, UNPROVEN]);
  expect(await ask(other, mine)).toEqual([401, OTHER_KEY]);
  expect(await ask(undefined, mine)).toEqual([401, NOT_AS_BEARER]);
  expect(handled).toBe(0);
  expect(await ask(key, mine)).toEqual([200, undefined]);
  expect(handled).toBe(1);
});
