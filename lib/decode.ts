import { InvalidTokenError } from './errors.js';

/** A JSON object of unknown content. */
export type JsonObject = Readonly<Record<string, unknown>>;

/** Header and payload of a JWT, not verified. */
export interface Jwt {
  readonly header: JsonObject;
  readonly claims: JsonObject;
}

// RFC 7515 sections 2 and 7.1: base64url without padding. The unused bits of the last character are zero (RFC 4648
// section 3.5), so that a token has one spelling only.
const BASE64URL = '(?:[A-Za-z0-9_-]{4})*(?:[A-Za-z0-9_-][AQgw]|[A-Za-z0-9_-]{2}[AEIMQUYcgkosw048])?';
const COMPACT_JWS = new RegExp(`^(?<header>${BASE64URL})\\.(?<payload>${BASE64URL})\\.${BASE64URL}$`);

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/**
 * Header and payload of a JWT in compact form, not verified. RFC 7519 section 7.2, RFC 7515 section 5.2.
 * Of a repeated member the last counts, for us as for the signature check (RFC 7515 section 4).
 *
 * @throws InvalidTokenError for anything else: an encrypted token, an opaque one, padding, invalid UTF-8, trailing text.
 */
export function decodeJwt(token: string): Jwt {
  const { header, payload } = COMPACT_JWS.exec(token)?.groups ?? {};
  return { header: parseObject(header), claims: parseObject(payload) };
}

function parseObject(segment: string | undefined): JsonObject {
  let value: unknown;
  try {
    value = JSON.parse(utf8.decode(Buffer.from(segment ?? '', 'base64url')));
  } catch {
    // Answered below, with what is JSON but no object.
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new InvalidTokenError('The access token is not a JSON Web Token');
  }
  return value as JsonObject;
}
