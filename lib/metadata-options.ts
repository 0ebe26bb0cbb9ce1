import {
  checkedScopes,
  checkNames,
  checkObject,
  checkSeconds,
  checkText,
  checkUrl,
  isSecureUrl,
  show,
} from './options.js';
import { signingKey } from './signing-key.js';
import type { PrivateKey, SigningKey } from './signing-key.js';
import { checkedList } from './token-terms.js';
import type { Seconds } from './types.js';

/** What people read; a member with a language tag, such as `resource_name#it`, stands beside the one without. RFC 9728 section 2.1. */
export interface ResourceTexts {
  /** The name of this API. */
  readonly resource_name?: string;
  readonly [name: `resource_name#${string}`]: string;
  /** A page for developers. */
  readonly resource_documentation?: string;
  readonly [name: `resource_documentation#${string}`]: string;
  /** A page on how clients may use the data. */
  readonly resource_policy_uri?: string;
  readonly [name: `resource_policy_uri#${string}`]: string;
  /** A page with the terms of service. */
  readonly resource_tos_uri?: string;
  readonly [name: `resource_tos_uri#${string}`]: string;
}

/**
 * The metadata of this resource (RFC 9728). Members in snake_case go into the document, under the names that they have there;
 * members in camelCase say how it is served. The rest of the document follows from the other options.
 */
export interface MetadataOptions extends ResourceTexts {
  /** Issuers that clients may ask for a token. Default: those of the options; required where a function finds them, then `[]` leaves it out. */
  readonly authorization_servers?: readonly string[];
  /** Default: what the guards on the routes of the application name, if this is its only `resourceServer`; `[]` leaves it out. */
  readonly scopes_supported?: readonly string[];
  /** Default: as with `scopes_supported`. RFC 9396 section 10. */
  readonly authorization_details_types_supported?: readonly string[];
  /** Keys of this API, with which it signs its answers or its metadata. Default: none. */
  readonly jwks_uri?: string;
  /** How this API signs its answers. Default: it does not. */
  readonly resource_signing_alg_values_supported?: readonly string[];
  /** How long the document may be cached. Default: 3600. RFC 9728 section 7.10. */
  readonly maxAge?: Seconds;
  /** Further paths under `/.well-known/` at which it is served, such as `/.well-known/oauth-protected-resource`. Default: none. */
  readonly alsoAt?: readonly string[];
  /** Adds `signed_metadata`, the same members in a JWT under a key of this API. Default: none. RFC 9728 section 2.2. */
  readonly signed?: SignedMetadata;
}

/** With which key the metadata is signed. */
export interface SignedMetadata {
  readonly key: PrivateKey;
  /** The signature algorithm. Required, unless the key is a JWK with `alg`. */
  readonly algorithm?: string;
  /** The `kid` of the JWT. Default: that of a JWK, else none. */
  readonly keyId?: string;
  /** The `iss` of the JWT: who says so. Default: the `resource`. */
  readonly issuer?: string;
}

/** The options, checked. */
export interface CheckedMetadata {
  /** Undefined: the issuers of the other options. */
  readonly authorizationServers: readonly string[] | undefined;
  /** Undefined: what the guards name. */
  readonly scopes: readonly string[] | undefined;
  readonly detailsTypes: readonly string[] | undefined;
  /** What goes into the document as it is. */
  readonly members: Readonly<Record<string, unknown>>;
  readonly maxAge: Seconds;
  readonly alsoAt: readonly string[];
  readonly signing: (SigningKey & { readonly issuer: string | undefined }) | undefined;
}

const LISTS = ['authorization_servers', 'scopes_supported', 'authorization_details_types_supported'];
const ALGS = ['resource_signing_alg_values_supported'] as const;
const LINKS = ['resource_documentation', 'resource_policy_uri', 'resource_tos_uri'];
const TEXTS = ['resource_name'];
const NAMES = [...LISTS, ...ALGS, ...LINKS, ...TEXTS, 'jwks_uri', 'maxAge', 'alsoAt', 'signed'];
const DEFAULT_MAX_AGE: Seconds = 3600;
const MAX_MAX_AGE: Seconds = 30 * 86_400;
// BCP 47, as far as it matters here.
const LANGUAGE = /^[A-Za-z]{2,8}(?:-[A-Za-z\d]{1,8})*$/;

