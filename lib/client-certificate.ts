import { createHash } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { BlockList, isIP } from 'node:net';
import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { linesOf } from './header-lines.js';
import { checkNames, show } from './options.js';
import type { CertificateHeader } from './proxies.js';

/**
 * Where the certificate of the client is to be found: `tls` for the TLS connection of the request itself, of a server with
 * `requestCert: true, rejectUnauthorized: false`; or a header that `from` reads, believed from `proxies` alone: their IP
 * addresses (`10.0.0.5`, `::1`) and networks (`10.0.0.0/8`), or `unix` for who connects by a Unix domain socket. Everybody who
 * can send from there is believed.
 */
export type ClientCertificate = 'tls' | { readonly from: CertificateHeader; readonly proxies: readonly string[] };

/**
 * Reads `x5t#S256` of the client's certificate out of a request; undefined when the client showed none, or when it cannot be
 * told. RFC 8705 section 3.1. Does not validate the certificate: a token is bound to this very one (section 6.2).
 *
 * @throws TypeError at construction, for mistakes in the option.
 */
export function certificateReader(option: ClientCertificate): (req: IncomingMessage) => string | undefined {
  if (option === 'tls') return fromTls;
  const { from, proxies } = checked(option);
  const isProxy = peerCheck(proxies);
  return ({ socket, rawHeaders }) => {
    if (!isProxy(socket)) return undefined;
    const [line, ...more] = linesOf(rawHeaders, from.header);
    return line === undefined || more.length > 0 ? undefined : from.thumbprint(line);
  };
}

/** Asked anew each time: TLS 1.2 can renegotiate, and an answer costs microseconds. */
function fromTls({ socket }: IncomingMessage): string | undefined {
  const certificate = (socket as Partial<TLSSocket>).getPeerX509Certificate?.();
  return certificate && createHash('sha256').update(certificate.raw).digest('base64url');
}

function checked(option: unknown): Exclude<ClientCertificate, 'tls'> {
  if (typeof option !== 'object') {
    const example = '{ from: nginx({ header: "X-SSL-Client-Cert" }), proxies: ["10.0.0.5"] }';
    throw new TypeError(`"clientCertificate" must be "tls", or an object such as ${example}, got ${show(option)}`);
  }
  checkNames('clientCertificate', option, ['from', 'proxies']);
  const { from } = option as { readonly from?: Partial<CertificateHeader> | null };
  const { header, thumbprint } = from ?? {};
  if (typeof thumbprint !== 'function' || typeof header !== 'string' || !/^[!#$%&'*+.^_`|~\da-z-]+$/.test(header)) {
    throw new TypeError(
      '"from" of "clientCertificate" must be a header in lower case and its reader, such as nginx({ header: "X-SSL-Client-Cert" }) ' +
        'from express-oauth2-resource-server/proxies',
    );
  }
  return option as Exclude<ClientCertificate, 'tls'>;
}

/** Whether the other end of a connection is one of the listed. It never is `X-Forwarded-For`, which is the sender's word. */
function peerCheck(proxies: unknown): (socket: Socket) => boolean {
  if (!Array.isArray(proxies) || proxies.length === 0) throw unusable(proxies);
  const list = new BlockList();
  for (const entry of proxies as unknown[]) addProxy(entry, list);
  const hasUnix = proxies.includes('unix');
  return (socket) => {
    const address = socket.remoteAddress;
    if (address === undefined) return hasUnix && isUnix(socket);
    return list.check(address, isIP(address) === 6 ? 'ipv6' : 'ipv4'); // IPv4-mapped IPv6 as its IPv4
  };
}

/** A TCP connection that its client has reset has no remote address any more; but a local one, for as long as it is open to us. */
function isUnix(socket: Socket): boolean {
  return !socket.destroyed && socket.localAddress === undefined;
}

function addProxy(entry: unknown, list: BlockList): void {
  if (entry === 'unix') return;
  const [, address = '', length] =
    /^([\da-f.:]+)(?:\/([1-9]\d{0,2}))?$/i.exec(typeof entry === 'string' ? entry : '') ?? [];
  const version = isIP(address);
  const bits = version === 6 ? 128 : 32;
  const prefix = length === undefined ? bits : Number(length);
  if (version === 0 || prefix > bits) throw unusable(entry);
  list.addSubnet(address, prefix, version === 6 ? 'ipv6' : 'ipv4');
}

function unusable(got: unknown): TypeError {
  return new TypeError(
    '"proxies" of "clientCertificate" must be a list of IP addresses and networks such as "10.0.0.5", "10.0.0.0/8" and "::1", ' +
      `or "unix"; not everybody ("/0"), not a host name. Got ${show(got)}`,
  );
}
