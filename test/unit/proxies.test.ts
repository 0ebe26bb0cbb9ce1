import { beforeAll, describe, expect, test } from '@jest/globals';
import { awsAlb, envoy, haproxy, nginx, rfc9440, traefik } from '../../lib/proxies.js';
import type { CertificateHeader } from '../../lib/proxies.js';
import { clientIdentity, escaped, escapedByAws, identityOf, pemOf } from '../support/client-certificates.js';
import type { ClientIdentity, Form } from '../support/client-certificates.js';

const HEADER = { header: 'X-SSL-Client-Cert' };

/** RFC 8705 appendix A. */
const MTLS =
  'MIIBBjCBrAIBAjAKBggqhkjOPQQDAjAPMQ0wCwYDVQQDDARtdGxzMB4XDTE4MTAxODEyMzcwOVoXDTIyMDUwMjEyMzcwOVowDzENMAsGA1UEAwwE' +
  'bXRsczBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABNcnyxwqV6hY8QnhxxzFQ03C7HKW9OylMbnQZjjJ/Au08/coZwxS7LfA4vOLS9WuneIXhbGG' +
  'WvsDSb0tH6IxLm8wCgYIKoZIzj0EAwIDSQAwRgIhAP0RC1E+vwJD/D1AGHGzuri+hlV/PpQEKTWUVeORWz83AiEA5x2eXZOVbUlJSGQgjwD5vaUa' +
  'KlLR50Q2DmFfQj1L+SY=';
const MTLS_THUMBPRINT = 'A4DtL2JmUMhAsvJj5tKyn64SqzmuXbMrJa0n761y5v0';

/** RFC 9440 appendix A, and RFC 9421 appendix B.3. */
const CLIENT_CERT =
  ':MIIBqDCCAU6gAwIBAgIBBzAKBggqhkjOPQQDAjA6MRswGQYDVQQKDBJMZXQncyBBdXRoZW50aWNhdGUxGzAZBgNVBAMMEkxBIEludGVybWVkaWF0' +
  'ZSBDQTAeFw0yMDAxMTQyMjU1MzNaFw0yMTAxMjMyMjU1MzNaMA0xCzAJBgNVBAMMAkJDMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE8YnXXfaU' +
  'gmnMtOXU/IncWalRhebrXmckC8vdgJ1p5Be5F/3YC8OthxM4+k1M6aEAEFcGzkJiNy6J84y7uzo9M6NyMHAwCQYDVR0TBAIwADAfBgNVHSMEGDAW' +
  'gBRm3WjLa38lbEYCuiCPct0ZaSED2DAOBgNVHQ8BAf8EBAMCBsAwEwYDVR0lBAwwCgYIKwYBBQUHAwIwHQYDVR0RAQH/BBMwEYEPYmRjQGV4YW1w' +
  'bGUuY29tMAoGCCqGSM49BAMCA0gAMEUCIBHda/r1vaL6G3VliL4/Di6YK0Q6bMjeSkC3dFCOOB8TAiEAx/kHSB4urmiZ0NX5r5XarmPk0wmuydBV' +
  'oU4hBVZ1yhk=:';

const base64 = (der: Buffer) => der.toString('base64');
const pems = (...chain: readonly Buffer[]) => chain.map((der) => pemOf(der)).join('');
const FORMS: Readonly<Record<string, Form>> = {
  rfc9440: { reader: rfc9440(), encode: (...chain) => chain.map((der) => `:${base64(der)}:`).join(', ') },
  nginx: { reader: nginx(HEADER), encode: (...chain) => escaped(pems(...chain)) },
  haproxy: { reader: haproxy(HEADER), encode: (...chain) => base64(Buffer.concat(chain)) },
  'AWS, verify': { reader: awsAlb(), encode: (...chain) => escapedByAws(pems(...chain)) },
  'AWS, passthrough': { reader: awsAlb({ mode: 'passthrough' }), encode: (...chain) => escapedByAws(pems(...chain)) },
  'Traefik 2': { reader: traefik(), encode: (...chain) => chain.map((der) => escaped(base64(der))).join(',') },
  'Traefik 3': { reader: traefik(), encode: (...chain) => chain.map(base64).join(',') },
};
const CHAINS = ['AWS, passthrough', 'Traefik 2', 'Traefik 3'];

function form(name: string): Form {
  const found = FORMS[name];
  if (found === undefined) throw new Error('no such form');
  return found;
}

