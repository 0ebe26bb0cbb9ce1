import { IncomingMessage } from 'node:http';
import { Socket } from 'node:net';
import { describe, expect, test } from '@jest/globals';
import type { Request } from 'express';
import { normalizeUri, requestUris } from '../../lib/request-uri.js';
import type { PublicUrl } from '../../lib/request-uri.js';

const SAME = '"publicUrl" has two URLs with the same host: one request would be for both';
const MUST = '"publicUrl" must be an https URL such as "https://api.example.com"';

function request(originalUrl: string, hostname = 'api.example.com'): Request {
  return Object.assign(new IncomingMessage(new Socket()), { originalUrl, hostname }) as Request;
}

describe('normalizeUri', () => {
  test.each([
    ['https://api.example.com/a', 'https://api.example.com/a'],
    ['HTTPS://API.example.COM/A', 'https://api.example.com/A'],
    ['http://api.example.com:80/a', 'http://api.example.com/a'],
    ['http://api.example.com:443/a', 'http://api.example.com:443/a'],
    ['https://api.example.com:443', 'https://api.example.com/'],
    ['https://api.example.com:0443/', 'https://api.example.com/'],
    ['https://[2001:DB8::0:1]:443/a', 'https://[2001:db8::1]/a'],
    ['https://b\u00fccher.example/', 'https://xn--bcher-kva.example/'],
    ['https://api.example.com/a?b#c', 'https://api.example.com/a'],
    ['https://api.example.com?b', 'https://api.example.com/'],
    ['https://api.example.com#/a?b', 'https://api.example.com/'],
    ['https://api.example.com/%41%7a%2D%2e%5f%7E', 'https://api.example.com/Az-._~'],
    ['https://api.example.com/%2f%3f%c3%a9%25', 'https://api.example.com/%2F%3F%C3%A9%25'],
    ['https://api.example.com/%2541', 'https://api.example.com/%2541'],
    ['https://api.example.com/a/./b/../c/', 'https://api.example.com/a/c/'],
    ['https://api.example.com/a/b/..', 'https://api.example.com/a/'],
    ['https://api.example.com/../..', 'https://api.example.com/'],
    ['https://api.example.com/%2e%2E/a', 'https://api.example.com/a'],
    ['https://api.example.com//other.example/a', 'https://api.example.com//other.example/a'],
    ['https://api.example.com/.//a', 'https://api.example.com//a'],
    ['https://api.example.com/a[1]|b', 'https://api.example.com/a[1]|b'],
    ['https://api.example.com/100%/%4g', 'https://api.example.com/100%/%4g'],
    ["https://api.example.com/!$&'()*+,;=:@-._~", "https://api.example.com/!$&'()*+,;=:@-._~"],
  ])('%s becomes %s, and stays so', (uri, normal) => {
    expect(normalizeUri(uri)).toBe(normal);
    expect(normalizeUri(normal)).toBe(normal);
  });

  test.each([
    '',
    '/a',
    '//api.example.com/a',
    'api.example.com/a',
    'ftp://api.example.com/a',
    'https:api.example.com/a',
    'https:///a',
    'https://',
    'https:\\\\api.example.com/a',
    'https://api.example.com\\a',
    'https://api.example.com/\\other.example',
    'https://user@api.example.com/a',
    'https://user:password@api.example.com/a',
    'https://api.example.com:99999/',
    'https://api.example.com:a/',
    'https://a b/',
    ' https://api.example.com/',
    'https://api.example.com/a b',
    'https://api.example.com/a\n',
    'https://api.example.com/\u00e9',
    'https://api.exa\nmple.com/',
    'https://[::1/',
  ])('%j is no address', (uri) => {
    expect(normalizeUri(uri)).toBeUndefined();
  });
});

