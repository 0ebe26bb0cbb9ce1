import { afterEach, describe, expect, test } from '@jest/globals';
import { requireClaim } from '../../lib/index.js';
import { startApp } from '../support/app.js';
import { expectForgeryRefused, signerOf, withMember } from '../support/attack.js';
import { TestAuthorizationServer } from '../support/authorization-server.js';
import { closeAll, closing, expectAccepted, SAYS, stage } from '../support/stage.js';
import type { Stage } from '../support/stage.js';
import { base64url, signRaw, validClaims } from '../support/tokens.js';

const API = 'https://api.example.com';

afterEach(closeAll);

/** JSON texts of values that a verifier may not expect. */
const VALUES = [
  ...[
    'null',
    'true',
    'false',
    '0',
    '-1',
    '-0',
    '0.5',
    '1e999',
    '-1e999',
    '1e300',
    '9007199254740993',
    '""',
    '"x"',
    '" "',
  ],
  ...['"0"', '"\\u0000"', '"\\ud800"', '[]', '{}', '[[]]', '[null]', '[0]', '["x"]', '[["x"]]', '{"x":"x"}', '{"":{}}'],
  ...[
    '{"length":1,"0":"x"}',
    '{"toString":"x","valueOf":1}',
    '{"__proto__":{"x":1}}',
    '{"then":"x"}',
    '[{"a":[{"b":[]}]}]',
  ],
  ...[`"${'x'.repeat(4000)}"`, `[${'0,'.repeat(2000)}0]`, `${'['.repeat(1000)}${']'.repeat(1000)}`],
];

/** A validly signed token from JSON texts. */
function tokenOf({ as }: Stage, members: { header?: string; payload?: string }, claims: object = {}): string {
  const { alg, kid } = signerOf(as);
  const header = { typ: 'at+jwt', alg, kid };
  const payload = { ...validClaims(as.issuer, as.resource), ...claims };
  const parts = [
    members.header === undefined ? base64url(header) : base64url(withMember(header, members.header)),
    members.payload === undefined ? base64url(payload) : base64url(withMember(payload, members.payload)),
  ];
  return signRaw(parts.join('.'), signerOf(as));
}

const isText = (json: string) => typeof JSON.parse(json) === 'string' && JSON.parse(json) !== '';
const isTime = (json: string) => Number.isFinite(JSON.parse(json));
const never = () => false;
const always = () => true;
const seconds = (json: string) => JSON.parse(json) as number;

describe('type confusion', () => {
  const claims: [name: string, good: (json: string) => boolean, says: readonly string[]][] = [
    ['iss', never, [SAYS.issuer]],
    ['aud', never, [SAYS.audience]],
    ['sub', isText, [SAYS.missing('sub')]],
    ['client_id', isText, [SAYS.missing('client_id')]],
    ['jti', isText, [SAYS.missing('jti')]],
    ['exp', (json) => isTime(json) && seconds(json) > 1e10, [SAYS.times, SAYS.expired]],
    ['nbf', (json) => isTime(json) && seconds(json) < 1e9, [SAYS.times, SAYS.early]],
    ['iat', isTime, [SAYS.times]],
    ['cnf', never, ['The access token is bound to a key that was not proven']],
    ...['scope', 'act', 'roles', 'authorization_details', 'auth_time', 'constructor', '__proto__', 'toJSON'].map(
      (name): [string, () => boolean, readonly string[]] => [name, always, []],
    ),
  ];
  test.each(claims)('of the claim %s every value is refused that is none, and no other', async (name, good, says) => {
    const staged = await stage();
    for (const value of VALUES) {
      const before = staged.app.handled;
      const answer = await staged.app.get('/protected', tokenOf(staged, { payload: `"${name}":${value}` }));
      const description = answer.challenges[0]?.params.get('error_description');
      if (good(value)) expect([value, answer.status, staged.app.handled]).toEqual([value, 200, before + 1]);
      else {
        expect([value, answer.status, staged.app.handled]).toEqual([value, 401, before]);
        expect(says).toContain(description);
        expect(answer.challenge).toBe(
          `Bearer realm="${API}", error="invalid_token", error_description="${String(description)}"`,
        );
      }
    }
    await expectAccepted(staged.app, staged.as.mint());
  });

  const members: [name: string, good: (json: string) => boolean, says: string][] = [
    ['typ', never, SAYS.type],
    ['alg', never, SAYS.algorithm],
    ['kid', never, SAYS.key],
    ['crit', never, SAYS.crit],
    ...['cty', 'b64', 'zip', 'enc', 'jwk', 'jku', 'x5c', 'x5u', 'x5t', 'iss', 'p2c', 'constructor', '__proto__'].map(
      (name): [string, () => boolean, string] => [name, always, ''],
    ),
  ];
  test.each(members)('of the header member %s every value is refused that is none, and no other', async (...row) => {
    const [name, good, says] = row;
    const staged = await stage();
    for (const value of VALUES) {
      const token = tokenOf(staged, { header: `"${name}":${value}` });
      if (good(value)) await expectAccepted(staged.app, token);
      else await expectForgeryRefused(staged.app, token, says);
    }
    expect(staged.as.keyFetches).toBe(name === 'kid' || good('0') ? 1 : 0);
    await expectAccepted(staged.app, staged.as.mint());
  });

  test.each(VALUES)('a scope of %.40s grants nothing', async (value) => {
    const staged = await stage();
    const answer = await staged.app.get('/scoped', tokenOf(staged, { payload: `"scope":${value}` }));
    expect([answer.status, answer.challenge]).toEqual([
      403,
      `Bearer realm="${API}", error="insufficient_scope", error_description="The access token lacks a required scope", scope="read"`,
    ]);
    await expectAccepted(staged.app, staged.as.mint({ scope: 'read' }), '/scoped');
  });

  test.each([
    'READ',
    'read,write',
    'read\twrite',
    'read\nwrite',
    'read\u00a0write',
    'reads',
    'rea',
    ' rea d',
    'read\u0000',
    '*',
    'r*',
  ])('a scope of %j is not "read"', async (scope) => {
    const { as, app } = await stage();
    expect((await app.get('/scoped', as.mint({ scope }))).status).toBe(403);
    await expectAccepted(app, as.mint({ scope: 'x  read ' }), '/scoped');
  });
});

