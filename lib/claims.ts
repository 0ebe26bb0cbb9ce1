import { isJsonObject } from './decode.js';
import type { JsonObject } from './decode.js';
import type { Actor } from './types.js';

/** The value at the end of a path into claims, or undefined. Own members only: `toString` is no claim. */
export function claimAt(claims: unknown, path: readonly string[]): unknown {
  let value = claims;
  for (const name of path) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name)) return undefined;
    value = (value as JsonObject)[name];
  }
  return value;
}

/** RFC 6749 section 3.3: separated by spaces, and by nothing else. A scope that is not a string grants nothing. */
export function splitScope(scope: unknown): string[] {
  if (typeof scope !== 'string') return [];
  const tokens = scope.split(' ');
  return tokens.includes('') ? tokens.filter((token) => token !== '') : tokens; // what filter() makes takes 100 bytes more
}

/** Scope as issuers send it who do not follow RFC 8693 section 4.2: strings with spaces, and arrays of strings, put together. */
export function scopesAt(claims: JsonObject, paths: readonly (readonly string[])[]): string[] {
  const found = paths.map((path) => claimAt(claims, path));
  return found.flatMap((value) =>
    Array.isArray(value) ? value.filter((item) => typeof item === 'string') : splitScope(value),
  );
}

/**
 * The outermost actor. Those before it are a record, and no ground for decisions; times and audience in it mean nothing.
 * RFC 8693 section 4.1.
 */
export function actorIn({ act }: JsonObject): Actor | undefined {
  if (!isJsonObject(act)) return undefined;
  return Object.freeze(Object.fromEntries(Object.entries(act).filter(([name]) => !NO_IDENTITY.has(name))));
}

const NO_IDENTITY = new Set(['act', 'exp', 'nbf', 'iat', 'aud']);
