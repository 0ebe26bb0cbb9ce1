import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { createHash, createHmac, hash } from 'node:crypto';
import { clientSecretBasic } from '../../lib/index.js';
import type { DPoPOptions, IntrospectionOptions } from '../../lib/index.js';
import { startApp } from '../support/app.js';
import type { Answer, TestApp } from '../support/app.js';
import { TestAuthorizationServer } from '../support/authorization-server.js';
import { badProof, dpopRefusal, DPOP_ALGS } from '../support/dpop-refusals.js';
import { dpopHeaders, proofKey, prove } from '../support/proofs.js';
import type { ProofKey, ProofOptions } from '../support/proofs.js';
import { sendRaw } from '../support/raw.js';
import { expectRefusal, RESOURCE } from '../support/refusals.js';
import type { Refusal } from '../support/refusals.js';
import { base64url } from '../support/tokens.js';
import type { Overrides } from '../support/tokens.js';

const HTU = `${RESOURCE}/protected`;

/** What a proof gets in place of what is right; a function where it depends on the token. */
type Fault = Omit<Partial<ProofOptions>, 'token'> | ((token: string) => Omit<Partial<ProofOptions>, 'token'>);

let as: TestAuthorizationServer;
let app: TestApp;
let key: ProofKey;
let other: ProofKey;
const apps: TestApp[] = [];

beforeAll(async () => {
  as = await TestAuthorizationServer.start();
  [key, other] = await Promise.all([proofKey(), proofKey()]);
  app = await start();
});

beforeEach(() => {
  app.handled = 0;
});

afterAll(async () => {
  await Promise.all([...apps, as].map((server) => server.close()));
});

async function start(
  dpop: true | DPoPOptions = true,
  more: { introspection?: IntrospectionOptions } = {},
): Promise<TestApp> {
  const started = await startApp({ resource: RESOURCE, issuer: as.issuer, dpop, ...more });
  apps.push(started);
  return started;
}

/** A token that is bound to `holder`. */
function bound(holder = key): string {
  return as.mint({ cnf: { jkt: holder.jkt } });
}

function proof(token: string, fault: Fault = {}, holder = key): string {
  return prove(holder, HTU, { token, ...(typeof fault === 'function' ? fault(token) : fault) });
}

function send(token: string, sent: string, at = app, path = '/protected'): Promise<Answer> {
  return at.request(path, { headers: dpopHeaders(token, sent) });
}

async function expectAccepted(token: string, sent: string, at = app): Promise<void> {
  const before = at.handled;
  const answer = await send(token, sent, at);
  expect([answer.status, answer.challenge, at.handled]).toEqual([200, undefined, before + 1]);
}

async function expectRefused(token: string, sent: string, expected: Refusal, at = app): Promise<void> {
  const before = at.handled;
  expectRefusal(await send(token, sent, at), expected);
  expect(at.handled).toBe(before);
}

const TYPE = 'is no proof by its type';
const ALG = 'is signed with an algorithm that is not accepted here';
const LACKS = 'lacks a claim that every proof has';
const METHOD = 'is for another method';
const ADDRESS = 'is for another address';
const TOKEN = 'is for another access token';
const KEY = 'has no usable public key';
const SIGNATURE = 'has a wrong signature';
const NO_JWT = 'is not a JSON Web Token';
const ath = (token: string) => hash('sha256', token, 'base64url');
const jwk =
  (change: (good: Overrides) => unknown): Fault =>
  () => ({ header: { jwk: change(key.publicJwk) } });

