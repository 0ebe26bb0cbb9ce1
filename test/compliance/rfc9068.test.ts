import { afterEach, describe, expect, test } from '@jest/globals';
import { requireClaim } from '../../lib/index.js';
import { startApp } from '../support/app.js';
import { TestAuthorizationServer } from '../support/authorization-server.js';
import { closeAll, closing, expectAccepted, expectRefused, SAYS, stage } from '../support/stage.js';
import { base64url, signingKey, signJwt } from '../support/tokens.js';

const API = 'https://api.example.com';

afterEach(closeAll);

describe('RFC 9068 2 and 3 the token', () => {
  test('9068-2.1-1 RS256 passes without any option', async () => {
    const { as, app } = await stage();
    as.keys = [signingKey('RS256', 'rsa')];
    await expectAccepted(app, as.mint());
    await expectRefused(app, as.mint({}, { key: signingKey('RS256', 'rsa') }), SAYS.signature);
  });

  test.each([
    ['iss', SAYS.issuer],
    ['exp', SAYS.times],
    ['aud', SAYS.audience],
    ['sub', SAYS.missing('sub')],
    ['client_id', SAYS.missing('client_id')],
    ['iat', SAYS.times],
    ['jti', SAYS.missing('jti')],
  ])('9068-2.2-1 a token without %s is refused, and no key is asked for', async (name, says) => {
    const { as, app } = await stage();
    await expectRefused(app, as.mint({ [name]: undefined }), says);
    await expectRefused(app, as.mint({ [name]: null }), says);
    await expectRefused(app, as.mint({ [name]: {} }), says);
    await expectRefused(app, as.mint({ [name]: '' }), says);
    expect(as.log).toEqual([]);
    await expectAccepted(app, as.mint());
  });

  test.each([
    ['a list', ['read', 'write']],
    ['a list of one', ['read']],
    ['an object', { read: true }],
    ['a number', 1],
    ['separated by commas', 'read,write'],
    ['separated by tabs', 'write\tread'],
    ['absent', undefined],
  ])('9068-2.2.3-1 a scope that is %s grants nothing', async (_name, scope) => {
    const { as, app } = await stage();
    const answer = await app.get('/scoped', as.mint({ scope }));
    expect(answer.status).toBe(403);
    expect(answer.challenge).toBe(
      `Bearer realm="${API}", error="insufficient_scope", error_description="The access token lacks a required scope", scope="read"`,
    );
    expect(answer.body).not.toHaveProperty('auth');
    await expectAccepted(app, as.mint({ scope: 'write read' }), '/scoped');
  });

  test('9068-4-1 the header and claims printed in section 3 pass', async () => {
    const key = signingKey('RS256', 'RjEwOwOA');
    const iss = 'https://authorization-server.example.com/';
    const claims = {
      iss,
      sub: '5ba552d67',
      aud: 'https://rs.example.com/',
      exp: 1639528912,
      iat: 1618354090,
      jti: 'dbe39bf3a3ba4238a513f51d6e1691c4',
      client_id: 's6BhdRkqt3',
      scope: 'openid profile reademail',
    };
    const options = { resource: 'https://rs.example.com/', issuer: iss, jwks: { keys: [key.jwk] } };
    const app = closing(await startApp({ ...options, clock: () => claims.iat }));
    const header = { typ: 'at+JWT', alg: 'RS256', kid: 'RjEwOwOA' };
    const answer = await expectAccepted(app, signJwt(header, claims, key));
    expect(answer.body).toMatchObject({ auth: { clientId: 's6BhdRkqt3', scopes: ['openid', 'profile', 'reademail'] } });
    const late = closing(await startApp({ ...options, clock: () => claims.exp }));
    expect((await late.get('/protected', signJwt(header, claims, key))).challenge).toBe(
      'Bearer realm="https://rs.example.com/", error="invalid_token", error_description="The access token expired"',
    );
  });
});

