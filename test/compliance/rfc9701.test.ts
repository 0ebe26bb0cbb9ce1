import { createPublicKey } from 'node:crypto';
import { afterEach, describe, expect, test } from '@jest/globals';
import { exportJWK, generateKeyPair, importJWK } from 'jose';
import type { JWK } from 'jose';
import type { SignedAnswers } from '../../lib/index.js';
import { sendJson, TestAuthorizationServer } from '../support/authorization-server.js';
import { runChild } from '../support/child.js';
import {
  answerWith,
  authenticatedWith,
  but,
  CLIENT,
  expectUnusable,
  expectUsable,
  FAULTS,
  MEDIA_TYPE,
  mixed,
  reheaded,
  RIGHT,
  sealed,
  signedAnswer,
  signedStage,
  TYPE,
  unsigned,
} from '../support/signed-answers.js';
import type { Body, Seal } from '../support/signed-answers.js';
import { closeAll, closing, expectAccepted, expectRefused, expectUnavailable, PAUSE, SAYS } from '../support/stage.js';
import { base64url, signingKey, signRaw, validClaims } from '../support/tokens.js';

afterEach(closeAll);

const INACTIVE = 'The access token is not active';
const RSA = signingKey('RS256', 'rsa');
/** The key of somebody else, under the name that the key of the server has. */
const MALLORY = signingKey('ES256', 'first');
const SECRET = Buffer.alloc(32, 7);
const PLAIN: Body = (as, token) => JSON.stringify(as.answerTo(token));
/** An app of its own, which tells the statuses of its answers to these tokens. */
const APP_THAT_DECRYPTS = `
import express from 'express';
import { clientSecretBasic, resourceServer } from './lib/index.js';

const [issuer, resource, key, ...tokens] = process.argv.slice(2);
const signedAnswers = { algorithm: 'ES256', decryption: { key: JSON.parse(key), algorithm: 'ECDH-ES' } };
const clientAuthentication = clientSecretBasic('${CLIENT}', 'the secret');
const app = express();
app.use(resourceServer({ resource, issuer, introspection: { clientAuthentication, signedAnswers } }));
app.use((req, res) => { res.json({}); });
const server = app.listen(0, '127.0.0.1', async () => {
  const statuses = [];
  for (const token of tokens) {
    const headers = { authorization: 'Bearer ' + token, connection: 'close' };
    statuses.push((await fetch('http://127.0.0.1:' + server.address().port, { headers })).status);
  }
  console.log(JSON.stringify(statuses));
  server.close();
});
`;
const PASSWORD = sealed({ alg: 'PBES2-HS256+A128KW', key: SECRET });

describe('RFC 9701 4 the question', () => {
  test('9701-4-1 a signed answer is asked for by the Accept header, and nothing else is', async () => {
    const { as, app } = await signedStage();
    await expectAccepted(app, as.issue());
    expect(as.questions.map(({ headers }) => headers.accept)).toEqual([MEDIA_TYPE]);
  });

  test('9701-4-1 without signedAnswers the Accept header is that of JSON', async () => {
    const { as, app } = await signedStage({});
    as.onQuestion = undefined;
    await expectAccepted(app, as.issue());
    expect(as.questions.map(({ headers }) => headers.accept)).toEqual(['application/json']);
  });
});

