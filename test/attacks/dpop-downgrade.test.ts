import { afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import type { Express } from 'express';
import { clientSecretBasic, requireBoundToken, requireClaim, requireScope } from '../../lib/index.js';
import type { CommonOptions, OneAuthorizationServer } from '../../lib/index.js';
import { startApp } from '../support/app.js';
import type { TestApp } from '../support/app.js';
import { TestAuthorizationServer } from '../support/authorization-server.js';
import { dpopHeaders, proofKey, prove } from '../support/proofs.js';
import type { ProofKey } from '../support/proofs.js';
import { sendRaw } from '../support/raw.js';
import { closeAll, closing, expectPassed } from '../support/stage.js';

const API = 'https://api.example.com';
const BEARER = `Bearer realm="${API}"`;
const DPOP = `DPoP realm="${API}", algs="ES256 ES384 ES512 EdDSA Ed25519 PS256 RS256"`;
const BOUND = 'The access token is bound to a key: send it as DPoP, with a proof';
const UNPROVEN = 'The access token is bound to a key that was not proven';
const OTHER_KEY = 'The access token is bound to another key';
const failing = (challenge: string, says: string, code = 'invalid_token') =>
  `${challenge}, error="${code}", error_description="${says}"`;

let key: ProofKey;
beforeAll(async () => {
  key = await proofKey();
});
afterEach(closeAll);

type Options = Partial<CommonOptions & OneAuthorizationServer>;
interface Stage {
  readonly as: TestAuthorizationServer;
  readonly app: TestApp;
  /** How many tokens `acceptToken` was asked about: only those that are good otherwise. */
  readonly asked: () => number;
}

async function open(options: Options = {}, routes?: (app: Express) => void): Promise<Stage> {
  const as = closing(await TestAuthorizationServer.start());
  let asked = 0;
  const acceptToken = () => ++asked > 0;
  const app = closing(await startApp({ resource: API, issuer: as.issuer, acceptToken, ...options }, routes));
  return { as, app, asked: () => asked };
}

type Headers = Readonly<Record<string, string>>;
const bearer = (token: string): Headers => ({ authorization: `Bearer ${token}` });
const proven = (token: string, path = '/protected'): Headers =>
  dpopHeaders(token, prove(key, `${API}${path}`, { token }));

/** 401 with this very challenge, neither the handler nor `acceptToken` is asked. */
async function expectRefused(at: Stage, headers: Headers, challenge: string, path = '/protected', init?: RequestInit) {
  const before = [at.app.handled, at.asked()];
  const answer = await at.app.request(path, { headers, ...init });
  expect({ status: answer.status, challenge: answer.challenge }).toEqual({ status: 401, challenge });
  expect([at.app.handled, at.asked()]).toEqual(before);
}

describe('a bound token as a bearer token', () => {
  const both = `${failing(BEARER, BOUND)}, ${DPOP}`;
  test.each<[what: string, options: Options, challenge: string]>([
    ['dpop is off', {}, failing(BEARER, UNPROVEN)],
    ['dpop is on', { dpop: true }, both],
    ['certificates are looked at', { clientCertificate: 'tls' }, failing(BEARER, UNPROVEN)],
    ['certificates and proofs are looked at', { clientCertificate: 'tls', dpop: true }, both],
    ['a token may be missing', { dpop: true, allowMissingToken: true }, both],
    ['nonces are optional', { dpop: { nonce: 'optional' } }, both],
    ['nonces are required', { dpop: { nonce: 'required' } }, both],
    ['unknown confirmations are ignored', { dpop: true, dangerouslyIgnoreUnknownConfirmation: true }, both],
    ['they are ignored, and dpop is off', { dangerouslyIgnoreUnknownConfirmation: true }, failing(BEARER, UNPROVEN)],
  ])('%s: refused, with and without a proof; a plain token passes', async (_what, options, challenge) => {
    const at = await open(options);
    const token = at.as.mint({ cnf: { jkt: key.jkt } });
    await expectRefused(at, bearer(token), challenge);
    await expectRefused(at, { ...proven(token), ...bearer(token) }, challenge);
    await expectPassed(at.app, bearer(at.as.mint()));
    await expectPassed(at.app, { ...bearer(at.as.mint()), dpop: 'x' });
  });

  test('bound tokens are required: refused; it passes with its proof', async () => {
    const at = await open({ dpop: true, requireBoundTokens: true });
    const token = at.as.mint({ cnf: { jkt: key.jkt } });
    await expectRefused(at, bearer(token), both);
    await expectRefused(
      at,
      bearer(at.as.mint()),
      `${failing(BEARER, 'The access token is not bound to a key')}, ${DPOP}`,
    );
    await expectPassed(at.app, proven(token));
  });

  test('in the body or the query, a proof beside it or not: refused', async () => {
    const at = await open({ dpop: true, methods: ['header', 'body', 'query'] });
    const token = at.as.mint({ cnf: { jkt: key.jkt } });
    const { dpop = '' } = proven(token);
    for (const headers of [{}, { dpop }]) {
      await expectRefused(at, headers, both, `/protected?access_token=${token}`);
      const body = new URLSearchParams({ access_token: token });
      await expectRefused(at, headers, both, '/protected', { method: 'POST', body });
    }
    await expectPassed(at.app, {}, `/protected?access_token=${at.as.mint()}`);
    await expectPassed(at.app, { dpop }, `/protected?access_token=${at.as.mint()}`);
    await expectPassed(at.app, proven(token, '/protected'));
  });

  test('guards are not reached; they answer in the scheme of the request', async () => {
    const at = await open({ dpop: true, allowMissingToken: true }, (app) => {
      app.get('/bound', requireBoundToken(), (_req, res) => void res.json({}));
      app.get(
        '/claim',
        requireClaim('cnf', () => true),
        (_req, res) => void res.json({}),
      );
      app.get('/write', requireScope('nobody:has'), (_req, res) => void res.json({}));
    });
    const token = at.as.mint({ cnf: { jkt: key.jkt } });
    for (const [path, scope] of [['/bound'], ['/claim'], ['/scoped', 'read'], ['/write', 'nobody:has']] as const) {
      const named = scope === undefined ? both : both.replace('", DPoP', `", scope="${scope}", DPoP`);
      await expectRefused(at, bearer(token), named, path);
      if (path !== '/write') await expectPassed(at.app, proven(token, path), path);
    }
    const guarded = async (headers: Headers, path: string) => {
      const { status, challenge } = await at.app.request(path, { headers });
      return [status, challenge];
    };
    const says = 'The access token lacks a required scope';
    expect(await guarded(proven(token, '/write'), '/write')).toEqual([
      403,
      `${failing(DPOP, says, 'insufficient_scope')}, scope="nobody:has"`,
    ]);
    expect(await guarded(bearer(at.as.mint()), '/bound')).toEqual([
      401,
      `${failing(BEARER, 'The access token is not bound to a key')}, ${DPOP}`,
    ]);
    expect(await guarded({}, '/bound')).toEqual([401, `${BEARER}, ${DPOP}`]);
  });

  test('introspected, and again from memory: refused each time, whatever its type; it passes with its proof', async () => {
    const introspection = { clientAuthentication: clientSecretBasic('rs1', 'secret') };
    const at = await open({ dpop: true, introspection });
    for (const type of ['DPoP', 'Bearer', undefined]) {
      const token = at.as.issue({ cnf: { jkt: key.jkt }, token_type: type });
      for (let i = 0; i < 3; i++) await expectRefused(at, bearer(token), both);
      for (let i = 0; i < 2; i++) await expectPassed(at.app, proven(token));
      await expectRefused(at, bearer(token), both);
      const other = await proofKey();
      const stolen = dpopHeaders(token, prove(other, `${API}/protected`, { token }));
      await expectRefused(at, stolen, failing(DPOP, OTHER_KEY));
      expect(at.as.questions.filter(({ form }) => form.get('token') === token)).toHaveLength(1);
    }
    expect(at.as.questions.map(({ headers }) => headers['dpop'])).toEqual([undefined, undefined, undefined]);
    const nameless = at.as.issue({ token_type: 'DPoP' });
    const kind = 'The token is not an access token by its type';
    await expectRefused(at, bearer(nameless), `${failing(BEARER, kind)}, ${DPOP}`);
    await expectRefused(at, proven(nameless), failing(DPOP, kind));
  });
});

describe('schemes', () => {
  test('a plain token under DPoP: refused with a good proof; it passes as what it is', async () => {
    const at = await open({ dpop: true });
    const token = at.as.mint();
    await expectRefused(at, proven(token), failing(DPOP, 'The access token is not bound to a key: send it as Bearer'));
    await expectPassed(at.app, bearer(token));
  });

  test('where dpop is off the scheme is not looked at', async () => {
    const at = await open();
    await expectRefused(at, proven(at.as.mint({ cnf: { jkt: key.jkt } })), BEARER);
    await expectRefused(at, proven(at.as.mint()), BEARER);
    await expectPassed(at.app, bearer(at.as.mint()));
  });

  test('both in two lines, in either order, or in one: 400, with the error where it belongs; one alone passes', async () => {
    const at = await open({ dpop: true });
    const [bound, plain] = [at.as.mint({ cnf: { jkt: key.jkt } }), at.as.mint()];
    const request = async (...values: string[]) => {
      const { dpop = '' } = proven(bound);
      const lines = [...values.map((value) => `Authorization: ${value}`), `DPoP: ${dpop}`];
      const answer = await sendRaw(at.app.port, ['GET /protected HTTP/1.1', 'Host: x', ...lines]);
      return { status: answer.status, challenges: answer.all('www-authenticate') };
    };
    const twice = 'The Authorization header must be sent once';
    const two = [failing(BEARER, twice, 'invalid_request'), failing(DPOP, twice, 'invalid_request')];
    for (const values of [
      [`DPoP ${bound}`, `Bearer ${bound}`],
      [`Bearer ${bound}`, `DPoP ${bound}`],
      [`Bearer ${plain}`, `DPoP ${bound}`],
      [`DPoP ${bound}`, `Bearer ${plain}`],
      [`DPoP ${bound}`, `DPoP ${bound}`],
      [`Basic eDp5`, `DPoP ${bound}`],
    ]) {
      expect(await request(...values)).toEqual({ status: 400, challenges: two });
    }
    const form = (scheme: string) => `The Authorization header must be ${scheme}, a space and one token`;
    expect(await request(`DPoP ${bound}, Bearer ${plain}`)).toEqual({
      status: 400,
      challenges: [failing(DPOP, form('DPoP'), 'invalid_request')],
    });
    expect(await request(`Bearer ${plain}, DPoP ${bound}`)).toEqual({
      status: 400,
      challenges: [failing(BEARER, form('Bearer'), 'invalid_request'), DPOP],
    });
    expect(at.app.handled).toBe(0);
    expect((await request(`dpop   ${bound}`)).status).toBe(200);
  });
});

describe('confirmations', () => {
  const unknown = [{ foo: 1 }, {}, { jwk: { kty: 'EC' } }, { kid: 'x' }, { JKT: 'x' }, { 'jkt ': 'x' }, { x5t: 'x' }];
  const noObject = [null, 'text', '', 0, false, true, [], [{ jkt: 'x' }]];
  const opened = { dpop: true, dangerouslyIgnoreUnknownConfirmation: true } as const;

  test.each([...unknown, ...noObject])('%j: refused in every scheme; without it the token passes', async (cnf) => {
    const at = await open({ dpop: true });
    await expectRefused(at, bearer(at.as.mint({ cnf })), `${failing(BEARER, UNPROVEN)}, ${DPOP}`);
    await expectRefused(at, proven(at.as.mint({ cnf })), failing(DPOP, UNPROVEN));
    await expectPassed(at.app, bearer(at.as.mint()));
  });

  test.each(unknown)(
    '%j passes as Bearer where it is to be ignored, never as DPoP, nor where a key is required',
    async (cnf) => {
      const at = await open(opened);
      await expectPassed(at.app, bearer(at.as.mint({ cnf })));
      await expectRefused(
        at,
        proven(at.as.mint({ cnf })),
        failing(DPOP, 'The access token is not bound to a DPoP key'),
      );
      const strict = await open({ ...opened, requireBoundTokens: true });
      await expectRefused(strict, bearer(strict.as.mint({ cnf })), `${failing(BEARER, UNPROVEN)}, ${DPOP}`);
      await expectPassed(strict.app, proven(strict.as.mint({ cnf: { ...cnf, jkt: key.jkt } })));
    },
  );

  test.each(noObject)('%j is refused also where unknown ones are to be ignored', async (cnf) => {
    const at = await open(opened);
    await expectRefused(at, bearer(at.as.mint({ cnf })), `${failing(BEARER, UNPROVEN)}, ${DPOP}`);
    await expectPassed(at.app, bearer(at.as.mint()));
  });

  test.each<[what: string, jkt: () => unknown, says: string]>([
    ['null', () => null, UNPROVEN],
    ['a number', () => 1, UNPROVEN],
    ['a list of the right one', () => [key.jkt], UNPROVEN],
    ['an object', () => ({ [key.jkt]: true }), UNPROVEN],
    ['empty', () => '', OTHER_KEY],
    ['padded', () => `${key.jkt}=`, OTHER_KEY],
    ['with a blank', () => ` ${key.jkt}`, OTHER_KEY],
    ['in lower case', () => key.jkt.toLowerCase(), OTHER_KEY],
    ['a prefix', () => key.jkt.slice(0, -1), OTHER_KEY],
    ['in hexadecimal', () => Buffer.from(key.jkt, 'base64url').toString('hex'), OTHER_KEY],
  ])('a thumbprint that is %s: refused with the proof, and without; the right one passes', async (_what, jkt, says) => {
    const at = await open(opened);
    const token = at.as.mint({ cnf: { jkt: jkt() } });
    await expectRefused(at, proven(token), failing(DPOP, says));
    await expectRefused(at, bearer(token), `${failing(BEARER, says === UNPROVEN ? UNPROVEN : BOUND)}, ${DPOP}`);
    await expectPassed(at.app, proven(at.as.mint({ cnf: { jkt: key.jkt, foo: 1 } })));
  });

  test.each([{}, { clientCertificate: 'tls' }] as const)(
    'a certificate is named beside the key, %j: both must hold',
    async (options) => {
      const at = await open({ ...opened, ...options });
      for (const x5t of [key.jkt, '', null, 1]) {
        const token = at.as.mint({ cnf: { jkt: key.jkt, 'x5t#S256': x5t } });
        await expectRefused(at, proven(token), failing(DPOP, UNPROVEN));
        await expectRefused(at, bearer(token), `${failing(BEARER, UNPROVEN)}, ${DPOP}`);
      }
      await expectPassed(at.app, proven(at.as.mint({ cnf: { jkt: key.jkt } })));
    },
  );
});