describe('RFC 9068 4 validation', () => {
  test.each([
    ['JWT'],
    [undefined],
    ['dpop+jwt'],
    ['at+jwt;x'],
    ['at+jwt; charset=utf-8'],
    [1],
    [null],
    [''],
    [['at+jwt']],
    ['at jwt'],
    ['at%2Bjwt'],
    [' at+jwt'],
    ['at+jwt\n'],
    ['application/at+jwt\n'],
    ['application/jwt'],
    ['x-at+jwt'],
    ['at+jwt2'],
    ['\u0430t+jwt'],
  ])('9068-4-1 the typ %p is refused, and no key is asked for', async (typ) => {
    const { as, app } = await stage();
    await expectRefused(app, as.mint({}, { header: { typ } }), SAYS.type);
    expect(as.log).toEqual([]);
    await expectAccepted(app, as.mint({}, { header: { typ: 'application/at+jwt' } }));
  });

  test('9068-4-3 the iss is that of the configured issuer, slash for slash', async () => {
    const { as, app } = await stage({}, '/');
    expect(as.issuer).toMatch(/\/$/);
    await expectRefused(app, as.mint({ iss: as.issuer.slice(0, -1) }), SAYS.issuer);
    expect(as.log).toEqual([]);
    await expectAccepted(app, as.mint());
  });

  test('9068-4-4 an aud with one of several expected names passes, with none it is refused', async () => {
    const { as, app } = await stage({ audience: ['urn:pictures', 'urn:albums'] });
    await expectAccepted(app, as.mint({ aud: 'urn:albums' }));
    await expectAccepted(app, as.mint({ aud: ['x', 'urn:pictures'] }));
    await expectRefused(app, as.mint({ aud: API }), SAYS.audience);
    await expectRefused(app, as.mint({ aud: 'urn:pictures urn:albums' }), SAYS.audience);
  });

  test('9068-4-5 a claim changed after signing is refused', async () => {
    const { as, app } = await stage();
    const token = as.mint({ scope: 'read' });
    const [head = '', payload = '', signature = ''] = token.split('.');
    const claims = JSON.parse(Buffer.from(payload, 'base64url').toString()) as object;
    const changed = [head, base64url({ ...claims, scope: 'read admin' }), signature].join('.');
    await expectRefused(app, changed, SAYS.signature);
    await expectAccepted(app, token);
  });

  test('9068-4-6 alg none is refused', async () => {
    const { as, app } = await stage();
    const [, payload = ''] = as.mint().split('.');
    await expectRefused(app, `${base64url({ typ: 'at+jwt', alg: 'none' })}.${payload}.`, SAYS.algorithm);
    expect(as.log).toEqual([]);
    await expectAccepted(app, as.mint());
  });

  test('9068-4-7 a token signed with its own embedded key is refused', async () => {
    const { as, app } = await stage();
    const own = signingKey('ES256', 'own');
    await expectRefused(app, as.mint({}, { key: own, header: { jwk: own.jwk } }), SAYS.key);
    await expectRefused(app, as.mint({}, { key: own, header: { jwk: own.jwk, kid: undefined } }), SAYS.signature);
    await expectRefused(app, as.mint({}, { key: own, header: { x5c: ['AAAA'], kid: 'first' } }), SAYS.signature);
    await expectAccepted(app, as.mint({}, { header: { jwk: own.jwk } }));
  });

  test('9068-4-8 a token is refused when its exp is reached, and passes within the tolerance', async () => {
    const [strict, lenient] = [await stage(), await stage({ clockTolerance: 5 })];
    for (const { as, app, clock } of [strict, lenient]) {
      const token = as.mint({ exp: clock.now });
      if (app === strict.app) await expectRefused(app, token, SAYS.expired);
      else await expectAccepted(app, token);
      await expectAccepted(app, as.mint({ exp: clock.now + 1 }));
    }
  });

  test('9068-4-9 every failed check answers invalid_token, with and without words', async () => {
    const { as, app } = await stage({ errorDescription: false });
    const bad = [
      as.mint({}, { header: { typ: 'JWT' } }),
      as.mint({}, { header: { crit: ['x'] } }),
      as.mint({}, { header: { alg: 'none' } }),
      as.mint({}, { header: { kid: 'x' } }),
      as.mint({}, { key: signingKey('ES256', 'first') }),
      as.mint({ iss: 'x' }),
      as.mint({ aud: 'x' }),
      as.mint({ exp: 1 }),
      as.mint({ nbf: 9_999_999_999 }),
      as.mint({ iat: 'x' }),
      as.mint({ sub: undefined }),
      as.mint({ cnf: { jkt: 'x' } }),
      'opaque',
    ];
    for (const token of bad) {
      const answer = await app.get('/protected', token);
      expect(answer.status).toBe(401);
      expect(answer.challenge).toBe(`Bearer realm="${API}", error="invalid_token"`);
      expect(answer.body).toEqual({ error: 'invalid_token' });
    }
    expect(app.handled).toBe(0);
    await expectAccepted(app, as.mint());
  });

  test('9068-4-11 groups, roles and entitlements take part in the decision', async () => {
    const as = closing(await TestAuthorizationServer.start());
    const isEditor = requireClaim('roles', (roles) => Array.isArray(roles) && roles.includes('editor'));
    const app = closing(
      await startApp({ resource: API, issuer: as.issuer }, (express) => {
        express.get('/edit', isEditor, (_req, res) => void res.json({ edited: true }));
      }),
    );
    const answer = await app.get('/edit', as.mint({ roles: ['reader'] }));
    expect(answer.status).toBe(403);
    expect(answer.challenge).toBe(
      `Bearer realm="${API}", error="insufficient_scope", error_description="The access token lacks a required claim"`,
    );
    expect(answer.body).not.toHaveProperty('edited');
    expect((await app.get('/edit', as.mint({ roles: 'editor' }))).status).toBe(403);
    expect((await app.get('/edit', as.mint())).status).toBe(403);
    await expectAccepted(app, as.mint({ roles: ['reader', 'editor'] }), '/edit');
  });
});

describe('RFC 9068 5 keys', () => {
  test('9068-5-1 each published key is good, and a removed one is bad after the next look', async () => {
    const { as, app, clock } = await stage();
    const keys = [signingKey('ES256', 'a'), signingKey('RS256', 'b'), signingKey('EdDSA', 'c')];
    as.keys = keys;
    for (const key of keys) await expectAccepted(app, as.mint({}, { key }));
    expect(as.keyFetches).toBe(1);
    const [removed = signingKey(), ...rest] = keys;
    const late = { exp: clock.now + 10_000 };
    as.keys = rest;
    clock.now += 600;
    await expectRefused(app, as.mint(late, { key: removed }), SAYS.key);
    expect(as.keyFetches).toBe(2);
    for (const key of rest) await expectAccepted(app, as.mint(late, { key }));
  });

  test('9068-5-1 a new key is good at once where the last look for one is half a minute old', async () => {
    const { as, app, clock } = await stage();
    await expectAccepted(app, as.mint());
    as.keys = [signingKey('ES256', 'added')];
    clock.now += 1;
    await expectAccepted(app, as.mint());
    as.keys = [signingKey('ES256', 'added later')];
    clock.now += 29;
    await expectRefused(app, as.mint(), SAYS.key);
    clock.now += 1;
    await expectAccepted(app, as.mint());
    expect(as.keyFetches).toBe(3);
  });
});