describe('RFC 9701 5 the answer', () => {
  test('9701-5-1 9701-5-3 a signed answer lets the request proceed, with what token_introspection says', async () => {
    const { as, app } = await signedStage();
    const answer = await expectAccepted(app, as.issue({ scope: 'read', sub: 'bob', plan: 'gold' }), '/scoped');
    const expected = { clientId: 'editor', subject: 'bob', scopes: ['read'], issuer: as.issuer };
    expect(answer.body).toMatchObject({ auth: { ...expected, claims: { plan: 'gold', active: true } } });
    expect(answer.body).not.toHaveProperty('auth.claims.token_introspection');
  });

  test('9701-5-3 an inactive token in the signed form is refused, and asked about once', async () => {
    const { as, app } = await signedStage();
    for (let i = 0; i < 2; i++) await expectRefused(app, 'unknown', INACTIVE);
    expect(as.questions).toHaveLength(1);
    await expectAccepted(app, as.issue());
  });

  test.each<[what: string, typ: unknown]>([
    ['JWT', 'JWT'],
    ['at+jwt', 'at+jwt'],
    ['that is missing', undefined],
    ['that is a number', 1],
    ['that is a list', [TYPE]],
    ['that only begins so', `${TYPE}2`],
    ['with another prefix', `text/${TYPE}`],
  ])('9701-5-1 a typ %s makes the answer useless, not the token bad', async (_what, typ) => {
    await expectUnusable(await signedStage(), but({ header: { typ } }), FAULTS.typ);
  });

  test.each(['application/token-introspection+jwt', 'Token-Introspection+JWT'])(
    '9701-5-1 the typ may be spelt %s',
    async (typ) => {
      await expectUsable(await signedStage(), but({ header: { typ } }));
    },
  );

  test.each(['application/jwt', 'application/json', 'text/plain', `${MEDIA_TYPE}2`, TYPE])(
    '9701-5-1 the media type %s makes the answer useless, not the token bad',
    async (type) => {
      await expectUnusable(await signedStage(), RIGHT, FAULTS.media, { type });
    },
  );

  test.each([`${MEDIA_TYPE}; charset=utf-8`, 'Application/Token-Introspection+JWT'])(
    '9701-5-1 the media type may be spelt %s',
    async (type) => {
      await expectUsable(await signedStage(), RIGHT, type);
    },
  );

  test('9701-5-1 a line end after the JWT does no harm', async () => {
    await expectUsable(await signedStage(), (as, token) => `${signedAnswer(as, token)}\n`);
  });

  test.each<[what: string, claims: object, says: string]>([
    ['a foreign iss', { iss: 'https://other.example' }, FAULTS.issuer],
    ['no iss', { iss: undefined }, FAULTS.issuer],
    ['a list of iss', { iss: ['https://as.example'] }, FAULTS.issuer],
    ['a foreign aud', { aud: 'rs2' }, FAULTS.audience],
    ['an aud in another case', { aud: CLIENT.toUpperCase() }, FAULTS.audience],
    ['an aud that begins like ours', { aud: `${CLIENT}0` }, FAULTS.audience],
    ['the resource as aud, where the client was agreed', { aud: 'https://api.example.com' }, FAULTS.audience],
    ['no aud', { aud: undefined }, FAULTS.audience],
    ['a list of foreign aud', { aud: ['rs2', 'rs3'] }, FAULTS.audience],
    ['an empty list of aud', { aud: [] }, FAULTS.audience],
    ['a list in a list as aud', { aud: [[CLIENT]] }, FAULTS.audience],
    ['an aud that is an object', { aud: { 0: CLIENT } }, FAULTS.audience],
    ['no iat', { iat: undefined }, FAULTS.time],
    ['an iat that is a string', { iat: '1700000000' }, FAULTS.time],
    ['an iat that is null', { iat: null }, FAULTS.time],
    ['no token_introspection', { token_introspection: undefined, active: true }, FAULTS.content],
    ['a token_introspection that is a list', { token_introspection: [{ active: true }] }, FAULTS.content],
    ['a token_introspection that is a string', { token_introspection: '{"active":true}' }, FAULTS.content],
    ['a token_introspection that is true', { token_introspection: true }, FAULTS.content],
    ['a token_introspection that is null', { token_introspection: null }, FAULTS.content],
  ])('9701-5-2 %s makes the answer useless, not the token bad', async (_what, claims, says) => {
    await expectUnusable(await signedStage(), but({ claims: { ...claims } }), says);
  });

  test('9701-5-2 the issuer with a slash more is another, unless it is named as an alias', async () => {
    const slash: Body = (as, token) => signedAnswer(as, token, { claims: { iss: `${as.issuer}/` } });
    const signedAnswers = { algorithm: 'ES256' };
    await expectUnusable(await signedStage(), slash, FAULTS.issuer);
    await expectUsable(await signedStage({ signedAnswers }, (as) => ({ issuerAliases: [`${as.issuer}/`] })), slash);
  });

  test.each<[what: string, claims: object]>([
    ['a list of aud with ours', { aud: ['rs2', CLIENT] }],
    ['an iat with a fraction', { iat: 1_700_000_000.5 }],
    ['claims that nobody knows', { x: { y: 1 }, jti: 'one' }],
  ])('9701-5-2 %s is fine', async (_what, claims) => {
    await expectUsable(await signedStage(), but({ claims: { ...claims } }));
  });

  test('9701-5-2 "audience" names another aud than the client identifier, which then no longer counts', async () => {
    const scene = await signedStage({ signedAnswers: { algorithm: 'ES256', audience: 'https://api.example.com' } });
    const right = but({ claims: { aud: 'https://api.example.com' } });
    await expectUnusable(scene, RIGHT, FAULTS.audience, { right });
  });

  test.each<[what: string, members: object]>([
    ['a string', { active: 'true' }],
    ['a number', { active: 1 }],
    ['missing', { active: undefined }],
    ['null', { active: null }],
  ])('9701-5-3 an "active" that is %s makes the answer useless, whatever stands at the top', async (_what, members) => {
    await expectUnusable(
      await signedStage(),
      but({ members: { ...members }, claims: { active: true } }),
      FAULTS.active,
    );
  });

  test('9701-5-3 claims at the top are not those of the token', async () => {
    const { as, app } = await signedStage();
    answerWith(as, but({ claims: { scope: 'admin', sub: 'mallory', client_id: 'evil', active: false, cnf: {} } }));
    const { body } = await expectAccepted(app, as.issue());
    expect(body).toMatchObject({ auth: { subject: 'alice', clientId: 'editor', scopes: ['read', 'write'] } });
    answerWith(as, but({ members: { active: false }, claims: { active: true, scope: 'read', client_id: 'editor' } }));
    await expectRefused(app, as.issue(), INACTIVE);
  });

  // RFC 7519 sections 4.1.4 and 4.1.5 forbid to process such a JWT, and RFC 9701 section 5 makes no exception.
  test.each<[what: string, claims: object, lasts: object]>([
    ['that expired', { exp: 1_700_000_000 }, { exp: 9_999_999_999 }],
    ['that is not valid yet', { nbf: 9_999_999_999 }, { nbf: 1_700_000_000 }],
    ['with an exp that is a string', { exp: '9999999999' }, { exp: 9_999_999_999 }],
    ['with an nbf that is an object', { nbf: { valueOf: 1, toString: 1 } }, {}],
  ])('7519-4.1.4-1 7519-4.1.4-3 7519-4.1.5-1 an answer %s is not used', async (_what, claims, lasts) => {
    const scene = await signedStage();
    await expectUsable(scene, but({ claims: { ...lasts } }));
    answerWith(scene.as, but({ claims: { ...claims } }));
    await expectUnavailable(scene.app, scene.as.issue());
  });
});

