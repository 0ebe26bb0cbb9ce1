import { createHash, X509Certificate } from 'node:crypto';
import { checkNames, show } from './options.js';

/**
 * How a proxy tells the certificate that the client showed it. Each of the readers here is as strict as its proxy is: what the
 * proxy would not send is no certificate. They do not validate the certificate (RFC 8705 section 6.2 leaves that open), and
 * rely on the proxy for the proof of its key, and for removing the header from what clients send.
 */
export interface CertificateHeader {
  /** The header, in lower case. */
  readonly header: string;
  /** `x5t#S256` of the certificate in a header value (RFC 8705 section 3.1), or undefined when it is none, or more than the proxy would send. */
  readonly thumbprint: (value: string) => string | undefined;
}

/** Options of {@link nginx} and {@link haproxy}. */
export interface HeaderOptions {
  /** The name of the header, the same as in the configuration of the proxy: `X-SSL-Client-Cert`. */
  readonly header: string;
}

/** Options of {@link awsAlb}. */
export interface AwsAlbOptions {
  /** The mode of mutual TLS on the listener, `verify` or `passthrough`. Default: `verify`. */
  readonly mode?: 'verify' | 'passthrough';
}

/** Node takes no more than this of all headers together, unless it is told to. */
const MAX_LENGTH = 16_384;

/**
 * `Client-Cert`, the standard: RFC 9440 section 2.2. The proxy must set it, and remove it where the client shows no certificate.
 * HAProxy, for one: `http-request set-header Client-Cert :%[ssl_c_der,base64]:`.
 */
export function rfc9440(): CertificateHeader {
  // sf-binary = ":" *(base64) ":", RFC 9651 section 3.3.5; without parameters, which RFC 9440 does not define.
  return reader('client-cert', (value) => thumbprintOf(fromBase64(/^:([^:]+):$/.exec(value)?.[1])));
}

/**
 * nginx, with `ssl_verify_client optional_no_ca` (or stricter) and `proxy_set_header X-SSL-Client-Cert $ssl_client_escaped_cert`.
 * A `location` with a `proxy_set_header` of its own inherits none: repeat the line there, or the header is the client's word.
 * @throws TypeError for mistakes in the options.
 */
export function nginx(options: HeaderOptions): CertificateHeader {
  return reader(headerOf('nginx', options), (value) => only(fromEscapedPem(value)));
}

/**
 * HAProxy, with `http-request set-header X-SSL-Client-DER %[ssl_c_der,base64]`, and `verify optional` (or stricter) on the `bind`
 * line, which needs a `ca-file`; `ca-ignore-err all crt-ignore-err all` lets certificates of any issuer through.
 * @throws TypeError for mistakes in the options.
 */
export function haproxy(options: HeaderOptions): CertificateHeader {
  return reader(headerOf('haproxy', options), (value) => thumbprintOf(fromBase64(value)));
}

/**
 * Envoy and what is built on it: `X-Forwarded-Client-Cert` as text. `forward_client_cert_details` must be `SANITIZE_SET`;
 * nothing need be in `set_current_client_cert_details`, but where `Cert` is sent as well, it must agree.
 */
export function envoy(): CertificateHeader {
  return reader('x-forwarded-client-cert', (value) => {
    const [hash, ...hashes] = valuesOf(value, 'hash');
    const [cert, ...certs] = valuesOf(value, 'cert');
    // Envoy always sends the hash, and writes names from the certificate as they are: a second one is the client's invention.
    if (hash === undefined || !/^[0-9a-f]{64}$/.test(hash) || hashes.length + certs.length > 0) return undefined;
    const thumbprint = Buffer.from(hash, 'hex').toString('base64url');
    const pem = /^"([^"]*)"$/.exec(cert ?? '')?.[1];
    return cert === undefined || only(fromEscapedPem(pem)) === thumbprint ? thumbprint : undefined;
  });
}

/**
 * An Application Load Balancer of AWS, with mutual TLS on every listener that leads here. AWS does not say what becomes of the
 * header of a client without a certificate in the mode `passthrough`; in the mode `verify` there is no such client.
 * @throws TypeError for mistakes in the options.
 */