describe('requestUris', () => {
  test.each<[publicUrl: string, target: string, uri: string]>([
    ['https://api.example.com', '/a?b', 'https://api.example.com/a'],
    ['https://api.example.com/', '/', 'https://api.example.com/'],
    ['https://API.example.com:443', '/a', 'https://api.example.com/a'],
    ['https://api.example.com/v1', '/a', 'https://api.example.com/v1/a'],
    ['https://api.example.com/v1/', '/a', 'https://api.example.com/v1/a'],
    ['https://api.example.com/v1/', '//a', 'https://api.example.com/v1//a'],
    ['http://127.0.0.1:3000', '/a', 'http://127.0.0.1:3000/a'],
    ['https://api.example.com', 'http://evil.example/a?b', 'https://api.example.com/a'],
    ['https://api.example.com', 'http://evil.example', 'https://api.example.com/'],
    ['https://api.example.com', 'http://evil.example?a=/b', 'https://api.example.com/'],
    ['https://api.example.com', '/http://evil.example/a', 'https://api.example.com/http://evil.example/a'],
    ['https://api.example.com', '/a#b', 'https://api.example.com/a'],
    ['https://api.example.com', '//evil.example/a', 'https://api.example.com//evil.example/a'],
    ['https://api.example.com', '//evil.example:444/b', 'https://api.example.com//evil.example:444/b'],
    ['https://api.example.com', '/a[1]|b', 'https://api.example.com/a[1]|b'],
    ['https://api.example.com', '/100%', 'https://api.example.com/100%'],
  ])('under %s a request for %s is for %s, whatever its Host says', (publicUrl, target, uri) => {
    expect(requestUris(publicUrl)(request(target, 'evil.example'))).toEqual([uri]);
  });

  test('a path that no URI has is for nothing', () => {
    for (const path of ['/a\\b', '/a b', '/\u00e9'])
      expect(requestUris('https://a.example')(request(path))).toEqual([]);
  });

  // Clients take dot segments out, and Express leaves them in; what is decoded twice is another address each time.
  test.each<[target: string, twin: string]>([
    ['/a/../b', '/a/..b'],
    ['/a/./b', '/a/.b'],
    ['/..', '/...'],
    ['/a/.', '/a/.b'],
    ['/a/%2e%2E/b', '/a/%2e%2Eb/b'],
    ['/a/.%2e', '/a/.%2ec'],
    ['http://a.example/a/../b', 'http://a.example/a/b'],
    ['/%%32e', '/%2e%20'],
    ['/a/%2%65/b', '/a/%65/b'],
    ['/%%41', '/%41'],
  ])('a request for %s is for nothing, one for %s is for something', (target, twin) => {
    expect(requestUris('https://a.example')(request(target))).toEqual([]);
    expect(requestUris('https://a.example')(request(twin))).toHaveLength(1);
  });

  test('of a list those count whose host the request names, and all of those', () => {
    const uris = requestUris(['https://a.example', 'https://b.example/v1', 'https://b.example:8443']);
    for (const host of ['a.example', 'A.Example']) expect(uris(request('/x', host))).toEqual(['https://a.example/x']);
    expect(uris(request('/x', 'b.example'))).toEqual(['https://b.example/v1/x', 'https://b.example:8443/x']);
    for (const host of ['c.example', '', 'x.a.example']) expect(uris(request('/x', host))).toEqual([]);
    expect(uris(Object.assign(request('/x'), { hostname: undefined }) as unknown as Request)).toEqual([]); // HTTP/1.0 without Host
  });

  test('a list of one needs no Host', () => {
    expect(requestUris(['https://a.example'])(request('/x', 'b.example'))).toEqual(['https://a.example/x']);
  });

  test('a function is asked about each request, and what it says is checked', () => {
    const uris = requestUris((req) => `https://${req.hostname}/base`);
    expect(uris(request('/x', 'a.example'))).toEqual(['https://a.example/base/x']);
    expect(() => uris(request('/x', 'a b'))).toThrow(new TypeError(`${MUST}, got "https://a b/base"`));
    const promising = requestUris((() => Promise.resolve('https://a.example')) as unknown as () => string);
    expect(() => promising(request('/x'))).toThrow(new TypeError(`${MUST}, got a value of type object`));
  });

  test.each<[publicUrl: unknown, says: string]>([
    ['api.example.com', `${MUST}, got "api.example.com"`],
    ['', `${MUST}, got ""`],
    ['http://api.example.com', `${MUST} (http only on loopback), got "http://api.example.com"`],
    ['https://api.example.com/#a', `${MUST} without "#", got "https://api.example.com/#a"`],
    ['https://user:secret@api.example.com', `${MUST} without user name and password`],
    ['https://a.example/?b', '"publicUrl" must not have a query, got "https://a.example/?b"'],
    ['https://a.example?', '"publicUrl" must not have a query, got "https://a.example?"'],
    [['https://a.example', 5], `${MUST}, got 5`],
    [['https://a.example', undefined], `${MUST}; it is missing`],
    [[], '"publicUrl" must be an https URL, a list of them, or a function, got an empty list'],
    [5, '"publicUrl" must be an https URL, a list of them, or a function, got 5'],
    [null, '"publicUrl" must be an https URL, a list of them, or a function, got null'],
    [{}, '"publicUrl" must be an https URL, a list of them, or a function, got a value of type object'],
    [['https://a.example', 'https://a.example'], SAME],
    [['https://a.example/v1', 'https://b.example', 'https://a.example/v2'], SAME],
    [['https://a.example', 'https://A.example:443/'], SAME],
  ])('%j is refused at construction', (publicUrl, says) => {
    expect(() => requestUris(publicUrl as PublicUrl)).toThrow(new TypeError(says));
  });
});
