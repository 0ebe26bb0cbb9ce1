import { describe, expect, test } from '@jest/globals';
import { carriesForm, formValues } from '../../lib/form-body.js';
import { InvalidRequestError } from '../../lib/index.js';
import { FORM } from '../support/body-tests.js';

type Req = Parameters<typeof carriesForm>[0];

describe('carriesForm', () => {
  test.each<[method: string, type: string | undefined, carries: boolean]>([
    ['POST', FORM, true],
    ['PUT', FORM, true],
    ['PATCH', FORM, true],
    ['POST', ` ${FORM.toUpperCase()} ;charset=utf-8`, true],
    ['GET', FORM, false],
    ['HEAD', FORM, false],
    ['DELETE', FORM, false],
    ['post', FORM, false],
    ['POST', undefined, false],
    ['POST', '', false],
    ['POST', `${FORM}x`, false],
    ['POST', `x; a=${FORM}`, false],
    ['POST', `${FORM}, ${FORM}`, false],
    ['POST', 'multipart/form-data; boundary=a', false],
    ['POST', 'application/json', false],
  ])('6750-2.2-2 6750-2.2-5 %s with %j: %p', (method, type, carries) => {
    expect(carriesForm({ method, headers: { 'content-type': type } } as unknown as Req)).toBe(carries);
  });
});

describe('formValues', () => {
  test.each<[what: string, body: unknown, values: readonly unknown[]]>([
    ['a form parsed', { access_token: 'a', b: 'c' }, ['a']],
    ['a form parsed, without prototype', Object.assign(Object.create(null) as object, { access_token: 'a' }), ['a']],
    ['text', 'b=c&access_token=a', ['a']],
    ['bytes', Buffer.from('access_token=a'), ['a']],
    ['URLSearchParams', new URLSearchParams('access_token=a&access_token=b'), ['a', 'b']],
    ['nothing', undefined, []],
    ['null', null, []],
    ['an empty form', {}, []],
    ['an inherited name', Object.create({ access_token: 'a' }), []],
    ['another letter case', { Access_Token: 'a' }, []],
    ['empty text', '', []],
  ])('6750-2.2-6 the values in %s', (_what, body, values) => {
    expect(formValues(body, 'access_token')).toEqual(values);
  });

  test.each<[what: string, value: unknown]>([
    ['a list of one', ['a']],
    ['a list of two', ['a', 'a']],
    ['an object', { x: 'a' }],
    ['an empty list', []],
  ])('6750-3.1-2 %s is not one string', (_what, value) => {
    const values = formValues({ access_token: value }, 'access_token');
    expect(values.length === 1 && typeof values[0] === 'string').toBe(false);
    expect(values.length).toBeGreaterThan(0);
  });

  test.each<[what: string, body: unknown]>([
    ['a value', { access_token: 'a', b: '\u00e9' }],
    ['a name', { access_token: 'a', '\u00e9': 'b' }],
    ['a nested value', { access_token: 'a', b: { c: ['\u00e9'] } }],
    ['text', 'access_token=a&b=%C3%A9'],
    ['text that is no UTF-8', 'access_token=a&b=%FF'],
    ['bytes that are no UTF-8', Buffer.from([...Buffer.from('access_token=a&b='), 0xe9])],
  ])('6750-2.2-4 non-ASCII in %s is refused, but only beside a token', (_what, body) => {
    expect(() => formValues(body, 'access_token')).toThrow(InvalidRequestError);
    expect(formValues(body, 'other')).toEqual([]);
  });

  test('6750-2.2-4 all of ASCII may stand beside a token', () => {
    const ascii = Array.from({ length: 128 }, (_, code) => String.fromCharCode(code)).join('');
    expect(formValues({ access_token: 'a', b: ascii }, 'access_token')).toEqual(['a']);
  });
});
