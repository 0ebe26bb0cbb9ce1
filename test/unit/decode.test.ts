import { describe, expect, test } from '@jest/globals';
import { decodeJwt } from '../../lib/decode.js';
import { InvalidTokenError } from '../../lib/errors.js';
import { base64url } from '../support/tokens.js';

const says = 'The access token is not a JSON Web Token';

describe('decodeJwt', () => {
  test('7519-7.2-1 header and claims are returned, the signature is not looked at', () => {
    const token = `${base64url({ alg: 'x' })}.${base64url({ iss: '\u00e9' })}.AAAA`;
    expect(decodeJwt(token)).toEqual({ header: { alg: 'x' }, claims: { iss: '\u00e9' } });
    expect(decodeJwt(token.replace(/AAAA$/, ''))).toEqual({ header: { alg: 'x' }, claims: { iss: '\u00e9' } });
  });

  const part = base64url({});
  test.each([
    ['', 'nothing'],
    ['..', 'periods only'],
    [`${part}.${part}`, 'two parts'],
    [`${part}.${part}.AAAA.AAAA.AAAA`, 'five parts'],
    [`${part}.${part}.A`, 'a part of an impossible length'],
    [`${part}.${part}.AB`, 'unused bits that are set, after one octet'],
    [`${part}.${part}.AAB`, 'unused bits that are set, after two octets'],
    [`${part}.${part}.AA==`, 'padding'],
    [`${part}.${part}.AA\n`, 'a line break at its end'],
    [` ${part}.${part}.AA`, 'a blank before it'],
    [`${part}.${base64url('[]')}.AA`, 'claims that are a list'],
    [`${base64url('null')}.${part}.AA`, 'a header that is null'],
    [`${base64url('1')}.${part}.AA`, 'a header that is a number'],
    [`${base64url('{}x')}.${part}.AA`, 'text after the header'],
    [`${base64url('\ufeff{}')}.${part}.AA`, 'a byte order mark'],
    [`${Buffer.from([0x22, 0xff, 0x22]).toString('base64url')}.${part}.AA`, 'octets that are no UTF-8'],
  ])('7519-7.2-1 %p, which has %s, is no JWT', (token) => {
    expect(() => decodeJwt(token)).toThrow(new InvalidTokenError(says));
  });

  test('7515-5.2-1 a token has one spelling only: every other last character is refused', () => {
    const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
    const accepted = (length: number) =>
      Array.from(alphabet).filter((char) => {
        try {
          decodeJwt(`${part}.${part}.${'A'.repeat(length - 1)}${char}`);
          return true;
        } catch {
          return false;
        }
      });
    expect([accepted(2), accepted(3), accepted(4)].map((list) => list.length)).toEqual([4, 16, 64]);
  });

  test('8725b-3.14-1 a megabyte of letters is refused in no time', () => {
    const start = performance.now();
    for (const text of ['A'.repeat(1e6), `${'A'.repeat(1e6)}!`, `${part}.${'A'.repeat(1e6)}.*`, '.'.repeat(1e6)]) {
      expect(() => decodeJwt(text)).toThrow(says);
    }
    expect(performance.now() - start).toBeLessThan(2000);
  });

  test('7519-4-1 a member named __proto__ is a member, and no prototype', () => {
    const { claims } = decodeJwt(`${part}.${base64url('{"__proto__":{"iss":"x"}}')}.AA`);
    expect(claims['iss']).toBeUndefined();
    expect(Object.keys(claims)).toEqual(['__proto__']);
  });
});
