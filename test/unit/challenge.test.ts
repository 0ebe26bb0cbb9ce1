import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { challenges, formatChallenge } from '../../lib/challenge.js';
import { InsufficientScopeError, InvalidTokenError, UnauthorizedError } from '../../lib/index.js';
import { parseChallenges } from '../support/challenge-parser.js';

const context: Parameters<typeof challenges>[1] = {
  ...{ realm: 'api', errorUri: 'https://api.example.com/errors', errorDescription: true },
  challenged: ['Bearer'],
  tried: 'Bearer',
  algs: undefined,
  resourceMetadata: undefined,
};
const printable = fc.string({ unit: fc.integer({ min: 0x20, max: 0x7e }).map((code) => String.fromCharCode(code)) });
const name = fc.stringMatching(/^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,12}$/);

describe('formatChallenge', () => {
  test('9110-5.6.4-1 9110-11.5-1 any printable realm decodes back exactly', () => {
    fc.assert(
      fc.property(printable, (realm) => {
        const line = formatChallenge('Bearer', { realm });
        expect(parseChallenges(line)).toEqual([{ scheme: 'Bearer', params: new Map([['realm', realm]]) }]);
      }),
    );
  });

  test('9110-11.3-1 any parameters of different names decode back exactly, in order', () => {
    const params = fc.uniqueArray(fc.tuple(name, printable), {
      minLength: 1,
      selector: ([key]) => key.toLowerCase(),
    });
    fc.assert(
      fc.property(params, (entries) => {
        // The prototype is null so that no name is special.
        const given = Object.assign(Object.create(null) as Record<string, string>, Object.fromEntries(entries));
        const [challenge] = parseChallenges(formatChallenge('Bearer', given));
        expect([...(challenge?.params ?? [])]).toEqual(
          Object.entries(given).map(([key, value]) => [key.toLowerCase(), value]),
        );
      }),
    );
  });

  test('9110-5.5-1 any value with a character that is not printable ASCII is refused', () => {
    const odd = fc.string({ unit: 'binary' }).filter((value) => /[^\x20-\x7e]/.test(value));
    fc.assert(
      fc.property(odd, (value) => {
        expect(() => formatChallenge('Bearer', { realm: value })).toThrow(TypeError);
      }),
    );
  });

  test('a parameter that is undefined is left out', () => {
    expect(formatChallenge('Bearer', { realm: 'a', error: undefined, scope: 'b' })).toBe('Bearer realm="a", scope="b"');
  });

  test.each<[what: string, scheme: string, params: Record<string, string | undefined>]>([
    ['no parameter', 'Bearer', {}],
    ['no parameter but undefined ones', 'Bearer', { realm: undefined }],
    ['no scheme', '', { realm: 'a' }],
    ['a scheme that is no token', 'Bea rer', { realm: 'a' }],
    ['a name that is no token', 'Bearer', { 'a b': 'c' }],
    ['an empty name', 'Bearer', { '': 'c' }],
    ['a name with a line break', 'Bearer', { 'a\r\nb': 'c' }],
    ['a name twice in different case', 'Bearer', { scope: 'a', Scope: 'b' }],
  ])('9110-11.2-1 9110-11.3-1 %s is refused', (_what, scheme, params) => {
    expect(() => formatChallenge(scheme, params)).toThrow(TypeError);
  });
});

describe('challenges', () => {
  test('6750-3.1-6 without a token: realm only, though a page about errors is set', () => {
    expect(challenges(new UnauthorizedError(), context)).toEqual(['Bearer realm="api"']);
    expect(challenges(new UnauthorizedError(['a', 'b']), context)).toEqual(['Bearer realm="api", scope="a b"']);
  });

  test('6750-3-8 with an error: code, words, page, then what the error adds', () => {
    expect(challenges(new InvalidTokenError('Bad'), context)).toEqual([
      'Bearer realm="api", error="invalid_token", error_description="Bad", error_uri="https://api.example.com/errors"',
    ]);
    expect(
      challenges(new InsufficientScopeError(['a', 'b']), { ...context, errorUri: undefined, errorDescription: false }),
    ).toEqual(['Bearer realm="api", error="insufficient_scope", scope="a b"']);
  });
});
