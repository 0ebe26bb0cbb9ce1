import { afterEach, describe, expect, test } from '@jest/globals';
import { closeAll, expectAccepted, expectRefused, SAYS, stage } from '../support/stage.js';
import type { Stage } from '../support/stage.js';
import { base64url, signingKey, signRaw, validClaims } from '../support/tokens.js';
import { flattened } from '../support/vectors.js';

afterEach(closeAll);

/** A valid token but for its header or payload, which are these octets, signed as they stand. */
function tokenOf({ as }: Stage, parts: { header?: string | Buffer; payload?: string | Buffer }): string {
  const [key = signingKey()] = as.keys;
  const header = parts.header ?? JSON.stringify({ typ: 'at+jwt', alg: key.alg, kid: key.kid });
  const payload = parts.payload ?? JSON.stringify(validClaims(as.issuer, as.resource));
  return signRaw([header, payload].map((part) => Buffer.from(part).toString('base64url')).join('.'), key);
}

describe('RFC 7515 4 header parameters', () => {
  test('7515-4-1 of a repeated alg the last decides, and the first never', async () => {
    const scene = await stage();
    const rest = '"typ":"at+jwt","kid":"first"';
    const signed = tokenOf(scene, { header: `{"alg":"none","alg":"ES256",${rest}}` });
    await expectAccepted(scene.app, signed);
    await expectRefused(scene.app, signed.replace(/[^.]+$/, ''), SAYS.signature);
    await expectRefused(scene.app, tokenOf(scene, { header: `{"alg":"ES256","alg":"none",${rest}}` }), SAYS.algorithm);
  });

  test('7515-4-1 of a repeated typ the last decides', async () => {
    const scene = await stage();
    const rest = '"alg":"ES256","kid":"first"';
    await expectAccepted(scene.app, tokenOf(scene, { header: `{"typ":"JWT","typ":"at+jwt",${rest}}` }));
    await expectRefused(scene.app, tokenOf(scene, { header: `{"typ":"at+jwt","typ":"JWT",${rest}}` }), SAYS.type);
  });

  test('7515-4-2 unknown header parameters that are not critical are ignored', async () => {
    const { as, app } = await stage();
    const header = { 'http://example.com/x': { y: [1] }, iss: 'x', b65: false, zip: 'DEF', epk: {}, cty: 'json' };
    await expectAccepted(app, as.mint({}, { header }));
  });

  test.each([
    ['absent', undefined],
    ['in lower case', 'es256'],
    ['nOnE', 'nOnE'],
    ['empty', ''],
    ['a number', 256],
    ['null', null],
    ['a list', ['ES256']],
    ['with a blank more', 'ES256 '],
    ['that of a key of another curve', 'ES256K'],
    ['a name every object has', 'toString'],
    ['the prototype', '__proto__'],
  ])('7515-4.1.1-1 an alg that is %s is refused, and no key is asked for', async (_name, alg) => {
    const { as, app } = await stage();
    const [key = signingKey()] = as.keys;
    const members = Object.entries({ typ: 'at+jwt', kid: key.kid }).map(([n, v]) => `"${n}":"${v}"`);
    const header = `{${[...members, ...(alg === undefined ? [] : [`"alg":${JSON.stringify(alg)}`])].join(',')}}`;
    const token = signRaw(`${base64url(header)}.${base64url(validClaims(as.issuer, as.resource))}`, key);
    await expectRefused(app, token, SAYS.algorithm);
    expect(as.log).toEqual([]);
    await expectAccepted(app, as.mint());
  });

  test.each(['First', 'FIRST', 'first ', 'firs', ''])(
    '7515-4.1.4-1 the kid %p, where first is meant, matches no key',
    async (kid) => {
      const { as, app } = await stage();
      await expectRefused(app, as.mint({}, { header: { kid } }), SAYS.key);
      await expectAccepted(app, as.mint({}, { header: { kid: 'first' } }));
    },
  );

  test.each([[1], [null], [true], [['first']], [{ kid: 'first' }]])(
    '7515-4.1.4-1 the kid %j, which is no string, is refused, and no key is asked for',
    async (kid) => {
      const { as, app } = await stage();
      await expectRefused(app, as.mint({}, { header: { kid } }), SAYS.key);
      expect(as.log).toEqual([]);
      await expectAccepted(app, as.mint({}, { header: { kid: undefined } }));
    },
  );

  test.each(['at+jwt', 'AT+JWT', 'application/at+jwt', 'Application/AT+JWT', 'at+JWT'])(
    '7515-4.1.9-1 the typ %s is that of an access token, and passes',
    async (typ) => {
      const { as, app } = await stage();
      await expectAccepted(app, as.mint({}, { header: { typ } }));
      await expectRefused(app, as.mint({}, { header: { typ: `x${typ}` } }), SAYS.type);
    },
  );
});

