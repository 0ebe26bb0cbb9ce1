import { createHash, createHmac } from 'node:crypto';
import { inspect } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { decodeJwt } from '../../lib/decode.js';
import { expectNoLeak } from '../support/attack.js';
import { startApp } from '../support/app.js';
import type { TestApp } from '../support/app.js';
import { TestAuthorizationServer } from '../support/authorization-server.js';
import { movableClock } from '../support/clock.js';
import type { Clock } from '../support/clock.js';
import { dpopHeaders, proofKey, prove } from '../support/proofs.js';
import type { ProofKey, ProofOptions } from '../support/proofs.js';
import { sendRaw } from '../support/raw.js';
import { closeAll, closing, expectPassed } from '../support/stage.js';
import { base64url, signingKey, signJwt, signRaw } from '../support/tokens.js';
import type { Overrides } from '../support/tokens.js';

const API = 'https://api.example.com';
const URI = `${API}/protected`;
const DPOP = `DPoP realm="${API}", algs="ES256 ES384 ES512 EdDSA Ed25519 PS256 RS256"`;
const KEY = 'The DPoP proof has no usable public key';
const SIGNATURE = 'The DPoP proof has a wrong signature';
const TYPE = 'The DPoP proof is no proof by its type';
const ALGORITHM = 'The DPoP proof is signed with an algorithm that is not accepted here';
const CRITICAL = 'The DPoP proof has critical extensions';
const LACKS = 'The DPoP proof lacks a claim that every proof has';
const NO_JWT = 'The DPoP proof is not a JSON Web Token';
const TOKEN = 'The DPoP proof is for another access token';
const FUTURE = 'The DPoP proof is from the future';
const OLD = 'The DPoP proof is too old';

let as: TestAuthorizationServer;
let app: TestApp;
let clock: Clock;
let key: ProofKey;

beforeAll(async () => {
  as = closing(await TestAuthorizationServer.start());
  clock = movableClock();
  app = closing(await startApp({ resource: as.resource, issuer: as.issuer, clock, dpop: true }));
  key = await proofKey();
});
afterAll(closeAll);

type Change = Partial<Omit<ProofOptions, 'token'>>;
const bound = () => as.mint({ cnf: { jkt: key.jkt } });

/** 401 with this very challenge and body, the handler does not run, and nothing of the proof comes back. */
async function expectRefused(headers: Record<string, string>, says: string, code = 'invalid_dpop_proof') {
  const before = app.handled;
  const answer = await app.request('/protected', { headers });
  expect({ status: answer.status, challenge: answer.challenge, body: answer.body }).toEqual({
    status: 401,
    challenge: `${DPOP}, error="${code}", error_description="${says}"`,
    body: { error: code, error_description: says },
  });
  expect(app.handled).toBe(before);
  if (headers['dpop'] !== '') expectNoLeak(answer, headers['dpop'] ?? '-');
}

/** The proof with the change is refused; the same without it passes, with the same token. */
async function expectOnlyWithout(change: Change, says: string) {
  const token = bound();
  await expectRefused(dpopHeaders(token, prove(key, URI, { token, now: clock.now, ...change })), says);
  await expectPassed(app, dpopHeaders(token, prove(key, URI, { token, now: clock.now })));
}

/** A row for each value that a member must not have. */
function rows<T>(name: string, values: readonly unknown[], make: (value: unknown) => T, says: string) {
  return values.map((value): [what: string, make: T, says: string] => [`${name} ${inspect(value)}`, make(value), says]);
}

