import { expect } from '@jest/globals';
import type { Answer, TestApp } from './app.js';
import type { TestAuthorizationServer } from './authorization-server.js';
import { expectInvalidToken, SAYS } from './stage.js';
import { base64url, signingKey, validClaims } from './tokens.js';
import type { Overrides, SigningKey } from './tokens.js';

/** The key that the authorization server signs with. */
export function signerOf(as: TestAuthorizationServer): SigningKey {
  return as.keys[0] ?? signingKey();
}

/** Header and payload of a good token, not signed yet, with what the attacker replaces. */
export function unsigned(as: TestAuthorizationServer, header: Overrides = {}, claims: Overrides = {}): string {
  const { alg, kid } = signerOf(as);
  const payload = { ...validClaims(as.issuer, as.resource), ...claims };
  return `${base64url({ typ: 'at+jwt', alg, kid, ...header })}.${base64url(payload)}`;
}

/** Refused with 401, this very challenge and body; the handler does not run, and nothing of the token comes back. */
export async function expectForgeryRefused(
  app: TestApp,
  token: string,
  says: string = SAYS.signature,
  path = '/protected',
): Promise<void> {
  const before = app.handled;
  const answer = await app.get(path, token);
  expectInvalidToken(answer, says);
  expect(app.handled).toBe(before);
  expectNoLeak(answer, token);
}

/** Neither a header nor the body repeats 16 characters of the secret. */
export function expectNoLeak(answer: Answer, secret: string): void {
  expect(leaked(textOf(answer), secret)).toBeUndefined();
}

/** Everything that went over the wire, as one text. */
export function textOf({ headers, body }: Answer): string {
  return `${JSON.stringify([...headers])}\n${JSON.stringify(body)}`;
}

/** The first stretch of `length` characters of `secret` that `text` repeats, or undefined. */
export function leaked(text: string, secret: string, length = 16): string | undefined {
  if (secret.length < length) return text.includes(secret) ? secret : undefined;
  for (let at = 0; at + length <= text.length; at++) {
    const slice = text.slice(at, at + length);
    if (secret.includes(slice)) return slice;
  }
  return undefined;
}

/** The JSON text of `value` with one more member before or after its own. */
export function withMember(value: object, member: string, place: 'first' | 'last' = 'last'): string {
  const members = JSON.stringify(value).slice(1, -1);
  return place === 'first' ? `{${member},${members}}` : `{${members},${member}}`;
}
