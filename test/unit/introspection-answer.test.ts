import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { InvalidTokenError } from '../../lib/errors.js';
import { parseObject, UnusableAnswerError } from '../../lib/fetch-json.js';
import { INACTIVE, readAnswer } from '../../lib/introspection-answer.js';
import type { Verdict } from '../../lib/token-cache.js';
import { checkedTerms } from '../../lib/token-terms.js';
import type { TokenTerms } from '../../lib/token-terms.js';
import type { Overrides } from '../support/tokens.js';

const RUNS = Number(process.env['FUZZ_RUNS'] ?? 300);
if (process.env['FUZZ_RUNS'] === undefined) fc.configureGlobal({ seed: 7662 });
const TIMEOUT = 20_000 + RUNS * 10;

const API = 'https://api.example.com';
const AS = 'https://as.example.com';
const GOOD = { active: true, client_id: 'editor', sub: 'alice', token_type: 'Bearer' };

const ANSWER = 'The introspection answer of the authorization server';
const SAYS = {
  json: `${ANSWER} is not JSON`,
  object: `${ANSWER} is not a JSON object`,
  active: `${ANSWER} has no "active" that is true or false`,
  times: `${ANSWER} has times that are no numbers`,
  names: `${ANSWER} has an issuer or a subject that is no text`,
  client: `${ANSWER} has no client identifier: name the member that has it in "clientIdClaim"`,
  issuer: 'The access token is from an issuer that is not trusted here',
  audience: 'The access token is not for this resource',
  type: 'The token is not an access token by its type',
  kind: 'The access token is not of the accepted kind',
} as const;

interface Given {
  readonly terms?: TokenTerms;
  readonly requireAudience?: boolean;
  readonly acceptUntyped?: boolean;
}

/** What is made of an answer as it came over the wire. */
function read(text: string, { terms = {}, ...given }: Given = {}): Verdict {
  const answer = parseObject(Buffer.from(text), ANSWER);
  const server = { issuers: [AS, `${AS}/`] as const, terms: checkedTerms(terms, API), hintUntyped: () => undefined };
  return readAnswer(answer, { requireAudience: false, acceptUntyped: false, ...given, ...server });
}

/** The good answer as text, with members that replace its own; `undefined` takes one away. */
function answer(members: Overrides = {}): string {
  return JSON.stringify({ ...GOOD, ...members });
}

/** The good answer as text, and after its members this. */
function answerAnd(rest: string): string {
  return answer().replace(/\}$/, `,${rest}}`);
}

/** The refusal, the reason why the answer is of no use, or `good`. Anything else thrown is a bug, and fails the test. */
function outcome(text: string, given?: Given): string {
  try {
    const verdict = read(text, given);
    return 'refused' in verdict ? verdict.refused : 'good';
  } catch (error) {
    if (error instanceof UnusableAnswerError) return error.reason;
    throw error;
  }
}

describe('7662-2.2-1 an answer that does not say whether the token is active is no answer', () => {
  test.each<[what: string, text: string, says: string]>([
    ['nothing', '', SAYS.json],
    ['half of one', answer().slice(0, -1), SAYS.json],
    ['one and something more', `${answer()}x`, SAYS.json],
    ['two', `${answer()}${answer()}`, SAYS.json],
    ['a list with one in it', `[${answer()}]`, SAYS.object],
    ['text with one in it', JSON.stringify(answer()), SAYS.object],
    ['true', 'true', SAYS.object],
    ['null', 'null', SAYS.object],
    ['one without "active"', answer({ active: undefined }), SAYS.active],
    ['"active" in capitals', answer({ active: undefined, Active: true }), SAYS.active],
    ['"active" with a character that is not seen', answer({ active: undefined, 'active\u200b': true }), SAYS.active],
    ['"active" as text', answer({ active: 'true' }), SAYS.active],
    ['"active" as a number', answer({ active: 1 }), SAYS.active],
    ['"active" as a list', answer({ active: [true] }), SAYS.active],
    ['"active" as an object', answer({ active: { active: true } }), SAYS.active],
    ['"active" as null', answer({ active: null }), SAYS.active],
    ['"active" by inheritance', '{"__proto__":{"active":true,"client_id":"editor"},"sub":"alice"}', SAYS.active],
    ['NaN for a time', answerAnd('"exp":NaN'), SAYS.json],
    ['Infinity for a time', answerAnd('"exp":Infinity'), SAYS.json],
  ])('%s', (_what, text, says) => {
    expect(outcome(text)).toBe(says);
    expect(outcome(answer())).toBe('good');
  });
});