describe('claims', () => {
  const METHOD = 'The DPoP proof is for another method';
  type Claims = (token: string) => Overrides;
  test.each<[what: string, claims: Claims, says: string]>([
    ['ath of another token', () => ({ ath: sha256(bound()) }), TOKEN],
    ['ath with padding', (token) => ({ ath: `${sha256(token)}=` }), TOKEN],
    ['ath in base64', (token) => ({ ath: sha256(token, 'base64') }), TOKEN],
    ['ath in hexadecimal', (token) => ({ ath: sha256(token, 'hex') }), TOKEN],
    ['ath of scheme and token', (token) => ({ ath: sha256(`DPoP ${token}`) }), TOKEN],
    ['ath that is the token', (token) => ({ ath: token }), TOKEN],
    ['ath in a list', (token) => ({ ath: [sha256(token)] }), TOKEN],
    ['no ath', () => ({ ath: undefined }), TOKEN],
    ...rows<Claims>('htm', [undefined, null, ['GET'], 'GET,POST', ''], (htm) => () => ({ htm }), METHOD),
    ...rows<Claims>('jti', [undefined, null, '', 1, true, ['x'], {}], (jti) => () => ({ jti }), LACKS),
    ...rows<Claims>('iat', [undefined, null, '1', '', true, [1], {}], (iat) => () => ({ iat }), LACKS),
    ['iat that is no number and looks like one', () => ({ iat: { valueOf: 1, toString: 1 } }), LACKS],
    ['iat as text of now', () => ({ iat: String(clock.now) }), LACKS],
    ['iat in milliseconds', () => ({ iat: clock.now * 1000 }), FUTURE],
    ['iat eleven seconds ahead', () => ({ iat: clock.now + 11 }), FUTURE],
    ['iat enormous', () => ({ iat: Number.MAX_VALUE }), FUTURE],
    ['iat a minute ago', () => ({ iat: clock.now - 60 }), OLD],
    ['iat 0', () => ({ iat: 0 }), OLD],
    ['iat negative', () => ({ iat: -clock.now }), OLD],
    ['iat negative and enormous', () => ({ iat: -Number.MAX_VALUE }), OLD],
    ['exp that is over (RFC 7519 section 4.1.4)', () => ({ exp: clock.now - 1 }), OLD],
    ['nbf that is to come (RFC 7519 section 4.1.5)', () => ({ nbf: clock.now + 60 }), FUTURE],
  ])('%s: refused', async (_what, claims, says) => {
    const token = bound();
    const changed = prove(key, URI, { token, now: clock.now, claims: claims(token) });
    await expectRefused(dpopHeaders(token, changed), says);
    await expectPassed(app, dpopHeaders(token, prove(key, URI, { token, now: clock.now })));
  });

  test.each([-59, 0, 10, 9.5])('iat %d seconds from now passes', async (away) => {
    const token = bound();
    const claims = { iat: clock.now + away };
    await expectPassed(app, dpopHeaders(token, prove(key, URI, { token, claims })));
  });

  test.each([
    ['NaN', NO_JWT],
    ['Infinity', NO_JWT],
    ['1e999', LACKS],
    ['-1e999', LACKS],
    ['0x7fffffff', NO_JWT],
  ])('iat written as %s: refused', async (iat, says) => {
    const token = bound();
    const claims = { jti: 'j', htm: 'GET', htu: URI, iat: clock.now, ath: sha256(token) };
    const header = { typ: 'dpop+jwt', alg: 'ES256', jwk: key.publicJwk };
    const text = JSON.stringify({ ...claims, jti: iat, iat: 'IAT' }).replace('"IAT"', iat);
    await expectRefused(dpopHeaders(token, signRaw(`${base64url(header)}.${base64url(text)}`, key)), says);
    await expectPassed(app, dpopHeaders(token, signJwt(header, { ...claims, jti: iat }, key)));
  });
});

