import { InvalidRequestError } from './errors.js';

// RFC 6750 section 2.1: b64token = 1*( ALPHA / DIGIT / "-" / "." / "_" / "~" / "+" / "/" ) *"="
const B64TOKEN = /^[A-Za-z0-9._~+/-]+=*$/;

/** @throws InvalidRequestError for what is no token by its characters. */
export function checkB64Token(token: string): void {
  if (!B64TOKEN.test(token)) throw new InvalidRequestError('The access token has characters no token has');
}
