import { sendJson } from './answer.js';
import type { Context, OnError } from './answer.js';
import { SERVER_OPTIONS } from './authorization-servers.js';
import type { AuthorizationServer, Defaults, GivenServer, KeyLocation } from './authorization-servers.js';
import type { Fetch } from './fetch-json.js';
import { hinter } from './hints.js';
import { jwtVerifier } from './jwt.js';
import { checkCount, checkNames, checkPrintable, checkSeconds, checkType, checkUrl, show } from './options.js';
import { checkedTerms, TERM_OPTIONS } from './token-terms.js';
import type { TokenTerms } from './token-terms.js';
import { foundServers, listedServers } from './trusted-servers.js';
import type { FindAuthorizationServer, TrustedServers } from './trusted-servers.js';
import type { Method, Seconds, TokenClaims, TokenVerifier } from './types.js';

/** Options of `resourceServer` that do not depend on how many authorization servers there are. */
export interface CommonOptions extends Omit<TokenTerms, 'issuerAliases'> {
  /** The identifier of this API: an `https` URL without fragment (RFC 9728 section 1.2). Required. */
  readonly resource: string;
  /** Where a token may stand: always `header`, by option also `body` and `query`. Default: `['header']`. RFC 6750 section 2. */
  readonly methods?: readonly Method[];
  /** Lets requests without a token pass as anonymous; one with a bad token is refused all the same. Default: false. */
  readonly allowMissingToken?: boolean;
  /** Refuses tokens on requests that are not `req.secure`; behind a proxy set Express's `trust proxy`. Default: false. */
  readonly requireTls?: boolean;
  /** How far the clocks may differ when `exp` and `nbf` are checked, at most 300. Default: 0. RFC 7519 section 4.1.4. */
  readonly clockTolerance?: Seconds;
  /** Longest use of keys and metadata that cannot be refreshed (the server is down). 60 to 2592000. Default: 86400. */
  readonly keyMaxAge?: Seconds;
  /** Longest token that is looked at, in characters. Default: 16384. */
  readonly maxTokenLength?: number;
  /**
   * The last word on a token that was found good: anything but `true` refuses it (401 `invalid_token`), and what it throws
   * goes to Express (500). Default: none.
   */
  readonly acceptToken?: (claims: TokenClaims) => boolean | Promise<boolean>;
  /** Whether a granted scope includes another, as `files` may include `files:read`. Default: none does. */
  readonly impliesScope?: (granted: string, required: string) => boolean;
  /** The `realm` of every challenge. Default: the `resource`. RFC 9110 section 11.5. */
  readonly realm?: string;
  /** A page about errors, sent as `error_uri`. Default: none. RFC 6750 section 3. */
  readonly errorUri?: string;
  /** Whether answers say in words what is wrong (`error_description`). Default: true. */
  readonly errorDescription?: boolean;
  /** Answers refusals, and 503, in place of the default JSON. See also `problemDetails`. */
  readonly onError?: OnError;
  /** Replaces Node's `fetch`, for proxies and private certificate authorities. */
  readonly fetch?: Fetch;
  /** The time, in seconds since 1970. Default: the system's. For tests. */
  readonly clock?: () => Seconds;
}

/** One authorization server, described in place. */
export type OneAuthorizationServer = KeyLocation & {
  /** The issuer identifier of the authorization server, to the last character as it stands in `iss`. */
  readonly issuer: string;
  /** Further spellings of the issuer in `iss`, such as one with a trailing slash. Default: none. */
  readonly issuerAliases?: readonly string[];
  readonly authorizationServers?: never;
};

/** Several authorization servers. The `iss` of a token selects among them, and never adds one. */
export interface SeveralAuthorizationServers {
  /**
   * The trusted servers, or a function that finds the one an `iss` names. Its answers are remembered: a server for five
   * minutes, that there is none for half a minute; ten thousand servers at most, and a thousand issuers without one. What a
   * server does not say of its terms is taken from the options beside this one.
   */
  readonly authorizationServers: readonly AuthorizationServer[] | FindAuthorizationServer;
  readonly issuer?: never;
  readonly jwksUri?: never;
  readonly jwks?: never;
  readonly issuerAliases?: never;
}

/** Options of `resourceServer`: whom to trust, and what to answer. */
export type ResourceServerOptions = CommonOptions & (OneAuthorizationServer | SeveralAuthorizationServers);

/** The options, checked, with every default in its place. */
export interface Configuration {
  readonly methods: ReadonlySet<Method>;
  readonly allowMissingToken: boolean;
  readonly requireTls: boolean;
  readonly maxTokenLength: number;
  readonly acceptToken: CommonOptions['acceptToken'];
  readonly verify: TokenVerifier;
  readonly servers: TrustedServers;
  readonly context: Context;
}