describe('one thing is wrong with a proof that passes without it (RFC 9449 4.2 and 4.3)', () => {
  test.each<[id: string, what: string, fault: Fault, says: string]>([
    ['9449-4.2-1', 'without typ', { header: { typ: undefined } }, TYPE],
    ['9449-4.3-4', 'with the typ JWT', { header: { typ: 'JWT' } }, TYPE],
    ['9449-4.3-4', 'with the typ of an access token', { header: { typ: 'at+jwt' } }, TYPE],
    ['9449-4.3-4', 'with a list for typ', { header: { typ: ['dpop+jwt'] } }, TYPE],
    ['9449-4.3-4', 'with a space after its typ', { header: { typ: 'dpop+jwt ' } }, TYPE],
    ['9449-4.2-1', 'without alg', { header: { alg: undefined } }, ALG],
    ['9449-4.2-1', 'with a number for alg', { header: { alg: 256 } }, ALG],
    ['9449-4.3-5', 'with an alg in lower case', { header: { alg: 'es256' } }, ALG],
    ['9449-4.3-5', 'with an alg that nobody registered', { header: { alg: 'ES257' } }, ALG],
    ['9449-4.3-5', 'with an alg of encryption', { header: { alg: 'ECDH-ES' } }, ALG],
    ['9449-4.3-5', 'with an alg that its key is not for', { header: { alg: 'ES384' } }, KEY],
    ['9449-4.2-1', 'without jwk', { header: { jwk: undefined } }, KEY],
    ['9449-4.2-1', 'with a kid in place of jwk', { header: { jwk: undefined, kid: 'a' } }, KEY],
    ['9449-4.2-1', 'with a text for jwk', jwk(JSON.stringify), KEY],
    ['9449-4.2-1', 'with a list for jwk', jwk((good) => [good]), KEY],
    ['9449-4.2-1', 'with null for jwk', jwk(() => null), KEY],
    ['9449-4.3-5', 'with a key of another alg by its own word', jwk((good) => ({ ...good, alg: 'ES384' })), KEY],
    ['9449-4.3-6', 'signed by another key', () => ({ signer: other }), SIGNATURE],
    ['9449-4.2-1', 'without jti', { claims: { jti: undefined } }, LACKS],
    ['9449-4.2-1', 'with an empty jti', { claims: { jti: '' } }, LACKS],
    ['9449-4.2-1', 'with a number for jti', { claims: { jti: 1 } }, LACKS],
    ['9449-4.2-1', 'without iat', { claims: { iat: undefined } }, LACKS],
    ['9449-4.3-11', 'with a text for iat', { claims: { iat: String(Math.floor(Date.now() / 1000)) } }, LACKS],
    ['9449-4.2-1', 'with null for iat', { claims: { iat: null } }, LACKS],
    ['9449-4.2-1', 'without htm', { claims: { htm: undefined } }, METHOD],
    ['9449-4.2-1', 'with a list for htm', { claims: { htm: ['GET'] } }, METHOD],
    ['9449-4.3-8', 'for POST on GET', { method: 'POST' }, METHOD],
    ['9449-4.3-8', 'for HEAD on GET', { method: 'HEAD' }, METHOD],
    ['9449-4.3-8', 'for get in lower case', { method: 'get' }, METHOD],
    ['9449-4.2-1', 'without htu', { claims: { htu: undefined } }, ADDRESS],
    ['9449-4.2-1', 'with a list for htu', { claims: { htu: [HTU] } }, ADDRESS],
    ['9449-4.2-2', 'without ath', { claims: { ath: undefined } }, TOKEN],
    ['9449-4.2-2', 'with a padded ath', (token) => ({ claims: { ath: `${ath(token)}=` } }), TOKEN],
    ['9449-4.2-2', 'with ath in hexadecimal', (token) => ({ claims: { ath: hash('sha256', token, 'hex') } }), TOKEN],
    ['9449-4.2-2', 'with ath by SHA-512', (token) => ({ claims: { ath: hash('sha512', token, 'base64url') } }), TOKEN],
    ['9449-4.2-2', 'with the ath of another token', () => ({ claims: { ath: ath(bound(other)) } }), TOKEN],
    ['9449-4.2-2', 'with a list for ath', (token) => ({ claims: { ath: [ath(token)] } }), TOKEN],
    ['9449-4.2-3', 'with critical extensions', { header: { crit: ['exp'], exp: 1 } }, 'has critical extensions'],
  ])('9449-7.1-1 %s a proof %s is refused, and passes without that', async (_id, _what, fault, says) => {
    const token = bound();
    await expectRefused(token, proof(token, fault), badProof(says));
    await expectAccepted(token, proof(token));
  });

  // What comes to light only when the key is used: before that it must be the key that the token is bound to.
  test.each<[id: string, what: string, change: (good: Overrides) => Overrides, says: string]>([
    ['9449-4.2-1', 'half a point for a key', (good) => ({ ...good, y: undefined }), KEY],
    ['9449-4.2-1', 'a point off the curve for a key', (good) => ({ ...good, y: good['x'] }), KEY],
    ['9449-4.3-6', 'the key of somebody else', () => other.publicJwk, SIGNATURE],
  ])(
    '9449-7.1-1 9449-4.3-12 %s a proof with %s is refused, be the token bound to that or to the good key',
    async (_id, _what, change, says) => {
      const given = change(key.publicJwk);
      const { crv, kty, x, y } = given;
      const jkt = hash('sha256', JSON.stringify({ crv, kty, x, y }), 'base64url');
      const bad = as.mint({ cnf: { jkt } });
      await expectRefused(bad, proof(bad, { header: { jwk: given } }), badProof(says));
      const token = bound();
      const foreign = dpopRefusal('invalid_token', 'The access token is bound to another key');
      await expectRefused(token, proof(token, { header: { jwk: given } }), foreign);
      await expectAccepted(token, proof(token));
    },
  );

  test.each<[what: string, change: (good: string) => string, says?: string]>([
    ['a word', () => 'proof'],
    ['two of its segments', (good) => good.split('.', 2).join('.')],
    ['four segments', (good) => `${good}.`],
    ['padding', (good) => good.replace('.', '=.')],
    ['the five segments of a JWE', () => ['{"alg":"dir","enc":"A128GCM"}', '', 'a', 'b', 'c'].map(base64url).join('.')],
    ['the JSON serialization', (good) => JSON.stringify({ payload: good.split('.')[1] })],
    ['a payload that is no object', (good) => good.replace(/\.[^.]*\./, `.${base64url([1])}.`)],
    ['two proofs behind each other', (good) => `${good}, ${good}`],
    ['a space before the signature', (good) => good.replace(/\.([^.]*)$/, '. $1')],
    ['quotes', (good) => `"${good}"`],
    ['a scheme before it', (good) => `DPoP ${good}`],
    ['its payload exchanged', (good) => good.replace(/\.[^.]*\./, `.${proof(bound()).split('.')[1] ?? ''}.`), TOKEN],
    ['the signature of another', (good) => good.replace(/[^.]*$/, proof(bound()).split('.')[2] ?? ''), SIGNATURE],
    ['no signature', (good) => good.replace(/[^.]*$/, ''), SIGNATURE],
  ])(
    '9449-4.3-2 9449-4.1-1 a header with %s is refused, the good proof passes',
    async (_what, change, says = NO_JWT) => {
      const token = bound();
      const good = proof(token);
      await expectRefused(token, change(good), badProof(says));
      await expectAccepted(token, good);
    },
  );

  test('9449-4.3-1 two DPoP lines are refused, though both be valid, and one passes', async () => {
    const token = bound();
    const lines = ['GET /protected HTTP/1.1', 'Host: api', `Authorization: DPoP ${token}`, `DPoP: ${proof(token)}`];
    const twice = await sendRaw(app.port, [...lines, `dpop: ${proof(token)}`]);
    expectRefusal(twice, dpopRefusal('invalid_dpop_proof', 'The DPoP header must be sent once'));
    expect(app.handled).toBe(0);
    expect((await sendRaw(app.port, lines)).status).toBe(200);
    expect(app.handled).toBe(1);
  });

  test('9449-4.1-1 the name of the header may have any case, its value may not', async () => {
    const token = bound();
    for (const name of ['dpop', 'DPOP', 'dPoP']) {
      const head = ['GET /protected HTTP/1.1', 'Host: api', `Authorization: DPoP ${token}`];
      expect((await sendRaw(app.port, [...head, `${name}: ${proof(token)}`])).status).toBe(200);
    }
    expect(app.handled).toBe(3);
    const swapped = proof(token).replace(/[A-Za-z](?=[^.]*$)/, (c) => (c < 'a' ? c.toLowerCase() : c.toUpperCase()));
    await expectRefused(token, swapped, badProof(SIGNATURE));
  });

  test('9449-4.3-5 none and HS256 with its key in the proof are refused', async () => {
    const token = bound();
    const [, payload = ''] = proof(token).split('.');
    const unsigned = `${base64url({ typ: 'dpop+jwt', alg: 'none', jwk: key.publicJwk })}.${payload}.`;
    await expectRefused(token, unsigned, badProof(ALG));
    const secret = Buffer.alloc(32, 1);
    const symmetric = { kty: 'oct', k: secret.toString('base64url') };
    const input = `${base64url({ typ: 'dpop+jwt', alg: 'HS256', jwk: symmetric })}.${payload}`;
    const mac = createHmac('sha256', secret).update(input).digest('base64url');
    await expectRefused(token, `${input}.${mac}`, badProof(ALG));
    await expectAccepted(token, proof(token));
  });

  test.each(DPOP_ALGS.split(' '))(
    '9449-4.3-5 9449-4.3-6 a proof signed with %s passes unless algs leaves it out',
    async (alg) => {
      const holder = await proofKey(alg);
      const token = bound(holder);
      await expectAccepted(token, proof(token, {}, holder));
      const algs = [alg === 'ES256' ? 'ES384' : 'ES256', 'RS512'];
      await expectRefused(token, proof(token, {}, holder), badProof(ALG, algs.join(' ')), await start({ algs }));
    },
  );

  test.each(['ES256', 'Ed25519', 'RS256'])(
    '9449-4.3-7 a member of the private key of %s in the proof is refused, without it the proof passes',
    async (alg) => {
      const holder = await proofKey(alg);
      const token = bound(holder);
      const secrets = Object.entries(holder.privateKey.export({ format: 'jwk' })).filter(
        ([m]) => !(m in holder.publicJwk),
      );
      expect(secrets.length).toBeGreaterThan(0);
      const says = badProof('has a private key in it');
      const sent = secrets.map(([member, value]) => ({ ...holder.publicJwk, [member]: value }));
      for (const given of [...sent, { ...holder.publicJwk, k: 'AQ' }, { ...holder.publicJwk, oth: [] }]) {
        await expectRefused(token, proof(token, { header: { jwk: given } }, holder), says);
      }
      await expectAccepted(token, proof(token, {}, holder));
    },
  );

  test('9449-4.2-3 further members of header, key and payload are tolerated', async () => {
    const token = bound();
    const header = {
      kid: 'a',
      jku: `${as.origin}/jwks`,
      cty: 'x',
      jwk: { ...key.publicJwk, kid: 'a', use: 'sig' },
    };
    const now = Math.floor(Date.now() / 1000);
    const claims = { exp: now + 60, nbf: now - 60, nonce: 'of nobody', iss: 'me', extra: { deep: [1] } };
    await expectAccepted(token, proof(token, { header, claims }));
  });

  test('9449-4.3-4 the typ spelled out as the media type that it is passes (RFC 7515 4.1.9)', async () => {
    const token = bound();
    await expectAccepted(token, proof(token, { header: { typ: 'application/DPoP+JWT' } }));
    await expectRefused(token, proof(token, { header: { typ: 'text/dpop+jwt' } }), badProof(TYPE));
  });

  test('9449-4.3-8 the method counts as it came, whatever a header says of another', async () => {
    const token = bound();
    const post = (method: string) => {
      const headers = { ...dpopHeaders(token, proof(token, { method })), 'x-http-method-override': 'DELETE' };
      return app.request('/protected', { method: 'POST', headers });
    };
    expectRefusal(await post('DELETE'), badProof(METHOD));
    expect(app.handled).toBe(0);
    expect((await post('POST')).status).toBe(200);
  });

  test('9449-4.3-12 9449-6-1 a good proof by another key than that of the token: the token is at fault', async () => {
    const token = bound();
    const says = dpopRefusal('invalid_token', 'The access token is bound to another key');
    await expectRefused(token, proof(token, {}, other), says);
    await expectAccepted(token, proof(token));
    const others = bound(other);
    await expectAccepted(others, proof(others, {}, other));
  });
});