describe('an active token of which nobody knows what it is', () => {
  test.each<[what: string, rest: string, says: string]>([
    ['exp beyond all numbers', '"exp":1e999', SAYS.times],
    ['exp below all numbers', '"exp":-1e999', SAYS.times],
    ['exp as text', '"exp":"4102444800"', SAYS.times],
    ['exp as null', '"exp":null', SAYS.times],
    ['exp as true', '"exp":true', SAYS.times],
    ['exp as a list', '"exp":[4102444800]', SAYS.times],
    ['exp as an object with valueOf', '"exp":{"valueOf":4102444800}', SAYS.times],
    ['nbf as text', '"nbf":"0"', SAYS.times],
    ['iat as text', '"iat":"0"', SAYS.times],
    ['iss as null', '"iss":null', SAYS.names],
    ['iss as nothing', '"iss":""', SAYS.names],
    ['iss as a list', `"iss":["${AS}"]`, SAYS.names],
    ['sub as a number', '"sub":5', SAYS.names],
    ['sub as nothing', '"sub":""', SAYS.names],
    ['sub as a list', '"sub":["alice"]', SAYS.names],
    ['client_id as a list', '"client_id":["editor"]', SAYS.client],
    ['client_id as a number', '"client_id":5', SAYS.client],
    ['client_id as nothing', '"client_id":""', SAYS.client],
    ['client_id as an object', '"client_id":{"toString":"editor"}', SAYS.client],
  ])('%s', (_what, rest, says) => {
    expect(outcome(answerAnd(rest))).toBe(says);
    expect(outcome(answerAnd('"other":null'))).toBe('good');
  });

  test.each(['constructor', 'toString', '__proto__', 'hasOwnProperty'])(
    'no client is inherited: a clientIdClaim of %j finds nothing',
    (clientIdClaim) => {
      expect(outcome(answer(), { terms: { clientIdClaim } })).toBe(SAYS.client);
      expect(outcome(answerAnd(`"${clientIdClaim}":"editor"`), { terms: { clientIdClaim } })).toBe('good');
    },
  );
});

