import type { ServerResponse } from 'node:http';
import onHeaders from 'on-headers';

// RFC 9111 section 5.2: a directive may have a quoted-string, and that may have a comma.
const DIRECTIVE = /(?:[^,"]|"(?:[^"\\]|\\.)*")+/g;

/**
 * Keeps shared caches from storing what was asked for with a token in the URL: a 2xx answer goes out with
 * `Cache-Control: private`, or `no-store` if the handler says so. RFC 6750 section 2.3.
 */
export function keepPrivate(res: ServerResponse): void {
  onHeaders(res, () => {
    if (res.statusCode < 200 || res.statusCode > 299) return;
    const directives = (String(res.getHeader('Cache-Control') ?? '').match(DIRECTIVE) ?? [])
      .map((directive) => directive.trim())
      .filter((directive) => directive !== '' && !/^(public|private|s-maxage)\b/i.test(directive));
    if (directives.some((directive) => /^no-store$/i.test(directive))) return;
    res.setHeader('Cache-Control', ['private', ...directives].join(', '));
  });
}

/**
 * Gives the client a newer DPoP nonce along with the answer, which must not be served to anybody else. RFC 9449 section 8.2.
 */
export function sendNonce(res: ServerResponse, nonce: string): void {
  res.setHeader('DPoP-Nonce', nonce);
  res.appendHeader('Access-Control-Expose-Headers', 'DPoP-Nonce');
  onHeaders(res, () => {
    if (res.hasHeader('DPoP-Nonce')) res.setHeader('Cache-Control', 'no-store');
  });
}