export function awsAlb(options: AwsAlbOptions = {}): CertificateHeader {
  checkNames('awsAlb', options, ['mode']);
  const { mode = 'verify' } = options;
  if (mode === 'verify') return reader('x-amzn-mtls-clientcert-leaf', (value) => only(fromEscapedPem(value)));
  if ((mode as unknown) !== 'passthrough') {
    throw new TypeError(`"mode" must be "verify" or "passthrough", got ${show(mode)}`);
  }
  return reader('x-amzn-mtls-clientcert', (value) => leaf(fromEscapedPem(value)));
}

/**
 * Traefik 2 and 3, with the middleware `passTLSClientCert`, `pem: true`. It sets the header only where the client shows a
 * certificate: `clientAuthType` must be `RequireAnyClientCert` or stricter, and `forwardedHeaders` of the entry point must not
 * trust clients.
 */
export function traefik(): CertificateHeader {
  // Base64 without PEM's delimiters, percent-encoded in version 2; the leaf first.
  return reader('x-forwarded-tls-client-cert', (value) =>
    leaf(value.split(',').map((text) => fromBase64(unescaped(text)))),
  );
}

function reader(header: string, read: (value: string) => string | undefined): CertificateHeader {
  return { header, thumbprint: (value) => (value.length > MAX_LENGTH ? undefined : read(value)) };
}

function headerOf(where: string, options: HeaderOptions): string {
  checkNames(where, options, ['header']);
  const header: unknown = options.header;
  if (typeof header === 'string' && /^[!#$%&'*+.^_`|~\w-]+$/.test(header)) return header.toLowerCase();
  throw new TypeError(
    `"header" of ${where} must be the name of the header that the proxy sets, such as "X-SSL-Client-Cert", got ${show(header)}`,
  );
}

type Chain = readonly (Buffer | undefined)[];

function only(chain: Chain): string | undefined {
  return chain.length === 1 ? leaf(chain) : undefined;
}

/** The first certificate is the one whose key the client proved (RFC 8446 section 4.4.2). The others are not parsed. */
function leaf(chain: Chain): string | undefined {
  return chain.includes(undefined) ? undefined : thumbprintOf(chain[0]);
}

function thumbprintOf(der: Buffer | undefined): string | undefined {
  if (der === undefined || !isCertificate(der)) return undefined;
  return createHash('sha256').update(der).digest('base64url');
}

/** Whether the bytes are one certificate, and nothing else: parsers ignore what follows, and take PEM for DER. */
function isCertificate(der: Buffer): boolean {
  try {
    return new X509Certificate(der).raw.equals(der);
  } catch {
    return false; // whatever it is, it is no certificate
  }
}

/** RFC 4648 section 4, compared, because Buffer skips what it does not know and ignores the unused bits of the last character. */
function fromBase64(text = ''): Buffer | undefined {
  const bytes = Buffer.from(text, 'base64');
  return text !== '' && bytes.toString('base64') === text ? bytes : undefined;
}

/** The certificates of percent-encoded PEM (RFC 7468 section 5), each undefined when it is none. */
function fromEscapedPem(value: string | undefined): Chain {
  const [before, ...blocks] = unescaped(value)?.split('-----BEGIN CERTIFICATE-----\n') ?? [];
  if (before !== '') return [];
  return blocks.map((block) => {
    const base64 = /^((?:[A-Za-z\d+/=]{1,64}\n)+)-----END CERTIFICATE-----\n?$/.exec(block)?.[1];
    return fromBase64(base64?.replaceAll('\n', ''));
  });
}

/** Undefined for what is not percent-encoded ASCII (RFC 3986 section 2). A plus is a plus: this is no form. */
function unescaped(value = ''): string | undefined {
  return /^(?:[\w.~+/=-]|%[0-7][\dA-Fa-f])+$/.test(value) ? decodeURIComponent(value) : undefined;
}

// One pair of X-Forwarded-Client-Cert. In quotes Envoy sends percent-encoded PEM and names of RFC 2253, where a semicolon has a
// backslash before it: a bare one is a trick. So is a comma outside: another element, sent by whoever stands before Envoy.
const PAIR = /;([A-Za-z]+)=("(?:[^"\\;]|\\.)*"|[^",;]*)/g;

/** The values of one key as they are written; none when the header is not one element. Keys are case-insensitive. */
function valuesOf(element: string, key: string): readonly string[] {
  const pairs = [...`;${element}`.matchAll(PAIR)];
  if (pairs.map(([text]) => text).join('') !== `;${element}`) return [];
  return pairs.filter(([, name = '']) => name.toLowerCase() === key).map(([, , value = '']) => value);
}