describe('RFC 7515 4.1.11 crit', () => {
  test.each([
    ['an extension that is there', { crit: ['x'], x: 1 }],
    ['unencoded payload (RFC 7797)', { crit: ['b64'], b64: false }],
    ['b64 with its default', { crit: ['b64'], b64: true }],
    ['a name of our own claims', { crit: ['exp'], exp: 9_999_999_999 }],
  ])('7515-4.1.11-1 a crit with %s is refused, and no key is asked for', async (_name, header) => {
    const { as, app } = await stage();
    await expectRefused(app, as.mint({}, { header }), SAYS.crit);
    expect(as.log).toEqual([]);
    await expectAccepted(app, as.mint({}, { header: { ...header, crit: undefined } }));
  });

  test.each([
    ['that is empty', []],
    ['with a standard name', ['alg']],
    ['with a name twice', ['x', 'x']],
    ['with an absent name', ['y']],
    ['with itself', ['crit']],
    ['that is a string', 'x'],
    ['that is an object', { x: 1 }],
    ['that is null', null],
    ['that is false', false],
    ['with a number', [1]],
  ])('7515-4.1.11-2 a crit %s is refused', async (_name, crit) => {
    const { as, app } = await stage();
    await expectRefused(app, as.mint({}, { header: { x: 1, crit } }), SAYS.crit);
    await expectAccepted(app, as.mint({}, { header: { x: 1 } }));
  });
});

