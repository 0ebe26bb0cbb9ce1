import { randomUUID } from 'node:crypto';
import type { Fetch } from './fetch-json.js';
import { checkNames, checkText } from './options.js';
import { signingKey } from './signing-key.js';
import type { PrivateKey, SigningKey } from './signing-key.js';
import type { Seconds } from './types.js';

/** What a request to an endpoint of the authorization server carries to say who we are. */
export interface Authenticated {
  readonly headers?: Readonly<Record<string, string>>;
  /** Parameters of the form, beside those of the request. */
  readonly parameters?: Readonly<Record<string, string>>;
}

/**
 * How this resource server authenticates at the authorization server: `clientSecretBasic()` and the others make one; a method
 * that is not among them can be written by hand.
 */
export interface ClientAuthentication {
  /** Who we are there. Signed answers must be for this client (RFC 9701 section 5). */
  readonly clientId?: string | undefined;
  /** The `fetch` that shows our certificate, for authentication by TLS. */
  readonly fetch?: Fetch | undefined;
  /** Called for each request. What it throws is taken for "could not find out": 503. `now` is in seconds since 1970. */
  readonly authenticate: (issuer: string, now: Seconds) => Authenticated | Promise<Authenticated>;
  /** Called with what was refused (401), where something newer may not be: after it, and its promise, the request is tried once more. */
  readonly renew?: ((refused: Authenticated) => unknown) | undefined;
}

/** How long a client assertion is good for: it is made for one request. */
const ASSERTION_LIFE: Seconds = 60;
const ASSERTION_TYPE = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer';
/** RFC 7518 section 3.2: as long as the hash. */
const MIN_SECRET_BYTES = 32;

/** `client_secret_basic`: identifier and secret, form-encoded, in the header. RFC 6749 section 2.3.1. */
export function clientSecretBasic(clientId: string, clientSecret: string): ClientAuthentication {
  checkCredentials('clientSecretBasic', clientId, clientSecret);
  const credentials = Buffer.from(`${formEncode(clientId)}:${formEncode(clientSecret)}`).toString('base64');
  return { clientId, authenticate: () => ({ headers: { authorization: `Basic ${credentials}` } }) };
}

/** `client_secret_post`: identifier and secret in the form. RFC 6749 section 2.3.1 advises against it. */
export function clientSecretPost(clientId: string, clientSecret: string): ClientAuthentication {
  checkCredentials('clientSecretPost', clientId, clientSecret);
  return { clientId, authenticate: () => ({ parameters: { client_id: clientId, client_secret: clientSecret } }) };
}

/**
 * `client_secret_jwt`: an assertion under the secret (HS256), fresh for each request. RFC 7523 section 2.2.
 *
 * @throws TypeError for a secret of less than 32 bytes (RFC 7518 section 3.2).
 */
export function clientSecretJwt(
  clientId: string,
  clientSecret: string,
  options: Pick<AssertionOptions, 'audience'> = {},
): ClientAuthentication {
  checkCredentials('clientSecretJwt', clientId, clientSecret);
  checkNames('clientSecretJwt', options, ['audience']);
  const key = Buffer.from(clientSecret);
  if (key.length >= MIN_SECRET_BYTES) return byAssertion(clientId, key, { alg: 'HS256' }, options.audience);
  throw new TypeError('clientSecretJwt needs a secret of 32 bytes or more (RFC 7518 section 3.2)');
}

/** Options of {@link privateKeyJwt}. */
export interface AssertionOptions {
  /** The signature algorithm. Required, unless the key is a JWK with `alg`. */
  readonly algorithm?: string;
  /** The `kid` of the assertion. Default: that of a JWK, else none. */
  readonly keyId?: string;
  /** The `aud` of the assertion, for servers that want their endpoint there. Default: the issuer. RFC 7523 section 3. */
  readonly audience?: string;
}

/**
 * `private_key_jwt`: an assertion under our private key, fresh for each request. RFC 7523 section 2.2.
 *
 * @throws TypeError for a key that is not private, and for an algorithm that is missing or not asymmetric.
 */
export function privateKeyJwt(
  clientId: string,
  privateKey: PrivateKey,
  options: AssertionOptions = {},
): ClientAuthentication {
  checkText('the client identifier of privateKeyJwt', clientId);
  checkNames('privateKeyJwt', options, ['algorithm', 'keyId', 'audience']);
  const { key, header } = signingKey('privateKeyJwt', privateKey, options);
  return byAssertion(clientId, key, header, options.audience);
}

/**
 * `tls_client_auth` and `self_signed_tls_client_auth`: the certificate of the connection says who we are. RFC 8705 section 2.
 * `fetch` shows it: with undici, `(url, init) => fetch(url, { ...init, dispatcher: new Agent({ connect: { key, cert } }) })`,
 * agent and fetch both from the package.
 */
export function tlsClientAuth(clientId: string, fetch: Fetch): ClientAuthentication {
  checkText('the client identifier of tlsClientAuth', clientId);
  if (typeof fetch !== 'function') throw new TypeError('tlsClientAuth needs the "fetch" that shows the certificate');
  return { clientId, fetch, authenticate: () => ({ parameters: { client_id: clientId } }) };
}

function byAssertion(
  clientId: string,
  key: SigningKey['key'],
  header: SigningKey['header'],
  audience: unknown,
): ClientAuthentication {
  if (audience !== undefined) checkText('audience', audience);
  return {
    clientId,
    authenticate: async (issuer, now) => {
      const iat = Math.floor(now);
      const times = { iat, exp: iat + ASSERTION_LIFE };
      const claims = { iss: clientId, sub: clientId, aud: audience ?? issuer, jti: randomUUID(), ...times };
      const { SignJWT } = await import('jose/jwt/sign'); // for those who use it only
      const assertion = await new SignJWT(claims).setProtectedHeader(header).sign(key);
      return {
        parameters: { client_id: clientId, client_assertion_type: ASSERTION_TYPE, client_assertion: assertion },
      };
    },
  };
}

function checkCredentials(where: string, clientId: unknown, clientSecret: unknown): void {
  checkText(`the client identifier of ${where}`, clientId);
  // Never shown: what stands in its place by mistake may be a secret, too.
  if (typeof clientSecret === 'string' && clientSecret !== '') return;
  throw new TypeError(`${where} needs the secret of the client as its second argument: a string that is not empty`);
}

/** One value as `application/x-www-form-urlencoded` writes it. RFC 6749 appendix B. */
function formEncode(value: string): string {
  return new URLSearchParams({ '': value }).toString().slice(1);
}