describe('which key a token is bound to (RFC 9449 6)', () => {
  const json = (members: unknown) => createHash('sha256').update(JSON.stringify(members)).digest();

  test('9449-6.1-1 the thumbprint of the required members in their order, SHA-256, base64url, is the one that counts', async () => {
    const { crv, kty, x, y } = key.publicJwk;
    const good = json({ crv, kty, x, y });
    const bad = [
      json({ crv, kid: 'a', kty, x, y }).toString('base64url'),
      json({ kty, crv, x, y }).toString('base64url'),
      `${good.toString('base64url')}=`,
      good.toString('hex'),
      createHash('sha1').update(JSON.stringify({ crv, kty, x, y })).digest('base64url'),
      key.jkt.toLowerCase(),
      '',
    ];
    for (const jkt of bad) {
      const token = as.mint({ cnf: { jkt } });
      await expectRefused(
        token,
        proof(token),
        dpopRefusal('invalid_token', 'The access token is bound to another key'),
      );
    }
    const token = as.mint({ cnf: { jkt: good.toString('base64url') } });
    await expectAccepted(token, proof(token, { header: { jwk: { kid: 'a', y, x, kty, crv } } }));
  });

  test('9449-6-1 9449-6.2-2 an introspected token is bound as well, and the server is sent no proof', async () => {
    const introspection = { clientAuthentication: clientSecretBasic('rs1', 'secret') };
    const asking = await start(true, { introspection });
    const token = as.issue({ token_type: 'DPoP', cnf: { jkt: key.jkt } });
    const says = dpopRefusal('invalid_token', 'The access token is bound to another key');
    await expectRefused(token, proof(token, {}, other), says, asking);
    await expectRefused(token, proof(token, { signer: other }), badProof(SIGNATURE), asking);
    await expectAccepted(token, proof(token), asking);
    expect(as.questions.map(({ headers, form }) => ['dpop' in headers, form.get('token')])).toEqual([[false, token]]);
  });
});