describe('an active token that is not for us, or no access token', () => {
  test.each<[what: string, members: Overrides, says: string]>([
    ['7662-2.2-6 another issuer', { iss: 'https://other.example' }, SAYS.issuer],
    ['7662-2.2-6 the issuer in capitals', { iss: AS.toUpperCase() }, SAYS.issuer],
    ['7662-2.2-5 another audience', { aud: 'https://other.example' }, SAYS.audience],
    ['7662-2.2-5 an audience that begins as ours', { aud: `${API}.evil.example` }, SAYS.audience],
    ['7662-2.2-5 ours beside what is no text', { aud: [API, 5] }, SAYS.audience],
    ['7662-2.2-5 ours in a list in a list', { aud: [[API]] }, SAYS.audience],
    ['7662-2.2-5 ours as the name of a member', { aud: { [API]: true } }, SAYS.audience],
    ['7662-2.2-5 nobody', { aud: [] }, SAYS.audience],
    ['7662-2.2-5 null', { aud: null }, SAYS.audience],
    ['a refresh token', { token_use: 'refresh_token' }, SAYS.type],
    ['an ID token', { token_use: 'id' }, SAYS.type],
    ['token_use as a list', { token_use: ['access_token'] }, SAYS.type],
    ['a token_type that begins as ours', { token_type: 'Bearer2' }, SAYS.type],
    ['a token_type of null', { token_type: null }, SAYS.type],
    ['a token_type as a list', { token_type: ['Bearer'] }, SAYS.type],
    ['a token_type with a line end', { token_type: 'Bearer\n' }, SAYS.type],
    ['a token for DPoP without its key', { token_type: 'DPoP' }, SAYS.type],
  ])('%s', (_what, members, says) => {
    expect(outcome(answer(members))).toBe(says);
    const ours = { iss: `${AS}/`, aud: ['x', API], token_use: 'access', token_type: 'bEARER' };
    expect(outcome(answer(ours))).toBe('good');
  });

  test('7662-2.2-5 no audience, where one is required, by requireAudience or by audienceSubstitute', () => {
    expect(outcome(answer(), { requireAudience: true })).toBe(SAYS.audience);
    expect(outcome(answer({ aud: API }), { requireAudience: true })).toBe('good');
    const terms = { audienceSubstitute: { client_id: 'app1' } };
    expect(outcome(answer(), { terms })).toBe(SAYS.audience);
    expect(outcome(answer({ client_id: 'app1' }), { terms })).toBe('good');
    expect(outcome(answer({ client_id: 'app1', aud: 'x' }), { terms })).toBe(SAYS.audience);
  });

  test.each<[what: string, members: Overrides]>([
    ['nothing tells that it is one', { token_type: undefined }],
    ['only what is inherited, and other members, tell', { token_type: undefined, typ: 'Bearer', tokenType: 'Bearer' }],
  ])('%s: refused, unless the user says otherwise', (_what, members) => {
    expect(outcome(answer(members))).toBe(SAYS.type);
    expect(outcome(answer(members).replace('{', '{"__proto__":{"token_type":"Bearer"},'))).toBe(SAYS.type);
    expect(outcome(answer(members), { acceptUntyped: true })).toBe('good');
    expect(outcome(answer({ ...members, aud: API }))).toBe('good');
    expect(outcome(answer({ ...members, token_use: 'refresh' }), { acceptUntyped: true })).toBe(SAYS.type);
  });

  test('requiredClaims are own members, and exactly so', () => {
    const terms = { requiredClaims: { typ: 'Bearer' } };
    for (const typ of [undefined, 'bearer', ['Bearer'], null]) {
      expect(outcome(answer({ typ }), { terms })).toBe(SAYS.kind);
    }
    expect(
      outcome('{"__proto__":{"typ":"Bearer"},"active":true,"client_id":"c","aud":"https://api.example.com"}', {
        terms,
      }),
    ).toBe(SAYS.kind);
    expect(outcome(answer({ typ: 'Bearer' }), { terms })).toBe('good');
  });
});

describe('what stands twice, and what means something to JavaScript', () => {
  test('7662-2.2-2 of a repeated "active" the last counts, and nothing is put together', () => {
    expect(outcome('{"active":true,"client_id":"c","active":false}')).toBe(INACTIVE);
    expect(outcome('{"active":false,"client_id":"c","token_type":"Bearer","active":true}')).toBe('good');
    expect(outcome('{"active":true,"client_id":"c","active":"false"}')).toBe(SAYS.active);
  });

  test('7662-2.2-7 __proto__ and constructor are members like others, and change no object', () => {
    const verdict = read(answerAnd('"__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}}'));
    expect('polluted' in {}).toBe(false);
    if ('refused' in verdict) throw new Error(verdict.refused);
    expect(Object.keys(verdict.claims)).toEqual(['iss', ...Object.keys(GOOD), '__proto__', 'constructor']);
    expect('polluted' in verdict.claims).toBe(false);
    expect(verdict.claims.iss).toBe(AS);
  });

  test('what is remembered is frozen to its depth, however deep that is', () => {
    const depth = 100_000;
    const verdict = read(answerAnd(`"deep":${'[{"a":'.repeat(depth)}1${'}]'.repeat(depth)}`));
    if ('refused' in verdict) throw new Error(verdict.refused);
    let levels = 0;
    for (let value: unknown = verdict.claims['deep']; typeof value === 'object' && value !== null; levels++) {
      if (!Object.isFrozen(value)) break;
      value = Array.isArray(value) ? (value[0] as unknown) : (value as Overrides)['a'];
    }
    expect(levels).toBe(2 * depth);
    expect(Object.isFrozen(verdict.scopes)).toBe(true);
  });

  test.each<[what: string, scope: unknown, scopes: string[]]>([
    ['7662-2.2-3 spaces', ' read  write ', ['read', 'write']],
    ['7662-2.2-3 no other separator', 'read\twrite\nadmin\u00a0all\u2003x,y', ['read\twrite\nadmin\u00a0all\u2003x,y']],
    ['7662-2.2-3 letters that look like others', '\uff52ead re\u0430d', ['\uff52ead', 're\u0430d']],
    ['7662-2.2-3 a list is no scope', ['read', 'write'], []],
    ['7662-2.2-3 an object is no scope', { read: true }, []],
  ])('%s', (_what, scope, scopes) => {
    expect(read(answer({ scope }))).toMatchObject({ scopes });
  });
});

