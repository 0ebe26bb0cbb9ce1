import { isScopeToken, OFFLINE_ACCESS } from './errors.js';
import type { StepUp } from './errors.js';

// What the same thing is called elsewhere, so that a stranger is told our word for it.
const ELSEWHERE: Readonly<Record<string, string>> = {
  issuerbaseurl: 'issuer',
  issuers: 'authorizationServers',
  authority: 'issuer',
  domain: 'issuer',
  keys: 'jwks',
  secret: 'jwks',
  audiences: 'audience',
  aud: 'audience',
  tokensigningalg: 'algorithms',
  alg: 'algorithms',
  leeway: 'clockTolerance',
  clockskew: 'clockTolerance',
  authrequired: 'allowMissingToken',
  credentialsrequired: 'allowMissingToken',
  optional: 'allowMissingToken',
  anonymous: 'allowMissingToken',
  errorhandler: 'onError',
};

/** How a received value is named in a message: its text if it is short, else its type. */
export function show(value: unknown): string {
  if (typeof value === 'string')
    return value.length <= 80 ? JSON.stringify(value) : `a string of ${value.length} characters`;
  if (typeof value === 'number' || typeof value === 'boolean' || value == null) return String(value);
  if (Array.isArray(value)) return value.length === 0 ? 'an empty list' : 'a list';
  return `a value of type ${typeof value}`;
}

/** @throws TypeError unless `value` is an object, and no array. */
export function checkObject(where: string, value: unknown): asserts value is Readonly<Record<string, unknown>> {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return;
  throw new TypeError(`${where} takes an object, got ${show(value)}`);
}

/** @throws TypeError unless `value` is a string, and not empty. Does not show it: a secret may stand in its place. */
export function checkText(what: string, value: unknown): asserts value is string {
  if (typeof value !== 'string' || value === '') throw new TypeError(`${what} must be a string that is not empty`);
}

/** @throws TypeError when `options` is not an object or has a member that is not `known`; names the nearest known one. */
export function checkNames(where: string, options: unknown, known: readonly string[]): void {
  checkObject(where, options);
  for (const name of Object.keys(options)) {
    if (known.includes(name)) continue;
    const meant = nearest(name, known);
    const hint = meant === undefined ? `the options are ${known.join(', ')}` : `did you mean "${meant}"?`;
    throw new TypeError(`${where} has no option ${show(name)}: ${hint}`);
  }
}

/** @throws TypeError unless `value` is undefined or of the given type. */
export function checkType(name: string, value: unknown, type: 'boolean' | 'function'): void {
  if (value !== undefined && typeof value !== type) {
    throw new TypeError(`"${name}" must be a ${type}, got ${show(value)}`);
  }
}

/** @throws TypeError unless `value` is a number of seconds within the bounds. */
export function checkSeconds(name: string, value: unknown, min: number, max: number): void {
  if (typeof value !== 'number' || !(value >= min && value <= max)) {
    throw new TypeError(`"${name}" must be a number of seconds from ${min} to ${max}, got ${show(value)}`);
  }
}

/** @throws TypeError unless `value` is a whole number from `min` to `max`. */
export function checkCount(name: string, value: unknown, max = Infinity, min = 1): void {
  if (Number.isInteger(value) && (value as number) >= min && (value as number) <= max) return;
  const bound = max === Infinity ? `${String(min)} or more` : `from ${String(min)} to ${String(max)}`;
  throw new TypeError(`"${name}" must be a whole number, ${bound}, got ${show(value)}`);
}

/** @throws TypeError unless `value` is printable ASCII, which is all that a header field can carry safely. */
export function checkPrintable(name: string, value: unknown): void {
  if (typeof value !== 'string' || !/^[\x20-\x7e]+$/.test(value)) {
    throw new TypeError(`"${name}" must be a string of printable ASCII characters, got ${show(value)}`);
  }
}

