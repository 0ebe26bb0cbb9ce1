import { createCipheriv, randomBytes } from 'node:crypto';
import { deflateRawSync } from 'node:zlib';
import { afterEach, describe, expect, test } from '@jest/globals';
import { CompactEncrypt, generateKeyPair } from 'jose';
import { resourceServer } from '../../lib/index.js';
import type { TokenClaims } from '../../lib/index.js';
import { startApp } from '../support/app.js';
import { TestAuthorizationServer } from '../support/authorization-server.js';
import { listen } from '../support/listen.js';
import { closeAll, closing, expectAccepted, expectInvalidToken, expectRefused, SAYS, stage } from '../support/stage.js';
import { base64url, signingKey, signJwt, signRaw, validClaims } from '../support/tokens.js';

const API = 'https://api.example.com';

afterEach(closeAll);

async function encrypted(content: string, header: Readonly<Record<string, unknown>> = {}): Promise<string> {
  const { publicKey } = await generateKeyPair('RSA-OAEP-256');
  return new CompactEncrypt(Buffer.from(content))
    .setProtectedHeader({ alg: 'RSA-OAEP-256', enc: 'A128GCM', typ: 'at+jwt', ...header })
    .encrypt(publicKey);
}

describe('RFC 8725 3.3, 3.13 and 3.15 encryption', () => {
  test('8725-3.3-1 a nested token is refused whether what is inside is good or bad', async () => {
    const { as, app } = await stage();
    const [key = signingKey()] = as.keys;
    const bad = as.mint({}, { key: signingKey('ES256', 'first') });
    for (const inner of [as.mint(), bad]) {
      await expectRefused(app, await encrypted(inner, { cty: 'JWT' }), SAYS.noJwt);
      const header = base64url({ typ: 'at+jwt', cty: 'JWT', alg: key.alg, kid: key.kid });
      await expectRefused(app, signRaw(`${header}.${base64url(inner)}`, key), SAYS.noJwt);
    }
    expect(as.log).toEqual([]);
    await expectAccepted(app, as.mint());
  });

  test('8725b-3.3-2 an encrypted token is refused where a signed one is expected', async () => {
    const { as, app } = await stage();
    const claims = JSON.stringify(validClaims(as.issuer, API));
    await expectRefused(app, await encrypted(claims), SAYS.noJwt);
    const key = as.keys[0] ?? signingKey();
    const header = { typ: 'at+jwt', alg: key.alg, kid: key.kid, enc: 'A128GCM' };
    await expectRefused(
      app,
      `${signJwt(header, JSON.parse(claims) as object as Record<string, unknown>, key)}.AAAA.AAAA`,
      SAYS.noJwt,
    );
    expect(as.log).toEqual([]);
    await expectAccepted(app, as.mint());
  });

  test('8725b-3.13-1 a token that asks for ten million PBES2 rounds is refused without one of them', async () => {
    const { as, app } = await stage();
    const header = {
      alg: 'PBES2-HS256+A128KW',
      enc: 'A128GCM',
      typ: 'at+jwt',
      p2c: 10_000_000,
      p2s: base64url('salt'),
    };
    await expectAccepted(app, as.mint());
    const start = performance.now();
    for (let i = 0; i < 5; i++) await expectRefused(app, `${base64url(header)}.AAAA.AAAA.AAAA.AAAA`, SAYS.noJwt);
    expect(performance.now() - start).toBeLessThan(1000); // one such derivation takes longer
  });

  test('8725b-3.15-1 a compressed encrypted token is refused and not unpacked', async () => {
    const { as, app } = await stage();
    const header = base64url({ alg: 'dir', enc: 'A256GCM', typ: 'at+jwt', zip: 'DEF' });
    const [key, iv] = [randomBytes(32), randomBytes(12)];
    const cipher = createCipheriv('aes-256-gcm', key, iv).setAAD(Buffer.from(header));
    const bomb = Buffer.concat([cipher.update(deflateRawSync(Buffer.alloc(8_000_000))), cipher.final()]);
    const parts = [header, '', ...[iv, bomb, cipher.getAuthTag()].map((part) => part.toString('base64url'))];
    await expectAccepted(app, as.mint());
    const before = process.memoryUsage().arrayBuffers;
    await expectRefused(app, parts.join('.'), SAYS.noJwt);
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(8_000_000);
    await expectAccepted(app, as.mint());
  });
});

