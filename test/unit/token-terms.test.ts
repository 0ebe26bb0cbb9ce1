import { describe, expect, test } from '@jest/globals';
import { ALGORITHMS } from '../../lib/key-set.js';
import { checkedList, checkedTerms, mediaType, TERM_OPTIONS } from '../../lib/token-terms.js';
import type { TokenTerms } from '../../lib/token-terms.js';

const API = 'https://api.example.com';

function terms(given: Readonly<Record<string, unknown>>) {
  return checkedTerms(given, API);
}

describe('checkedTerms', () => {
  test('without options: RFC 9068 in full', () => {
    expect(terms({})).toEqual({
      audiences: new Set([API]),
      algorithms: new Set(ALGORITHMS),
      types: new Set(['at+jwt']),
      audienceSubstitute: [],
      scopePaths: undefined,
      clientIdClaim: 'client_id',
      optionalClaims: new Set(),
      requiredClaims: [],
    });
  });

  test('with every option', () => {
    const given: TokenTerms = {
      audience: ['a', 'b'],
      algorithms: ['ES256', 'PS512'],
      typ: ['JWT', 'application/AT+JWT'],
      audienceSubstitute: { client_id: 'app1', azp: ['app2', 'app3'] },
      scopeClaims: ['scp', ['realm_access', 'roles']],
      clientIdClaim: 'azp',
      optionalClaims: ['jti', 'sub', 'iat'],
      requiredClaims: { token_use: 'access' },
    };
    expect(checkedTerms(given, API)).toEqual({
      audiences: new Set(['a', 'b']),
      algorithms: new Set(['ES256', 'PS512']),
      types: new Set(['jwt', 'at+jwt']),
      audienceSubstitute: [
        ['client_id', ['app1']],
        ['azp', ['app2', 'app3']],
      ],
      scopePaths: [['scp'], ['realm_access', 'roles']],
      clientIdClaim: 'azp',
      optionalClaims: new Set(['jti', 'sub', 'iat']),
      requiredClaims: [['token_use', 'access']],
    });
  });

  test('one audience may be a string, and no typ at all may be accepted', () => {
    expect(terms({ audience: 'pictures', typ: [null] })).toMatchObject({
      audiences: new Set(['pictures']),
      types: new Set([null]),
    });
  });

  test.each([
    ['audience', ''],
    ['audience', []],
    ['audience', ['a', '']],
    ['audience', 5],
    ['audience', null],
    ['algorithms', []],
    ['algorithms', 'ES256'],
    ['algorithms', ['HS256']],
    ['algorithms', ['none']],
    ['algorithms', ['es256']],
    ['algorithms', [5]],
    ['typ', []],
    ['typ', 'JWT'],
    ['typ', null],
    ['typ', [1]],
    ['typ', ['']],
    ['audienceSubstitute', ''],
    ['audienceSubstitute', ['client_id']],
    ['scopeClaims', []],
    ['scopeClaims', 'scp'],
    ['scopeClaims', [[]]],
    ['scopeClaims', [5]],
    ['clientIdClaim', ''],
    ['clientIdClaim', null],
    ['optionalClaims', ['exp']],
    ['optionalClaims', ['aud']],
    ['optionalClaims', ['iss']],
    ['optionalClaims', 'jti'],
    ['requiredClaims', ['token_use']],
    ['requiredClaims', { token_use: true }],
    ['requiredClaims', null],
  ])('%s: %j is a TypeError that names the option', (name, value) => {
    expect(() => terms({ [name]: value })).toThrow(TypeError);
    expect(() => terms({ [name]: value })).toThrow(new RegExp(`"${name}"`));
  });

  test('no claim is optional, and none required, is fine', () => {
    expect(terms({ optionalClaims: [], requiredClaims: {} })).toMatchObject({
      optionalClaims: new Set(),
      requiredClaims: [],
    });
  });

  test('what is given is not ours: changing it later changes nothing', () => {
    const audience = ['a'];
    const scopeClaims = [['realm', 'roles']];
    const checked = checkedTerms({ audience, scopeClaims }, API);
    audience.push('b');
    scopeClaims[0]?.push('c');
    expect(checked).toMatchObject({ audiences: new Set(['a']), scopePaths: [['realm', 'roles']] });
  });

  test('the options are all named', () => {
    expect([...TERM_OPTIONS].sort()).toEqual([
      ...['algorithms', 'audience', 'audienceSubstitute', 'clientIdClaim', 'issuerAliases', 'optionalClaims'],
      ...['requiredClaims', 'scopeClaims', 'typ'],
    ]);
  });
});

describe('checkedList', () => {
  test.each([[['a']], [['a', 'b']]])('%j is a list', (list) => {
    expect(checkedList('x', list)).toEqual(list);
  });

  test('one string stands for a list of one', () => {
    expect(checkedList('x', 'a')).toEqual(['a']);
  });

  test.each([[[]], [['']], [''], [['a', 5]], [null], [undefined], [{ length: 1, 0: 'a' }]])('%j is none', (list) => {
    expect(() => checkedList('x', list)).toThrow(/^"x" must be a string or a list of strings, none of them empty, got/);
  });
});

describe('mediaType', () => {
  test.each([
    ['at+jwt', 'at+jwt'],
    ['AT+JWT', 'at+jwt'],
    ['application/at+jwt', 'at+jwt'],
    ['Application/AT+jwt', 'at+jwt'],
    ['application/application/at+jwt', 'application/at+jwt'],
    ['text/at+jwt', 'text/at+jwt'],
  ])('%s is %s', (typ, plain) => {
    expect(mediaType(typ)).toBe(plain);
  });
});
