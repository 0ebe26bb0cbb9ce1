import { execFileSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { CertificateHeader } from '../../lib/proxies.js';

/** A certificate with its key, and what is said of it. */
export interface ClientIdentity {
  readonly key: Buffer;
  /** As PEM. */
  readonly cert: Buffer;
  readonly der: Buffer;
  /** SHA-256 in lower-case hexadecimal, as OpenSSL computes it. */
  readonly hash: string;
  /** `x5t#S256` */
  readonly thumbprint: string;
}

interface Wishes {
  readonly name?: string;
  /** Subject alternative names of the type URI. */
  readonly uris?: readonly string[];
  readonly key?: 'ec' | 'rsa';
  readonly expired?: boolean;
}

const KEYS = { ec: ['ec', '-pkeyopt', 'ec_paramgen_curve:P-256'], rsa: ['rsa:2048'] };

/** A self-signed certificate of a client, made by openssl; throws if the machine has none. */
export function clientIdentity({
  name = 'client',
  uris = [],
  key = 'ec',
  expired = false,
}: Wishes = {}): ClientIdentity {
  const folder = mkdtempSync(join(tmpdir(), 'client-'));
  const openssl = (...args: string[]) => execFileSync('openssl', args, { cwd: folder, stdio: 'pipe' });
  try {
    writeFileSync(join(folder, 'openssl.cnf'), configuration(name, uris));
    writeFileSync(join(folder, 'index.txt'), '');
    openssl(
      'req',
      '-x509',
      '-config',
      'openssl.cnf',
      '-newkey',
      ...KEYS[key],
      '-nodes',
      '-keyout',
      'key',
      '-out',
      'cert',
    );
    if (expired) {
      openssl('req', '-new', '-config', 'openssl.cnf', '-key', 'key', '-out', 'request');
      const times = ['-startdate', '20200101000000Z', '-enddate', '20200201000000Z'];
      const files = ['-keyfile', 'key', '-in', 'request', '-out', 'cert'];
      openssl('ca', '-batch', '-notext', '-selfsign', '-config', 'openssl.cnf', ...files, ...times);
    }
    return identityOf(readFileSync(join(folder, 'key')), readFileSync(join(folder, 'cert')));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

export function identityOf(key: Buffer, cert: Buffer): ClientIdentity {
  const { raw, fingerprint256 } = new X509Certificate(cert);
  const hash = fingerprint256.replaceAll(':', '').toLowerCase();
  return { key, cert, der: raw, hash, thumbprint: Buffer.from(hash, 'hex').toString('base64url') };
}

function configuration(name: string, uris: readonly string[]): string {
  const quoted = (text: string) => text.replace(/[\\"#$]/g, '\\$&');
  const names = uris.map((uri, i) => `URI.${String(i + 1)} = ${quoted(uri)}`);
  return [
    ...['[req]', 'prompt = no', 'utf8 = yes', 'distinguished_name = subject'],
    ...(uris.length > 0 ? ['x509_extensions = extensions'] : []),
    ...['[subject]', `CN = ${quoted(name)}`, '[extensions]', 'subjectAltName = @names', '[names]', ...names],
    ...['[ca]', 'default_ca = here', '[here]', 'database = index.txt', 'new_certs_dir = .', 'default_md = sha256'],
    ...['policy = any', 'rand_serial = yes', '[any]', 'commonName = supplied', ''],
  ].join('\n');
}

/** PEM as OpenSSL writes it, with its label exchangeable. */
export function pemOf(der: Buffer, label = 'CERTIFICATE'): string {
  const lines = der.toString('base64').match(/.{1,64}/g) ?? [];
  return `-----BEGIN ${label}-----\n${lines.join('\n')}\n-----END ${label}-----\n`;
}

/** As nginx and Envoy do it: all but letters, digits and `-._~` as `%XX`. Of what is in PEM, that is encodeURIComponent. */
export const escaped = encodeURIComponent;

/** As AWS does it: `+`, `=` and `/` stay as they are. */
export function escapedByAws(text: string): string {
  return escaped(text).replace(/%2B/g, '+').replace(/%3D/g, '=').replace(/%2F/g, '/');
}

/** What is sent for a chain of certificates, and who reads it. Of many of them the first is that of the client. */
export interface Form {
  readonly reader: CertificateHeader;
  readonly encode: (...chain: readonly Buffer[]) => string;
}
