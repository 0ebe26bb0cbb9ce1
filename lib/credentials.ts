import type { Request } from 'express';
import { InvalidRequestError } from './errors.js';
import { carriesForm, formValues } from './form-body.js';
import type { Credentials, Method } from './types.js';

// RFC 9110 section 11.4 and RFC 6750 section 2.1:
// credentials = "Bearer" 1*SP b64token ; b64token = 1*( ALPHA / DIGIT / "-" / "." / "_" / "~" / "+" / "/" ) *"="
const BEARER = /^bearer +(?<token>[^ ]+)$/i;
const B64TOKEN = /^[A-Za-z0-9._~+/-]+=*$/;
// The scheme alone, for telling a broken Bearer from a scheme that is not ours. auth-scheme = token.
const SCHEME = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+/;

/**
 * The access token of a request, or undefined when it has none in an enabled place. RFC 6750 section 2.
 * A disabled place is not looked at. The body must have been read by now. Does not check what the token says.
 *
 * @throws InvalidRequestError for more than one token or place, and for what is not a token at all.
 */
export function readCredentials(
  req: Request,
  methods: ReadonlySet<Method>,
  maxLength: number,
): Credentials | undefined {
  const found: Credentials[] = [];
  for (const method of methods) {
    const token = READERS[method](req);
    if (token !== undefined) found.push({ scheme: 'Bearer', token, method });
  }
  const [credentials] = found;
  if (found.length > 1) throw new InvalidRequestError('The access token must be sent by one method only');
  if (credentials === undefined) return undefined;
  if (credentials.token.length > maxLength) throw new InvalidRequestError('The access token is too long');
  if (!B64TOKEN.test(credentials.token)) throw new InvalidRequestError('The access token has characters no token has');
  return credentials;
}

const READERS: Readonly<Record<Method, (req: Request) => string | undefined>> = {
  header: fromHeader,
  body: (req) => (carriesForm(req) ? single(formValues(req.body, 'access_token')) : undefined),
  query: (req) => single(queryValues(req.url, 'access_token')),
};

function fromHeader(req: Request): string | undefined {
  const value = req.headers.authorization;
  if (value === undefined) return undefined;
  // Node keeps the first of several lines in `headers`; only `rawHeaders` shows them all. RFC 9110 section 5.3.
  if (countLines(req.rawHeaders, 'authorization') > 1) {
    throw new InvalidRequestError('The Authorization header must be sent once');
  }
  const token = BEARER.exec(value)?.groups?.['token'];
  if (token !== undefined) return token;
  if (SCHEME.exec(value)?.[0].toLowerCase() === 'bearer') {
    throw new InvalidRequestError('The Authorization header must be Bearer, a space and one token');
  }
  return undefined; // another scheme: the client tried something else, and is told no error (RFC 6750 section 3.1)
}

function countLines(rawHeaders: readonly string[], name: string): number {
  let count = 0;
  for (let i = 0; i < rawHeaders.length; i += 2) {
    if (rawHeaders[i]?.length === name.length && rawHeaders[i]?.toLowerCase() === name) count++;
  }
  return count;
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
