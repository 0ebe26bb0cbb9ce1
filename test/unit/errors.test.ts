import { describe, expect, test } from '@jest/globals';
import { inspect } from 'node:util';
import { InsufficientScopeError, InvalidRequestError, InvalidTokenError, OAuthError } from '../../lib/index.js';
import { UnauthorizedError, VerificationUnavailableError } from '../../lib/index.js';

describe('the refusals', () => {
  test.each([
    [new UnauthorizedError(), 'UnauthorizedError', 401, undefined, 'An access token is required'],
    [new InvalidRequestError('a'), 'InvalidRequestError', 400, 'invalid_request', 'a'],
    [new InvalidTokenError('a'), 'InvalidTokenError', 401, 'invalid_token', 'a'],
    [
      new InsufficientScopeError(),
      'InsufficientScopeError',
      403,
      'insufficient_scope',
      'The access token lacks a required scope',
    ],
  ] as const)('%s is an OAuthError that Express understands, without a stack', (error, name, status, code, message) => {
    expect(error).toBeInstanceOf(OAuthError);
    expect(error).toMatchObject({ name, status, code, message, expose: true, headers: {}, body: {} });
    expect(error.stack).toBe(`${name}: ${message}`);
    expect(inspect(error)).not.toContain('    at ');
  });

  test('they are siblings', () => {
    const classes = [UnauthorizedError, InvalidRequestError, InvalidTokenError, InsufficientScopeError];
    const errors = [
      new UnauthorizedError(),
      new InvalidRequestError('a'),
      new InvalidTokenError('a'),
      new InsufficientScopeError(),
    ];
    expect(errors.map((error) => classes.filter((one) => error instanceof one))).toEqual(classes.map((one) => [one]));
  });

  test.each(['a"b', 'a\\b', '\u00e9', '🔑', 'a\nb', 'a\tb', 'a\0', '\x7f', ''])(
    '6750-3-12 words with %j, which error_description may not have, are refused',
    (message) => {
      expect(() => new InvalidTokenError(message)).toThrow(/printable ASCII/);
      expect(() => new InsufficientScopeError([], message)).toThrow(TypeError);
      expect(() => new InvalidRequestError(message)).toThrow(TypeError);
    },
  );

  test('6750-3-12 every character that error_description may have is taken', () => {
    const allowed = Array.from({ length: 0x5f }, (_, i) => String.fromCharCode(0x20 + i))
      .join('')
      .replace(/["\\]/g, '');
    expect(new InvalidTokenError(allowed).message).toBe(allowed);
  });

  test.each(['', 'a b', 'a"b', 'a\\b', '\u00e9', 'a\nb', '\x7f'])('6750-3-11 scope %j is refused', (scope) => {
    expect(() => new InsufficientScopeError([scope])).toThrow(/scope/);
    expect(() => new UnauthorizedError(['a', scope])).toThrow(TypeError);
  });

  test('6750-3-6 scope is one parameter, joined by spaces, and absent when empty', () => {
    expect(new InsufficientScopeError(['a', 'B']).params).toEqual({ scope: 'a B' });
    expect(new InsufficientScopeError().params).toEqual({});
    expect(new UnauthorizedError(['a']).params).toEqual({ scope: 'a' });
    expect(new UnauthorizedError().params).toEqual({});
  });
});

describe('VerificationUnavailableError', () => {
  test('503 with Retry-After is no refusal, and keeps the reason for the operator', () => {
    const error = new VerificationUnavailableError('the key set is gone', 1.2);
    expect(error).not.toBeInstanceOf(OAuthError);
    expect(error).toMatchObject({ status: 503, headers: { 'Retry-After': '2' }, reason: 'the key set is gone' });
    expect(JSON.stringify([error.headers, error.body, error.message])).not.toContain('key set');
    expect(error.body).toEqual({
      error: 'temporarily_unavailable',
      error_description: 'The access token cannot be verified at the moment',
    });
  });

  test('the default is to try again after five seconds', () => {
    expect(new VerificationUnavailableError('gone').headers).toEqual({ 'Retry-After': '5' });
  });
});
