import { describe, expect, test } from '@jest/globals';
import { claimAt, scopesAt, splitScope } from '../../lib/claims.js';

describe('claimAt', () => {
  const claims = {
    sub: 'alice',
    realm_access: { roles: ['editor'] },
    'https://a.example/x': 1,
    none: null,
    list: ['a'],
  };

  test.each([
    [['sub'], 'alice'],
    [['realm_access', 'roles'], ['editor']],
    [['https://a.example/x'], 1],
    [['none'], null],
    [['list', '0'], 'a'],
    [[], claims],
  ])('%j is found', (path, value) => {
    expect(claimAt(claims, path)).toEqual(value);
  });

  test.each([
    [['missing']],
    [['realm_access', 'missing']],
    [['sub', 'length']], // a string has no claims
    [['none', 'x']],
    [['toString']],
    [['constructor', 'name']],
    [['__proto__']],
    [['realm_access.roles']],
  ])('%j is not', (path) => {
    expect(claimAt(claims, path)).toBeUndefined();
  });

  test('__proto__ that stands in the token is a claim like any other', () => {
    expect(claimAt(JSON.parse('{"__proto__":"x"}'), ['__proto__'])).toBe('x');
  });

  test.each([[undefined], [null], ['text'], [1]])('%j has no claims', (claims) => {
    expect(claimAt(claims, ['sub'])).toBeUndefined();
  });
});

describe('splitScope', () => {
  test.each([
    ['read write', ['read', 'write']],
    ['read', ['read']],
    ['  read   write ', ['read', 'write']],
    ['', []],
    [' ', []],
    ['read\twrite', ['read\twrite']],
    ['read,write', ['read,write']],
  ])('%j is %j', (scope, list) => {
    expect(splitScope(scope)).toEqual(list);
  });

  test.each([[undefined], [null], [5], [['read']], [{}], [true]])('%j grants nothing', (scope) => {
    expect(splitScope(scope)).toEqual([]);
  });
});

describe('scopesAt', () => {
  test('puts strings and arrays of several places together', () => {
    const claims = { scp: 'read write', permissions: ['files:read'], realm_access: { roles: ['editor'] } };
    expect(scopesAt(claims, [['scp'], ['permissions'], ['realm_access', 'roles']])).toEqual([
      ...['read', 'write', 'files:read', 'editor'],
    ]);
  });

  test('leaves out what is missing, and what is no string', () => {
    expect(scopesAt({ scp: ['read', 5, null, ['admin'], { a: 1 }] }, [['missing'], ['scp']])).toEqual(['read']);
    expect(scopesAt({ scp: { read: true } }, [['scp']])).toEqual([]);
  });
});
