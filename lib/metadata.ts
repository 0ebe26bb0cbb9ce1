import type { NextFunction, Request, RequestHandler, Response } from 'express';
import { asError } from './answer.js';
import type { Binding } from './binding-options.js';
import { checkedMetadata } from './metadata-options.js';
import type { CheckedMetadata } from './metadata-options.js';
import { neededScopes, needsWithin } from './needs.js';
import type { Needs } from './needs.js';
import { targetOf } from './request-uri.js';
import type { CommonOptions } from './resource-server-options.js';
import type { Method } from './types.js';

/** The metadata of one resource: where it is, and who serves it. */
export interface ResourceMetadata {
  /** What `resource_metadata` in a challenge says. RFC 9728 section 5.1. */
  readonly url: string;
  /** Whether a request asks for metadata, of this resource or of one that is not known: nobody needs a token for that. */
  readonly isAskedFor: (req: Request) => boolean;
  /** Answers such a request. */
  readonly answer: (req: Request, res: Response, next: NextFunction) => void;
  /** Answers requests for this document, and passes all others on. */
  readonly handler: RequestHandler;
}

/** What the document says of how this API is protected, beside what the options say themselves. */
export interface Protection {
  readonly issuers: readonly string[];
  readonly methods: ReadonlySet<Method>;
  readonly binding: Binding;
}

const WELL_KNOWN = '/.well-known/oauth-protected-resource';

/**
 * The metadata document of this resource (RFC 9728), out of the options; undefined where it is not to be published. Its
 * address follows from the identifier alone, and never from what a request says of itself.
 *
 * @throws TypeError for mistakes in the option.
 */
export function resourceMetadata(given: CommonOptions, protection: Protection): ResourceMetadata | undefined {
  if (given.metadata === undefined) return undefined;
  const options = checkedMetadata(given.metadata);
  if (options.authorizationServers === undefined && protection.issuers.length === 0) {
    throw new TypeError(
      '"metadata" needs "authorization_servers", the issuers that clients may ask for a token, because a function finds them; ' +
        '[] names none',
    );
  }
  const { origin, pathname, search } = new URL(given.resource);
  // Section 3.1: a slash that ends the identifier right after the host is removed.
  const path = WELL_KNOWN + (pathname === '/' ? '' : pathname) + search;
  const paths = new Set([path, ...options.alsoAt]);
  const sign = signer(options.signing, given.resource);

  const answer = async (req: Request, res: Response): Promise<void> => {
    res.set({ 'Access-Control-Allow-Origin': '*', 'Cache-Control': `public, max-age=${String(options.maxAge)}` });
    const isKnown = paths.has(targetOf(req));
    if (!isKnown) res.set('Cache-Control', 'no-store').status(404).json({});
    else if (req.method === 'OPTIONS') {
      res.set({ 'Access-Control-Allow-Methods': 'GET, HEAD', 'Access-Control-Allow-Headers': '*' }).status(204).end();
    } else if (req.method !== 'GET' && req.method !== 'HEAD') {
      res.set({ Allow: 'GET, HEAD, OPTIONS', 'Cache-Control': 'no-store' }).status(405).json({});
    } else res.json(await sign(documentOf(options, given.resource, protection, req.app)));
  };
  const safely = (req: Request, res: Response, next: NextFunction): void => {
    answer(req, res).catch((bug: unknown) => {
      next(asError(bug));
    });
  };

  return {
    url: origin + path,
    isAskedFor: (req) => isMetadata(targetOf(req), paths),
    answer: safely,
    handler: function oauth2ResourceMetadata(req, res, next) {
      if (paths.has(targetOf(req))) safely(req, res, next);
      else next();
    },
  };
}

function isMetadata(target: string, paths: ReadonlySet<string>): boolean {
  return paths.has(target) || (target.startsWith(WELL_KNOWN) && /^[/?]?$/.test(target.charAt(WELL_KNOWN.length)));
}

/** Section 3.2: what has no values is left out; but for the methods, where none says that bearer tokens are not accepted. */
function documentOf(
  options: CheckedMetadata,
  resource: string,
  { issuers, methods, binding }: Protection,
  app: unknown,
): Readonly<Record<string, unknown>> {
  const { offered, algs } = binding;
  const { hasCertificates, requireBoundTokens } = binding.policy;
  const needs = options.scopes === undefined || options.detailsTypes === undefined ? needsOf(app) : [];
  const document = {
    resource,
    authorization_servers: options.authorizationServers ?? issuers,
    ...options.members,
    scopes_supported: options.scopes ?? scopesIn(needs),
    authorization_details_types_supported: options.detailsTypes ?? detailsTypesIn(needs),
    dpop_signing_alg_values_supported: algs ?? [],
    dpop_bound_access_tokens_required: requireBoundTokens && !hasCertificates,
    tls_client_certificate_bound_access_tokens: hasCertificates,
  };
  const members = Object.entries(document).filter(([, value]) => hasValue(value));
  return { ...Object.fromEntries(members), bearer_methods_supported: offered.includes('Bearer') ? [...methods] : [] };
}

function hasValue(value: unknown): boolean {
  return value !== undefined && value !== false && !(Array.isArray(value) && value.length === 0);
}

/** Of an application with several resource servers nobody can tell which guard is whose. */
function needsOf(app: unknown): readonly Needs[] {
  const needs = needsWithin(app);
  const resourceServers = new Set(needs.filter(({ isResourceServer }) => isResourceServer));
  return resourceServers.size > 1 ? [] : needs;
}

function scopesIn(needs: readonly Needs[]): readonly string[] {
  const every = needs.flatMap(({ scopes = [], sometimes = [] }) => [...scopes, ...sometimes]);
  return neededScopes([{ scopes: every }]);
}

function detailsTypesIn(needs: readonly Needs[]): readonly string[] {
  return [...new Set(needs.flatMap(({ detailsType }) => detailsType ?? []))];
}

type Signer = (document: Readonly<Record<string, unknown>>) => Promise<Readonly<Record<string, unknown>>>;

/** Signs a document once, for as long as it stays the same: anybody may ask for it. Section 2.2. */
function signer(signing: CheckedMetadata['signing'], resource: string): Signer {
  if (signing === undefined) return (document) => Promise.resolve(document);
  const { key, header, issuer = resource } = signing;
  const sign = async (document: Readonly<Record<string, unknown>>) => {
    const { SignJWT } = await import('jose/jwt/sign'); // for those who use it only
    return new SignJWT({ ...document, iss: issuer }).setProtectedHeader(header).sign(key);
  };
  let signed: { readonly text: string; readonly jwt: Promise<string> } | undefined;
  return async (document) => {
    const text = JSON.stringify(document);
    if (signed?.text !== text) {
      signed = { text, jwt: sign(document) };
    }
    return { ...document, signed_metadata: await signed.jwt };
  };
}
