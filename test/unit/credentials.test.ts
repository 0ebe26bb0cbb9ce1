import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { checkB64Token } from '../../lib/grammar.js';
import { readCredentials } from '../../lib/credentials.js';
import { InvalidRequestError } from '../../lib/index.js';
import type { Method } from '../../lib/index.js';
import { FORM } from '../support/body-tests.js';

type Req = Parameters<typeof readCredentials>[0];
interface Parts {
  readonly authorization?: string;
  readonly url?: string;
  readonly body?: unknown;
  readonly method?: string;
}

const ALL: readonly Method[] = ['header', 'body', 'query'];

function read(parts: Parts, methods: readonly Method[] = ALL, maxLength = 100) {
  const { authorization, url = '/', body, method = 'POST' } = parts;
  const headers = { 'content-type': FORM, ...(authorization !== undefined && { authorization }) };
  const rawHeaders = Object.entries(headers).flat();
  const req = { headers, rawHeaders, url, body, method } as unknown as Req;
  const credentials = readCredentials(req, new Set(methods), ['Bearer'], maxLength);
  if (credentials !== undefined) checkB64Token(credentials.token);
  return credentials;
}

describe('readCredentials', () => {
  test.each<[what: string, parts: Parts, method: Method]>([
    ['header', { authorization: 'Bearer a.b' }, 'header'],
    ['query', { url: '/x?access_token=a.b' }, 'query'],
    ['parsed form', { body: { access_token: 'a.b' } }, 'body'],
    ['unparsed form', { body: 'access_token=a.b' }, 'body'],
  ])('6750-2-1 a token in the %s is found, with its place', (_what, parts, method) => {
    expect(read(parts)).toEqual({ scheme: 'Bearer', token: 'a.b', method });
  });

  test.each<[what: string, parts: Parts, methods: readonly Method[]]>([
    ['nothing', {}, ALL],
    ['another scheme', { authorization: 'Basic YTpi' }, ALL],
    ['a disabled query', { url: '/?access_token=a' }, ['header', 'body']],
    ['a disabled body', { body: { access_token: 'a' } }, ['header', 'query']],
    [
      'a broken token in a disabled place',
      { url: '/?access_token=a b&access_token', body: { access_token: [] } },
      ['header'],
    ],
    ['a form in GET', { body: { access_token: 'a' }, method: 'GET' }, ALL],
    ['a fragment-like path', { url: '/access_token=a' }, ALL],
  ])('6750-2.3-1 %s is no credentials', (_what, parts, methods) => {
    expect(read(parts, methods)).toBeUndefined();
  });

  test('9110-5.4-1 the limit is the longest token taken', () => {
    expect(read({ authorization: `Bearer ${'a'.repeat(100)}` })?.token).toHaveLength(100);
    for (const parts of [
      { authorization: `Bearer ${'a'.repeat(101)}` },
      { url: `/?access_token=${'a'.repeat(101)}` },
    ]) {
      expect(() => read(parts)).toThrow(new InvalidRequestError('The access token is too long'));
    }
  });

  test('6750-2.1-2 any b64token is read back exactly', () => {
    fc.assert(
      fc.property(
        fc.stringMatching(/^[A-Za-z0-9._~+/-]{1,40}={0,3}$/),
        fc.integer({ min: 1, max: 5 }),
        (token, spaces) => {
          expect(read({ authorization: `bEARER${' '.repeat(spaces)}${token}` })?.token).toBe(token);
          expect(read({ url: `/?a=b&access_token=${encodeURIComponent(token)}` })?.token).toBe(token);
        },
      ),
    );
  });

  test('6750-2.1-2 whatever stands in the header: a b64token, nothing, or InvalidRequestError', () => {
    const text = fc.string({ unit: fc.constantFrom(...Array.from('Bearer bB\t,="aA.-_~+/\u00e9\u00a0')) });
    fc.assert(
      fc.property(fc.constantFrom('', 'Bearer', 'Bearer ', 'bearer  ', 'Basic '), text, (start, rest) => {
        const value = `${start}${rest}`;
        let found: unknown;
        try {
          found = read({ authorization: value })?.token;
        } catch (error) {
          expect(error).toBeInstanceOf(InvalidRequestError);
          expect(value).toMatch(/^bearer(?![!#$%&'*+.^_`|~0-9A-Za-z-])/i);
          return;
        }
        const grammar = /^bearer +([A-Za-z0-9._~+/-]+=*)$/i.exec(value);
        expect(found).toBe(grammar?.[1]);
      }),
      { numRuns: 1000 },
    );
  });
});