type Kind = 'good' | 'refused' | 'unusable';

describe('any answer', () => {
  const names = ['active', 'iss', 'sub', 'aud', 'client_id', 'exp', 'nbf', 'iat', 'token_type', 'token_use', 'scope'];
  const value = fc.oneof(
    fc.jsonValue({ maxDepth: 2 }).map((json) => JSON.stringify(json)),
    fc.double().map((number) => (Number.isFinite(number) ? String(number) : '1e999')),
    fc.constantFrom('true', 'false', '"true"', 'null', '1e999', '-1', '0', '""', '[]', '{}'),
    fc.constantFrom(`"${AS}"`, `"${API}"`, `["${API}"]`, '"Bearer"', '"DPoP"', '"access_token"', '"refresh_token"'),
  );
  const member = fc.tuple(fc.oneof(fc.constantFrom(...names, '__proto__', 'cnf'), fc.string({ maxLength: 6 })), value);

  test(
    '7662-2.2-1 7662-2.2-2 is good, refused or of no use, as another reading of the rules says',
    () => {
      const count: Record<Kind, number> = { good: 0, refused: 0, unusable: 0 };
      const check = (members: readonly (readonly [string, string])[], without: readonly string[]) => {
        const base = Object.entries({ ...GOOD, aud: API }).filter(([name]) => !without.includes(name));
        const all = [...base.map(([name, json]) => [name, JSON.stringify(json)] as const), ...members];
        const text = `{${all.map(([name, json]) => `${JSON.stringify(name)}:${json}`).join(',')}}`;
        const expected = oracle(text);
        count[expected]++;
        expect([text, kindOf(text)]).toEqual([text, expected]);
      };
      fc.assert(
        fc.property(
          fc.array(member, { maxLength: 4 }),
          fc.subarray(['active', 'client_id', 'aud', 'token_type']),
          check,
        ),
        {
          numRuns: RUNS * 10,
        },
      );
      for (const times of Object.values(count)) expect(times).toBeGreaterThan(RUNS / 10);
    },
    TIMEOUT,
  );

  function kindOf(text: string): Kind {
    try {
      return 'refused' in read(text) ? 'refused' : 'good';
    } catch (error) {
      if (error instanceof UnusableAnswerError && !(error instanceof InvalidTokenError)) return 'unusable';
      throw error;
    }
  }
  /** RFC 7662 section 2.2 and docs/introspection.md, read again, without a line of lib/. */
  function oracle(text: string): Kind {
    const members = new Map(Object.entries(JSON.parse(text) as object)) as ReadonlyMap<string, unknown>;
    const get = (name: string) => members.get(name);
    const isName = (name: string) => typeof get(name) === 'string' && get(name) !== '';
    if (get('active') === false) return 'refused';
    if (get('active') !== true) return 'unusable';
    const times = ['exp', 'nbf', 'iat'].filter((name) => members.has(name)).map(get);
    if (!times.every((time) => typeof time === 'number' && Math.abs(time) !== Infinity)) return 'unusable';
    if (!['iss', 'sub'].every((name) => !members.has(name) || isName(name))) return 'unusable';
    if (!isName('client_id')) return 'unusable';
    const audiences = members.has('aud') ? [get('aud')].flat() : [API];
    const isForUs = audiences.includes(API) && audiences.every((name) => typeof name === 'string');
    const isOurs = !members.has('iss') || get('iss') === AS || get('iss') === `${AS}/`;
    const type = members.has('token_type') ? get('token_type') : 'bearer';
    const isBearer = typeof type === 'string' && type.toLowerCase() === 'bearer';
    const isBound = typeof type === 'string' && type.toLowerCase() === 'dpop' && members.has('cnf');
    const isForAccess = !members.has('token_use') || ['access', 'access_token'].includes(get('token_use') as string);
    const isTyped = ['token_type', 'token_use', 'aud'].some((name) => members.has(name));
    return isTyped && isForUs && isOurs && (isBearer || isBound) && isForAccess ? 'good' : 'refused';
  }
});
