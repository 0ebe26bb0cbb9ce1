import { hash } from 'node:crypto';
import { afterEach, describe, expect, test } from '@jest/globals';
import type { Express } from 'express';
import { clientSecretBasic } from '../../lib/index.js';
import { isBound } from '../../lib/binding.js';
import { decodeJwt } from '../../lib/decode.js';
import { ProofKeys } from '../../lib/dpop-key.js';
import { InvalidTokenError } from '../../lib/errors.js';
import { isSignedBy } from '../../lib/signature.js';
import type { TokenClaims } from '../../lib/index.js';
import { startApp } from '../support/app.js';
import type { Answer, TestApp } from '../support/app.js';
import { TestAuthorizationServer } from '../support/authorization-server.js';
import { movableClock } from '../support/clock.js';
import type { Clock } from '../support/clock.js';
import { expectChallenges, failing } from '../support/dpop-refusals.js';
import { dpopHeaders } from '../support/proofs.js';
import { sendRaw } from '../support/raw.js';
import { closeAll, closing } from '../support/stage.js';
import { rfc7517A2 } from '../support/vectors.js';

afterEach(closeAll);

/** The public key of all proofs of RFC 9449: sections 4.2 and 7.1. */
const JWK = {
  kty: 'EC',
  x: 'l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs',
  y: '9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA',
  crv: 'P-256',
};
/** Section 6.1. */
const JKT = '0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I';
const HEADER =
  'eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6IkVDIiwieCI6Imw4dEZyaHgtMzR0VjNoUklDUkRZOXpDa0RscEJoRjQy' +
  'VVFVZldWQVdCRnMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERWclUwQ2R2R1JEQSIsImNydiI6IlAtMjU2In19';
const LINE =
  'eyJqdGkiOiItQndDM0VTYzZhY2MybFRjIiwiaHRtIjoiUE9TVCIsImh0dSI6Imh0dHBzOi8vc2VydmVyLmV4YW1wbGUuY29tL3Rva2VuIiwia';
/** Section 4.1, figure 2: for the token endpoint. */
const TOKEN_PROOF =
  `${HEADER}.${LINE}WF0IjoxNTYyMjYyNjE2fQ.` +
  '2-GxA6T8lP4vfrg8v-FdWP0A0zdrj8igiMLvqRMUvwnQg4PtFLbdLXiOSsX0x7NVY-FNyJK70nfbV37xRZT3Lg';
/** Section 5: for the token endpoint, with a refresh token. */
const REFRESH_PROOF =
  `${HEADER}.${LINE}WF0IjoxNTYyMjY1Mjk2fQ.` +
  'pAqut2IRDm_De6PR93SYmGBPXpwrAk90e8cP2hjiaG5QsGSuKDYW7_X620BxqhvYC8ynrrvZLTk41mSRroapUA';
/** Section 7.1: the token, the proof for a resource, and when it was made. */
const TOKEN = 'Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU';
const PROOF =
  `${HEADER}.eyJqdGkiOiJlMWozVl9iS2ljOC1MQUVCIiwiaHRtIjoiR0VUIiwiaHR1IjoiaHR0cHM6Ly9yZXNvdXJjZS5leGFtcGxlLm9yZy9wcm90ZWN0ZWRy` +
  'ZXNvdXJjZSIsImlhdCI6MTU2MjI2MjYxOCwiYXRoIjoiZlVIeU8ycjJaM0RaNTNFc05yV0JiMHhXWG9hTnk1OUlpS0NBcWtzbVFFbyJ9.' +
  '2oW9RP35yRqzhrtNP86L-Ey71EOptxRimPPToA1plemAgR6pxHF8y6-yqyVnmcw6Fy1dqd-jfxSYoMxhAJpLjA';
const MADE = 1562262618;
/** Section 6.1. Its key is not printed. */
const BOUND_JWT =
  'eyJhbGciOiJFUzI1NiIsImtpZCI6IkJlQUxrYiJ9.eyJzdWIiOiJzb21lb25lQGV4YW1wbGUuY29tIiwiaXNzIjoiaHR0cHM6Ly9zZXJ2ZXIuZXhhbXBsZS5j' +
  'b20iLCJuYmYiOjE1NjIyNjI2MTEsImV4cCI6MTU2MjI2NjIxNiwiY25mIjp7ImprdCI6IjBaY09DT1JaTll5LURXcHFxMzBqWnlKR0hUTjBkMkhnbEJWM3Vp' +
  'Z3VBNEkifX0.3Tyo8VTcn6u_PboUmAOYUY1kfAavomW_YwYMkmRNizLJoQzWy2fCo79Zi5yObpIzjWb5xW4OGld7ESZrh0fsrA';
