import { afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import express from 'express';
import * as oauth from 'oauth4webapi';
import {
  checkScope,
  problemDetails,
  requireAuthorizationDetails,
  requireClaim,
  requireScope,
  requireStepUp,
  resourceServer,
} from '../../lib/index.js';
import type { CommonOptions } from '../../lib/index.js';
import { TestAuthorizationServer } from '../support/authorization-server.js';
import { DPOP_ALGS, expectChallenges } from '../support/dpop-refusals.js';
import { api, EXPRESSES, serve, WELL_KNOWN } from '../support/metadata-app.js';
import type { MetadataApp } from '../support/metadata-app.js';
import { dpopHeaders, proofKey, prove } from '../support/proofs.js';
import type { ProofKey } from '../support/proofs.js';
import { RESOURCE } from '../support/refusals.js';
import { closeAll, closing, SAYS } from '../support/stage.js';

const URL_PARAM = `, resource_metadata="${RESOURCE}${WELL_KNOWN}"`;
const BEARER = `Bearer realm="${RESOURCE}"`;
const DPOP = `DPoP realm="${RESOURCE}", algs="${DPOP_ALGS}"`;
const SCOPE = ', scope="read admin"';
const says = (error: string, description: string) => `, error="${error}", error_description="${description}"`;
const LACKS = says('insufficient_scope', 'The access token lacks a required scope');

let as: TestAuthorizationServer;
let key: ProofKey;

beforeAll(async () => {
  key = await proofKey();
});

beforeEach(async () => {
  as = closing(await TestAuthorizationServer.start());
});

afterEach(closeAll);

describe.each(EXPRESSES)('where the metadata is (RFC 9728 5.1), %s', (_, create) => {
  /** `/admin` needs two scopes, `/inside` asks for one more in its handler, `/strong` needs a recent log-in. */
  const start = (options: Partial<CommonOptions> = {}) =>
    serve((app, handler) => {
      app.use(express.urlencoded({ extended: false }));
      app.use(api({ issuer: as.issuer, ...options }));
      app.all('/admin', requireScope('read'), requireScope('admin'), handler);
      app.get('/inside', requireScope('read'), (req, res, next) => {
        try {
          checkScope(req, 'admin');
        } catch (error) {
          next(error);
          return;
        }
        handler(req, res, next);
      });
      const isEditor = (role: unknown) => role === 'editor';
      app.get('/claim', requireScope('read'), requireClaim('role', isEditor), handler);
      app.get('/details', requireScope('read'), requireAuthorizationDetails('payment'), handler);
      app.get('/strong', requireStepUp({ acrValues: ['mfa'], maxAge: 300 }), requireScope('read', 'admin'), handler);
    }, create);
  const withProof = (token: string, path: string) => ({
    headers: dpopHeaders(token, prove(key, `${RESOURCE}${path}`, { token })),
  });
  const bound = (claims = {}) => as.mint({ cnf: { jkt: key.jkt }, ...claims });

  test('9728-5-1 400, 401 and 403 have it, last, as an absolute https URL; it leads to the document without a token', async () => {
    const app = await start({ methods: ['header', 'body'] });
    await expectChallenges(await app.get('/admin'), 401, BEARER + SCOPE + URL_PARAM);
    const bad = BEARER + says('invalid_token', SAYS.noJwt) + SCOPE + URL_PARAM;
    await expectChallenges(await app.get('/admin', 'bad'), 401, bad);
    const expired = BEARER + says('invalid_token', SAYS.expired) + SCOPE + URL_PARAM;
    await expectChallenges(await app.get('/admin', as.mint({ exp: 1 })), 401, expired);
    const lacks = BEARER + LACKS + SCOPE + URL_PARAM;
    await expectChallenges(await app.get('/admin', as.mint()), 403, lacks);
    await expectChallenges(await app.get('/inside', as.mint()), 403, lacks);
    const malformed = says('invalid_request', 'The Authorization header must be Bearer, a space and one token');
    await expectChallenges(await app.get('/admin', 'a b'), 400, BEARER + malformed + URL_PARAM);
    const twice = says('invalid_request', 'The access_token parameter must be sent once, with one value');
    const body = new URLSearchParams('access_token=a&access_token=b');
    await expectChallenges(await app.request('/admin', { method: 'POST', body }), 400, BEARER + twice + URL_PARAM);
    const claim = says('insufficient_scope', 'The access token lacks a required claim');
    await expectChallenges(await app.get('/claim', as.mint()), 403, BEARER + claim + URL_PARAM);
    const details = says('insufficient_scope', 'The access token lacks required authorization details');
    await expectChallenges(await app.get('/details', as.mint()), 403, BEARER + details + URL_PARAM);
    expect(app.ran).toEqual([]);
    const all = as.mint({ scope: 'read admin', role: 'editor', authorization_details: [{ type: 'payment' }] });
    for (const path of ['/admin', '/inside', '/claim', '/details']) expect((await app.get(path, all)).status).toBe(200);
    expect(app.ran).toEqual(['/admin', '/inside', '/claim', '/details']);
    await expectLeadsToDocument(app, '/admin');
  });

  test('9728-5-1 without the option there is none, in the same challenges', async () => {
    const app = await serve((routes, handler) => {
      routes.use(resourceServer({ resource: RESOURCE, issuer: as.issuer }));
      routes.get('/admin', requireScope('read', 'admin'), handler);
    }, create);
    await expectChallenges(await app.get('/admin'), 401, BEARER + SCOPE);
    await expectChallenges(await app.get('/admin', as.mint()), 403, BEARER + LACKS + SCOPE);
    await expectChallenges(await app.get(WELL_KNOWN), 401, BEARER);
    expect(app.ran).toEqual([]);
    expect((await app.get('/admin', as.mint({ scope: 'admin read' }))).status).toBe(200);
  });

  test('9728-5-2 9728-5-3 the challenges of DPoP and Bearer have it both, with scope', async () => {
    const app = await start({ dpop: true });
    const both = [BEARER + SCOPE + URL_PARAM, DPOP + SCOPE + URL_PARAM];
    await expectChallenges(await app.get('/admin'), 401, ...both);
    const basic = await app.request('/admin', { headers: { authorization: 'Basic YTpi' } });
    await expectChallenges(basic, 401, ...both);
    await expectChallenges(
      await app.get('/admin', as.mint()),
      403,
      BEARER + LACKS + SCOPE + URL_PARAM,
      DPOP + URL_PARAM,
    );
    const denied = await app.request('/admin', withProof(bound(), '/admin'));
    await expectChallenges(denied, 403, DPOP + LACKS + SCOPE + URL_PARAM);
    const old = await app.request('/admin', withProof(bound({ exp: 1 }), '/admin'));
    await expectChallenges(old, 401, DPOP + says('invalid_token', SAYS.expired) + SCOPE + URL_PARAM);
    const elsewhere = await app.request('/admin', withProof(bound(), '/elsewhere'));
    const proof = says('invalid_dpop_proof', 'The DPoP proof is for another address');
    await expectChallenges(elsewhere, 401, DPOP + proof + URL_PARAM);
    const asBearer = says('invalid_token', 'The access token is bound to a key: send it as DPoP, with a proof');
    const tried = BEARER + asBearer + SCOPE + URL_PARAM;
    await expectChallenges(await app.get('/admin', bound()), 401, tried, DPOP + URL_PARAM);
    expect(app.ran).toEqual([]);
    const good = await app.request('/admin', withProof(bound({ scope: 'admin read' }), '/admin'));
    expect(good.status).toBe(200);
    await expectLeadsToDocument(app, '/admin');
  });

  test('9728-5-2 it stands beside acr_values, max_age and scope', async () => {
    const app = await start({ dpop: true });
    const weak = says('insufficient_user_authentication', 'The operation needs a stronger or a more recent log-in');
    const params = ', acr_values="mfa", max_age="300", scope="read admin"';
    const answer = await app.get('/strong', as.mint());
    await expectChallenges(answer, 401, BEARER + weak + params + URL_PARAM, DPOP + URL_PARAM);
    expect(app.ran).toEqual([]);
    const now = Math.floor(Date.now() / 1000);
    const strong = as.mint({ acr: 'mfa', auth_time: now, scope: 'read admin' });
    expect((await app.get('/strong', strong)).status).toBe(200);
  });

  test('9728-5-3 challenges of others stay, behind ours', async () => {
    const app = await serve((routes, handler) => {
      routes.use((_req, res, next) => {
        res.append('WWW-Authenticate', 'Basic realm="old"');
        next();
      });
      routes.use(api({ issuer: as.issuer }));
      routes.get('/admin', requireScope('admin'), handler);
    }, create);
    const ours = `${BEARER}, scope="admin"${URL_PARAM}`;
    await expectChallenges(await app.get('/admin'), 401, ours, 'Basic realm="old"');
    expect((await app.get('/admin', as.mint({ scope: 'admin' }))).status).toBe(200);
  });

  test('9728-5-1 Problem Details, another realm, error_uri and no words: it is the same URL', async () => {
    const more = {
      realm: 'a "b"',
      errorUri: 'https://docs.example/e',
      errorDescription: false,
      onError: problemDetails,
    };
    const app = await start({ resource: `${RESOURCE}/v1?a=b`, ...more });
    const { status, challenge, headers } = await app.get('/admin', 'bad');
    const url = `${RESOURCE}${WELL_KNOWN}/v1?a=b`;
    expect([status, challenge, headers.get('content-type')]).toEqual([
      401,
      `Bearer realm="a \\"b\\"", error="invalid_token", error_uri="https://docs.example/e"${SCOPE}, resource_metadata="${url}"`,
      'application/problem+json; charset=utf-8',
    ]);
    expect(app.ran).toEqual([]);
    expect((await app.get('/admin', as.mint({ aud: `${RESOURCE}/v1?a=b`, scope: 'read admin' }))).status).toBe(200);
  });

  test('9728-5-1 a server that cannot be asked is no refusal: 503, no challenge, no metadata', async () => {
    const app = await start();
    as.answers.set('/jwks', (_req, res) => void res.writeHead(500).end());
    const { status, challenge } = await app.get('/admin', as.mint());
    expect([status, challenge]).toEqual([503, undefined]);
    expect(app.ran).toEqual([]);
    expect((await app.request(WELL_KNOWN)).status).toBe(200);
  });
});

/** As a client goes: it is refused, reads the challenge, and fetches what that points to. */
async function expectLeadsToDocument(app: MetadataApp, path: string): Promise<void> {
  const options = { [oauth.customFetch]: () => fetch(`${app.url}${path}`) };
  const asked = oauth.protectedResourceRequest('token', 'GET', new URL(RESOURCE), undefined, null, options);
  const { cause } = (await asked.catch((thrown: unknown) => thrown)) as oauth.WWWAuthenticateChallengeError;
  expect(cause.length).toBeGreaterThan(0);
  for (const { parameters } of cause) {
    const url = new URL(parameters.resource_metadata ?? '');
    expect([url.origin, parameters.scope]).toEqual([RESOURCE, 'read admin']);
    const response = await fetch(`${app.url}${url.pathname}${url.search}`);
    const { resource } = await oauth.processResourceDiscoveryResponse(new URL(RESOURCE), response);
    expect(resource).toBe(RESOURCE);
  }
}
