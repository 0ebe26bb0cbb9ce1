import type { Contexts } from './answer.js';
import { SERVER_OPTIONS } from './authorization-servers.js';
import type { Defaults, GivenServer, TrustedServer } from './authorization-servers.js';
import { bindingOf } from './binding-options.js';
import type { Binding } from './binding-options.js';
import { contextsOf } from './contexts.js';
import { hinter, warnOnce } from './hints.js';
import { jwtVerifier } from './jwt.js';
import { resourceMetadata } from './metadata.js';
import type { ResourceMetadata } from './metadata.js';
import { checkCount, checkNames, checkPrintable, checkSeconds, checkType, checkUrl, show } from './options.js';
import type { CommonOptions, ResourceServerOptions } from './resource-server-options.js';
import { TokenCache } from './token-cache.js';
import { checkedTerms, TERM_OPTIONS } from './token-terms.js';
import type { TokenTerms } from './token-terms.js';
import { tokenVerifier } from './token-verifier.js';
import type { IntrospectAt } from './token-verifier.js';
import { foundServers, listedServers } from './trusted-servers.js';
import type { TrustedServers } from './trusted-servers.js';
import type { Method, Seconds, TokenVerifier } from './types.js';
import { VerifiedJwts } from './verified-jwts.js';

/** The options, checked, with every default in its place. */
export interface Configuration extends Binding {
  readonly contexts: Contexts;
  /** Undefined: it is not published. */
  readonly metadata: ResourceMetadata | undefined;
  readonly methods: ReadonlySet<Method>;
  readonly allowMissingToken: boolean;
  readonly requireTls: boolean;
  readonly maxTokenLength: number;
  readonly acceptToken: CommonOptions['acceptToken'];
  readonly verify: TokenVerifier;
  readonly servers: TrustedServers;
  readonly tokens: TokenCache;
  readonly jwts: VerifiedJwts;
}

const COMMON_OPTIONS = (
  'resource methods metadata allowMissingToken requireTls dpop clientCertificate requireBoundTokens publicUrl ' +
  'dangerouslyIgnoreUnknownConfirmation clockTolerance keyMaxAge maxTokenLength acceptToken ' +
  'maxCachedTokens introspectAt impliesScope realm errorUri errorDescription onError fetch clock authorizationServers'
).split(' ');
/** More would outlive what a token's expiry is for. RFC 7519 section 4.1.4: "usually no more than a few minutes". */
const MAX_CLOCK_TOLERANCE: Seconds = 300;
/** A day is longer than most outages; in that time a key that was withdrawn during one still works. */
const DEFAULT_KEY_AGE: Seconds = 86_400;
const MIN_KEY_AGE: Seconds = 60;
const MAX_KEY_AGE: Seconds = 30 * 86_400;
/** As much as Node takes in all headers together. */
const DEFAULT_TOKEN_LENGTH = 16384;
const DEFAULT_CACHED_TOKENS = 10_000;
/** Room is made for all of them at the start. */
const MAX_CACHED_TOKENS = 1_000_000;

const BOOLEANS = [
  'allowMissingToken',
  'requireTls',
  'requireBoundTokens',
  'dangerouslyIgnoreUnknownConfirmation',
  'errorDescription',
] as const;

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
    maxCachedTokens = DEFAULT_CACHED_TOKENS,
  } = options;
  checkUrl('resource', resource, 'https://api.example.com');
  if (resource.includes('?')) warnOnce()('query');
  checkPrintable('realm', realm);
  if (errorUri !== undefined) checkUrl('errorUri', errorUri, 'https://api.example.com/errors');
  checkSeconds('clockTolerance', clockTolerance, 0, MAX_CLOCK_TOLERANCE);
  checkSeconds('keyMaxAge', keyMaxAge, MIN_KEY_AGE, MAX_KEY_AGE);
  checkCount('maxTokenLength', maxTokenLength);
  checkCount('maxCachedTokens', maxCachedTokens, MAX_CACHED_TOKENS, 0);
  for (const name of BOOLEANS) checkType(name, options[name], 'boolean');
  for (const name of ['acceptToken', 'impliesScope', 'onError', 'fetch', 'clock'] as const) {
    checkType(name, options[name], 'function');
  }
  const { fetch = globalThis.fetch } = options;
  const clock = options.clock === undefined ? systemClock : checkedClock(options.clock);
  const terms = commonTerms(options);
  checkedTerms(terms, resource); // here as well, because a function would be the first to use them
  const tokens = new TokenCache(maxCachedTokens, clock);
  const outside = { fetch, clock, maxAge: keyMaxAge };
  const servers = chooseServers(options, { terms, resource, clockTolerance, tokens, ...outside });
  const jwts = new VerifiedJwts(maxCachedTokens, servers.find, clock, clockTolerance);
  const verifyJwt = jwtVerifier(servers.find, clock, clockTolerance, hinter(servers.issuers));
  const methods = checkedMethods(options.methods);
  const binding = bindingOf(options, clock, clockTolerance);
  const metadata = resourceMetadata(options, {
    issuers: Array.from(servers.known(), ([issuer]) => issuer),
    ...{ methods, binding },
  });
  return {
    methods,
    allowMissingToken: options.allowMissingToken ?? false,
    requireTls: options.requireTls ?? false,
    maxTokenLength,
    acceptToken: options.acceptToken,
    verify: tokenVerifier(verifyJwt, servers.find, checkedIntrospectAt(options.introspectAt, servers), jwts),
    servers,
    tokens,
    jwts,
    metadata,
    contexts: contextsOf(options, binding, { clock, resourceMetadata: metadata?.url }),
    ...binding,
  };
}

/** What the options say of the terms, for servers that do not say it themselves. */
function commonTerms(options: ResourceServerOptions): TokenTerms {
  return Object.fromEntries(Object.entries(options).filter(([name]) => TERM_OPTIONS.includes(name)));
}

function chooseServers(options: ResourceServerOptions, defaults: Defaults): TrustedServers {
  const { authorizationServers } = options;
  const { issuer, jwksUri, jwks, issuerAliases, introspection }: GivenServer = options;
  const server = { issuer, jwksUri, jwks, issuerAliases, introspection };
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

/** Nobody is asked about a token without the user's word; where only one server introspects, that it does is the word. */
function checkedIntrospectAt(option: unknown, servers: TrustedServers): IntrospectAt {
  if (typeof option === 'function') return option as IntrospectAt;
  const introspecting = new Map([...servers.known()].filter(([, { introspection }]) => introspection !== undefined));
  if (option === undefined) {
    if (introspecting.size <= 1) return [...introspecting.values()];
    throw new TypeError(
      'several servers have "introspection": say with "introspectAt" which issuers are asked about an opaque token, and in ' +
        'which order. Each of them sees the token, and could use it',
    );
  }
  if (!Array.isArray(option)) {
    throw new TypeError(
      `"introspectAt" must be a list of issuers, or a function that returns one, got ${show(option)}`,
    );
  }
  return option.map((issuer: unknown): TrustedServer => {
    const server = introspecting.get(issuer as string);
    if (server !== undefined) return server;
    throw new TypeError(`"introspectAt" has ${show(issuer)}, which is not a listed server with "introspection"`);
  });
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
