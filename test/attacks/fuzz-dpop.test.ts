import { afterAll, beforeAll, expect, test } from '@jest/globals';
import fc from 'fast-check';
import * as oauth from 'oauth4webapi';
import { startApp } from '../support/app.js';
import type { TestApp } from '../support/app.js';
import { TestAuthorizationServer } from '../support/authorization-server.js';
import { movableClock } from '../support/clock.js';
import type { Clock } from '../support/clock.js';
import { dpopHeaders, proofKey, prove } from '../support/proofs.js';
import type { ProofKey } from '../support/proofs.js';
import { closeAll, closing } from '../support/stage.js';
import type { Overrides } from '../support/tokens.js';

// Random changes of a good proof. The long run: FUZZ_RUNS, as for npm run fuzz.
const RUNS = Number(process.env['FUZZ_RUNS'] ?? 400);
if (process.env['FUZZ_RUNS'] === undefined) fc.configureGlobal({ seed: 9449 });
// Each proof that passes is remembered, all are of one client, and the clock stands still.
const dpop = { maxProofs: 2 * RUNS + 2 };

const API = 'https://api.example.com';
const URI = `${API}/protected`;

let as: TestAuthorizationServer;
let app: TestApp;
let clock: Clock;
let key: ProofKey;

beforeAll(async () => {
  as = closing(await TestAuthorizationServer.start());
  clock = movableClock();
  app = closing(await startApp({ resource: as.resource, issuer: as.issuer, clock, dpop }));
  key = await proofKey();
});
afterAll(closeAll);

class FromNow {
  constructor(readonly seconds: number) {}
}
const HEADER = ['typ', 'alg', 'jwk', 'crit', 'b64', 'kid', 'jku', 'x5c', 'cty', '__proto__'];
const JWK = ['kty', 'crv', 'x', 'y', 'd', 'k', 'n', 'e', 'alg', 'use', 'key_ops', 'kid', '__proto__'];
const CLAIMS = ['jti', 'htm', 'htu', 'iat', 'ath', 'exp', 'nbf', 'nonce', 'x', '__proto__'];
const TEXTS = ['dpop+jwt', 'Application/DPoP+JWT', 'ES256', 'RS256', 'EC', 'P-256', 'GET', 'get', 'AQAB', '', 'x'];
// Other spellings as far as the judge knows them: it does not decode.
const URIS = ['HTTPS://Api.example.com:443/a/../protected?x#y', `${API}/protected/`, `${API}//protected`];
const value = fc.oneof(
  fc.jsonValue({ maxDepth: 2 }),
  fc.constantFrom<unknown>(...TEXTS, ...URIS, URI, undefined, null, 0, -1, 1e300, [], {}),
  fc.integer({ min: -400, max: 400 }).map((seconds) => new FromNow(seconds)),
);
const members = (names: string[]) => fc.dictionary(fc.constantFrom(...names), value, { minKeys: 1, maxKeys: 2 });
const text = fc.string({ unit: fc.constantFrom(...Array.from('AQgwz09-_.=+/ ,"')), maxLength: 4 });
const change = fc.oneof(
  fc.record({ header: members(HEADER) }),
  fc.record({ jwk: members(JWK) }),
  fc.record({ claims: members(CLAIMS) }),
  fc.record({ header: members(HEADER), jwk: members(JWK), claims: members(CLAIMS) }),
  fc.record({ at: fc.nat(), cut: fc.nat({ max: 3 }), put: text }),
);
type RandomChange = Partial<Record<'header' | 'jwk' | 'claims', Overrides> & { at: number; cut: number; put: string }>;

function changed(token: string, { header, jwk, claims = {}, at, cut = 0, put = '' }: RandomChange): string {
  const timed = Object.entries(claims).map(([name, given]): [string, unknown] =>
    given instanceof FromNow ? [name, clock.now + given.seconds] : [name, given],
  );
  const inside = { ...(jwk && { jwk: { ...key.publicJwk, ...jwk } }), ...header };
  const proof = prove(key, URI, { token, now: clock.now, header: inside, claims: Object.fromEntries(timed) });
  if (at === undefined) return proof;
  return proof.slice(0, at % proof.length) + put + proof.slice((at % proof.length) + cut);
}

test(
  'none passes that another resource server refuses, and some pass',
  async () => {
    const token = as.mint({ cnf: { jkt: key.jkt } });
    const server = { issuer: as.issuer, jwks_uri: as.jwksUri };
    const judge = () => ({
      requireDPoP: true,
      signingAlgorithms: ['ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519', 'PS256', 'RS256'],
      // eslint-disable-next-line @typescript-eslint/no-deprecated -- its way of saying that loopback has no TLS
      [oauth.allowInsecureRequests]: true,
      [oauth.clockSkew]: clock.now - Math.floor(Date.now() / 1000),
      [oauth.clockTolerance]: 10, // as much as a proof may be from the future
    });
    let passed = 0;
    await fc.assert(
      fc.asyncProperty(change, async (random) => {
        const headers = dpopHeaders(token, changed(token, random));
        const { status, body } = await app.request('/protected', { headers });
        if (status !== 200) {
          const error = expect.stringMatching(/^invalid_(dpop_proof|token)$/);
          expect([status, body]).toEqual([401, { error, error_description: expect.any(String) }]);
          return;
        }
        passed++;
        const verdict = oauth.validateJwtAccessToken(server, new Request(URI, { headers }), API, judge());
        expect((await verdict).iss).toBe(as.issuer);
      }),
      { numRuns: RUNS },
    );
    expect(passed).toBeGreaterThan(RUNS / 20);
  },
  20_000 + RUNS * 50,
);