describe('RFC 9701 5 and 6 the signature', () => {
  const pem = ({ keys: [key] }: TestAuthorizationServer) =>
    createPublicKey({ key: { ...key?.jwk }, format: 'jwk' }).export({ format: 'pem', type: 'spki' });

  test.each<[what: string, body: Body, says: string]>([
    ['no signature under alg none', unsigned({ alg: 'none' }), FAULTS.algorithm],
    ['no signature under no alg', unsigned({}), FAULTS.algorithm],
    ['no signature under the right alg', unsigned({ alg: 'ES256' }), FAULTS.signature],
    ['the public key as a secret, in PEM', authenticatedWith(pem), FAULTS.algorithm],
    [
      'the public key as a secret, as JWK',
      authenticatedWith((as) => JSON.stringify(as.keys[0]?.jwk)),
      FAULTS.algorithm,
    ],
    ['our client secret', authenticatedWith(() => 'the secret'), FAULTS.algorithm],
    ['a key of the server under another algorithm', but({ key: RSA }), FAULTS.algorithm],
    ['the algorithm in lower case', but({ header: { alg: 'es256' } }), FAULTS.algorithm],
    ['an unknown kid', but({ header: { kid: 'other' } }), FAULTS.signature],
    ['a kid that is a number', but({ header: { kid: 1 } }), FAULTS.header],
    ['the key of somebody else under the same kid', but({ key: MALLORY }), FAULTS.signature],
    ['the key of somebody else without kid', but({ key: MALLORY, header: { kid: undefined } }), FAULTS.signature],
    ['a key that it brings along', but({ key: MALLORY, header: { jwk: MALLORY.jwk } }), FAULTS.signature],
    ['crit', but({ header: { crit: ['x'], x: 1 } }), FAULTS.header],
    ['an empty crit', but({ header: { crit: [] } }), FAULTS.header],
    ['the signature of another answer', mixed(2), FAULTS.signature],
    ['the payload of another answer', mixed(1), FAULTS.signature],
    ['padding', (as, token) => `${signedAnswer(as, token)}=`, FAULTS.signature],
    ['a fourth part', (as, token) => `${signedAnswer(as, token)}.x`, FAULTS.signature],
    ['no JWT at all', () => 'active', FAULTS.signature],
    ['nothing', () => '', FAULTS.signature],
  ])('9701-5-4 an answer with %s is useless, and the token is not bad for it', async (_what, body, says) => {
    const scene = await signedStage();
    scene.as.keys.push(RSA);
    await expectUnusable(scene, body, says);
  });

  test('9701-5-4 the default is RS256, and it is the only algorithm then', async () => {
    const scene = await signedStage({ signedAnswers: {} });
    scene.as.keys.push(RSA);
    await expectUnusable(scene, RIGHT, FAULTS.algorithm, { right: but({ key: RSA }) });
  });

  test('9701-5-4 an answer without kid is verified by the keys of its algorithm', async () => {
    const scene = await signedStage();
    scene.as.keys.push(RSA, signingKey('ES256', 'other'));
    await expectUsable(scene, but({ header: { kid: undefined } }));
  });

  test('9701-5-4 the key of one trusted server signs no answer of another', async () => {
    const other = await signedStage();
    const byOther = but({ key: other.as.keys[0] ?? MALLORY });
    await expectUnusable(await signedStage(), byOther, FAULTS.signature);
    await expectUsable(other, byOther);
  });

  test('9701-5-4 an answer under a new key is accepted after one fetch of the keys', async () => {
    const { as, app, clock } = await signedStage();
    await expectAccepted(app, as.issue());
    expect(as.keyFetches).toBe(1);
    const old = as.keys;
    as.keys = [signingKey('ES256', 'second')];
    clock.now += 2;
    for (let i = 0; i < 3; i++) await expectAccepted(app, as.issue());
    expect(as.keyFetches).toBe(2);
    answerWith(as, but({ key: old[0] ?? RSA }));
    await expectUnavailable(app, as.issue());
  });

  test('9701-5-4 while the keys cannot be fetched an answer is useless, and with keys at hand it is not', async () => {
    const { as, app, clock } = await signedStage();
    as.answers.set('/jwks', (_req, res) => res.writeHead(503).end());
    const token = as.issue({}, clock.now + PAUSE);
    await expectUnavailable(app, token);
    as.answers.delete('/jwks');
    clock.now += PAUSE;
    await expectAccepted(app, token);
    as.answers.set('/jwks', (_req, res) => res.writeHead(503).end());
    clock.now += PAUSE;
    await expectAccepted(app, as.issue({}, clock.now));
  });
});