let client: ClientIdentity;
let other: ClientIdentity;
let big: ClientIdentity;
let huge: ClientIdentity;
beforeAll(() => {
  client = clientIdentity({ key: 'rsa' });
  other = clientIdentity({ name: 'other' });
  const uris = (length: number) => Array.from({ length }, (_, i) => `https://client.example.com/${String(i)}`);
  big = clientIdentity({ uris: uris(200) });
  huge = clientIdentity({ uris: uris(450) });
});

describe.each(Object.keys(FORMS))('%s', (name) => {
  const { reader, encode } = form(name);
  const read = (...chain: readonly Buffer[]) => reader.thumbprint(encode(...chain));

  test('8705-3.1-1 the certificate of RFC 8705 appendix A has the thumbprint that is printed there', () => {
    expect(read(Buffer.from(MTLS, 'base64'))).toBe(MTLS_THUMBPRINT);
  });

  test('8705-6.2-1 certificates of any issuer, key and age are told apart', () => {
    expect(read(client.der)).toBe(client.thumbprint);
    expect(read(other.der)).toBe(other.thumbprint);
    expect(client.thumbprint).not.toBe(other.thumbprint);
    const expired = clientIdentity({ expired: true });
    expect(read(expired.der)).toBe(expired.thumbprint);
  });

  test('of a chain the first counts, where a chain is sent; else more than one is none', () => {
    const expected = CHAINS.includes(name) ? client.thumbprint : undefined;
    expect(read(client.der, other.der)).toBe(expected);
    expect(read(client.der, client.der)).toBe(expected);
    expect(read(client.der)).toBe(client.thumbprint);
  });

  test.each<[what: string, spoil: (der: Buffer) => Buffer]>([
    ['nothing', () => Buffer.alloc(0)],
    ['one byte more', (der) => Buffer.concat([der, Buffer.from([0])])],
    ['a second certificate behind the first', (der) => Buffer.concat([der, der])],
    ['one byte less', (der) => der.subarray(0, -1)],
    ['no first byte', (der) => der.subarray(1)],
    ['PEM in place of DER', (der) => Buffer.from(pemOf(der))],
    ['an indefinite length', (der) => Buffer.concat([Buffer.from([0x30, 0x80]), der.subarray(4), Buffer.from([0, 0])])],
    ['a length in more bytes than it takes', longLength],
    ['a sequence of something else', () => Buffer.from([0x30, 3, 2, 1, 1])],
    ['text', () => Buffer.from('this is no certificate')],
  ])('%s is no certificate', (_, spoil) => {
    expect(read(spoil(client.der))).toBeUndefined();
    expect(read(client.der)).toBe(client.thumbprint);
  });

  test('of a chain only the first is parsed; what is no chain must have nothing behind', () => {
    expect(read(client.der, Buffer.from([0]))).toBe(CHAINS.includes(name) ? client.thumbprint : undefined);
    expect(read(Buffer.from([0]), client.der)).toBeUndefined();
  });

  test('what is longer than 16384 characters is none, and what is shorter is read', () => {
    expect([encode(big.der).length < 16_384, encode(huge.der).length > 16_384]).toEqual([true, true]);
    expect(read(big.der)).toBe(big.thumbprint);
    expect(read(huge.der)).toBeUndefined();
  });

  test.each([
    '',
    ' ',
    '-',
    ':',
    '::',
    ',',
    '%',
    '=',
    '====',
    'null',
    'undefined',
    '(null)',
    '%00',
    '%FF',
    '%u0041',
    '\u00ff',
  ])('%j is none', (value) => {
    expect(reader.thumbprint(value)).toBeUndefined();
  });

  test.each<[what: string, spoil: (value: string) => string]>([
    ['a space before', (value) => ` ${value}`],
    ['a space behind', (value) => `${value} `],
    ['a line feed behind', (value) => `${value}\n`],
    ['a null behind', (value) => `${value}\0`],
    ['a comma behind', (value) => `${value},`],
    ['a parameter behind', (value) => `${value};a=1`],
    ['quotes around', (value) => `"${value}"`],
    ['broken percent-encoding', (value) => `${value.slice(0, 100)}%G1${value.slice(100)}`],
    ['half of percent-encoding at the end', (value) => `${value}%2`],
    ['percent-encoding of what is not ASCII', (value) => `${value.slice(0, 100)}%C3%A9${value.slice(100)}`],
    ['percent-encoding twice', (value) => escaped(escaped(value))],
    ['a character that base64 does not know', (value) => `${value.slice(0, 100)}!${value.slice(100)}`],
    ['a space within', (value) => `${value.slice(0, 100)} ${value.slice(100)}`],
    ['the whole twice, as a proxy joins lines', (value) => `${value}, ${value}`],
  ])('%s: none', (_, spoil) => {
    const value = encode(client.der);
    expect(reader.thumbprint(spoil(value))).toBeUndefined();
    expect(reader.thumbprint(value)).toBe(client.thumbprint);
  });

  test('base64 must be written as RFC 4648 section 4 says', () => {
    const standard = base64(client.der);
    const write = (text: string) => encode(client.der).replaceAll(...spelling(name, standard, text));
    expect(reader.thumbprint(write(standard))).toBe(client.thumbprint);
    expect(standard).toMatch(/[+/]/);
    expect(reader.thumbprint(write(standard.replaceAll('+', '-').replaceAll('/', '_')))).toBeUndefined();
    // 262 bytes, so that two characters of padding are there to be lost, and bits to be set that nobody reads.
    const mtls = Buffer.from(MTLS, 'base64');
    expect(MTLS).toMatch(/[^=]=$/);
    const rewrite = (text: string) => encode(mtls).replaceAll(...spelling(name, MTLS, text));
    expect(reader.thumbprint(rewrite(MTLS))).toBe(MTLS_THUMBPRINT);
    for (const bad of [MTLS.slice(0, -1), `${MTLS}=`, `${MTLS.slice(0, -2)}Z=`, `${MTLS.slice(0, -2)}=Y`]) {
      expect(reader.thumbprint(rewrite(bad))).toBeUndefined();
    }
  });
});

