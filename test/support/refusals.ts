import { expect } from '@jest/globals';
import type { Answer } from './app.js';
import type { RawResponse } from './raw.js';

/** The resource, and so the realm, of the apps under test. */
export const RESOURCE = 'https://api.example.com';

/** All that a refusal says: status, whole challenge line, JSON. */
export interface Refusal {
  readonly status: number;
  readonly challenge: string;
  readonly body: Readonly<Record<string, string>>;
}

/** 401 with no error: nothing was presented that the resource server looks at. */
export function unauthorized(scope?: string): Refusal {
  return { status: 401, challenge: `Bearer realm="${RESOURCE}"${scopeParam(scope)}`, body: {} };
}

export function invalidRequest(description: string): Refusal {
  return refusal(400, 'invalid_request', description);
}

export function invalidToken(description: string): Refusal {
  return refusal(401, 'invalid_token', description);
}

export function insufficientScope(scope?: string, description = 'The access token lacks a required scope'): Refusal {
  return refusal(403, 'insufficient_scope', description, scope);
}

export const REPEATED_PARAMETER = invalidRequest('The access_token parameter must be sent once, with one value');
export const MALFORMED_HEADER = invalidRequest('The Authorization header must be Bearer, a space and one token');
export const REPEATED_HEADER = invalidRequest('The Authorization header must be sent once');
export const NO_B64TOKEN = invalidRequest('The access token has characters no token has');
export const TWO_METHODS = invalidRequest('The access token must be sent by one method only');
export const NOT_ASCII = invalidRequest('A form body that carries an access token must be ASCII');
export const NO_JWT = invalidToken('The access token is not a JSON Web Token');

/** The answer is this refusal to the last character, and is not kept by caches. */
export function expectRefusal(answer: Answer | RawResponse, expected: Refusal): void {
  const { cacheControl, ...plain } = 'all' in answer ? fromRaw(answer) : fromFetch(answer);
  expect(plain).toEqual(expected);
  expect(cacheControl).toBe('no-store');
}

function refusal(status: number, code: string, description: string, scope?: string): Refusal {
  return {
    status,
    challenge: `Bearer realm="${RESOURCE}", error="${code}", error_description="${description}"${scopeParam(scope)}`,
    body: { error: code, error_description: description },
  };
}

function scopeParam(scope: string | undefined): string {
  return scope === undefined ? '' : `, scope="${scope}"`;
}

function fromFetch({ status, challenge, body, headers }: Answer) {
  return { status, challenge, body, cacheControl: headers.get('cache-control') };
}

function fromRaw(answer: RawResponse) {
  return {
    status: answer.status,
    challenge: answer.all('www-authenticate').join(', '),
    body: JSON.parse(answer.body) as unknown,
    cacheControl: answer.all('cache-control').join(', '),
  };
}
