import type { Request } from 'express';
import { checkUrl, show } from './options.js';

/** The base URLs under which clients reach this application, or a function that finds the one of a request. */
export type PublicUrl = string | readonly string[] | ((req: Request) => string);

/** The URIs that a request may have been meant for, normalized; more than one only where base URLs differ by the port alone. */
export type RequestUris = (req: Request) => readonly string[];

// Printable ASCII but for `#`, `?` and the backslash, which URL parsers take for a slash. RFC 3986 section 3.3 allows less, but
// URL parsers, and so clients, send `[`, `]`, `|` and a lone `%` as they are.
const PATH = /^\/[\x21\x22\x24-\x3e\x40-\x5b\x5d-\x7e]*$/;
// Clients take these out before they send a request, and Express leaves them in: what runs would not be what was proven.
const DOT_SEGMENT = /\/(?:\.|%2e){1,2}(?:\/|$)/i;
// With a lone percent sign before it, a character that is decoded would make a new encoding: %%32e, %2%65.
const ENCODED_TWICE = /%[0-9A-Fa-f]?%/;
const UNRESERVED = /[A-Za-z0-9\-._~]/;
// Most paths: there is nothing in them to normalize.
const NORMAL = /^(?:\/[A-Za-z0-9\-_~][A-Za-z0-9\-._~]*)+$/;

/**
 * Tells the URI that the client meant, without query. Its origin is the operator's word, and the path is the request's: a
 * `Host` header is the sender's word, and would let a server that got a proof of its own pass it on to us (RFC 9449
 * section 4.3, RFC 9700 section 4.13). `Host` (`X-Forwarded-Host` as far as Express's `trust proxy` says) only selects among
 * several base URLs.
 *
 * @throws TypeError at construction for what is no URL.
 */
export function requestUris(publicUrl: PublicUrl): RequestUris {
  if (typeof publicUrl === 'function') return (req) => urisAt([baseOf(publicUrl(req))], req);
  const list = typeof publicUrl === 'string' ? [publicUrl] : publicUrl;
  if (!Array.isArray(list) || list.length === 0) {
    throw new TypeError(`"publicUrl" must be an https URL, a list of them, or a function, got ${show(publicUrl)}`);
  }
  const bases = list.map(baseOf);
  const places = new Set(bases.map(({ host }) => host));
  if (places.size < bases.length)
    throw new TypeError('"publicUrl" has two URLs with the same host: one request would be for both');
  if (bases.length === 1) return (req) => urisAt(bases, req);
  return (req) => {
    const hostname = (req.hostname as string | undefined)?.toLowerCase(); // undefined: HTTP/1.0 without Host
    const named = bases.filter((base) => base.hostname === hostname);
    return urisAt(named, req);
  };
}

function baseOf(url: unknown): URL {
  checkUrl('publicUrl', url, 'https://api.example.com');
  if (url.includes('?')) throw new TypeError(`"publicUrl" must not have a query, got ${show(url)}`);
  return new URL(url);
}

/** Path and query. A target may be in absolute form (RFC 9112 section 3.2.2); whose host it names says nothing here. */
export function targetOf({ originalUrl }: Request): string {
  return originalUrl.startsWith('/') ? originalUrl : originalUrl.replace(/^https?:\/\/[\w.:[\]-]+(?=[/?]|$)/i, '');
}

function urisAt(bases: readonly URL[], req: Request): readonly string[] {
  const [target = ''] = targetOf(req).split(/[?#]/, 1);
  const path = target === '' ? '/' : target;
  // What is no path would continue the host: `*`, or an odd authority, which Express cuts elsewhere.
  if (!path.startsWith('/') || DOT_SEGMENT.test(path)) return [];
  const uris = bases.flatMap(({ origin, pathname }) => {
    const below = pathname.replace(/\/$/, '');
    if (NORMAL.test(below + path)) return origin + below + path;
    // Where a proxy takes a path off, both become a slash.
    const paths = path === '/' ? [`${below}/`, below] : [below + path];
    return paths.map((one) => normalizeUri(origin + one));
  });
  return [...new Set(uris)].filter((uri) => uri !== undefined);
}

/**
 * An http or https URI in the one form that is compared, without query and fragment; undefined when it is none. RFC 3986
 * sections 6.2.2 and 6.2.3, as RFC 9449 section 4.3 has it: host in lower case, default port, dot segments, percent-encoding.
 */
export function normalizeUri(uri: string): string | undefined {
  const [, origin = '', path = ''] = /^(https?:\/\/[^/?#\\@\s]+)([^?#]*)/i.exec(uri) ?? [];
  if (!PATH.test(path || '/') || ENCODED_TWICE.test(path) || !URL.canParse(origin)) return undefined;
  const decoded = path.replace(/%[0-9A-Fa-f]{2}/g, (encoded) => {
    const character = String.fromCharCode(Number.parseInt(encoded.slice(1), 16));
    return UNRESERVED.test(character) ? character : encoded.toUpperCase();
  });
  // As one text: a path such as //host/x, taken for a reference, would replace the host.
  const { origin: plain, pathname } = new URL(origin + decoded);
  return plain + pathname;
}