describe('RFC 9701 5 and 8.2 no downgrade', () => {
  test('9701-5-6 plain JSON is not believed where a signed answer was asked for', async () => {
    await expectUnusable(await signedStage(), PLAIN, FAULTS.media, { type: 'application/json' });
    await expectUnusable(await signedStage(), PLAIN, FAULTS.signature);
  });

  test('9701-5-6 plain JSON that says "inactive" is not believed either', async () => {
    await expectUnusable(await signedStage(), () => '{"active":false}', FAULTS.media, { type: 'application/json' });
  });

  test('9701-5-6 a signed answer is not believed where none was asked for', async () => {
    const { as, app } = await signedStage({});
    await expectUnavailable(app, as.issue());
    as.onQuestion = ({ form }, res) => {
      sendJson(res, as.answerTo(form.get('token')));
    };
    await expectAccepted(app, as.issue());
  });
});

describe('RFC 9701 5 encrypted answers', () => {
  /** What was agreed, and how the server encrypts for it. */
  async function agreement(alg: string, enc?: string) {
    const { publicKey, privateKey } = await generateKeyPair(alg, { extractable: true });
    const decryption = { key: privateKey, algorithm: alg, ...(enc !== undefined && { encryption: enc }) };
    const seal: Seal = { alg, key: publicKey, ...(enc !== undefined && { enc }) };
    return { decryption, seal };
  }
  const decrypting = (decryption: NonNullable<SignedAnswers['decryption']>) =>
    signedStage({ signedAnswers: { algorithm: 'ES256', decryption } });

  test.each<[alg: string, content: string, enc?: string]>([
    ['RSA-OAEP-256', 'the default'],
    ['RSA-OAEP', 'A256GCM', 'A256GCM'],
    ['ECDH-ES', 'the default'],
    ['ECDH-ES', 'A256CBC-HS512', 'A256CBC-HS512'],
    ['ECDH-ES+A256KW', 'A128GCM', 'A128GCM'],
  ])('9701-5-5 an answer that is signed, then encrypted with %s and %s, is read', async (alg, ...[, enc]) => {
    const { decryption, seal } = await agreement(alg, enc);
    const scene = await decrypting(decryption);
    const { body } = await expectUsable(scene, sealed(seal));
    expect(body).toMatchObject({ auth: { subject: 'alice', scopes: ['read', 'write'] } });
    await expectRefused(scene.app, 'unknown', INACTIVE);
  });

  test('9701-5-5 our key may be a JWK, or a shared secret', async () => {
    const { decryption, seal } = await agreement('ECDH-ES');
    await expectUsable(await decrypting({ ...decryption, key: await exportJWK(decryption.key) }), sealed(seal));
    const direct = await decrypting({ key: SECRET, algorithm: 'dir' });
    await expectUsable(direct, sealed({ alg: 'dir', key: SECRET }));
    await expectUnusable(direct, sealed({ alg: 'dir', key: Buffer.alloc(32, 8) }), FAULTS.decryption, {
      right: sealed({ alg: 'dir', key: SECRET }),
    });
  });

  const signedAround =
    (body: Body): Body =>
    async (as, token) => {
      const [key] = as.keys;
      if (key === undefined) throw new Error('no key');
      const header = base64url({ typ: TYPE, alg: key.alg, kid: key.kid, cty: 'JWE' });
      return signRaw(`${header}.${base64url(await body(as, token))}`, key);
    };
  test.each<[what: string, faulty: (seal: Seal) => Body, says: string]>([
    ['encrypted JSON that nobody signed', (seal) => sealed(seal, PLAIN), FAULTS.signature],
    ['an encrypted JWT under alg none', (seal) => sealed(seal, unsigned({ alg: 'none' })), FAULTS.algorithm],
    ['an encrypted JWT of somebody else', (seal) => sealed(seal, but({ key: MALLORY })), FAULTS.signature],
    ['an encrypted JWT with another typ', (seal) => sealed(seal, but({ header: { typ: 'JWT' } })), FAULTS.typ],
    ['an encrypted JWT for another client', (seal) => sealed(seal, but({ claims: { aud: 'x' } })), FAULTS.audience],
    ['a signed answer that is not encrypted', () => RIGHT, FAULTS.decryption],
    ['an answer encrypted first and signed then', (seal) => signedAround(sealed(seal)), FAULTS.decryption],
    ['plain JSON', () => PLAIN, FAULTS.decryption],
    ['an answer encrypted twice', (seal) => sealed(seal, sealed(seal)), FAULTS.signature],
    ['an outer header with crit', (seal) => reheaded(sealed(seal), { crit: ['x'], x: 1 }), FAULTS.decryption],
    ['a changed outer header', (seal) => reheaded(sealed(seal), { x: 1 }), FAULTS.decryption],
    ['an outer header with alg none', (seal) => reheaded(sealed(seal), { alg: 'none' }), FAULTS.decryption],
    ['rubbish of five parts', () => () => 'a.b.c.d.e', FAULTS.decryption],
    ['another content encryption', (seal) => sealed({ ...seal, enc: 'A128GCM' }), FAULTS.decryption],
    ['another key management', (seal) => sealed({ ...seal, alg: 'ECDH-ES+A128KW' }), FAULTS.decryption],
    ['the other way to use an agreed secret', () => sealed({ alg: 'dir', key: SECRET }), FAULTS.decryption],
    ['a PBES2 count to compute for an hour', () => reheaded(PASSWORD, { p2c: 2 ** 31 }), FAULTS.decryption],
  ])('9701-5-5 %s is useless where encryption was agreed', async (_what, faulty, says) => {
    const { decryption, seal } = await agreement('ECDH-ES');
    await expectUnusable(await decrypting(decryption), faulty(seal), says, { right: sealed(seal) });
  });

  // In a Node of its own: within jest a TypeError of Web Crypto is none to the library, and takes another way.
  test('9701-5-5 an ephemeral key that is none is a fault of the answer, and no bug of ours', async () => {
    const as = closing(await TestAuthorizationServer.start());
    const { decryption, seal } = await agreement('ECDH-ES');
    const epk = { kty: 'EC', crv: 'P-256', x: 'AA', y: 'AA' };
    const wrong = [epk, { ...epk, crv: undefined }, { ...epk, key_ops: 'x' }, { ...epk, key_ops: [1] }];
    const bodies = [...wrong.map((key) => reheaded(sealed(seal), { epk: key })), sealed(seal)];
    as.onQuestion = async ({ form }, res) => {
      const token = form.get('token') ?? '';
      res.writeHead(200, { 'Content-Type': MEDIA_TYPE }).end(await bodies[tokens.indexOf(token)]?.(as, token));
    };
    const tokens = bodies.map(() => as.issue());
    const key = await exportJWK(decryption.key);
    const args = [as.issuer, as.resource, JSON.stringify(key), ...tokens];
    const { stdout } = await runChild(APP_THAT_DECRYPTS, [], args);
    expect(JSON.parse(stdout)).toEqual([503, 503, 503, 503, 200]);
  });

  test('9701-5-5 what is encrypted for another key, or with the hash of another algorithm, is useless', async () => {
    const { decryption, seal } = await agreement('RSA-OAEP-256');
    const scene = await decrypting(decryption);
    const right = sealed(seal);
    await expectUnusable(scene, sealed((await agreement('RSA-OAEP-256')).seal), FAULTS.decryption, { right });
    const { n, e } = await exportJWK(seal.key);
    const key = await importJWK({ kty: 'RSA', n, e } as JWK, 'RSA-OAEP');
    await expectUnusable(scene, sealed({ alg: 'RSA-OAEP', key }), FAULTS.decryption, { right });
  });

  test('9701-5-5 what is compressed is bounded once it is unpacked', async () => {
    const scene = await decrypting({ key: SECRET, algorithm: 'dir' });
    const seal = { alg: 'dir', key: SECRET, header: { zip: 'DEF' } };
    const right = sealed(seal);
    await expectUsable(scene, right);
    const bomb = but({ claims: { filler: 'x'.repeat(20_000_000) } }); // 20 MB that travel as 26 kB
    await expectUnusable(scene, sealed(seal, bomb), FAULTS.decryption, { right });
    await expectUnusable(scene, reheaded(right, { zip: 'GZ' }), FAULTS.decryption, { right });
  });

  test('9701-5-5 where a password was agreed, the count of its derivation is bounded', async () => {
    const scene = await decrypting({ key: SECRET, algorithm: 'PBES2-HS256+A128KW' });
    await expectUnusable(scene, reheaded(PASSWORD, { p2c: 2 ** 31 }), FAULTS.decryption, { right: PASSWORD });
  });
});

