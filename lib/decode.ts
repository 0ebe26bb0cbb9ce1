import { isUtf8 } from 'node:buffer';
import { InvalidTokenError } from './errors.js';

/** A JSON object of unknown content. */
export type JsonObject = Readonly<Record<string, unknown>>;

/** No array, and not null, which `typeof` takes for objects, too. */
export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Header and payload of a JWT, not verified. */
export interface Jwt {
  readonly header: JsonObject;
  readonly claims: JsonObject;
}

const NO_JWT = 'The access token is not a JSON Web Token';
const BASE64URL = /^[A-Za-z0-9_-]*$/;
// RFC 4648 section 3.5: the unused bits of the last character are zero, so that a token has one spelling only. By how many
// characters follow the last whole group of four; one alone encodes nothing.
const LAST = [undefined, '', 'AQgw', 'AEIMQUYcgkosw048'];

/**
 * Header and payload of a JWT in compact form, not verified. RFC 7519 section 7.2, RFC 7515 section 5.2.
 * Of a repeated member the last counts, for us as for the signature check (RFC 7515 section 4).
 *
 * @throws InvalidTokenError for anything else: an encrypted token, an opaque one, padding, invalid UTF-8, trailing text.
 */
export function decodeJwt(token: string): Jwt {
  const segments = token.split('.');
  const [header, payload] = segments;
  if (segments.length !== 3 || header === undefined || payload === undefined || !segments.every(isBase64url)) {
    throw new InvalidTokenError(NO_JWT);
  }
  return { header: parseObject(header), claims: parseObject(payload) };
}

/** RFC 7515 section 2: base64url without padding. */
function isBase64url(segment: string): boolean {
  return BASE64URL.test(segment) && (LAST[segment.length % 4]?.includes(segment.at(-1) ?? '') ?? true);
}

function parseObject(segment: string): JsonObject {
  let value: unknown;
  try {
    const bytes = Buffer.from(segment, 'base64url');
    if (isUtf8(bytes)) value = JSON.parse(bytes.toString());
  } catch {
    // Answered below, with what is JSON but no object.
  }
  if (!isJsonObject(value)) throw new InvalidTokenError(NO_JWT);
  return value;
}
