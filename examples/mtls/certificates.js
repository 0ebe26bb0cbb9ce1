// @ts-check
// Self-signed certificates, made by openssl at each start. They and their keys are gone when the program ends.
import { spawnSync } from 'node:child_process';
import { X509Certificate, createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** @typedef {{ name: string, key: Buffer, cert: Buffer }} Identity */

/** Puts `<name>.key` and `<name>.pem` into the folder. @param {string} folder @param {string} name @returns {Identity} */
export function makeCertificate(folder, name) {
  const [key, cert] = [join(folder, `${name}.key`), join(folder, `${name}.pem`)];
  const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
  const says = ['-days', '1', '-subj', `/CN=${name}`, '-addext', 'subjectAltName=IP:127.0.0.1'];
  const { status, error, stderr } = spawnSync('openssl', [
    'req',
    '-x509',
    ...curve,
    '-keyout',
    key,
    '-out',
    cert,
    ...says,
  ]);
  if (status !== 0) {
    console.error(`The example cannot start, for openssl makes no certificate: ${error?.message ?? stderr}`);
    process.exit(1);
  }
  return { name, key: readFileSync(key), cert: readFileSync(cert) };
}

/** The SHA-256 of a certificate, as it stands in tokens: `x5t#S256`. @param {Identity} identity */
export function thumbprint({ cert }) {
  return createHash('sha256').update(new X509Certificate(cert).raw).digest('base64url');
}