describe('RFC 8725 3.7 and 3.14 what a JWT consists of', () => {
  test.each([
    ['Latin-1', Buffer.from('\u00e9', 'latin1')],
    ['half a character', Buffer.from([0xe2, 0x82])],
    ['an overlong form', Buffer.from([0xc0, 0xaf])],
    ['a surrogate', Buffer.from([0xed, 0xa0, 0x80])],
  ])('8725-3.7-1 %s in header or claims is refused, UTF-8 passes', async (_name, octets) => {
    const { as, app } = await stage();
    const [key = signingKey()] = as.keys;
    const header = { typ: 'at+jwt', alg: key.alg, kid: key.kid, x: '@' };
    const claims = { ...validClaims(as.issuer, API), sub: 'b@b' };
    const part = (value: unknown, content: Buffer) => {
      const [before = '', after = ''] = JSON.stringify(value).split('@');
      return Buffer.concat([Buffer.from(before), content, Buffer.from(after)]).toString('base64url');
    };
    const good = Buffer.from('\u00e9\u20ac\u{1f600}');
    await expectRefused(app, signRaw(`${part(header, octets)}.${part(claims, good)}`, key), SAYS.noJwt);
    await expectRefused(app, signRaw(`${part(header, good)}.${part(claims, octets)}`, key), SAYS.noJwt);
    expect(as.log).toEqual([]);
    await expectAccepted(app, signRaw(`${part(header, good)}.${part(claims, good)}`, key));
  });

  test.each(['+', '/', '~'])('8725b-3.14-1 %p inside a part is refused as no JWT', async (character) => {
    const { as, app } = await stage();
    const token = as.mint();
    for (const at of [5, token.indexOf('.') + 5, token.length - 5]) {
      await expectRefused(app, `${token.slice(0, at)}${character}${token.slice(at + 1)}`, SAYS.noJwt);
    }
    expect(as.log).toEqual([]);
    await expectAccepted(app, token);
  });

  test.each(['=', '{', '}', '"', ',', ':', '[', '%', '\u00e9', ' '])(
    '8725b-3.14-1 %p inside a part is refused as a malformed request',
    async (character) => {
      const { as, app } = await stage({ methods: ['header', 'body'] });
      const token = as.mint();
      const body = new URLSearchParams({ access_token: `${token.slice(0, 9)}${character}${token.slice(10)}` });
      const answer = await app.request('/protected', { method: 'POST', body });
      expect(answer.status).toBe(400);
      expect(answer.challenge).toMatch(/^Bearer realm="https:\/\/api\.example\.com", error="invalid_request", /);
      expect([app.handled, as.log]).toEqual([0, []]);
      await expectAccepted(app, token);
    },
  );
});