/** @throws TypeError unless `value` is an absolute `https` URL without fragment (`http` only on loopback); says what to type. */
export function checkUrl(name: string, value: unknown, example: string): asserts value is string {
  const wanted = `"${name}" must be an https URL such as "${example}"`;
  if (value === undefined) throw new TypeError(`${wanted}; it is missing`);
  if (typeof value !== 'string' || !/^[\x21\x23-\x5b\x5d-\x7e]+$/.test(value) || !URL.canParse(value)) {
    throw new TypeError(`${wanted}, got ${show(value)}`);
  }
  const url = new URL(value);
  // First, and without showing it: what follows repeats the value.
  if (url.username !== '' || url.password !== '') throw new TypeError(`${wanted} without user name and password`);
  if (!isSecureUrl(url)) throw new TypeError(`${wanted} (http only on loopback), got ${show(value)}`);
  if (value.includes('#')) throw new TypeError(`${wanted} without "#", got ${show(value)}`);
}

/** `https`, or `http` to this very machine, where nobody listens in. */
export function isSecureUrl(url: URL): boolean {
  return (
    url.protocol === 'https:' || (url.protocol === 'http:' && /^(localhost|127(\.\d+){3}|\[::1\])$/.test(url.hostname))
  );
}

/** The scopes a guard was given, each once. @throws TypeError for none, or one that RFC 6749 section 3.3 does not allow. */
export function checkedScopes(where: string, scopes: readonly unknown[]): readonly string[] {
  if (scopes.length === 0) throw new TypeError(`${where} needs at least one scope, such as ${where}("pictures:read")`);
  for (const scope of scopes) {
    if (scope === OFFLINE_ACCESS) {
      throw new TypeError(
        `${where} got "offline_access", which is between client and authorization server: leave it out`,
      );
    }
    if (isScopeToken(scope)) continue;
    const hint = typeof scope === 'string' && scope.includes(' ') ? ': pass each scope as an argument of its own' : '';
    throw new TypeError(`${where} got ${show(scope)}, which is not a scope of RFC 6749 section 3.3${hint}`);
  }
  return [...new Set(scopes as readonly string[])];
}

/** What a guard was given of a log-in, as a copy. @throws TypeError for what cannot stand in a challenge (RFC 9470 section 3). */
export function checkedStepUp(where: string, stepUp: unknown): StepUp {
  checkNames(where, stepUp, ['acrValues', 'maxAge']);
  const { acrValues, maxAge } = stepUp as { readonly acrValues?: unknown; readonly maxAge?: unknown };
  if (acrValues === undefined && maxAge === undefined) {
    throw new TypeError(`${where} needs "acrValues", "maxAge" or both, such as { maxAge: 300 }`);
  }
  if (
    acrValues !== undefined &&
    !(
      Array.isArray(acrValues) &&
      acrValues.length > 0 &&
      !acrValues.includes(undefined) &&
      acrValues.every(isScopeToken)
    )
  ) {
    throw new TypeError(
      `"acrValues" of ${where} must be a list such as ['urn:example:mfa'], without spaces, got ${show(acrValues)}`,
    );
  }
  if (maxAge !== undefined && !(Number.isSafeInteger(maxAge) && (maxAge as number) >= 0)) {
    throw new TypeError(`"maxAge" of ${where} must be a whole number of seconds, 0 or more, got ${show(maxAge)}`);
  }
  return {
    ...(acrValues !== undefined && { acrValues: [...acrValues] as string[] }),
    ...(maxAge !== undefined && { maxAge: maxAge as number }),
  };
}

function nearest(name: string, known: readonly string[]): string | undefined {
  const plain = name.toLowerCase().replace(/[^a-z]/g, '');
  const elsewhere = ELSEWHERE[plain];
  if (elsewhere !== undefined && known.includes(elsewhere)) return elsewhere;
  const distances = known.map((candidate) => ({ candidate, distance: editDistance(plain, candidate.toLowerCase()) }));
  const best = distances.sort((a, b) => a.distance - b.distance)[0];
  return best !== undefined && best.distance <= Math.max(1, Math.floor(plain.length / 3)) ? best.candidate : undefined;
}

function editDistance(a: string, b: string): number {
  let previous = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const substituted = (previous[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      row.push(Math.min(substituted, (previous[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1));
    }
    previous = row;
  }
  return previous[b.length] ?? 0;
}