describe('repeated and strange member names', () => {
  const evil = 'https://evil.example';
  test.each([
    ['iss', `"iss":"${evil}"`, SAYS.issuer],
    ['aud', `"aud":"${evil}"`, SAYS.audience],
    ['exp', '"exp":1', SAYS.expired],
    ['nbf', '"nbf":9e11', SAYS.early],
    ['jti', '"jti":null', SAYS.missing('jti')],
    ['iss, escaped', `"\\u0069ss":"${evil}"`, SAYS.issuer],
  ])('of a repeated %s the last one counts, for the key that verifies as well', async (_name, member, says) => {
    const staged = await stage();
    await expectForgeryRefused(staged.app, tokenOf(staged, { payload: member }), says);
    const first = withMember(validClaims(staged.as.issuer, API), `${member},"nbf":1`, 'first');
    const { alg, kid } = signerOf(staged.as);
    const twin = signRaw(
      `${base64url({ typ: 'at+jwt', alg, kid })}.${base64url(first.replace(',"nbf":1', ''))}`,
      signerOf(staged.as),
    );
    if (!member.startsWith('"nbf"')) await expectAccepted(staged.app, twin);
    else await expectForgeryRefused(staged.app, twin, says);
  });

  test.each([
    ['alg', '"alg":"none"', SAYS.algorithm],
    ['alg, escaped', '"\\u0061lg":"none"', SAYS.algorithm],
    ['typ', '"typ":"JWT"', SAYS.type],
    ['kid', '"kid":"other"', SAYS.key],
  ])('of a repeated %s in the header the last one counts', async (_name, member, says) => {
    const staged = await stage();
    await expectForgeryRefused(staged.app, tokenOf(staged, { header: member }), says);
    await expectAccepted(staged.app, staged.as.mint());
  });

  test('names in other case are other names', async () => {
    const { as, app } = await stage();
    for (const [wrong, name] of [
      ['ISS', 'iss'],
      ['Aud', 'aud'],
      ['EXP', 'exp'],
      ['Sub', 'sub'],
      ['iss ', 'iss'],
    ] as const) {
      const value = { iss: as.issuer, aud: API, exp: 9e9, sub: 'alice' }[name];
      expect((await app.get('/protected', as.mint({ [name]: undefined, [wrong]: value }))).status).toBe(401);
      await expectAccepted(app, as.mint({ [wrong]: evil }));
    }
  });

  test('__proto__ and constructor lend no claim, and change no prototype', async () => {
    const staged = await stage();
    const { as, app } = staged;
    const lent = JSON.stringify({
      ...validClaims(as.issuer, API),
      scope: 'read',
      typ: 'at+jwt',
      alg: 'ES256',
      polluted: 1,
    });
    for (const claim of ['iss', 'aud', 'exp', 'sub', 'jti', 'client_id']) {
      for (const name of [`"__proto__":${lent}`, `"constructor":{"prototype":${lent}}`]) {
        const token = tokenOf(staged, { payload: name }, { [claim]: undefined });
        expect((await app.get('/protected', token)).status).toBe(401);
      }
    }
    expect((await app.get('/scoped', tokenOf(staged, { payload: `"__proto__":${lent}` }, { scope: '' }))).status).toBe(
      403,
    );
    await expectForgeryRefused(app, tokenOf(staged, { header: `"typ":"x","__proto__":${lent}` }), SAYS.type);
    await expectAccepted(app, tokenOf(staged, { header: `"__proto__":${lent}`, payload: `"__proto__":${lent}` }));
    expect(Object.keys(Object.prototype)).toEqual([]);
    expect(Reflect.get({}, 'polluted')).toBeUndefined();
  });

  test.each(['__proto__', 'constructor', 'toString', 'hasOwnProperty', 'valueOf', '__defineGetter__'])(
    'requireClaim sees no %s that the token does not carry, and the one that it does',
    async (name) => {
      const as = closing(await TestAuthorizationServer.start());
      const seen: unknown[] = [];
      const guard = requireClaim(name, (value) => {
        seen.push(value);
        return value !== undefined;
      });
      const app = closing(
        await startApp({ resource: API, issuer: as.issuer }, (routes) => {
          routes.get('/claim', guard, (_req, res) => void res.json({}));
        }),
      );
      const refused = await app.get('/claim', as.mint());
      expect([refused.status, refused.challenge, seen]).toEqual([
        403,
        `Bearer realm="${API}", error="insufficient_scope", error_description="The access token lacks a required claim"`,
        [undefined],
      ]);
      const token = tokenOf({ as } as Stage, { payload: `"${name}":"mine"` });
      expect((await app.get('/claim', token)).status).toBe(200);
      expect(seen).toEqual([undefined, 'mine']);
    },
  );
});