describe('RFC 8725 3.8 and 3.9 issuer, subject, audience', () => {
  test('8725-3.8-1 a token of one issuer under the key of another is refused, the kids being the same', async () => {
    const servers = [await TestAuthorizationServer.start(), await TestAuthorizationServer.start()].map(closing);
    const authorizationServers = servers.map(({ issuer }) => ({ issuer }));
    const app = closing(await startApp({ resource: API, authorizationServers }));
    for (const [i, as] of servers.entries()) {
      const [key = signingKey()] = servers[1 - i]?.keys ?? [];
      expect(key.kid).toBe('first');
      await expectAccepted(app, as.mint());
      await expectRefused(app, as.mint({}, { key }), SAYS.signature);
      await expectRefused(app, as.mint({}, { key, header: { kid: undefined } }), SAYS.signature);
    }
  });

  test('8725-3.8-2 the hook sees issuer and subject together, and what it does not accept is refused', async () => {
    const seen: TokenClaims[] = [];
    const { as, app } = await stage({
      acceptToken: (claims) => {
        seen.push(claims);
        return claims.sub !== 'mallory';
      },
    });
    await expectRefused(app, as.mint({ sub: 'mallory' }), SAYS.hook);
    await expectAccepted(app, as.mint({ sub: 'alice' }));
    expect(seen.map(({ iss, sub }) => [iss, sub])).toEqual([
      [as.issuer, 'mallory'],
      [as.issuer, 'alice'],
    ]);
  });

  test.each([[undefined], [0], [1], ['true'], [{}]])(
    '8725-3.8-2 a hook that answers %p, not true, refuses',
    async (verdict) => {
      const { as, app } = await stage({ acceptToken: () => Promise.resolve(verdict as boolean) });
      await expectRefused(app, as.mint(), SAYS.hook);
      const { as: other, app: twin } = await stage({ acceptToken: () => Promise.resolve(true) });
      await expectAccepted(twin, other.mint());
    },
  );

  test('8725-3.8-2 the hook is not asked about a token that is bad already', async () => {
    const seen: unknown[] = [];
    const { as, app } = await stage({ acceptToken: (claims) => seen.push(claims) > 0 });
    await expectRefused(app, as.mint({}, { key: signingKey('ES256', 'first') }), SAYS.signature);
    expect(seen).toEqual([]);
    await expectAccepted(app, as.mint());
    expect(seen).toHaveLength(1);
  });

  test('8725-3.9-1 a token without aud is refused', async () => {
    const { as, app } = await stage();
    await expectRefused(app, as.mint({ aud: undefined }), SAYS.audience);
    expect(as.log).toEqual([]);
    await expectAccepted(app, as.mint());
  });

  test('8725-3.9-1 without an audience nothing starts', () => {
    const issuer = 'https://as.example.com';
    const start = (options: object) => () =>
      resourceServer({ issuer, ...options } as { resource: string; issuer: string });
    expect(start({})).toThrow('"resource" must be an https URL such as "https://api.example.com"; it is missing');
    for (const audience of ['', [], [''], null, 1, [1], {}, false]) {
      expect(start({ resource: API, audience })).toThrow('"audience" must be a string or a list of strings');
      expect(start({ resource: API, authorizationServers: [{ issuer, audience }], issuer: undefined })).toThrow(
        '"audience"',
      );
    }
    expect(start({ resource: API })).not.toThrow();
    expect(start({ resource: API, audience: ['a', 'b'] })).not.toThrow();
  });
});

