import { afterEach, describe, expect, test } from '@jest/globals';
import { CompactEncrypt, importJWK } from 'jose';
import { expectForgeryRefused, signerOf, unsigned, withMember } from '../support/attack.js';
import { closeAll, expectAccepted, SAYS, stage } from '../support/stage.js';
import { base64url, signRaw, validClaims } from '../support/tokens.js';

const API = 'https://api.example.com';

afterEach(closeAll);

describe('other tokens of the same authorization server, validly signed', () => {
  test.each([
    ...['JWT', 'jwt', 'dpop+jwt', 'logout+jwt', 'token-introspection+jwt', 'statuslist+jwt', 'secevent+jwt', 'rt+jwt'],
    ...[
      'oauth-authz-req+jwt',
      'client-authentication+jwt',
      'entity-statement+jwt',
      'kb+jwt',
      'JOSE',
      'JOSE+JSON',
      'at',
    ],
    ...[
      'at+jwt ',
      ' at+jwt',
      'at+jwt\n',
      'at+jwt;x=y',
      'at jwt',
      'at+jws',
      'xat+jwt',
      'at+jwtx',
      'x/at+jwt',
      'text/at+jwt',
    ],
    ...[
      'application/JWT',
      'application//at+jwt',
      'application/application/at+jwt',
      '/at+jwt',
      'at+\u212awt',
      'at%2Bjwt',
      '',
    ],
  ])('typ %p is no access token', async (typ) => {
    const { as, app } = await stage();
    await expectForgeryRefused(app, as.mint({}, { header: { typ } }), SAYS.type);
    expect(as.log).toEqual([]);
    await expectAccepted(app, as.mint({}, { header: { typ: 'application/AT+JWT' } }));
  });

  test('an ID token for a client of the same name as this API is no access token', async () => {
    const { as, app } = await stage();
    const claims = { nonce: 'n-0S6_WzA2Mj', at_hash: 'x', azp: API, aud: API, auth_time: 1, scope: undefined };
    for (const typ of [undefined, 'JWT', 'application/jwt']) {
      await expectForgeryRefused(app, as.mint(claims, { header: { typ } }), SAYS.type);
    }
    await expectAccepted(app, as.mint(claims));
  });

  test.each([
    ['x5t#S256', { 'x5t#S256': 'A4DtL2JmUMhAsvJj5tKyn64SqzmuXbMrJa0n761y5v0' }],
    ['jkt', { jkt: '0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I' }],
    ['jwk', { jwk: { kty: 'EC' } }],
    ['members nobody knows', { x: 1 }],
    ['no members', {}],
    ['null', null],
    ['an empty text', ''],
  ])('a token bound by cnf with %s is not taken as a bearer token', async (_name, cnf) => {
    const { as, app } = await stage();
    await expectForgeryRefused(app, as.mint({ cnf }), 'The access token is bound to a key that was not proven');
    await expectAccepted(app, as.mint());
  });
});

describe('other serializations', () => {
  test('an encrypted token is refused, also one encrypted for a key of the server', async () => {
    const { as, app } = await stage();
    const { kty, crv, x, y } = signerOf(as).jwk;
    if (kty !== 'EC' || crv === undefined || x === undefined || y === undefined) throw new Error('no EC key');
    const jwe = await new CompactEncrypt(Buffer.from(as.mint()))
      .setProtectedHeader({ alg: 'ECDH-ES', enc: 'A256GCM', typ: 'at+jwt', cty: 'at+jwt' })
      .encrypt(await importJWK({ kty, crv, x, y }, 'ECDH-ES'));
    await expectForgeryRefused(app, jwe, SAYS.noJwt);
    expect(as.log).toEqual([]);
    await expectAccepted(app, as.mint());
  });

  test('the JSON serializations are refused, in the header as they are and as base64url', async () => {
    const { as, app } = await stage();
    const token = as.mint();
    const [header = '', payload = '', signature = ''] = token.split('.');
    for (const json of [
      { protected: header, payload, signature },
      { payload, signatures: [{ protected: header, signature }] },
      { protected: header, payload, signature, header: { typ: 'at+jwt' } },
    ]) {
      const answer = await app.get('/protected', JSON.stringify(json));
      expect([answer.status, answer.challenges[0]?.params.get('error'), app.handled]).toEqual([
        400,
        'invalid_request',
        0,
      ]);
      await expectForgeryRefused(app, base64url(json), SAYS.noJwt);
      await expectForgeryRefused(app, `${base64url(json)}..`, SAYS.noJwt);
      await expectForgeryRefused(app, `${base64url(json)}.${payload}.${signature}`, SAYS.algorithm);
    }
    await expectAccepted(app, token);
  });

  test('a detached and an unencoded payload are refused', async () => {
    const { as, app } = await stage();
    const token = as.mint();
    await expectForgeryRefused(app, token.replace(/\.[^.]+\./, '..'), SAYS.noJwt);
    const header = { b64: false, crit: ['b64'] };
    await expectForgeryRefused(app, signRaw(unsigned(as, header), signerOf(as)), SAYS.crit);
    await expectAccepted(app, as.mint({}, { header: { b64: false } }));
  });
});

