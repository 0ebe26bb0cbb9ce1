import { describe, expect, test } from '@jest/globals';
import { generateKeyPairSync } from 'node:crypto';
import { resourceServer } from '../../lib/index.js';
import type { ResourceServerOptions } from '../../lib/index.js';
import { checkedMetadata } from '../../lib/metadata-options.js';
import { complaint } from '../support/complaint.js';
import { signingKey } from '../support/tokens.js';

const NAMES =
  'authorization_servers, scopes_supported, authorization_details_types_supported, resource_signing_alg_values_supported, ' +
  'resource_documentation, resource_policy_uri, resource_tos_uri, resource_name, jwks_uri, maxAge, alsoAt, signed';
const ALGORITHMS = 'RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, ES512, EdDSA, Ed25519';
const PRIVATE = '"signed" of "metadata" takes the private key: a CryptoKey, a KeyObject or a JWK with "d"';
const PATHS = '"alsoAt" of "metadata" must have paths such as "/.well-known/oauth-protected-resource"';
const MAX_AGE = '"maxAge" must be a number of seconds from 0 to 2592000';
const LANGUAGE = 'a language is named as in "resource_name#it"';
const { privateKey } = signingKey();

describe('the options of metadata', () => {
  test.each([
    [true],
    [{}],
    [{ scopes_supported: undefined, maxAge: undefined, signed: undefined, jwks_uri: undefined }],
  ])('%j is all defaults', (options) => {
    const { members, ...rest } = checkedMetadata(options);
    expect(Object.values(members).filter((value) => value !== undefined)).toEqual([]);
    const unset = { authorizationServers: undefined, scopes: undefined, detailsTypes: undefined, signing: undefined };
    expect(rest).toEqual({ ...unset, maxAge: 3600, alsoAt: [] });
  });

  test('what is given is taken, and what becomes of the lists later does not count', () => {
    const lists = {
      authorization_servers: ['https://as.example.com'],
      scopes_supported: ['read'],
      authorization_details_types_supported: ['payment'],
      resource_signing_alg_values_supported: ['ES256'],
      alsoAt: ['/.well-known/elsewhere?a=b'],
    };
    const texts = {
      resource_name: 'Pictures',
      'resource_name#it': 'Immagini',
      resource_tos_uri: 'https://a.example/terms',
      'resource_tos_uri#zh-Hant-TW': 'https://a.example/zh/terms',
    };
    const checked = checkedMetadata({ ...lists, ...texts, jwks_uri: 'https://a.example/jwks', maxAge: 0 });
    for (const list of Object.values(lists)) list.push('none');
    expect(checked).toEqual({
      authorizationServers: ['https://as.example.com'],
      scopes: ['read'],
      detailsTypes: ['payment'],
      members: { ...texts, jwks_uri: 'https://a.example/jwks', resource_signing_alg_values_supported: ['ES256'] },
      maxAge: 0,
      alsoAt: ['/.well-known/elsewhere?a=b'],
      signing: undefined,
    });
  });

  test('an empty list is taken as it is now', () => {
    const list: string[] = [];
    const checked = checkedMetadata({ authorization_servers: list, scopes_supported: list });
    list.push('offline_access');
    expect([checked.authorizationServers, checked.scopes]).toEqual([[], []]);
  });

  test('the signature: algorithm, key id and issuer', () => {
    const signed = { key: privateKey, algorithm: 'ES256', keyId: 'one', issuer: 'https://b.example' };
    const header = { alg: 'ES256', kid: 'one' };
    expect(checkedMetadata({ signed }).signing).toEqual({ key: privateKey, header, issuer: 'https://b.example' });
    const jwk = { ...privateKey.export({ format: 'jwk' }), alg: 'ES256', kid: 'two' };
    const { signing } = checkedMetadata({ signed: { key: jwk } });
    expect(signing).toEqual({ key: jwk, header: { alg: 'ES256', kid: 'two' }, issuer: undefined });
    expect(signing?.key).not.toBe(jwk);
  });

  test.each<[metadata: unknown, says: string]>([
    [false, '"metadata" must be true, or an object with its options, got false'],
    ['yes', '"metadata" must be true, or an object with its options, got "yes"'],
    [1, '"metadata" must be true, or an object with its options, got 1'],
    [null, '"metadata" takes an object, got null'],
    [[], '"metadata" takes an object, got an empty list'],
    [{ resource: 'https://c.example' }, `"metadata" has no option "resource": the options are ${NAMES}`],
    [{ bearer_methods_supported: [] }, `"metadata" has no option "bearer_methods_supported": the options are ${NAMES}`],
    [{ signed_metadata: 'a.b.c' }, `"metadata" has no option "signed_metadata": the options are ${NAMES}`],
    [JSON.parse('{"__proto__": {"resource": "x"}}'), `"metadata" has no option "__proto__": the options are ${NAMES}`],
    [{ constructor: 1 }, `"metadata" has no option "constructor": the options are ${NAMES}`],
    [{ scopesSupported: ['a'] }, '"metadata" has no option "scopesSupported": did you mean "scopes_supported"?'],
    [{ max_age: 5 }, '"metadata" has no option "max_age": did you mean "maxAge"?'],
    [
      { authorizationServers: [] },
      '"metadata" has no option "authorizationServers": did you mean "authorization_servers"?',
    ],
    [{ authorization_servers: 'https://b.example' }, list('authorization_servers', '"https://b.example"')],
    [{ authorization_servers: null }, list('authorization_servers', 'null')],
    [{ scopes_supported: 'read' }, list('scopes_supported', '"read"')],
    [
      { authorization_details_types_supported: {} },
      list('authorization_details_types_supported', 'a value of type object'),
    ],
    [{ resource_signing_alg_values_supported: 'ES256' }, list('resource_signing_alg_values_supported', '"ES256"')],
    [{ alsoAt: '/.well-known/x' }, list('alsoAt', '"/.well-known/x"')],
    [{ authorization_servers: [5] }, items('authorization_servers')],
    [{ authorization_details_types_supported: [''] }, items('authorization_details_types_supported')],
    [{ scopes_supported: [null] }, items('scopes_supported')],
    [{ scopes_supported: ['a"b'] }, '"scopes_supported" got "a\\"b", which is not a scope of RFC 6749 section 3.3'],
    [
      { scopes_supported: ['read', 'offline_access'] },
      '"scopes_supported" got "offline_access", which is between client and authorization server: leave it out',
    ],
    [
      { resource_signing_alg_values_supported: ['ES256', 'none'] },
      '"resource_signing_alg_values_supported" must not have "none" (RFC 9728 section 2)',
    ],
    [{ resource_name: '' }, '"resource_name" of "metadata" must be a string that is not empty'],
    [{ resource_name: 5 }, '"resource_name" of "metadata" must be a string that is not empty'],
    [
      { resource_name: 'a', 'resource_name#it': '' },
      '"resource_name#it" of "metadata" must be a string that is not empty',
    ],
    [
      { 'resource_name#it': 'a' },
      '"metadata" has "resource_name#it", so it needs "resource_name" as well, for everybody else',
    ],
    [{ resource_name: 'a', 'resource_name#': 'b' }, `"metadata" has "resource_name#": ${LANGUAGE}`],
    [{ resource_name: 'a', 'resource_name#i t': 'b' }, `"metadata" has "resource_name#i t": ${LANGUAGE}`],
    [{ resource_name: 'a', 'resource_name#it#fr': 'b' }, `"metadata" has "resource_name#it#fr": ${LANGUAGE}`],
    [{ 'jwks_uri#it': 'https://a.example' }, `"metadata" has "jwks_uri#it": ${LANGUAGE}`],
    [{ '#it': 'a' }, `"metadata" has "#it": ${LANGUAGE}`],
    [{ resource_documentation: 'http://a.example' }, link('resource_documentation', '"http://a.example"')],
    [{ resource_policy_uri: 'policy.html' }, link('resource_policy_uri', '"policy.html"')],
    [{ resource_tos_uri: 'javascript:alert(1)' }, link('resource_tos_uri', '"javascript:alert(1)"')],
    [{ resource_tos_uri: 5 }, link('resource_tos_uri', '5')],
    [
      { resource_tos_uri: 'https://a.example', 'resource_tos_uri#it': 'http://a.example' },
      link('resource_tos_uri#it', '"http://a.example"'),
    ],
    [
      { jwks_uri: 'http://a.example/jwks' },
      '"jwks_uri" must be an https URL such as "https://api.example.com/jwks" (http only on loopback), got "http://a.example/jwks"',
    ],
    [{ jwks_uri: '' }, '"jwks_uri" must be an https URL such as "https://api.example.com/jwks", got ""'],
    [{ maxAge: -1 }, `${MAX_AGE}, got -1`],
    [{ maxAge: 2_592_001 }, `${MAX_AGE}, got 2592001`],
    [{ maxAge: '60' }, `${MAX_AGE}, got "60"`],
    [{ maxAge: NaN }, `${MAX_AGE}, got NaN`],
    [{ maxAge: null }, `${MAX_AGE}, got null`],
    [{ alsoAt: ['/oauth'] }, `${PATHS}, got "/oauth"`],
    [{ alsoAt: ['/.well-known/'] }, `${PATHS}, got "/.well-known/"`],
    [{ alsoAt: ['/.well-known/a#b'] }, `${PATHS}, got "/.well-known/a#b"`],
    [{ alsoAt: ['/.well-known/a b'] }, `${PATHS}, got "/.well-known/a b"`],
    [{ alsoAt: ['/.well-known/a\r\nb'] }, `${PATHS}, got "/.well-known/a\\r\\nb"`],
    [{ alsoAt: ['https://a.example/.well-known/a'] }, `${PATHS}, got "https://a.example/.well-known/a"`],
  ])('%j is refused, in words', (metadata, says) => {
    expect(complaint({ metadata })).toBe(says);
  });

  test.each<[signed: object, says: string]>([
    [{}, PRIVATE],
    [{ key: 'a secret of ours' }, PRIVATE],
    [{ key: { kty: 'oct', k: 'AAAA', d: 'AAAA' }, algorithm: 'ES256' }, PRIVATE],
    [{ key: generateKeyPairSync('ed25519').publicKey, algorithm: 'Ed25519' }, PRIVATE],
    [{ key: privateKey }, `"signed" of "metadata" needs an "algorithm" of ${ALGORITHMS}, got undefined`],
    [
      { key: privateKey, algorithm: 'none' },
      `"signed" of "metadata" needs an "algorithm" of ${ALGORITHMS}, got "none"`,
    ],
    [
      { key: privateKey, algorithm: 'HS256' },
      `"signed" of "metadata" needs an "algorithm" of ${ALGORITHMS}, got "HS256"`,
    ],
    [
      { key: privateKey, algorithm: 'ES256', keyId: '' },
      '"keyId" of "signed" of "metadata" must be a string that is not empty',
    ],
    [{ key: privateKey, algorithm: 'ES256', issuer: 5 }, '"issuer" of "signed" must be a string that is not empty'],
    [
      { key: privateKey, alg: 'ES256' },
      '"signed" of "metadata" has no option "alg": the options are key, algorithm, keyId, issuer',
    ],
  ])('signed, case %#, is refused in words: %s', (signed, says) => {
    expect(complaint({ metadata: { signed } })).toBe(says);
  });

  test('what stands in the place of a key is not shown', () => {
    expect(complaint({ metadata: { signed: 'a secret of ours' } })).not.toContain('a secret of ours');
  });

  test('Cache-Control takes whole seconds only (RFC 9111 section 1.2.2)', () => {
    expect(complaint({ metadata: { maxAge: 0.5 } })).toContain('"maxAge" must be a');
    expect(checkedMetadata({ maxAge: 2_592_000 }).maxAge).toBe(2_592_000);
  });
});