describe('RFC 8725 3.10 received claims and headers', () => {
  test.each([
    '../../etc/passwd',
    "' OR 1=1--",
    '__proto__',
    'constructor',
    'toString',
    'ES256',
    '\0',
    '\u{1f600}',
    'file:///etc/passwd',
    'http://169.254.169.254/',
  ])('8725b-3.10-1 the kid %p is only compared', async (kid) => {
    const { as, app } = await stage();
    await expectRefused(app, as.mint({}, { header: { kid } }), SAYS.key);
    expect(as.log).toEqual(['GET /.well-known/oauth-authorization-server', 'GET /jwks']);
    const key = signingKey('ES256', kid);
    as.keys.push(key);
    const twin = closing(await startApp({ resource: API, issuer: as.issuer }));
    await expectAccepted(twin, as.mint({}, { key }));
  });

  test('8725b-3.10-1 a kid of 64 KB is only compared', async () => {
    const { as, app } = await stage({ methods: ['header', 'body'], maxTokenLength: 200_000 });
    const post = (token: string) =>
      app.request('/protected', { method: 'POST', body: new URLSearchParams({ access_token: token }) });
    expectInvalidToken(await post(as.mint({}, { header: { kid: 'k'.repeat(65_536) } })), SAYS.key);
    expect(app.handled).toBe(0);
    expect(as.keyFetches).toBe(1);
    expect((await post(as.mint({ long: 'k'.repeat(65_536) }))).status).toBe(200);
  });

  test('8725-3.10-2 keys that a token points to or brings along are never looked at', async () => {
    const hits: string[] = [];
    const own = signingKey('ES256', 'own');
    const canary = closing(
      await listen((req, res) => {
        hits.push(req.url ?? '');
        res.writeHead(200, { 'Content-Type': 'application/json' }).end(JSON.stringify({ keys: [own.jwk] }));
      }),
    );
    const { as, app } = await stage();
    const pointers = { jku: `${canary.url}/jku`, x5u: `${canary.url}/x5u`, jwk: own.jwk, x5c: ['AAAA'], x5t: 'AAAA' };
    for (const [name, value] of Object.entries(pointers)) {
      await expectRefused(app, as.mint({}, { key: own, header: { [name]: value } }), SAYS.key);
      await expectRefused(app, as.mint({}, { key: own, header: { [name]: value, kid: 'first' } }), SAYS.signature);
      await expectAccepted(app, as.mint({}, { header: { [name]: value } }));
    }
    await expectRefused(app, as.mint({ iss: canary.url }, { key: own, header: pointers }), SAYS.issuer);
    expect(hits).toEqual([]);
  });
});

describe('RFC 8725 3.11 and 3.12 kinds of JWT', () => {
  test.each([['JWT'], [undefined]])(
    '8725-3.11-1 a token with the typ %p is refused, and no key is asked for',
    async (typ) => {
      const { as, app } = await stage();
      await expectRefused(app, as.mint({}, { header: { typ } }), SAYS.type);
      expect(as.log).toEqual([]);
      await expectAccepted(app, as.mint());
    },
  );

  test('8725b-3.11-2 a typ without a slash is one with application/ before it', async () => {
    const { as, app } = await stage();
    await expectAccepted(app, as.mint({}, { header: { typ: 'at+jwt' } }));
    await expectAccepted(app, as.mint({}, { header: { typ: 'application/at+jwt' } }));
    for (const typ of ['text/at+jwt', '/at+jwt', 'application/application/at+jwt']) {
      await expectRefused(app, as.mint({}, { header: { typ } }), SAYS.type);
    }
  });

  const logout = { events: { 'http://schemas.openid.net/event/backchannel-logout': {} } };
  test.each([
    ['an ID token', { typ: 'JWT' }, { nonce: 'n', auth_time: 1 }],
    ['an ID token without typ', { typ: undefined }, { nonce: 'n' }],
    ['a logout token', { typ: 'logout+jwt' }, logout],
    ['a security event', { typ: 'secevent+jwt' }, logout],
    ['a DPoP proof', { typ: 'dpop+jwt', jwk: signingKey().jwk }, { htm: 'GET', htu: `${API}/protected` }],
    ['an introspection response', { typ: 'token-introspection+jwt' }, { token_introspection: { active: true } }],
    ['a status list', { typ: 'statuslist+jwt' }, { status_list: { bits: 1, lst: 'eNrbuRgAAhcBXQ' } }],
    ['an authorization request', { typ: 'oauth-authz-req+jwt' }, { response_type: 'code' }],
    ['a client assertion', { typ: 'client-authentication+jwt' }, {}],
    ['an entity statement', { typ: 'entity-statement+jwt' }, {}],
    ['an SD-JWT credential', { typ: 'dc+sd-jwt' }, {}],
  ])(
    '8725-3.12-1 %s of the same server, with all claims of an access token, is refused',
    async (_name, header, claims) => {
      const { as, app } = await stage();
      await expectRefused(app, as.mint(claims, { header }), SAYS.type);
      expect(as.log).toEqual([]);
      await expectAccepted(app, as.mint(claims, { header: { ...header, typ: 'at+jwt' } }));
    },
  );
});