/** @throws TypeError for mistakes in the option `metadata`. */
export function checkedMetadata(option: unknown): CheckedMetadata {
  const given = option === true ? {} : option;
  if (typeof given !== 'object') {
    throw new TypeError(`"metadata" must be true, or an object with its options, got ${show(given)}`);
  }
  checkObject('"metadata"', given);
  const tagged = Object.keys(given).filter((name) => name.includes('#'));
  checkNames('"metadata"', given, [...NAMES, ...tagged]);
  for (const name of tagged) checkTagged(name, given[name], given);
  for (const name of TEXTS) if (given[name] !== undefined) checkText(`"${name}" of "metadata"`, given[name]);
  for (const name of LINKS) if (given[name] !== undefined) checkLink(name, given[name]);
  if (given['jwks_uri'] !== undefined) checkUrl('jwks_uri', given['jwks_uri'], 'https://api.example.com/jwks');
  const { maxAge = DEFAULT_MAX_AGE, alsoAt, signed, ...members } = given;
  const { authorization_servers, scopes_supported, authorization_details_types_supported, ...plain } = members;
  checkSeconds('maxAge', maxAge, 0, MAX_MAX_AGE);
  // RFC 9111 section 1.2.2: delta-seconds are digits.
  if (!Number.isInteger(maxAge)) throw new TypeError(`"maxAge" must be a whole number of seconds, got ${show(maxAge)}`);
  const scopes = checkedNames('scopes_supported', scopes_supported);
  return {
    authorizationServers: checkedNames('authorization_servers', authorization_servers),
    scopes: scopes === undefined || scopes.length === 0 ? scopes : checkedScopes('"scopes_supported"', scopes),
    detailsTypes: checkedNames('authorization_details_types_supported', authorization_details_types_supported),
    members: checkedAlgorithms(plain),
    maxAge: maxAge as Seconds,
    alsoAt: (checkedNames('alsoAt', alsoAt) ?? []).map(checkedPath),
    signing: signed === undefined ? undefined : checkedSigning(signed),
  };
}

/** RFC 9728 section 2.1. */
function checkTagged(name: string, text: unknown, given: Readonly<Record<string, unknown>>): void {
  const [untagged = '', tag = ''] = name.split(/#(.*)/s);
  if (![...TEXTS, ...LINKS].includes(untagged) || !LANGUAGE.test(tag)) {
    throw new TypeError(`"metadata" has ${show(name)}: a language is named as in "resource_name#it"`);
  }
  if (given[untagged] === undefined) {
    throw new TypeError(`"metadata" has ${show(name)}, so it needs "${untagged}" as well, for everybody else`);
  }
  if (LINKS.includes(untagged)) checkLink(name, text);
  else checkText(`"${name}" of "metadata"`, text);
}

function checkLink(name: string, link: unknown): void {
  if (typeof link === 'string' && URL.canParse(link) && isSecureUrl(new URL(link))) return;
  throw new TypeError(`"${name}" of "metadata" must be an https URL, got ${show(link)}`);
}

function checkedNames(name: string, list: unknown): readonly string[] | undefined {
  if (list === undefined) return undefined;
  if (!Array.isArray(list)) throw new TypeError(`"${name}" of "metadata" must be a list of strings, got ${show(list)}`);
  return list.length === 0 ? [] : checkedList(name, list);
}

/** RFC 9728 section 2: `none` MUST NOT be used. */
function checkedAlgorithms(members: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  const algs = checkedNames(ALGS[0], members[ALGS[0]]);
  if (algs?.includes('none') === true) throw new TypeError(`"${ALGS[0]}" must not have "none" (RFC 9728 section 2)`);
  return { ...members, [ALGS[0]]: algs };
}

function checkedPath(path: string): string {
  if (/^\/\.well-known\/[\x21-\x7e]+$/.test(path) && !path.includes('#')) return path;
  throw new TypeError(
    `"alsoAt" of "metadata" must have paths such as "/.well-known/oauth-protected-resource", got ${show(path)}`,
  );
}

function checkedSigning(signed: unknown): CheckedMetadata['signing'] {
  // Not shown: it may be the key.
  if (typeof signed !== 'object') throw new TypeError('"signed" of "metadata" takes an object with the "key"');
  checkNames('"signed" of "metadata"', signed, ['key', 'algorithm', 'keyId', 'issuer']);
  const { key, issuer, ...names } = signed as SignedMetadata;
  if (issuer !== undefined) checkText('"issuer" of "signed"', issuer);
  return { ...signingKey('"signed" of "metadata"', key, names), issuer };
}
