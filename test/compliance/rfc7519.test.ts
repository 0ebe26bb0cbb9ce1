import { afterEach, describe, expect, test } from '@jest/globals';
import { closeAll, expectAccepted, expectRefused, SAYS, stage } from '../support/stage.js';
import { base64url, signingKey, signJwt, signRaw, validClaims } from '../support/tokens.js';
import type { SigningKey } from '../support/tokens.js';

const API = 'https://api.example.com';

afterEach(closeAll);

/** A token whose payload is this text, signed as it stands. */
function tokenOf(payload: string, key: SigningKey, header: unknown = { typ: 'at+jwt', alg: key.alg, kid: key.kid }) {
  return signRaw(`${base64url(header)}.${base64url(payload)}`, key);
}

/** The JSON text of `claims` with one more member at its beginning or its end. */
function withMember(claims: object, member: string, place: 'first' | 'last'): string {
  const members = JSON.stringify(claims).slice(1, -1);
  return place === 'first' ? `{${member},${members}}` : `{${members},${member}}`;
}

describe('RFC 7519 4 JWT claims', () => {
  test.each([
    ['iss', '"iss":"https://evil.example"', SAYS.issuer],
    ['aud', '"aud":"https://other.example"', SAYS.audience],
    ['exp', '"exp":1', SAYS.expired],
    ['sub', '"sub":""', SAYS.missing('sub')],
  ])('7519-4-1 of a repeated %s the last decides, for acceptance and for refusal', async (_name, member, says) => {
    const { as, app } = await stage();
    const [key = signingKey()] = as.keys;
    const claims = validClaims(as.issuer, as.resource);
    await expectAccepted(app, tokenOf(withMember(claims, member, 'first'), key));
    await expectRefused(app, tokenOf(withMember(claims, member, 'last'), key), says);
  });

  test('7519-4-1 of a repeated scope the last decides what is granted', async () => {
    const { as, app } = await stage();
    const [key = signingKey()] = as.keys;
    const claims = { ...validClaims(as.issuer, as.resource), scope: 'read' };
    await expectAccepted(app, tokenOf(withMember(claims, '"scope":"none"', 'first'), key), '/scoped');
    const answer = await app.get('/scoped', tokenOf(withMember(claims, '"scope":"none"', 'last'), key));
    expect(answer.status).toBe(403);
    expect(answer.challenge).toBe(
      `Bearer realm="${API}", error="insufficient_scope", error_description="The access token lacks a required scope", scope="read"`,
    );
  });

  test('7519-4-2 claims nobody understands are ignored, and handed to the handler', async () => {
    const { as, app } = await stage();
    const unknown = { 'https://example.com/x': { deep: [1] }, zoneinfo: null };
    const answer = await expectAccepted(app, as.mint(unknown));
    expect(answer.body).toMatchObject({ auth: { claims: unknown } });
  });
});

describe('RFC 7519 4.1 registered claims', () => {
  test.each([
    ['in other case', (issuer: string) => issuer.replace('/tenant', '/Tenant')],
    ['with a slash more', (issuer: string) => `${issuer}/`],
    ['with a blank more', (issuer: string) => `${issuer} `],
    ['of another port', (issuer: string) => issuer.replace(/:\d+/, ':1')],
    ['cut short', (issuer: string) => issuer.slice(0, -1)],
    ['as a list', (issuer: string) => [issuer]],
    ['as an object', (issuer: string) => ({ issuer })],
    ['that is null', () => null],
    ['that is absent', () => undefined],
  ])('7519-4.1.1-1 an iss %s is refused, and no key is asked for', async (_name, change) => {
    const { as, app } = await stage({}, '/tenant');
    await expectRefused(app, as.mint({ iss: change(as.issuer) }), SAYS.issuer);
    expect(as.log).toEqual([]);
    await expectAccepted(app, as.mint());
  });

  test.each([
    ['another', 'https://other.example'],
    ['a longer one', `${API}/`],
    ['a longer host', `${API}.evil.example`],
    ['a shorter one', API.slice(0, -1)],
    ['one with something before it', `x${API}`],
    ['one in other case', API.toUpperCase()],
    ['two names in one string', `${API} https://other.example`],
    ['an empty list', []],
    ['a list of others', ['https://other.example', `${API}/`]],
    ['an empty string', ''],
  ])('7519-4.1.3-1 an aud that is %s is refused, and no key is asked for', async (_name, aud) => {
    const { as, app } = await stage();
    await expectRefused(app, as.mint({ aud }), SAYS.audience);
    expect(as.log).toEqual([]);
    await expectAccepted(app, as.mint({ aud: API }));
  });

  test.each([
    ['a string', API],
    ['a list of one', [API]],
    ['a list with others before and after', ['https://a.example', API, 'https://b.example']],
  ])('7519-4.1.3-2 an aud that is %s with this API passes', async (_name, aud) => {
    const { as, app } = await stage();
    await expectAccepted(app, as.mint({ aud }));
  });

  test.each([
    ['a number', 1],
    ['an object', { [API]: true }],
    ['true', true],
    ['null', null],
    ['a list within a list', [[API]]],
    ['a list with a number beside this API', [API, 1]],
    ['a list with null beside this API', [null, API]],
  ])('7519-4.1.3-2 an aud that is %s is refused', async (_name, aud) => {
    const { as, app } = await stage();
    await expectRefused(app, as.mint({ aud }), SAYS.audience);
    await expectAccepted(app, as.mint());
  });
});