/** Section 6.2, the answer of introspection. */
const ANSWER = {
  sub: 'someone@example.com',
  iss: 'https://server.example.com',
  nbf: 1562262611,
  exp: 1562266216,
  cnf: { jkt: JKT },
};

const REALM = 'realm="https://resource.example.org"';
const BEARER = `Bearer ${REALM}`;
const DPOP = `DPoP ${REALM}, algs="ES256 PS256"`;

interface Scene {
  readonly app: TestApp;
  readonly clock: Clock;
  readonly ask: (change?: { proof?: string; token?: string; method?: string; path?: string }) => Promise<Answer>;
}

/** The resource server of the examples, when the proof of section 7.1 was made. */
async function scene(cnf = ANSWER.cnf): Promise<Scene> {
  const as = closing(await TestAuthorizationServer.start());
  const clock = movableClock(MADE);
  as.opaque.set(TOKEN, { ...ANSWER, cnf, client_id: 's6BhdRkqt' }); // the client of section 5: the answer names none
  const { introspectionEndpoint: endpoint } = as;
  const options = { resource: 'https://resource.example.org', issuer: ANSWER.iss, clock };
  // Nor does it say what kind of token it is about, or whom the token is for.
  const introspection = { endpoint, clientAuthentication: clientSecretBasic('rs', 'rs'), acceptUntyped: true };
  const dpop = { algs: ['ES256', 'PS256'] };
  const routes = (server: Express) => {
    server.all('/protectedresource', (_req, res) => void res.json({}));
  };
  const app = closing(await startApp({ ...options, dpop, introspection, publicUrl: options.resource }, routes));
  const ask: Scene['ask'] = ({ proof = PROOF, token = TOKEN, method = 'GET', path = '/protectedresource' } = {}) =>
    app.request(path, { method, headers: dpopHeaders(token, proof) });
  return { app, clock, ask };
}