describe('RFC 7515 5.2 message signature validation', () => {
  test.each([
    ['two parts', (token: string) => token.split('.').slice(0, 2).join('.')],
    ['four parts', (token: string) => `${token}.AAAA`],
    ['five parts', (token: string) => `${token}.AAAA.AAAA`],
    ['padding after a part', (token: string) => `${token}=`],
    ['a tilde at its end', (token: string) => `${token}~`],
    ['a period before it', (token: string) => `.${token}`],
  ])('7515-5.2-1 a token with %s is refused, and no key is asked for', async (_name, change) => {
    const { as, app } = await stage();
    const token = as.mint();
    await expectRefused(app, change(token), SAYS.noJwt);
    expect(as.log).toEqual([]);
    await expectAccepted(app, token);
  });

  test('7515-5.2-1 a token validly signed over the alphabet of plain base64 is refused', async () => {
    const { as, app } = await stage();
    const [key = signingKey()] = as.keys;
    const header = base64url({ typ: 'at+jwt', alg: key.alg, kid: key.kid, x: '\u00ff\u00ff~~???>>>' });
    const payload = base64url(validClaims(as.issuer, as.resource));
    const plain = header.replaceAll('-', '+').replaceAll('_', '/');
    expect(plain).not.toBe(header);
    await expectRefused(app, signRaw(`${plain}.${payload}`, key), SAYS.noJwt);
    await expectAccepted(app, signRaw(`${header}.${payload}`, key));
  });

  test('7515-5.2-1 another spelling of the same signature octets is refused', async () => {
    const { as, app } = await stage();
    const token = as.mint();
    const last = token.slice(-1); // 64 octets leave four unused bits in the last character
    const other = { A: 'B', Q: 'R', g: 'h', w: 'x' }[last] ?? '';
    const spelled = `${token.slice(0, -1)}${other}`;
    const octets = (jwt: string) => Buffer.from(jwt.split('.')[2] ?? '', 'base64url');
    expect(octets(spelled)).toEqual(octets(token));
    await expectRefused(app, spelled, SAYS.noJwt);
    await expectAccepted(app, token);
  });

  const header = '{"typ":"at+jwt","alg":"ES256","kid":"first","x":"\u00e9"}';
  test.each([
    ['in Latin-1', Buffer.from(header, 'latin1')],
    ['in UTF-16', Buffer.from(header, 'utf16le')],
    ['with a byte order mark', Buffer.from(`\ufeff${header}`)],
    [
      'with half a character at its end',
      Buffer.concat([Buffer.from(header.slice(0, -3)), Buffer.from([0xc3, 0x22, 0x7d])]),
    ],
    [
      'with a surrogate in UTF-8',
      Buffer.concat([Buffer.from(header.slice(0, -3)), Buffer.from([0xed, 0xa0, 0x80, 0x22, 0x7d])]),
    ],
    ['that is a list', Buffer.from(`[${header}]`)],
    ['that is a string', Buffer.from(JSON.stringify(header))],
    ['that is null', Buffer.from('null')],
    ['that is nothing', Buffer.alloc(0)],
  ])('7515-5.2-2 a header %s is refused, and no key is asked for', async (_name, octets) => {
    const scene = await stage();
    await expectRefused(scene.app, tokenOf(scene, { header: octets }), SAYS.noJwt);
    expect(scene.as.log).toEqual([]);
    await expectAccepted(scene.app, tokenOf(scene, { header }));
  });

  test('7515-5.2-3 the same header and claims in other octets are not what was signed', async () => {
    const { as, app } = await stage();
    const token = as.mint();
    const [head = '', payload = '', signature = ''] = token.split('.');
    const spaced = (part: string) => base64url(Buffer.from(part, 'base64url').toString().replace('{', '{ '));
    await expectRefused(app, [spaced(head), payload, signature].join('.'), SAYS.signature);
    await expectRefused(app, [head, spaced(payload), signature].join('.'), SAYS.signature);
    await expectAccepted(app, token);
    const [key = signingKey()] = as.keys;
    await expectAccepted(app, signRaw(`${spaced(head)}.${spaced(payload)}`, key));
  });

  test.each([
    ['one bit changed', (octets: Buffer) => octets.fill((octets[20] ?? 0) ^ 1, 20, 21)],
    ['all octets zero', (octets: Buffer) => octets.fill(0)],
    ['its halves exchanged', (octets: Buffer) => Buffer.concat([octets.subarray(32), octets.subarray(0, 32)])],
    ['an octet too few', (octets: Buffer) => octets.subarray(0, 63)],
    ['no octet', () => Buffer.alloc(0)],
  ])('7515-5.2-3 a signature with %s is refused', async (_name, change) => {
    const { as, app } = await stage();
    const token = as.mint();
    const [, , signature = ''] = token.split('.');
    const changed = change(Buffer.from(signature, 'base64url')).toString('base64url');
    await expectRefused(app, token.replace(/[^.]+$/, changed), SAYS.signature);
    await expectAccepted(app, token);
  });

  test('7515-5.2-4 a token with a valid signature of an unacceptable alg is refused', async () => {
    const { as, app } = await stage({ algorithms: ['PS256', 'ES256'] });
    const rsa = signingKey('RS256', 'rsa');
    as.jwks = { keys: [{ ...rsa.jwk, alg: undefined }, ...as.keys.map((key) => key.jwk)] };
    await expectRefused(app, as.mint({}, { key: rsa }), SAYS.algorithm);
    await expectAccepted(app, as.mint({}, { key: { ...rsa, alg: 'PS256' } }));
  });

  test('7515-5.3-1 a header parameter in other case is another parameter', async () => {
    const { as, app } = await stage();
    await expectRefused(app, as.mint({}, { header: { alg: undefined, ALG: 'ES256' } }), SAYS.algorithm);
    await expectRefused(app, as.mint({}, { header: { typ: undefined, Typ: 'at+jwt' } }), SAYS.type);
    await expectAccepted(app, as.mint({}, { header: { Crit: ['x'], ALG: 'none' } }));
  });

  test('7515-6-1 a token with an unknown kid is refused, after one new look at the key set in thirty seconds', async () => {
    const { as, app, clock } = await stage();
    const unknown = () => as.mint({}, { header: { kid: crypto.randomUUID() } });
    await expectAccepted(app, as.mint());
    await expectRefused(app, unknown(), SAYS.key);
    expect(as.keyFetches).toBe(1);
    clock.now += 30;
    await expectRefused(app, unknown(), SAYS.key);
    await expectRefused(app, unknown(), SAYS.key);
    expect(as.keyFetches).toBe(2);
    await expectAccepted(app, as.mint());
  });
});