const COMMON_OPTIONS = (
  'resource methods allowMissingToken requireTls clockTolerance keyMaxAge maxTokenLength acceptToken ' +
  'impliesScope realm errorUri errorDescription onError fetch clock authorizationServers'
).split(' ');
/** More would outlive what a token's expiry is for. RFC 7519 section 4.1.4: "usually no more than a few minutes". */
const MAX_CLOCK_TOLERANCE: Seconds = 300;
/** A day is longer than most outages; in that time a key that was withdrawn during one still works. */
const DEFAULT_KEY_AGE: Seconds = 86_400;
const MIN_KEY_AGE: Seconds = 60;
const MAX_KEY_AGE: Seconds = 30 * 86_400;
/** As much as Node takes in all headers together. */
const DEFAULT_TOKEN_LENGTH = 16384;

/** Checks every option once. @throws TypeError that names the option, what came, and what to type. */
export function configure(options: ResourceServerOptions): Configuration {
  checkNames('resourceServer', options, [...COMMON_OPTIONS, ...SERVER_OPTIONS]);
  const {
    resource,
    realm = resource,
    errorUri,
    clockTolerance = 0,
    maxTokenLength = DEFAULT_TOKEN_LENGTH,
    keyMaxAge = DEFAULT_KEY_AGE,
  } = options;
  checkUrl('resource', resource, 'https://api.example.com');
  checkPrintable('realm', realm);
  if (errorUri !== undefined) checkUrl('errorUri', errorUri, 'https://api.example.com/errors');
  checkSeconds('clockTolerance', clockTolerance, 0, MAX_CLOCK_TOLERANCE);
  checkSeconds('keyMaxAge', keyMaxAge, MIN_KEY_AGE, MAX_KEY_AGE);
  checkCount('maxTokenLength', maxTokenLength);
  for (const name of ['allowMissingToken', 'requireTls', 'errorDescription'] as const) {
    checkType(name, options[name], 'boolean');
  }
  for (const name of ['acceptToken', 'impliesScope', 'onError', 'fetch', 'clock'] as const) {
    checkType(name, options[name], 'function');
  }
  const { fetch = globalThis.fetch } = options;
  const clock = options.clock === undefined ? systemClock : checkedClock(options.clock);
  const terms = commonTerms(options);
  checkedTerms(terms, resource); // here as well, because a function would be the first to use them
  const servers = chooseServers(options, { terms, resource, fetch, clock, maxAge: keyMaxAge });
  return {
    methods: checkedMethods(options.methods),
    allowMissingToken: options.allowMissingToken ?? false,
    requireTls: options.requireTls ?? false,
    maxTokenLength,
    acceptToken: options.acceptToken,
    verify: jwtVerifier(servers.find, clock, clockTolerance, hinter(servers.issuers)),
    servers,
    context: {
      resource,
      realm,
      errorUri,
      errorDescription: options.errorDescription ?? true,
      impliesScope: options.impliesScope,
      onError: options.onError ?? sendJson,
    },
  };
}

/** What the options say of the terms, for servers that do not say it themselves. */
function commonTerms(options: ResourceServerOptions): TokenTerms {
  return Object.fromEntries(Object.entries(options).filter(([name]) => TERM_OPTIONS.includes(name)));
}

function chooseServers(options: ResourceServerOptions, defaults: Defaults): TrustedServers {
  const { authorizationServers } = options;
  const { issuer, jwksUri, jwks, issuerAliases }: GivenServer = options;
  const server = { issuer, jwksUri, jwks, issuerAliases };
  if (authorizationServers === undefined) return listedServers([server], defaults);
  for (const [name, value] of Object.entries(server)) {
    if (value === undefined) continue;
    throw new TypeError(`"${name}" stands beside "authorizationServers": give it with each server`);
  }
  if (typeof authorizationServers === 'function') return foundServers(authorizationServers, defaults);
  const count = Array.isArray(authorizationServers) ? authorizationServers.length : 0;
  if (count > 0) return listedServers(authorizationServers, defaults);
  const example = "[{ issuer: 'https://as.example.com' }]";
  throw new TypeError(
    `"authorizationServers" must be a list such as ${example}, or a function that finds the server of an issuer, got ${show(authorizationServers)}`,
  );
}

function checkedMethods(methods: unknown = ['header']): ReadonlySet<Method> {
  const valid = `it takes a list with "header", to which "body" and "query" may be added`;
  if (!Array.isArray(methods)) throw new TypeError(`"methods" got ${show(methods)}: ${valid}`);
  for (const method of methods as unknown[]) {
    if (method !== 'header' && method !== 'body' && method !== 'query') {
      throw new TypeError(`"methods" has ${show(method)}: ${valid}`);
    }
  }
  // RFC 6750 section 2.1: resource servers MUST support the header.
  if (!methods.includes('header')) throw new TypeError(`"methods" has no "header": ${valid}`);
  return new Set(methods as Method[]);
}

/** A clock that answers nonsense, a promise for one, would make every comparison with it meaningless. */
function checkedClock(clock: () => unknown): () => Seconds {
  return () => {
    const now = clock();
    if (typeof now === 'number' && Number.isFinite(now)) return now;
    throw new TypeError(`"clock" must return seconds since 1970, it returned ${show(now)}`);
  };
}

function systemClock(): Seconds {
  return Date.now() / 1000;
}
