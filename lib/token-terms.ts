import { ALGORITHMS } from './key-set.js';
import { checkObject, show } from './options.js';

/**
 * On what terms tokens of one authorization server are accepted. All but `audience`, `algorithms` and `requiredClaims` relax
 * RFC 9068, each by its name.
 */
export interface TokenTerms {
  /** The names under which this API may stand in `aud`. Default: the `resource`. RFC 9068 section 4. */
  readonly audience?: string | readonly string[];
  /**
   * The accepted signature algorithms. Default: RS, PS and ES with 256, 384 and 512 bits, EdDSA, Ed25519. Symmetric ones
   * and `none` are never accepted. RFC 8725 section 3.1.
   */
  readonly algorithms?: readonly string[];
  /**
   * The accepted `typ`, where the server does not send `at+jwt`. Default: `['at+jwt']`. With `'JWT'` among them, tokens
   * that look like an ID token, a logout token or a proof are refused by their claims. `null` stands for no `typ` at all.
   */
  readonly typ?: readonly (string | null)[];
  /** Further spellings of the issuer in `iss`, such as one with a trailing slash. Discovery still uses `issuer`. Default: none. */
  readonly issuerAliases?: readonly string[] | undefined;
  /**
   * The claims that stand for `aud` where the server sends none, with the values that are accepted in each, such as
   * `{ client_id: ['app1', 'app2'] }`. A token with `aud` is checked by `aud`. Default: none.
   */
  readonly audienceSubstitute?: Readonly<Record<string, string | readonly string[]>>;
  /** Where granted scope stands: strings with spaces or arrays, at the end of each path. Default: `scope`, a string. */
  readonly scopeClaims?: readonly (string | readonly string[])[];
  /** The claim with the client's identifier. Default: `client_id`. */
  readonly clientIdClaim?: string;
  /** Claims that RFC 9068 requires and this server leaves out: of `sub`, `iat`, `jti`. Default: none. */
  readonly optionalClaims?: readonly string[];
  /** Claims that must have exactly this value, such as `{ token_use: 'access' }`. Default: none. */
  readonly requiredClaims?: Readonly<Record<string, string>>;
}

/** The terms, checked, with every default in its place. */
export interface Terms {
  readonly audiences: ReadonlySet<string>;
  readonly algorithms: ReadonlySet<string>;
  /** As `mediaType` writes them; null stands for none. */
  readonly types: ReadonlySet<string | null>;
  readonly audienceSubstitute: readonly (readonly [claim: string, values: readonly string[]])[];
  /** Undefined: `scope` as RFC 8693 section 4.2 has it. */
  readonly scopePaths: readonly (readonly string[])[] | undefined;
  readonly clientIdClaim: string;
  readonly optionalClaims: ReadonlySet<string>;
  readonly requiredClaims: readonly (readonly [name: string, value: string])[];
}

/** The names of the options of {@link TokenTerms}. */
export const TERM_OPTIONS = [
  'audience',
  'algorithms',
  'typ',
  'issuerAliases',
  'audienceSubstitute',
  'scopeClaims',
  'clientIdClaim',
  'optionalClaims',
  'requiredClaims',
];

/** @throws TypeError for mistakes in the terms. */
export function checkedTerms(terms: TokenTerms, resource: string): Terms {
  const {
    audience = resource,
    algorithms = ALGORITHMS,
    typ = ['at+jwt'],
    optionalClaims = [],
    requiredClaims = {},
  } = terms;
  const { scopeClaims, clientIdClaim = 'client_id', audienceSubstitute = {} } = terms;
  checkClaimName('clientIdClaim', clientIdClaim);
  checkObject('"audienceSubstitute"', audienceSubstitute);
  return {
    audiences: new Set(checkedList('audience', audience)),
    algorithms: checkedChoice('algorithms', algorithms, ALGORITHMS, 1),
    types: checkedTypes(typ),
    audienceSubstitute: Object.entries(audienceSubstitute).map(
      ([claim, values]) => [claim, checkedList('audienceSubstitute', values, ` for ${show(claim)}`)] as const,
    ),
    scopePaths: scopeClaims === undefined ? undefined : checkedPaths(scopeClaims),
    clientIdClaim,
    optionalClaims: checkedChoice('optionalClaims', optionalClaims, ['sub', 'iat', 'jti'], 0),
    requiredClaims: checkedValues(requiredClaims),
  };
}

/** A `typ` in the one form that is compared: lower case, without `application/`. RFC 7515 section 4.1.9. */
export function mediaType(typ: string): string {
  return typ.toLowerCase().replace(/^application\//, '');
}

/** The strings of a list, or the one string that stands for a list. @throws TypeError for none, an empty one, anything else. */
export function checkedList(name: string, value: unknown, where = ''): readonly string[] {
  const list: readonly unknown[] = Array.isArray(value) ? value : [value];
  if (list.length > 0 && list.every((item) => typeof item === 'string' && item !== '')) return [...list] as string[];
  throw new TypeError(
    `"${name}" must be a string or a list of strings${where}, none of them empty, got ${show(value)}`,
  );
}

function checkClaimName(name: string, value: unknown): void {
  if (typeof value === 'string' && value !== '') return;
  throw new TypeError(`"${name}" must be the name of a claim, such as "client_id", got ${show(value)}`);
}

function checkedChoice(name: string, list: unknown, choice: readonly string[], least: number): ReadonlySet<string> {
  const valid = `it takes a list of ${choice.join(', ')}`;
  if (!Array.isArray(list) || list.length < least) throw new TypeError(`"${name}" got ${show(list)}: ${valid}`);
  for (const item of list as unknown[]) {
    // A key that verifies HS256 also signs: every resource server could mint tokens. RFC 8725 sections 3.1 and 3.5.
    if (typeof item !== 'string' || !choice.includes(item)) {
      throw new TypeError(`"${name}" has ${show(item)}, which is not accepted: ${valid}`);
    }
  }
  return new Set(list as string[]);
}

function checkedTypes(types: unknown): ReadonlySet<string | null> {
  const wanted = `"typ" must be a list such as ['at+jwt', 'JWT'], in which null stands for none`;
  if (!Array.isArray(types) || types.length === 0) throw new TypeError(`${wanted}, got ${show(types)}`);
  const plain = (types as unknown[]).map((typ) => {
    if (typ === null || (typeof typ === 'string' && typ !== '')) return typ === null ? null : mediaType(typ);
    throw new TypeError(`${wanted}, got ${show(typ)} in it`);
  });
  return new Set(plain);
}

function checkedPaths(paths: unknown): readonly (readonly string[])[] {
  const wanted = `"scopeClaims" must be a list of claim names, or of paths such as ['realm_access', 'roles']`;
  if (!Array.isArray(paths) || paths.length === 0) throw new TypeError(`${wanted}, got ${show(paths)}`);
  return (paths as unknown[]).map((path) => checkedList('scopeClaims', path));
}

function checkedValues(values: unknown): readonly (readonly [name: string, value: string])[] {
  checkObject('"requiredClaims"', values);
  return Object.entries(values).map(([name, value]) => {
    if (typeof value === 'string') return [name, value] as const;
    throw new TypeError(`"requiredClaims" must have strings as values, got ${show(value)} for ${show(name)}`);
  });
}
