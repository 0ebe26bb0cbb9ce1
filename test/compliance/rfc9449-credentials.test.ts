import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { startApp } from '../support/app.js';
import type { TestApp } from '../support/app.js';
import { TestAuthorizationServer } from '../support/authorization-server.js';
import { BEARER, DPOP, expectChallenges, failing } from '../support/dpop-refusals.js';
import { dpopHeaders, proofKey, prove } from '../support/proofs.js';
import type { ProofKey } from '../support/proofs.js';
import { sendRaw } from '../support/raw.js';
import { RESOURCE } from '../support/refusals.js';

let as: TestAuthorizationServer;
let app: TestApp;
let key: ProofKey;

beforeAll(async () => {
  [as, key] = await Promise.all([TestAuthorizationServer.start(), proofKey()]);
  app = await startApp({ resource: RESOURCE, issuer: as.issuer, dpop: true, maxTokenLength: 1000 });
});

beforeEach(() => {
  app.handled = 0;
});

afterAll(() => Promise.all([app.close(), as.close()]));

const mint = () => as.mint({ cnf: { jkt: key.jkt } });

/** The headers of a request with a token under DPoP, and a proof that fits. */
function withProof(token: string, path = '/protected'): Record<string, string> {
  return dpopHeaders(token, prove(key, `${RESOURCE}${path}`, { token }));
}

describe('credentials of the DPoP scheme (RFC 9449 7 and 7.1)', () => {
  test('9449-7-1 a bound token without a proof, and a proof without a token, are refused; both together pass', async () => {
    const { authorization = '', dpop = '' } = withProof(mint());
    const alone = await app.request('/protected', { headers: { authorization } });
    await expectChallenges(alone, 401, failing(DPOP, 'invalid_dpop_proof', 'A DPoP proof is required'));
    await expectChallenges(await app.request('/protected', { headers: { dpop } }), 401, BEARER, DPOP);
    expect(app.handled).toBe(0);
    expect((await app.request('/protected', { headers: { authorization, dpop } })).status).toBe(200);
    expect(app.handled).toBe(1);
  });

  test('9068-4-10 9449-7.1-1 an at+jwt of RFC 9068 passes under DPoP, and the handler is told so', async () => {
    const answer = await app.request('/protected', { headers: withProof(mint()) });
    expect(answer.status).toBe(200);
    expect(answer.body).toMatchObject({
      auth: { scheme: 'DPoP', subject: 'alice', claims: { cnf: { jkt: key.jkt } } },
    });
    expect((await app.request('/scoped', { headers: withProof(mint(), '/scoped') })).status).toBe(200);
    expect(app.handled).toBe(2);
  });

  test('9449-7.1-2 an unbound token with a good proof is refused under DPoP, and passes as Bearer', async () => {
    const token = as.mint();
    const answer = await app.request('/protected', { headers: withProof(token) });
    await expectChallenges(
      answer,
      401,
      failing(DPOP, 'invalid_token', 'The access token is not bound to a key: send it as Bearer'),
    );
    expect(app.handled).toBe(0);
    expect((await app.get('/protected', token)).status).toBe(200);
  });

  const SHAPE = 'The Authorization header must be DPoP, a space and one token';
  const CHARACTERS = 'The access token has characters no token has';
  test.each([
    ['DPoP', SHAPE],
    ['DPoP ', SHAPE],
    ['dpop', SHAPE],
    ['DPoP a b', SHAPE],
    ['DPoP, a', SHAPE],
    ['DPoP,Bearer a', SHAPE],
    ['DPoP=a', SHAPE],
    ['DPoP\ta', SHAPE],
    ['DPoP a,b', CHARACTERS],
    ['DPoP "a"', CHARACTERS],
    ['DPoP a=b', CHARACTERS],
    ['DPoP token=a', CHARACTERS],
    ['DPoP =', CHARACTERS],
    ['DPoP a%2Eb', CHARACTERS],
    ['DPoP \xe9', CHARACTERS],
  ])('9449-7.1-3 %j is malformed, and the DPoP challenge says so', async (value, says) => {
    const proof = prove(key, `${RESOURCE}/protected`, { token: 'a' });
    const answer = await sendRaw(app.port, [
      'GET /protected HTTP/1.1',
      'Host: a',
      `Authorization: ${value}`,
      `DPoP: ${proof}`,
    ]);
    await expectChallenges(answer, 400, failing(DPOP, 'invalid_request', says));
    expect(app.handled).toBe(0);
  });

  test.each(['DPoP ', 'DPoP    ', 'dpop ', 'DPOP  '])(
    '9449-7.1-3 %j before the token is well-formed',
    async (start_) => {
      const { authorization = '', dpop = '' } = withProof(mint());
      const value = authorization.replace('DPoP ', start_);
      const lines = ['GET /protected HTTP/1.1', 'Host: a', `Authorization: ${value}`, `DPoP: ${dpop}`];
      expect((await sendRaw(app.port, lines)).status).toBe(200);
      expect(app.handled).toBe(1);
    },
  );

  test('9449-7.1-3 a token that is longer than maxTokenLength is malformed', async () => {
    const headers = withProof('a'.repeat(1001));
    const says = failing(DPOP, 'invalid_request', 'The access token is too long');
    await expectChallenges(await app.request('/protected', { headers }), 400, says);
    expect(app.handled).toBe(0);
  });

  test('9449-7.1-3 the token of section 7.1 is a token, though no JWT', async () => {
    const headers = withProof('Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU');
    const says = 'The access token is not a JSON Web Token';
    await expectChallenges(await app.request('/protected', { headers }), 401, failing(DPOP, 'invalid_token', says));
  });

  test('9449-7.1-8 Proxy-Authorization carries no credentials, and no answer asks for them there', async () => {
    const { authorization = '', dpop = '' } = withProof(mint());
    const answer = await app.request('/protected', { headers: { 'proxy-authorization': authorization, dpop } });
    await expectChallenges(answer, 401, BEARER, DPOP);
    expect([answer.headers.get('proxy-authenticate'), app.handled]).toEqual([null, 0]);
    const both = { 'proxy-authorization': 'DPoP x', authorization, dpop };
    expect((await app.request('/protected', { headers: both })).status).toBe(200);
  });
});