describe('beside the other options', () => {
  const find = () => undefined;

  test('a function finds the servers: the document must be told which', () => {
    const says =
      '"metadata" needs "authorization_servers", the issuers that clients may ask for a token, because a function finds them; ' +
      '[] names none';
    const options = { resource: 'https://a.example', authorizationServers: find };
    expect(complaint({ ...options, issuer: undefined, metadata: true })).toBe(says);
    for (const authorization_servers of [[], ['https://b.example']]) {
      expect(resourceServer({ ...options, metadata: { authorization_servers } })).toHaveLength(3);
    }
  });

  test('metadata() without the option says what to set', () => {
    const options: ResourceServerOptions = { resource: 'https://a.example', issuer: 'https://b.example' };
    const says = 'metadata() needs the option "metadata" of resourceServer: set it to true';
    expect(() => resourceServer(options).metadata()).toThrow(new TypeError(says));
    expect(resourceServer({ ...options, metadata: true }).metadata()).toHaveLength(3);
  });
});

function list(name: string, got: string): string {
  return `"${name}" of "metadata" must be a list of strings, got ${got}`;
}

function items(name: string): string {
  return `"${name}" must be a string or a list of strings, none of them empty, got a list`;
}

function link(name: string, got: string): string {
  return `"${name}" of "metadata" must be an https URL, got ${got}`;
}
