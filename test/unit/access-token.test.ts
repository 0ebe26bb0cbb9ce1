import { describe, expect, test } from '@jest/globals';
import { checkAudience, checkHeader, checkRequired, checkTimes } from '../../lib/access-token.js';
import { InvalidTokenError } from '../../lib/errors.js';
import { checkedTerms } from '../../lib/token-terms.js';

/** The terms of RFC 9068. */
const TERMS = checkedTerms({ audience: ['a', 'b'] }, 'https://api.example.com');

describe('checkTimes', () => {
  const times = { iat: 100, exp: 200, nbf: 150 };

  test.each([
    ['at nbf', 150, 0],
    ['just before exp', 199.999, 0],
    ['within the tolerance after exp', 209.9, 10],
    ['at the end of the tolerance before nbf', 140, 10],
  ])('7519-4.1.4-1 %s a token is good', (_name, now, tolerance) => {
    expect(() => {
      checkTimes(times, now, tolerance, TERMS);
    }).not.toThrow();
  });

  test.each([
    ['at exp', 200, 0, 'The access token expired'],
    ['at the end of the tolerance after exp', 210, 10, 'The access token expired'],
    ['before nbf', 149.9, 0, 'The access token is not valid yet'],
    ['before the tolerance before nbf', 139.9, 10, 'The access token is not valid yet'],
  ])('7519-4.1.5-1 %s a token is bad', (_name, now, tolerance, says) => {
    expect(() => {
      checkTimes(times, now, tolerance, TERMS);
    }).toThrow(new InvalidTokenError(says));
  });

  test('7519-4.1.6-1 an iat in the future says nothing about acceptance', () => {
    expect(() => {
      checkTimes({ ...times, iat: 1e12 }, 160, 0, TERMS);
    }).not.toThrow();
  });

  test.each([['exp'], ['iat'], ['nbf']])('7519-4.1.4-3 %s that is no finite number is bad', (name) => {
    for (const value of ['160', null, NaN, Infinity, {}, [160], true]) {
      expect(() => {
        checkTimes({ ...times, [name]: value }, 160, 0, TERMS);
      }).toThrow(new InvalidTokenError('The access token has no valid times'));
    }
  });
});

describe('checkHeader, checkAudience, checkRequired', () => {
  test('9068-4-1 only the media type of an access token passes', () => {
    expect(() => {
      checkHeader({ typ: 'Application/At+Jwt' }, {}, TERMS);
    }).not.toThrow();
    for (const typ of ['JWT', 'at+jwtx', 'xat+jwt', 'application/', undefined]) {
      expect(() => {
        checkHeader({ typ }, {}, TERMS);
      }).toThrow('The token is not an access token by its type');
    }
  });

  test('7519-4.1.3-2 one good name among strings is enough, and one thing that is no string spoils the list', () => {
    const check = (aud: unknown) => () => {
      checkAudience({ aud }, TERMS);
    };
    for (const aud of ['a', ['b'], ['x', 'a']]) expect(check(aud)).not.toThrow();
    for (const aud of ['A', 'a b', [], ['a', 1], [['a']], { a: 1 }, undefined]) {
      expect(check(aud)).toThrow('The access token is not for this resource');
    }
  });

  test('9068-2.2-1 each required string is missed when it is missing, empty or no string', () => {
    const claims = { sub: 's', client_id: 'c', jti: 'j' };
    expect(() => {
      checkRequired(claims, TERMS);
    }).not.toThrow();
    for (const name of Object.keys(claims)) {
      for (const value of [undefined, '', 1, null, ['x']]) {
        expect(() => {
          checkRequired({ ...claims, [name]: value }, TERMS);
        }).toThrow(
          new InvalidTokenError(`The access token has no ${name === 'client_id' ? 'client identifier' : name}`),
        );
      }
    }
  });
});