describe('the proofs of RFC 9449', () => {
  test.each([
    [
      '4.1',
      TOKEN_PROOF,
      { jti: '-BwC3ESc6acc2lTc', htm: 'POST', htu: 'https://server.example.com/token', iat: 1562262616 },
    ],
    [
      '5',
      REFRESH_PROOF,
      { jti: '-BwC3ESc6acc2lTc', htm: 'POST', htu: 'https://server.example.com/token', iat: 1562265296 },
    ],
    [
      '7.1',
      PROOF,
      {
        jti: 'e1j3V_bKic8-LAEB',
        htm: 'GET',
        htu: 'https://resource.example.org/protectedresource',
        iat: MADE,
        ath: 'fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEo',
      },
    ],
  ])(
    '9449-4.3-6 9449-6.1-1 section %s: as it is printed, signed by its key, whose thumbprint is in 6.1',
    async (_section, proof, claims) => {
      expect(decodeJwt(proof)).toEqual({ header: { typ: 'dpop+jwt', alg: 'ES256', jwk: JWK }, claims });
      await expect(new ProofKeys().find(JWK, 'ES256', JKT.toLowerCase())).rejects.toThrow(InvalidTokenError);
      const key = await new ProofKeys().find(JWK, 'ES256', JKT);
      expect(await isSignedBy(key, proof, 'ES256')).toBe(true);
      expect(await isSignedBy(key, proof.replace('.', '.e'), 'ES256')).toBe(false);
    },
  );

  test('9449-4.2-2 ath of section 7.1 is the hash of its token', () => {
    expect(hash('sha256', TOKEN, 'base64url')).toBe(decodeJwt(PROOF).claims['ath']);
  });

  test('9449-6-1 9449-6.1-1 the JWT of section 6.1 has the claims of 6.2, and is bound to the key', () => {
    const { header, claims } = decodeJwt(BOUND_JWT);
    expect([header, claims]).toEqual([{ alg: 'ES256', kid: 'BeALkb' }, ANSWER]);
    expect(isBound(claims as TokenClaims)).toBe(true);
  });

  test('9449-7.1-1 9449-6.2-2 the request of section 7.1 passes, by the introspection answer of 6.2, once', async () => {
    const { app, ask } = await scene();
    expect((await ask()).status).toBe(200);
    expect(app.handled).toBe(1);
    const says = failing(DPOP, 'invalid_dpop_proof', 'The DPoP proof was used before');
    await expectChallenges(await ask(), 401, says);
    expect(app.handled).toBe(1);
  });

  test.each<[what: string, change: Parameters<Scene['ask']>[0], says: string]>([
    ['by another method', { method: 'POST' }, 'The DPoP proof is for another method'],
    ['to another address', { path: '/protected' }, 'The DPoP proof is for another address'],
    [
      'with the proof of section 4.1',
      { proof: TOKEN_PROOF, method: 'POST' },
      'The DPoP proof is for another access token',
    ],
    [
      'with its signature',
      { proof: PROOF.slice(0, -86) + TOKEN_PROOF.slice(-86) },
      'The DPoP proof has a wrong signature',
    ],
  ])('9449-7.1-1 the request of section 7.1 %s is refused, and then it passes', async (_what, change, says) => {
    const { app, ask } = await scene();
    await expectChallenges(await ask(change), 401, failing(DPOP, 'invalid_dpop_proof', says));
    expect(app.handled).toBe(0);
    expect((await ask()).status).toBe(200);
  });

  test('9449-11.1-1 the request of section 7.1, a minute after it was made, is refused, and passes before', async () => {
    const { app, clock, ask } = await scene();
    clock.now = MADE + 60;
    await expectChallenges(await ask(), 401, failing(DPOP, 'invalid_dpop_proof', 'The DPoP proof is too old'));
    expect(app.handled).toBe(0);
    clock.now = MADE + 59;
    expect((await ask()).status).toBe(200);
    expect(app.handled).toBe(1);
  });

  test('9449-4.3-12 the token of section 7.1, bound to the key of RFC 7638, is refused with the proof', async () => {
    const { app, ask } = await scene({ jkt: 'NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs' });
    const says = 'The access token is bound to another key';
    await expectChallenges(await ask(), 401, failing(DPOP, 'invalid_token', says));
    expect(app.handled).toBe(0);
  });
});

test('9449-6.1-1 the thumbprint of RFC 7638 section 3.1, without alg and kid, which stand beside the key', async () => {
  const { rsa } = rfc7517A2;
  const { n, e } = rsa;
  const find = (jkt: string) =>
    new ProofKeys().find({ kty: 'RSA', n, e, alg: 'RS256', kid: '2011-04-29' }, 'RS256', jkt);
  expect((await find('NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs')).type).toBe('public');
  await expect(find(JKT)).rejects.toThrow(InvalidTokenError);
});

/** Sections 7.1, 7.2 and 9 print challenges without realm and with other words: schemes, codes and algorithms are theirs. */
describe('the challenges of RFC 9449', () => {
  const shape = async (...headers: string[]) => {
    const { app } = await scene();
    const answer = await sendRaw(app.port, ['GET /protectedresource HTTP/1.1', 'Host: a', ...headers]);
    return { answer, handled: app.handled };
  };

  test('9449-7.2-2 figure 17: no credentials', async () => {
    const { answer, handled } = await shape();
    await expectChallenges(answer, 401, BEARER, DPOP);
    expect(handled).toBe(0);
  });

  test('9449-7.2-3 figure 18: a bad bearer token', async () => {
    const { answer, handled } = await shape('Authorization: Bearer INVALID_TOKEN');
    await expectChallenges(answer, 401, failing(BEARER, 'invalid_token', 'The access token is not active'), DPOP);
    expect(handled).toBe(0);
  });

  test('9449-7.2-4 figure 19: the same token under both schemes', async () => {
    const { answer, handled } = await shape(`Authorization: Bearer ${TOKEN}`, `Authorization: DPoP ${TOKEN}`);
    const says = 'The Authorization header must be sent once';
    await expectChallenges(answer, 400, ...[BEARER, DPOP].map((start) => failing(start, 'invalid_request', says)));
    expect(handled).toBe(0);
  });
});
