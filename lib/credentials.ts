import type { Request } from 'express';
import { InvalidRequestError } from './errors.js';
import { carriesForm, formValues } from './form-body.js';
import { linesOf } from './header-lines.js';
import type { Credentials, Method, Scheme } from './types.js';

// RFC 9110 section 11.4, RFC 6750 section 2.1, RFC 9449 section 7.1:
// credentials = ( "Bearer" / "DPoP" ) 1*SP b64token ; b64token = 1*( ALPHA / DIGIT / "-" / "." / "_" / "~" / "+" / "/" ) *"="
const CREDENTIALS: Readonly<Record<Scheme, RegExp>> = {
  Bearer: /^bearer +(?<token>[^ ]+)$/i,
  DPoP: /^dpop +(?<token>[^ ]+)$/i,
};
const BEARER = 'Bearer ';
// The scheme alone, for telling a broken field from a scheme that is not ours. auth-scheme = token.
const SCHEME = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+/;

/**
 * The access token of a request, or undefined when it has none in an enabled place. RFC 6750 section 2.
 * A disabled place is not looked at. The body must have been read by now. Does not check the characters of the token, nor
 * what it says.
 *
 * @param schemes Those that are looked at; `Bearer` is always among them.
 * @throws InvalidRequestError for more than one token or place, and for a token that is too long.
 */
export function readCredentials(
  req: Request,
  methods: ReadonlySet<Method>,
  schemes: readonly Scheme[],
  maxLength: number,
): Credentials | undefined {
  let found: Credentials | undefined;
  for (const method of methods) {
    const credentials = method === 'header' ? fromHeader(req, schemes) : bearer(method, READERS[method](req));
    if (credentials === undefined) continue;
    if (found !== undefined) throw new InvalidRequestError('The access token must be sent by one method only');
    found = credentials;
  }
  if (found !== undefined && found.token.length > maxLength) {
    throw malformed('The access token is too long', found.scheme);
  }
  return found;
}

/** RFC 6750 sections 2.2 and 2.3: a token in the body or the query is a bearer token. */
function bearer(method: Method, token: string | undefined): Credentials | undefined {
  return token === undefined ? undefined : { scheme: 'Bearer', token, method };
}

const READERS: Readonly<Record<Exclude<Method, 'header'>, (req: Request) => string | undefined>> = {
  body: (req) => (carriesForm(req) ? single(formValues(req.body, 'access_token')) : undefined),
  query: (req) => single(queryValues(req.url, 'access_token')),
};

function fromHeader(req: Request, schemes: readonly Scheme[]): Credentials | undefined {
  const value = req.headers.authorization;
  if (value === undefined) return undefined;
  if (linesOf(req.rawHeaders, 'authorization').length > 1) {
    throw new InvalidRequestError('The Authorization header must be sent once');
  }
  // What nearly all clients send, before the expressions: they cost ten times as much.
  if (value.startsWith(BEARER) && value.length > BEARER.length && !value.includes(' ', BEARER.length)) {
    return { scheme: 'Bearer', token: value.slice(BEARER.length), method: 'header' };
  }
  const name = SCHEME.exec(value)?.[0].toLowerCase();
  const scheme = schemes.find((known) => known.toLowerCase() === name);
  if (scheme === undefined) return undefined; // the client tried something else, and is told no error (RFC 6750 section 3.1)
  const token = CREDENTIALS[scheme].exec(value)?.groups?.['token'];
  if (token !== undefined) return { scheme, token, method: 'header' };
  throw malformed(`The Authorization header must be ${scheme}, a space and one token`, scheme);
}

function malformed(message: string, scheme: Scheme): InvalidRequestError {
  const error = new InvalidRequestError(message);
  error.scheme = scheme;
  return error;
}

/** Read from the URL itself: `req.query` depends on the application's query parser. */
function queryValues(url: string, name: string): readonly string[] {
  const start = url.indexOf('?');
  return start < 0 ? [] : new URLSearchParams(url.slice(start + 1)).getAll(name);
}

function single(values: readonly unknown[]): string | undefined {
  if (values.length === 0) return undefined;
  const [value] = values;
  if (values.length > 1 || typeof value !== 'string') {
    throw new InvalidRequestError('The access_token parameter must be sent once, with one value');
  }
  return value;
}