/** The length in three bytes in place of two, which DER forbids and BER allows. */
function longLength(der: Buffer): Buffer {
  return Buffer.concat([Buffer.from([0x30, 0x83, 0]), der.subarray(2)]);
}

/** How the base64 of a certificate is spelled in a form, and another text in its place. */
function spelling(name: string, ...texts: readonly [string, string]): [string, string] {
  const lines = (text: string) => (text.match(/.{1,64}/g) ?? []).join('\n');
  const [from, to] = texts.map((text) => {
    if (name === 'nginx') return escaped(lines(text));
    if (name.startsWith('AWS')) return escapedByAws(lines(text));
    return name === 'Traefik 2' ? escaped(text) : text;
  });
  return [from ?? '', to ?? ''];
}

describe('PEM', () => {
  test.each<[what: string, spoil: (pem: string) => string]>([
    ['another label', (pem) => pem.replaceAll('CERTIFICATE', 'PUBLIC KEY')],
    ['a label of OpenSSL with more in it', (pem) => pem.replaceAll('CERTIFICATE', 'TRUSTED CERTIFICATE')],
    ['a label in lower case', (pem) => pem.toLowerCase()],
    ['labels that differ', (pem) => pem.replace('END CERTIFICATE', 'END X509 CRL')],
    ['no beginning', (pem) => pem.slice(pem.indexOf('\n') + 1)],
    ['no end', (pem) => pem.slice(0, pem.indexOf('-----END'))],
    ['no lines', (pem) => pem.replaceAll('\n', '')],
    ['no line before the end', (pem) => pem.replace('\n-----END', '-----END')],
    ['lines ended as on Windows', (pem) => pem.replaceAll('\n', '\r\n')],
    ['lines ended with a tab behind', (pem) => pem.replaceAll('\n', '\n\t')],
    ['a blank line', (pem) => pem.replace('\n', '\n\n')],
    ['long lines', (pem) => pem.replace(/(?<=[^-])\n(?=[^-])/g, '')],
    ['a header', (pem) => pem.replace('\n', '\nProc-Type: 4,ENCRYPTED\n\n')],
    ['text before', (pem) => `subject=CN = client\n${pem}`],
    ['text behind', (pem) => `${pem}client\n`],
    ['a key behind', (pem) => pem + pemOf(Buffer.from('key'), 'PRIVATE KEY')],
    ['nothing in it', () => '-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n'],
  ])('%s: none', (_, spoil) => {
    for (const reader of [nginx(HEADER), awsAlb(), awsAlb({ mode: 'passthrough' })]) {
      expect(reader.thumbprint(escaped(spoil(pemOf(client.der))))).toBeUndefined();
      expect(reader.thumbprint(escaped(pemOf(client.der)))).toBe(client.thumbprint);
    }
  });

  test('the last line may go without its end, and percent-encoding may be in lower case', () => {
    const value = escaped(pemOf(client.der));
    expect(nginx(HEADER).thumbprint(value.replace(/%0A$/, ''))).toBe(client.thumbprint);
    expect(nginx(HEADER).thumbprint(value.replace(/%../g, (text) => text.toLowerCase()))).toBe(client.thumbprint);
  });

  test('a plus is a plus and a space is not: this is no form', () => {
    const plus = escaped(pemOf(client.der)).replaceAll('%20', '+');
    expect(nginx(HEADER).thumbprint(plus)).toBeUndefined();
    expect(nginx(HEADER).thumbprint(pemOf(client.der).replaceAll('\n', '%0A'))).toBeUndefined();
  });
});

