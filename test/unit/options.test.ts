import { describe, expect, test } from '@jest/globals';
import { requireAnyScope, requireClaim, requireScope, resourceServer } from '../../lib/index.js';
import { complaintOf } from '../support/complaint.js';
import { signingKey } from '../support/tokens.js';

const key = signingKey();
const valid = { resource: 'https://api.example.com', issuer: 'https://as.example.com' };

/** Options with these servers in place of the one. */
const several = (authorizationServers: unknown) => ({ resource: valid.resource, authorizationServers });

describe('the options of resourceServer', () => {
  test.each<[what: string, options: object]>([
    ['the least', {}],
    [
      'undefined ones',
      { audience: undefined, realm: undefined, methods: undefined, jwks: undefined, fetch: undefined },
    ],
    ['an audience', { audience: ['a', 'b'] }],
    ['algorithms', { algorithms: ['ES256'] }],
    ['a key location', { jwksUri: 'http://127.0.0.1:1/jwks' }],
    ['keys', { jwks: { keys: [key.jwk] } }],
    ['methods in any order', { methods: ['query', 'header', 'body'] }],
    ['the bounds', { clockTolerance: 300, maxTokenLength: 1, keyMaxAge: 60 }],
    ['the longest use of keys', { keyMaxAge: 2_592_000 }],
    ['loopback', { issuer: 'http://localhost:3000', resource: 'http://[::1]:3000' }],
  ])('%s are taken', (_what, options) => {
    expect(resourceServer({ ...valid, ...options })).toHaveLength(3);
  });

  test.each([[undefined], [null], ['https://as.example.com'], [[]], [5]])(
    '%j in place of options is refused',
    (options) => {
      expect(complaintOf(resourceServer, options)).toMatch(/^resourceServer takes an object, got /);
    },
  );

  const URL_WORDS = /must be an https URL such as "https:/;
  const SCALARS = [null, 5, true, {}, []];
  test.each([
    ...['resource', 'issuer', 'jwksUri', 'errorUri'].flatMap((name) =>
      [
        ...SCALARS,
        '',
        'api',
        '/api',
        'http://api.example.com',
        'ftp://a',
        'https://a b',
        'https://u:p@a',
        'https://a/#b',
      ].map((value) => [name, value, URL_WORDS] as const),
    ),
    ['issuer', 'https://as.example.com?a=b', /must not have a query/],
    ...[...SCALARS, '', 'h\u00e9', 'a\n'].map(
      (value) => ['realm', value, /must be a string of printable ASCII/] as const,
    ),
    ...[null, '5', -1, 301, NaN, Infinity, {}].map(
      (value) => ['clockTolerance', value, /must be a number of seconds from 0 to 300/] as const,
    ),
    ...[null, '600', 0, 59, 2_592_001, NaN, Infinity, {}].map(
      (value) => ['keyMaxAge', value, /must be a number of seconds from 60 to 2592000/] as const,
    ),
    ...[null, '5', 0, -1, 1.5, NaN, Infinity].map(
      (value) => ['maxTokenLength', value, /must be a whole number, 1 or more/] as const,
    ),
    ...['allowMissingToken', 'requireTls', 'errorDescription'].flatMap((name) =>
      [null, 'true', 1, {}].map((value) => [name, value, /must be a boolean/] as const),
    ),
    ...['acceptToken', 'impliesScope', 'onError', 'fetch', 'clock'].flatMap((name) =>
      [null, 'true', 1, {}, true].map((value) => [name, value, /must be a function/] as const),
    ),
    ...[null, '', 5, [], ['a', ''], ['a', 5], {}].map(
      (value) => ['audience', value, /must be a string or a list of strings/] as const,
    ),
    ...[null, 'ES256', [], ['HS256'], ['none'], ['es256'], [5], ['ES256', 'HS512']].map(
      (value) => ['algorithms', value, /takes a list of .*ES256/] as const,
    ),
    ...[null, 'header', [], ['body'], ['header', 'cookie'], ['Header'], [5], {}].map(
      (value) => ['methods', value, /takes a list with "header"/] as const,
    ),
    ...[null, 'x', [], {}, { keys: [] }, { keys: {} }].map(
      (value) => ['jwks', value, /must be a JWK Set such as/] as const,
    ),
    ['jwks', { keys: [{ kty: 'EC' }] }, /has no key that verifies signatures/],
    ['jwks', { keys: [{ ...key.jwk, use: 'enc' }] }, /has no key that verifies signatures/],
    ['jwks', { keys: [{}] }, /"kty"/],
    ['jwks', { keys: [null] }, /"kty"/],
    ['jwks', { keys: [{ kty: 'oct', k: 'a' }] }, /has a secret key/],
    ['jwks', { keys: [{ ...key.jwk, d: 'a' }] }, /has a secret key/],
    ...[null, 'https://as.example.com', [], {}, 5].map(
      (value) => ['authorizationServers', value, /must be a list such as/] as const,
    ),
  ] as const)('option %s given as %j: the message names it and says what to type', (name, value, words) => {
    const options =
      name === 'authorizationServers' ? { resource: valid.resource, [name]: value } : { ...valid, [name]: value };
    const message = complaintOf(resourceServer, options);
    expect(message).toMatch(words);
    expect(message).toContain(`"${name}"`);
    if (value === null || typeof value === 'number') expect(message).toContain(String(value));
    if (typeof value === 'string' && !/#|:p@/.test(value)) expect(message).toContain(JSON.stringify(value));
  });

  test.each(['resource', 'issuer'])('without %s: the message says that it is missing', (name) => {
    expect(complaintOf(resourceServer, { ...valid, [name]: undefined })).toMatch(
      new RegExp(`^"${name}" must be .*; it is missing$`),
    );
  });

  test('what was given does not spill a user name, a password or a long text into the message', () => {
    expect(complaintOf(resourceServer, { ...valid, issuer: 'https://user:hunter2@as.example.com' })).not.toContain(
      'hunter2',
    );
    expect(complaintOf(resourceServer, { ...valid, issuer: 'x'.repeat(5000) }).length).toBeLessThan(200);
  });

  test.each([
    ['terms beside a function', { ...several(() => undefined), algorithms: ['HS256'] }, /"algorithms" has "HS256"/],
    [
      'terms that each server replaces',
      { ...several([{ issuer: 'https://a', clientIdClaim: 'azp' }]), clientIdClaim: 5 },
      /"clientIdClaim"/,
    ],
    [
      'jwks beside jwksUri',
      { ...valid, jwks: { keys: [key.jwk] }, jwksUri: 'https://a' },
      /"jwks" and "jwksUri" exclude/,
    ],
    [
      'issuer beside the list',
      { ...valid, authorizationServers: [valid] },
      /"issuer" stands beside "authorizationServers"/,
    ],
    [
      'an issuer twice',
      { resource: valid.resource, authorizationServers: [{ issuer: valid.issuer }, { issuer: valid.issuer }] },
      /the issuer .* is named twice/,
    ],
    [
      'a server that is a string',
      { resource: valid.resource, authorizationServers: [valid.issuer] },
      /an entry of "authorizationServers" takes an object/,
    ],
    [
      'a server with a strange option',
      { resource: valid.resource, authorizationServers: [{ issuer: valid.issuer, audiance: 'a' }] },
      /an entry of "authorizationServers" has no option "audiance": did you mean "audience"\?/,
    ],
    [
      'a server with an option of all',
      { resource: valid.resource, authorizationServers: [{ issuer: valid.issuer, realm: 'a' }] },
      /has no option "realm"/,
    ],
  ])('%s is refused', (_what, options, words) => {
    expect(complaintOf(resourceServer, options)).toMatch(words);
  });

  test.each([
    ['audiance', 'audience'],
    ['audiences', 'audience'],
    ['aud', 'audience'],
    ['Issuer', 'issuer'],
    ['issuerBaseURL', 'issuer'],
    ['issuers', 'authorizationServers'],
    ['authorisationServers', 'authorizationServers'],
    ['leeway', 'clockTolerance'],
    ['clockSkew', 'clockTolerance'],
    ['clock_tolerance', 'clockTolerance'],
    ['jwks_uri', 'jwksUri'],
    ['jwksURI', 'jwksUri'],
    ['tokenSigningAlg', 'algorithms'],
    ['algorithm', 'algorithms'],
    ['method', 'methods'],
    ['requireTLS', 'requireTls'],
    ['credentialsRequired', 'allowMissingToken'],
    ['authRequired', 'allowMissingToken'],
    ['errorHandler', 'onError'],
    ['secret', 'jwks'],
    ['Realm', 'realm'],
    ['ressource', 'resource'],
  ])('%s is not an option, and %s is suggested', (name, meant) => {
    expect(complaintOf(resourceServer, { ...valid, [name]: 'x' })).toBe(
      `resourceServer has no option "${name}": did you mean "${meant}"?`,
    );
  });

  test.each(['wibble', 'constructor', 'toString', ''])('%j is no option and like none: all are listed', (name) => {
    const message = complaintOf(resourceServer, { ...valid, [name]: 'x' });
    expect(message).toMatch(/^resourceServer has no option .*: the options are resource, methods, .*requiredClaims$/);
  });

  test('frozen options are taken: nothing is written into them', () => {
    const options = Object.freeze({
      ...valid,
      methods: Object.freeze(['header'] as const),
      algorithms: Object.freeze(['ES256']),
    });
    expect(() => resourceServer(options)).not.toThrow();
  });
});

describe('the arguments of guards', () => {
  test.each([requireScope, requireAnyScope])('%p without a scope is refused, with what to type', (guard) => {
    expect(() => guard()).toThrow(`${guard.name} needs at least one scope, such as ${guard.name}("pictures:read")`);
  });

  test('several scopes in one string: the message says how to pass them', () => {
    expect(() => requireScope('a b')).toThrow(
      'requireScope got "a b", which is not a scope of RFC 6749 section 3.3: pass each scope as an argument of its own',
    );
  });

  test.each([undefined, null, 5, ['a'], {}])('%j as a scope is refused', (scope) => {
    expect(() => requireScope(scope as string)).toThrow(/requireScope got .* not a scope/);
  });

  test.each([
    [5, (): boolean => true],
    [undefined, (): boolean => true],
    [[], (): boolean => true],
    [['realm_access', 5], (): boolean => true],
    ['role', 'editor'],
    ['role', undefined],
  ])('requireClaim(%p, %p) is refused, with what to type', (name, claimTest) => {
    expect(() => requireClaim(name as string, claimTest as () => boolean)).toThrow(
      /^requireClaim needs the name of a claim and a function, such as 'role', \(role\) => role === 'editor'; got /,
    );
  });
});