describe('header', () => {
  const other = signingKey('ES256');
  const types = ['JWT', 'at+jwt', 'dpop', 'jwt+dpop', 'dpop+jwt ', ' dpop+jwt', 'dpop+jwt;v=1', 'text/dpop+jwt', ''];
  const algs = ['none', 'None', '', 'es256', 'ES256K', 'RS512', 'PS384', 'HS256', '__proto__', 'toString', ['ES256']];
  test.each<[what: string, change: () => Change, says: string]>([
    ...rows('typ', [...types, ['dpop+jwt'], undefined, null, 1], (typ) => () => ({ header: { typ } }), TYPE),
    ...rows('alg', [...algs, undefined, null, 1], (alg) => () => ({ header: { alg } }), ALGORITHM),
    ['an alg that the key does not fit', () => ({ header: { alg: 'ES384' } }), KEY],
    ...rows('crit', [['exp'], ['b64'], [], null, ''], (crit) => () => ({ header: { crit, b64: false } }), CRITICAL),
    ['the signature of another key', () => ({ signer: other }), SIGNATURE],
    ...rows('jwk', [undefined, null, 'x', 1, true, [], {}, [{}]], (jwk) => () => ({ header: { jwk } }), KEY),
    ['jwk as text', () => ({ header: { jwk: JSON.stringify(key.publicJwk) } }), KEY],
    ['jwk in a list', () => ({ header: { jwk: [key.publicJwk] } }), KEY],
    ['jwk in a set', () => ({ header: { jwk: { keys: [key.publicJwk] } } }), KEY],
    ['the key under its id only', () => ({ header: { jwk: undefined, kid: as.keys[0]?.kid } }), KEY],
    ['the key by address only', () => ({ header: { jwk: undefined, jku: as.jwksUri, x5u: as.jwksUri } }), KEY],
    ['a certificate only', () => ({ header: { jwk: undefined, x5c: ['MIIB'] } }), KEY],
  ])('%s: refused', (_what, change, says) => expectOnlyWithout(change(), says));

  test.each([
    ['typ in upper case', { typ: 'DPOP+JWT' }],
    ['typ with its prefix (RFC 7515 section 4.1.9)', { typ: 'application/dpop+jwt' }],
    ['members that nobody knows', { foo: 'bar', cty: 'x', zip: 'DEF', b64: false }],
  ])('%s passes', async (_what, header) => {
    const token = bound();
    await expectPassed(app, dpopHeaders(token, prove(key, URI, { token, now: clock.now, header })));
  });

  test('addresses of keys beside the key are not followed', async () => {
    const token = bound();
    const evil = { jku: `${as.origin}/evil`, x5u: `${as.origin}/evil`, kid: `${as.origin}/evil`, x5c: ['x'] };
    await expectPassed(app, dpopHeaders(token, prove(key, URI, { token, now: clock.now, header: evil })));
    const wrong = prove(key, URI, { token, now: clock.now, header: evil, signer: other });
    await expectRefused(dpopHeaders(token, wrong), SIGNATURE);
    expect(as.log.filter((line) => !/ \/(jwks|\.well-known\/oauth-authorization-server)$/.test(line))).toEqual([]);
  });

  test('a proof under a shared secret is refused, be the secret in the proof or the public key itself', async () => {
    const token = bound();
    const good = prove(key, URI, { token, now: clock.now });
    const payload = good.split('.')[1] ?? '';
    const secret = Buffer.from('0123456789abcdef0123456789abcdef');
    for (const [jwk, under] of [
      [{ kty: 'oct', k: secret.toString('base64url') }, secret],
      [key.publicJwk, Buffer.from(JSON.stringify(key.publicJwk))],
    ] as const) {
      const input = `${base64url({ typ: 'dpop+jwt', alg: 'HS256', jwk })}.${payload}`;
      const proof = `${input}.${createHmac('sha256', under).update(input).digest('base64url')}`;
      await expectRefused(dpopHeaders(token, proof), ALGORITHM);
    }
    const unsigned = base64url({ typ: 'dpop+jwt', alg: 'none', jwk: key.publicJwk });
    await expectRefused(dpopHeaders(token, `${unsigned}.${payload}.`), ALGORITHM);
    await expectPassed(app, dpopHeaders(token, good));
  });

  test('a key under __proto__ is no key', async () => {
    const token = bound();
    const claims = { jti: 'p', htm: 'GET', htu: URI, iat: clock.now, ath: sha256(token) };
    const jwk = JSON.stringify(key.publicJwk);
    const plain = '{"typ":"dpop+jwt","alg":"ES256"';
    for (const header of [`${plain},"__proto__":{"jwk":${jwk}}}`, `${plain},"jwk":{"__proto__":${jwk}}}`]) {
      await expectRefused(dpopHeaders(token, signRaw(`${base64url(header)}.${base64url(claims)}`, key)), KEY);
    }
    const good = `${plain},"jwk":${jwk}}`;
    await expectPassed(app, dpopHeaders(token, signRaw(`${base64url(good)}.${base64url(claims)}`, key)));
  });
});