describe('issuers that look alike', () => {
  test.each([
    ['a slash more', (iss: string) => `${iss}/`],
    ['upper case', (iss: string) => iss.toUpperCase()],
    ['another scheme', (iss: string) => iss.replace('http:', 'https:')],
    ['a user', (iss: string) => iss.replace('//', '//user@')],
    ['a user before the host of the attacker', (iss: string) => `${iss}@evil.example`],
    ['a longer host', (iss: string) => iss.replace('/tenant', '.evil.example/tenant')],
    ['a prefix', (iss: string) => iss.slice(0, -1)],
    ['something after it', (iss: string) => `${iss}x`],
    ['something before it', (iss: string) => `x${iss}`],
    ['two in one text', (iss: string) => `${iss} ${iss}`],
    ['a query', (iss: string) => `${iss}?`],
    ['a fragment', (iss: string) => `${iss}#`],
    ['a dot segment', (iss: string) => iss.replace('/tenant', '/./tenant')],
    ['an encoded letter', (iss: string) => iss.replace('tenant', '%74enant')],
    ['a Cyrillic letter', (iss: string) => iss.replace('e', '\u0435')],
    ['a letter that folds', (iss: string) => iss.replace('n', '\uff4e')],
    ['a combining mark', (iss: string) => `${iss}\u0301`],
    ['an invisible letter', (iss: string) => `${iss}\u200b`],
    ['a NUL', (iss: string) => `${iss}\u0000`],
    ['the default port of another', (iss: string) => iss.replace(/:\d+/, ':80')],
    ['another name of the host', (iss: string) => iss.replace('127.0.0.1', 'localhost')],
    ['a number for the host', (iss: string) => iss.replace('127.0.0.1', '2130706433')],
    ['a list', (iss: string) => [iss]],
    ['an object', (iss: string) => ({ toString: iss })],
  ])('iss with %s is refused', async (_name, change) => {
    const { as, app } = await stage({}, '/tenant');
    await expectForgeryRefused(app, as.mint({ iss: change(as.issuer) }), SAYS.issuer);
    expect(as.log).toEqual([]);
    await expectAccepted(app, as.mint());
  });
});

describe('audiences that look alike', () => {
  test.each([
    ...[
      `${API}/`,
      `${API}/x`,
      `${API}.evil.example`,
      API.slice(0, -1),
      `x${API}`,
      API.toUpperCase(),
      ` ${API}`,
      `${API} `,
    ],
    ...[
      'https://user@api.example.com',
      'https://api.example.com:443',
      'http://api.example.com',
      '*',
      '',
      API.replace('a', '\u0430'),
    ],
    ...[
      `${API} ${API}`,
      `${API},${API}`,
      [[API]],
      { 0: API },
      { [API]: API },
      [API, null],
      [API, 1],
      [{ aud: API }],
      [],
      true,
    ],
    ...['https://api.example.com?', 'https://api.example.com#', '//api.example.com', 'api.example.com', `${API}\u0000`],
  ])('aud %j is not this API', async (aud) => {
    const { as, app } = await stage();
    await expectForgeryRefused(app, as.mint({ aud }), SAYS.audience);
    expect(as.log).toEqual([]);
    await expectAccepted(app, as.mint({ aud: ['x', API] }));
  });

  test('an aud that is this API in other JSON spelling is the same', async () => {
    const { as, app } = await stage();
    const { alg, kid } = signerOf(as);
    const payload = withMember(validClaims(as.issuer, API), `"aud":"${API.replace('/', '\\/')}"`);
    await expectAccepted(app, signRaw(`${base64url({ typ: 'at+jwt', alg, kid })}.${base64url(payload)}`, signerOf(as)));
    await expectForgeryRefused(app, as.mint({ aud: API.replace('/', '\\/') }), SAYS.audience);
  });
});