describe('RFC 7519 5.2, 7.2 and 7.3 validation', () => {
  test('7519-5.2-1 a nested JWT is refused, and the inner one passes by itself', async () => {
    const { as, app } = await stage();
    const [key = signingKey()] = as.keys;
    const inner = as.mint();
    const header = { typ: 'at+jwt', cty: 'JWT', alg: key.alg, kid: key.kid };
    await expectRefused(app, tokenOf(inner, key, header), SAYS.noJwt);
    await expectRefused(app, tokenOf(JSON.stringify(inner), key, header), SAYS.noJwt);
    expect(as.log).toEqual([]);
    await expectAccepted(app, inner);
  });

  const shapes: [name: string, change: (token: string, key: SigningKey) => string][] = [
    ['without a period', (token) => token.replaceAll('.', '')],
    ['of one period', (token) => token.slice(0, token.lastIndexOf('.'))],
    ['of three periods', (token) => `${token}.`],
    ['with an empty header', (token) => token.slice(token.indexOf('.'))],
    ['with an empty payload', (token) => token.replace(/\.[^.]+\./, '..')],
    ['with a header that is no base64url', (token) => token.replace(/^.{4}/, 'ey+/')],
    ['with a header of an impossible length', (token) => token.replace('.', 'AAAAA.')],
    ['with padding after its signature', (token) => `${token}==`],
    ['with a header that is a list', (token, key) => signRaw(`${base64url('[]')}.${token.split('.')[1] ?? ''}`, key)],
    [
      'with a header that is a string',
      (token, key) => signRaw(`${base64url('"x"')}.${token.split('.')[1] ?? ''}`, key),
    ],
    ['with a payload that is a list', (_token, key) => tokenOf('[]', key)],
    ['with a payload that is a string', (_token, key) => tokenOf('"x"', key)],
    ['with a payload that is a number', (_token, key) => tokenOf('1', key)],
    ['with a payload that is null', (_token, key) => tokenOf('null', key)],
    ['with a payload that is cut off', (_token, key) => tokenOf('{"iss":', key)],
    ['with a payload that is empty text', (_token, key) => tokenOf(' ', key)],
  ];
  test.each(shapes)('7519-7.2-1 a token %s is refused, and no key is asked for', async (_name, change) => {
    const { as, app } = await stage();
    const [key = signingKey()] = as.keys;
    await expectRefused(app, change(as.mint(), key), SAYS.noJwt);
    expect(as.log).toEqual([]);
    await expectAccepted(app, as.mint());
  });

  test('7519-7.2-1 a blank inside a token is refused as a malformed request', async () => {
    const { as, app } = await stage();
    const answer = await app.get('/protected', as.mint().replace('.', ' .'));
    expect(answer.status).toBe(400);
    expect(answer.challenge).toBe(
      `Bearer realm="${API}", error="invalid_request", error_description="The Authorization header must be Bearer, a space and one token"`,
    );
    expect([app.handled, as.log]).toEqual([0, []]);
  });

  test('7519-7.2-2 a token validly signed with an algorithm that was not named is refused', async () => {
    const { as, app } = await stage({ algorithms: ['ES256'] });
    const other = signingKey('ES384', 'second');
    as.keys.push(other);
    await expectRefused(app, as.mint({}, { key: other }), SAYS.algorithm);
    expect(as.log).toEqual([]);
    await expectAccepted(app, as.mint());
    const { app: open, as: second } = await stage();
    second.keys.push(other);
    await expectAccepted(open, second.mint({}, { key: other }));
  });

  test('7519-7.3-1 names that only normalization would make equal are different names', async () => {
    const { as, app } = await stage({ audience: 'urn:caf\u00e9' });
    await expectAccepted(app, as.mint({ aud: 'urn:caf\u00e9' }));
    for (const aud of ['urn:cafe\u0301', 'urn:caf%C3%A9', 'urn:CAF\u00c9', 'urn:cafe']) {
      await expectRefused(app, as.mint({ aud }), SAYS.audience);
    }
  });

  test('7519-7.3-1 issuers that differ in percent-encoding only are different issuers', async () => {
    const { as, app } = await stage({}, '/%7Etenant');
    for (const iss of [as.issuer.replace('%7E', '%7e'), as.issuer.replace('%7E', '~')]) {
      await expectRefused(app, as.mint({ iss }), SAYS.issuer);
    }
    expect(as.log).toEqual([]);
    await expectAccepted(app, as.mint());
  });

  test('7519-7.3-1 a claim written with JSON escapes is the same claim', async () => {
    const { as, app } = await stage();
    const [key = signingKey()] = as.keys;
    const escape = (text: string) =>
      Array.from(text, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`).join('');
    const claims = validClaims(as.issuer, as.resource);
    const members = [`"${escape('iss')}":"${escape(as.issuer)}"`, `"${escape('aud')}":["${escape(API)}"]`];
    const text = members.reduce(
      (json, member) => withMember(JSON.parse(json) as object, member, 'last'),
      JSON.stringify({ ...claims, iss: undefined, aud: undefined }),
    );
    expect(text).not.toContain('https');
    await expectAccepted(app, tokenOf(text, key));
    await expectRefused(app, tokenOf(text.replace(escape(API), escape(`${API}/`)), key), SAYS.audience);
  });

  test('7519-7.2-1 a token whose signature is that of another token is refused', async () => {
    const { as, app } = await stage();
    const [key = signingKey()] = as.keys;
    const [, , signature = ''] = signJwt({}, {}, key).split('.');
    await expectRefused(app, as.mint().replace(/[^.]+$/, signature), SAYS.signature);
    await expectAccepted(app, as.mint());
  });
});