describe('what the documentation of the proxies shows', () => {
  test('RFC 9440 appendix A: Client-Cert', () => {
    const certificate = identityOf(
      Buffer.alloc(0),
      Buffer.from(pemOf(Buffer.from(CLIENT_CERT.slice(1, -1), 'base64'))),
    );
    expect(rfc9440().thumbprint(CLIENT_CERT)).toBe(certificate.thumbprint);
  });

  test.each<[CertificateHeader, string]>([
    [rfc9440(), 'client-cert'],
    [nginx({ header: 'X-SSL-Client-Cert' }), 'x-ssl-client-cert'],
    [haproxy({ header: 'X-SSL-Client-DER' }), 'x-ssl-client-der'],
    [envoy(), 'x-forwarded-client-cert'],
    [awsAlb(), 'x-amzn-mtls-clientcert-leaf'],
    [awsAlb({ mode: 'verify' }), 'x-amzn-mtls-clientcert-leaf'],
    [awsAlb({ mode: 'passthrough' }), 'x-amzn-mtls-clientcert'],
    [traefik(), 'x-forwarded-tls-client-cert'],
  ])('%j reads %s', ({ header }, expected) => {
    expect(header).toBe(expected);
  });

  // Envoy's documentation, "x-forwarded-client-cert": its first and third example, and two elements, its second.
  const lyft = 'By=http://frontend.lyft.com;Hash=468ed33be74eee6556d90c0149c1309e9ba61d6425303443c0748a02dd8de688';
  const subject = 'Subject="/C=US/ST=CA/L=San Francisco/OU=Lyft/CN=Test Client";URI=http://testclient.lyft.com';
  test.each([`${lyft};${subject}`, `${lyft};${subject};DNS=lyft.com;DNS=www.lyft.com`])('Envoy: %s', (value) => {
    expect(envoy().thumbprint(value)).toBe('Ro7TO-dO7mVW2QwBScEwnpumHWQlMDRDwHSKAt2N5og');
  });

  test('Envoy: the history of two proxies is none', () => {
    const backend = 'By=http://backend.lyft.com;Hash=9ba61d6425303443c0748a02dd8de688468ed33be74eee6556d90c0149c1309e';
    expect(envoy().thumbprint(`${lyft};URI=http://testclient.lyft.com,${backend};URI=http://frontend.lyft.com`)).toBe(
      undefined,
    );
  });
});

describe('mistakes in the options', () => {
  const wanted = (where: string) =>
    `"header" of ${where} must be the name of the header that the proxy sets, such as "X-SSL-Client-Cert", got `;

  test.each<[header: unknown, got: string]>([
    ['', '""'],
    ['X SSL', '"X SSL"'],
    ['X-SSL:', '"X-SSL:"'],
    ['X-SSL\r\n', '"X-SSL\\r\\n"'],
    ['$ssl_client_escaped_cert,', '"$ssl_client_escaped_cert,"'],
    ['caf\u00e9', '"caf\u00e9"'],
    [undefined, 'undefined'],
    [7, '7'],
    ['-----BEGIN CERTIFICATE-----'.repeat(9), 'a string of 243 characters'],
  ])('the header %j', (header, got) => {
    const options = { header } as { header: string };
    expect(() => nginx(options)).toThrow(new TypeError(wanted('nginx') + got));
    expect(() => haproxy(options)).toThrow(new TypeError(wanted('haproxy') + got));
  });

  test('other names, other modes, and no options at all', () => {
    const nameless = nginx as (options?: unknown) => unknown;
    expect(() => nameless()).toThrow(new TypeError('nginx takes an object, got undefined'));
    expect(() => nameless({ headers: 'X' })).toThrow('nginx has no option "headers": did you mean "header"?');
    expect(() => awsAlb({ mode: 'pass' as 'verify' })).toThrow(
      new TypeError('"mode" must be "verify" or "passthrough", got "pass"'),
    );
    expect(() => awsAlb({ Mode: 'verify' } as object)).toThrow('awsAlb has no option "Mode": did you mean "mode"?');
  });

  test('any token of RFC 9110 is a name, and is taken in lower case', () => {
    expect(nginx({ header: "X_!#$%&'*+-.^`|~9" }).header).toBe("x_!#$%&'*+-.^`|~9");
  });
});
