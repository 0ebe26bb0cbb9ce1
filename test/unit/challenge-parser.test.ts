import { describe, expect, test } from '@jest/globals';
import { parseChallenges } from '../support/challenge-parser.js';

/** As plain data, in the order of the line. */
function read(line: string) {
  return parseChallenges(line).map(({ scheme, params }) => [scheme, Object.fromEntries(params)]);
}

describe('the strict challenge parser of these tests', () => {
  test.each([
    ['RFC 6750 section 3', 'Bearer realm="example"', [['Bearer', { realm: 'example' }]]],
    [
      'RFC 6750 section 3, with an error',
      'Bearer realm="example", error="invalid_token", error_description="The access token expired"',
      [['Bearer', { realm: 'example', error: 'invalid_token', error_description: 'The access token expired' }]],
    ],
    [
      'RFC 6750 section 3, the scopes',
      'Bearer scope="openid profile email", x="urn:example:channel=HBO&urn:example:rating=G,PG-13"',
      [['Bearer', { scope: 'openid profile email', x: 'urn:example:channel=HBO&urn:example:rating=G,PG-13' }]],
    ],
    [
      'RFC 9110 section 11.6.1',
      'Basic realm="simple", Newauth realm="apps", type=1, title="Login to \\"apps\\""',
      [
        ['Basic', { realm: 'simple' }],
        ['Newauth', { realm: 'apps', type: '1', title: 'Login to "apps"' }],
      ],
    ],
    ['a backslash', 'Bearer realm="a\\\\b"', [['Bearer', { realm: 'a\\b' }]]],
    ['names in capitals', 'Bearer Realm="a"', [['Bearer', { realm: 'a' }]]],
    ['a quoted comma', 'Bearer realm="a, Basic realm=b"', [['Bearer', { realm: 'a, Basic realm=b' }]]],
    ['spaces before the comma', 'Bearer realm="a" ,\terror=b', [['Bearer', { realm: 'a', error: 'b' }]]],
  ])('the example of %s is read rightly', (_what, line, expected) => {
    expect(read(line)).toEqual(expected);
  });

  test.each([
    ['nothing', '', /no scheme/],
    ['a bare scheme', 'Bearer', /no parameter after the scheme/],
    ['a scheme and a space', 'Bearer ', /no parameter name/],
    ['token68', 'Negotiate abc==', /no parameter value|no parameter name/],
    ['a space before "="', 'Bearer realm ="a"', /no parameter name/],
    ['a space after "="', 'Bearer realm= "a"', /realm is not a quoted-string/],
    ['a realm that is a token', 'Bearer realm=a', /realm is not a quoted-string/],
    ['a repeated parameter', 'Bearer realm="a", realm="b"', /repeated realm/],
    ['a repeated parameter in other case', 'Bearer scope="a", Scope="b"', /repeated scope/],
    ['an empty list element', 'Bearer realm="a", , error="b"', /no scheme/],
    ['a comma at the start', ', Bearer realm="a"', /no scheme/],
    ['a comma at the end', 'Bearer realm="a",', /no scheme/],
    ['no comma', 'Bearer realm="a" error="b"', /no comma/],
    ['an open quote', 'Bearer realm="a', /not a quoted-string/],
    ['a needless quoted-pair', 'Bearer error="\\a"', /no parameter value/],
    ['an unescaped quote', 'Bearer realm="a"b"', /no comma/],
    ['an empty value', 'Bearer error=', /no parameter value/],
    ['a control character', 'Bearer error="a\x00b"', /no parameter value/],
    ['non-ASCII', 'Bearer error="\u00e9"', /no parameter value/],
    ['a line break', 'Bearer error="a\r\nb"', /no parameter value/],
    ['a tab after the scheme', 'Bearer\trealm="a"', /no parameter after the scheme/],
  ])('%s is refused', (_what, line, why) => {
    expect(() => parseChallenges(line)).toThrow(why);
  });
});