describe('RFC 7515 7.1 and 10.12 serialization', () => {
  test.each([
    [
      'flattened',
      (protectedHeader: string, payload: string, signature: string) => ({
        protected: protectedHeader,
        payload,
        signature,
      }),
    ],
    [
      'general',
      (protectedHeader: string, payload: string, signature: string) => ({
        payload,
        signatures: [{ protected: protectedHeader, signature }],
      }),
    ],
    ['printed in appendix A.7', () => flattened],
  ])('7515-7.1-1 a token in JSON serialization, %s, is refused, and no key is asked for', async (_name, serialize) => {
    const { as, app } = await stage({ methods: ['header', 'body'] });
    const post = (token: string) =>
      app.request('/protected', { method: 'POST', body: new URLSearchParams({ access_token: token }) });
    const token = as.mint();
    const [head = '', payload = '', signature = ''] = token.split('.');
    const answer = await post(JSON.stringify(serialize(head, payload, signature)));
    expect(answer.status).toBe(400);
    expect(answer.challenge).toBe(
      'Bearer realm="https://api.example.com", error="invalid_request", error_description="The access token has characters no token has"',
    );
    expect([app.handled, as.log]).toEqual([0, []]);
    expect((await post(token)).status).toBe(200);
  });

  const broken: [name: string, change: (json: string) => string][] = [
    ['a letter after it', (json) => `${json}x`],
    ['a second object after it', (json) => `${json}{}`],
    ['a NUL after it', (json) => `${json}\0`],
    ['a comma before its end', (json) => json.replace(/\}$/, ',}')],
    ['single quotes', (json) => json.replaceAll('"', "'")],
    ['a name without quotes', (json) => json.replace(/"(\w+)":/, '$1:')],
    ['a comment', (json) => json.replace('{', '{/**/')],
    ['a line break in a string', (json) => json.replace(/":"/, '":"\n')],
    ['a number JSON has not', (json) => json.replace('{', '{"x":0x10,')],
    ['NaN', (json) => json.replace('{', '{"x":NaN,')],
    ['no end', (json) => json.slice(0, -1)],
  ];
  test.each(broken)('7515-10.12-1 JSON with %s is refused, as header and as payload', async (_name, change) => {
    const scene = await stage();
    const { as, app } = scene;
    const json = '{"typ":"at+jwt","alg":"ES256","kid":"first"}';
    const claims = JSON.stringify(validClaims(as.issuer, as.resource));
    await expectRefused(app, tokenOf(scene, { header: change(json) }), SAYS.noJwt);
    await expectRefused(app, tokenOf(scene, { payload: change(claims) }), SAYS.noJwt);
    expect(as.log).toEqual([]);
    await expectAccepted(app, tokenOf(scene, { header: ` ${json}\r\n`, payload: `\t${claims} ` }));
  });
});