describe('RFC 9701 8.1 an answer is no access token', () => {
  const signedAnswers = { algorithm: 'ES256' };

  test('9701-8.1-1 a signed answer sent as an access token is refused by its typ', async () => {
    const { as, app } = await signedStage({ signedAnswers, jwtLocally: true });
    const claims = { ...validClaims(as.issuer, as.resource) }; // even with all that a token has
    for (const answer of [signedAnswer(as, as.issue()), signedAnswer(as, as.issue(), { claims })]) {
      await expectRefused(app, answer, SAYS.type);
    }
    await expectAccepted(app, as.mint());
    expect(as.questions).toEqual([]);
  });

  test('9701-8.1-1 under another typ that the terms take it is refused by its claims', async () => {
    const { as, app } = await signedStage({ signedAnswers, jwtLocally: true }, () => ({ typ: ['at+jwt', 'JWT'] }));
    const claims = { ...validClaims(as.issuer, as.resource) };
    const header = { typ: 'JWT' };
    await expectRefused(app, signedAnswer(as, as.issue(), { header, claims }), SAYS.type);
    const without = { ...claims, token_introspection: undefined };
    await expectAccepted(app, signedAnswer(as, as.issue(), { header, claims: without }));
  });

  // Section 8.1 makes no exception for tokens that are introspected, and not every server knows what it once said.
  test('9701-8.1-1 where JWTs are introspected it is refused by its typ, too, whatever the server says of it', async () => {
    const { as, app } = await signedStage();
    const [answer, token] = [signedAnswer(as, as.issue()), as.mint()];
    for (const known of [answer, token]) as.opaque.set(known, validClaims(as.issuer, as.resource));
    await expectRefused(app, answer, SAYS.type);
    expect(as.questions).toEqual([]);
    await expectAccepted(app, token);
  });

  test('9701-8.1-1 under another typ it is refused for its audience, which are we as a client, and nobody is asked', async () => {
    const { as, app } = await signedStage();
    const header = { typ: 'JWT' };
    const answer = signedAnswer(as, as.issue(), { header });
    const token = as.mint({}, { header });
    for (const known of [answer, token]) as.opaque.set(known, validClaims(as.issuer, as.resource));
    await expectRefused(app, answer, SAYS.audience);
    expect(as.questions).toEqual([]);
    await expectAccepted(app, token);
  });

  test('9701-8.1-1 under another typ and for our resource the server is asked about it, and knows no such token', async () => {
    const { as, app } = await signedStage();
    const header = { typ: 'JWT' };
    const answer = signedAnswer(as, as.issue(), { header, claims: { aud: as.resource } });
    const token = as.mint({}, { header });
    as.opaque.set(token, validClaims(as.issuer, as.resource));
    await expectRefused(app, answer, INACTIVE);
    await expectAccepted(app, token);
    expect(as.questions.map(({ form }) => form.get('token'))).toEqual([answer, token]);
  });

  test.each<[claim: string, says: string]>([
    ['exp', SAYS.times],
    ['iat', SAYS.times],
    ['aud', SAYS.audience],
    ['client_id', SAYS.missing('client_id')],
    ['sub', SAYS.missing('sub')],
    ['jti', SAYS.missing('jti')],
    ['iss', INACTIVE], // it names nobody, and is asked about
  ])('9701-8.1-2 a JWT without %s is no access token, whatever its typ', async (claim, says) => {
    const { as, app } = await signedStage({ signedAnswers, jwtLocally: true });
    answerWith(as, but({ members: { active: false } }));
    const header = { typ: 'at+jwt' };
    const claims = { ...validClaims(as.issuer, as.resource) };
    const without = signedAnswer(as, as.issue(), { header, claims: { ...claims, [claim]: undefined } });
    await expectRefused(app, without, says);
    await expectAccepted(app, signedAnswer(as, as.issue(), { header, claims }));
  });

  test('9701-8.1-3 a token for another resource is refused, from the cache as well', async () => {
    const { as, app } = await signedStage();
    const foreign = as.issue({ aud: ['https://other.example'] });
    for (let i = 0; i < 2; i++) await expectRefused(app, foreign, SAYS.audience);
    await expectAccepted(app, as.issue({ aud: ['https://other.example', as.resource] }));
    expect(as.questions).toHaveLength(2);
  });

  test('9701-8.1-3 a token that is bound to a key does not pass as a bearer token', async () => {
    const { as, app } = await signedStage();
    const bound = as.issue({ token_type: 'DPoP', cnf: { jkt: 'x' } });
    for (let i = 0; i < 2; i++)
      await expectRefused(app, bound, 'The access token is bound to a key that was not proven');
    await expectAccepted(app, as.issue());
  });
});