describe('form', () => {
  const forms: [what: string, change: (proof: string, token: string) => string, says: string][] = [
    ['padding', (proof) => `${proof}==`, NO_JWT],
    ['a dot more', (proof) => `${proof}.`, NO_JWT],
    ['two parts', (proof) => proof.split('.').slice(0, 2).join('.'), NO_JWT],
    ['five parts, as of an encrypted one', (proof) => `${proof}.AAAA.AAAA`, NO_JWT],
    ['an empty signature', (proof) => proof.replace(/[^.]*$/, ''), SIGNATURE],
    ['a character of the other alphabet', (proof) => proof.replace(/.{4}$/, '+/+/'), NO_JWT],
    ['a blank within', (proof) => `${proof.slice(0, 50)} ${proof.slice(50)}`, NO_JWT],
    ['quotes', (proof) => `"${proof}"`, NO_JWT],
    ['the scheme before it', (proof) => `DPoP ${proof}`, NO_JWT],
    ['two in one line', (proof) => `${proof}, ${proof}`, NO_JWT],
    ['a comma after it', (proof) => `${proof},`, NO_JWT],
    ['nothing', () => '', NO_JWT],
    ['JSON', (proof) => JSON.stringify({ payload: proof.split('.')[1], signatures: [] }), NO_JWT],
    ['the access token', (_proof, token) => token, TYPE],
    ['more than 4096 characters', (proof) => proof.replace(/[^.]*$/, 'A'.repeat(4096)), 'The DPoP proof is too long'],
  ];
  test.each(forms)('%s: refused', async (_what, change, says) => {
    const token = bound();
    const proof = prove(key, URI, { token, now: clock.now });
    await expectRefused(dpopHeaders(token, change(proof, token)), says);
    await expectPassed(app, dpopHeaders(token, proof));
  });

  test('unused bits of the last character make no second spelling of a proof', async () => {
    const token = bound();
    const proof = prove(key, URI, { token, now: clock.now });
    const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
    const next = alphabet[alphabet.indexOf(proof.at(-1) ?? '') + 1] ?? '';
    await expectRefused(dpopHeaders(token, proof.slice(0, -1) + next), NO_JWT);
    await expectPassed(app, dpopHeaders(token, proof));
  });

  test('a proof is no access token', async () => {
    const token = bound();
    const { claims } = decodeJwt(token);
    const proof = prove(key, URI, { token, now: clock.now, claims: { iss: claims['iss'], aud: API } });
    await expectRefused(dpopHeaders(proof, proof), 'The token is not an access token by its type', 'invalid_token');
    await expectPassed(app, dpopHeaders(token, proof));
  });

  test('two DPoP lines: refused, whatever is in them; one passes', async () => {
    const token = bound();
    const proof = prove(key, URI, { token, now: clock.now });
    const before = app.handled;
    const request = (lines: string[]) =>
      sendRaw(app.port, ['GET /protected HTTP/1.1', 'Host: x', `Authorization: DPoP ${token}`, ...lines]);
    for (const second of [proof, '', 'x', prove(key, URI, { token, now: clock.now })]) {
      for (const lines of [
        [`DPoP: ${proof}`, `dpop: ${second}`],
        [`DPOP: ${second}`, 'X: y', `DPoP: ${proof}`],
      ]) {
        const answer = await request(lines);
        const says = 'The DPoP header must be sent once';
        expect(answer.status).toBe(401);
        expect(answer.all('www-authenticate')).toEqual([
          `${DPOP}, error="invalid_dpop_proof", error_description="${says}"`,
        ]);
      }
    }
    expect(app.handled).toBe(before);
    expect((await request([`DPoP: ${proof}`])).status).toBe(200);
  });
});

function sha256(text: string, encoding: 'base64url' | 'base64' | 'hex' = 'base64url'): string {
  return createHash('sha256').update(text).digest(encoding);
}
