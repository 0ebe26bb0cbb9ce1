import http from 'node:http';
import https from 'node:https';
import { connect } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import { afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { certificateReader } from '../../lib/client-certificate.js';
import { awsAlb, envoy, haproxy, nginx, rfc9440, traefik } from '../../lib/proxies.js';
import type { CertificateHeader } from '../../lib/proxies.js';
import { clientIdentity, escaped, pemOf } from '../support/client-certificates.js';
import type { ClientIdentity } from '../support/client-certificates.js';
import { answering, getJson, portOf } from '../support/mutual-tls.js';
import { sendRaw } from '../support/raw.js';
import { closeAll } from '../support/stage.js';
import { selfSigned } from '../support/tls.js';

// The long run: npm run fuzz
const RUNS = Number(process.env['FUZZ_RUNS'] ?? 300);
if (process.env['FUZZ_RUNS'] === undefined) fc.configureGlobal({ seed: 8705 });

const NGINX = nginx({ header: 'X-SSL-Client-Cert' });

afterEach(closeAll);

/** Whose token was stolen, and who stole it. */
let victim: ClientIdentity;
let thief: ClientIdentity;
beforeAll(() => {
  victim = clientIdentity({ name: 'victim' });
  thief = clientIdentity({ name: 'thief' });
});

/** How the readers would be told of a certificate by their proxies. */
const SENT: readonly (readonly [string, CertificateHeader, (client: ClientIdentity) => string])[] = [
  ['rfc9440', rfc9440(), ({ der }) => `:${der.toString('base64')}:`],
  ['nginx', NGINX, ({ der }) => escaped(pemOf(der))],
  ['haproxy', haproxy({ header: 'X-SSL-Client-DER' }), ({ der }) => der.toString('base64')],
  ['envoy', envoy(), ({ hash, der }) => `Hash=${hash};Cert="${escaped(pemOf(der))}"`],
  ['awsAlb', awsAlb({ mode: 'passthrough' }), ({ der }) => escaped(pemOf(der))],
  ['traefik', traefik(), ({ der }) => der.toString('base64')],
];

describe.each(SENT)('%s: the header of somebody else', (_, from, encode) => {
  const at = (proxies: readonly string[]) => portOf(http.createServer(answering({ from, proxies })));

  test('8705-6.5-1 a forged header from an untrusted peer is not looked at', async () => {
    const lines = [
      'GET / HTTP/1.1',
      'Host: localhost',
      'X-Forwarded-For: 10.0.0.5',
      `${from.header}: ${encode(victim)}`,
    ];
    expect((await sendRaw(await at(['10.0.0.5', '::1', 'unix']), lines)).body).toBe('null');
    expect((await sendRaw(await at(['127.0.0.1']), lines)).body).toBe(JSON.stringify(victim.thumbprint));
  });

  test.each<[what: string, lines: (name: string, mine: string, stolen: string) => readonly string[]]>([
    ['twice, the stolen one first', (name, mine, stolen) => [`${name}: ${stolen}`, `${name}: ${mine}`]],
    ['twice, the stolen one last', (name, mine, stolen) => [`${name}: ${mine}`, `${name}: ${stolen}`]],
    ['twice the same', (name, _mine, stolen) => [`${name}: ${stolen}`, `${name}: ${stolen}`]],
    ['twice, in other letters', (name, mine, stolen) => [`${name}: ${mine}`, `${name.toUpperCase()}: ${stolen}`]],
    ['empty, and stolen', (name, _mine, stolen) => [`${name}:`, `${name}: ${stolen}`]],
    ['stolen, and empty', (name, _mine, stolen) => [`${name}: ${stolen}`, `${name}:`]],
    ['empty', (name) => [`${name}:`]],
    ['with underscores', (name, _mine, stolen) => [`${name.replaceAll('-', '_')}: ${stolen}`]],
    ['with one underscore', (name, _mine, stolen) => [`${name.replace('-', '_')}: ${stolen}`]],
    ['with more behind the name', (name, _mine, stolen) => [`${name}-: ${stolen}`, `${name}-chain: ${stolen}`]],
    ['with more before the name', (name, _mine, stolen) => [`http-${name}: ${stolen}`, `x-${name}: ${stolen}`]],
    ['in Forwarded', (name, _mine, stolen) => [`Forwarded: ${name}="${stolen}"`]],
    ['in the value of another', (name, _mine, stolen) => [`X-Other: a, ${name}: ${stolen}`]],
    ['under the name of the prototype', (_name, _mine, stolen) => [`__proto__: ${stolen}`, `constructor: ${stolen}`]],
  ])('%s: none', async (_title, lines) => {
    const port = await at(['127.0.0.1']);
    const start = ['GET / HTTP/1.1', 'Host: localhost'];
    const sent = lines(from.header, encode(thief), encode(victim));
    expect(await sendRaw(port, [...start, ...sent])).toMatchObject({ status: 200, body: 'null' });
    const honest = await sendRaw(port, [...start, `${from.header}: ${encode(thief)}`]);
    expect(honest.body).toBe(JSON.stringify(thief.thumbprint));
  });

  test('a name with a space behind is no request', async () => {
    const lines = ['GET / HTTP/1.1', 'Host: localhost', `${from.header} : ${encode(victim)}`];
    expect((await sendRaw(await at(['127.0.0.1']), lines)).status).toBe(400);
  });

  test('a header in the trailers is none', async () => {
    const start = ['POST / HTTP/1.1', 'Host: localhost', 'Transfer-Encoding: chunked'];
    const body = `0\r\n${from.header}: ${encode(victim)}\r\n\r\n`;
    expect((await sendRaw(await at(['127.0.0.1']), start, body)).body).toBe('null');
  });

  test('values that are nearly right: none, or another, and never an error', () => {
    const value = encode(victim);
    const inserted = fc.oneof(
      fc.string({ unit: fc.constantFrom(...Array.from('"\\;,=:%+/- \tA0a\0\u00ff')) }),
      fc.string(),
    );
    fc.assert(
      fc.property(fc.nat(value.length), fc.nat(3), inserted, (at, cut, put) => {
        const spoiled = value.slice(0, at) + put + value.slice(at + cut);
        const found = from.thumbprint(spoiled);
        if (found !== undefined) expect(found).toMatch(/^[\w-]{43}$/);
      }),
      { numRuns: RUNS },
    );
    expect(from.thumbprint(value)).toBe(victim.thumbprint);
  });

  test.each(['%41', '%', '-----BEGIN CERTIFICATE-----\n', 'a', ':', ',', ';A="', '\\"', ';Hash=', 'A=a;', '"', '\0'])(
    'a header full of %j is none, and soon',
    (text) => {
      for (const length of [16_384, 1_000_000]) {
        const start = Date.now();
        expect(from.thumbprint(text.repeat(length / text.length))).toBeUndefined();
        expect(from.thumbprint(encode(victim) + text.repeat(length / text.length))).toBeUndefined();
        expect(Date.now() - start).toBeLessThan(5_000);
      }
    },
  );
});

describe('the connection', () => {
  test('8705-3-1 with "tls" no header tells a certificate', async () => {
    const server = selfSigned();
    const asking = { ...server, requestCert: true, rejectUnauthorized: false };
    const port = await portOf(https.createServer(asking, answering('tls')));
    const headers = Object.fromEntries(SENT.map(([, { header }, encode]) => [header, encode(victim)]));
    const { key, cert } = thief;
    expect(await getJson({ port, ca: server.cert, headers })).toBeNull();
    expect(await getJson({ port, ca: server.cert, headers, key, cert })).toBe(thief.thumbprint);
  });

  test('8705-6.5-1 with a header, the certificate of the connection to us is not that of the client', async () => {
    const server = selfSigned();
    const asking = { ...server, requestCert: true, rejectUnauthorized: false };
    const port = await portOf(https.createServer(asking, answering({ from: NGINX, proxies: ['127.0.0.1'] })));
    const proxy = { port, ca: server.cert, key: thief.key, cert: thief.cert };
    expect(await getJson(proxy)).toBeNull();
    const headers = { [NGINX.header]: escaped(pemOf(victim.der)) };
    expect(await getJson({ ...proxy, headers })).toBe(victim.thumbprint);
  });

  // Who resets the connection as soon as the request is sent has no remote address any more, as a Unix domain socket has none.
  test.each([true, false])('who is gone is not taken for a Unix domain socket (gone: %p)', async (gone) => {
    const read = certificateReader({ from: NGINX, proxies: ['unix', ...(gone ? [] : ['127.0.0.1'])] });
    let socket: Socket | undefined;
    const seen = new Promise((resolve) => {
      const server = http.createServer((req) => {
        if (gone) socket?.resetAndDestroy();
        resolve([read(req), req.socket.destroyed, req.socket.remoteAddress]);
      });
      void portOf(server).then(() => {
        socket = connect((server.address() as AddressInfo).port, '127.0.0.1').on('error', () => undefined);
        socket.write(`GET / HTTP/1.1\r\nHost: x\r\n${NGINX.header}: ${escaped(pemOf(victim.der))}\r\n\r\n`);
      });
    });
    expect(await seen).toEqual(gone ? [undefined, false, undefined] : [victim.thumbprint, false, '127.0.0.1']);
    socket?.destroy();
  });
});

describe('X-Forwarded-Client-Cert', () => {
  const read = (value: string) => envoy().thumbprint(value);
  /** What Envoy appends: its own name, the hash, and names out of the certificate as they are, which the client chose. */
  const sent = ({ hash }: ClientIdentity, rest = '') => `By=spiffe://example/envoy;Hash=${hash}${rest}`;
  const certOf = ({ der }: ClientIdentity) => `Cert="${escaped(pemOf(der))}"`;

  test.each<[what: string, value: () => string]>([
    ['the hash alone', () => `Hash=${thief.hash}`],
    ['the hash and the certificate', () => `Hash=${thief.hash};${certOf(thief)}`],
    ['the certificate first', () => `${certOf(thief)};Hash=${thief.hash}`],
    ['keys in other letters', () => `HASH=${thief.hash};cert=${certOf(thief).slice(5)}`],
    ['the chain as well', () => `${sent(thief)};Chain="${escaped(pemOf(thief.der) + pemOf(victim.der))}"`],
    ['several names of the proxy', () => `By=spiffe://a/b;${sent(thief)}`],
    ['several names of the client', () => sent(thief, ';URI=https://a/?b=c;URI=https://d;DNS=e;DNS=f')],
    ['no name', () => sent(thief, ';Subject="";URI=')],
    ['a subject', () => sent(thief, ';Subject="CN=a,O=b c";URI=')],
    ['a subject with escapes of RFC 2253', () => sent(thief, String.raw`;Subject="O=a\;Hash=\"b\\\,c\C3\A9,CN=\#d"`)],
    ['a subject that ends in a backslash', () => sent(thief, String.raw`;Subject="CN=a\\";URI=`)],
    ['a key of a later Envoy', () => sent(thief, ';Other=1')],
  ])('%s: as it is', (_, value) => {
    expect(read(value())).toBe(thief.thumbprint);
  });

  test.each<[what: string, value: () => string]>([
    ['two elements', () => `Hash=${victim.hash},${sent(thief)}`],
    ['two elements of the same', () => `${sent(thief)},${sent(thief)}`],
    ['an empty element', () => `${sent(thief)},`],
    ['an element of spaces', () => ` ,${sent(thief)}`],
    ['no hash', () => certOf(thief)],
    ['two hashes', () => `Hash=${victim.hash};${sent(thief)}`],
    ['twice the same hash', () => `Hash=${thief.hash};${sent(thief)}`],
    ['two hashes in other letters', () => `hash=${victim.hash};${sent(thief)}`],
    ['a hash in the URI of the certificate', () => sent(thief, `;URI=https://a/;Hash=${victim.hash}`)],
    ['a certificate in the URI of the certificate', () => sent(thief, `;URI=https://a/;${certOf(victim)}`)],
    ['an element in the URI of the certificate', () => sent(thief, `;URI=https://a/,Hash=${victim.hash}`)],
    ['a hash in a DNS name', () => sent(thief, `;DNS=a;Hash=${victim.hash}`)],
    ['quotes out of the URI', () => `Hash=${victim.hash};Subject=",${sent(thief, ';URI=https://a/"')}`],
    ['quotes around the hash of Envoy', () => `Hash=${victim.hash};X=",${sent(thief, ';URI=";Y="')}`],
    ['a quote in the URI', () => sent(thief, ';URI=https://a/"')],
    ['a quoted URI with more behind', () => sent(thief, ';URI="a"b')],
    ['a subject that is left with a quote', () => sent(thief, `;Subject="CN=a";${certOf(victim)};B="`)],
    ['a subject that is left with a backslash more', () => sent(thief, `;Subject="CN=a\\\\";${certOf(victim)};B=""`)],
    ['a subject that ends in a backslash', () => sent(thief, ';Subject="CN=a\\"')],
    ['a subject with a bare semicolon', () => sent(thief, ';Subject="CN=a;O=b"')],
    ['a subject without an end', () => sent(thief, ';Subject="CN=a')],
    ['the certificate of another', () => sent(thief, `;${certOf(victim)}`)],
    ['the hash of another', () => sent(victim, `;${certOf(thief)}`)],
    ['two certificates', () => sent(thief, `;${certOf(thief)};${certOf(thief)}`)],
    ['two certificates in one', () => sent(thief, `;Cert="${escaped(pemOf(thief.der) + pemOf(thief.der))}"`)],
    ['an empty certificate', () => sent(thief, ';Cert=""')],
    ['a certificate without quotes', () => sent(thief, `;${certOf(thief).replaceAll('"', '')}`)],
    [
      'a certificate with a byte more',
      () => sent(thief, `;Cert="${escaped(pemOf(Buffer.concat([thief.der, Buffer.of(0)])))}"`),
    ],
    ['a certificate that is none', () => sent(thief, ';Cert="none"')],
    ['a hash in quotes', () => `Hash="${thief.hash}"`],
    ['a hash in upper case', () => `Hash=${thief.hash.toUpperCase()}`],
    ['a hash in base64url', () => `Hash=${thief.thumbprint}`],
    ['a hash with colons', () => `Hash=${thief.hash.replace(/(..)(?=.)/g, '$1:')}`],
    ['a hash that is short', () => `Hash=${thief.hash.slice(2)}`],
    ['a hash that is long', () => `Hash=${thief.hash}00`],
    ['a hash with a space', () => `Hash= ${thief.hash}`],
    ['a key with a space', () => `Hash =${thief.hash}`],
    ['an empty hash', () => 'Hash='],
    ['a semicolon before', () => `;${sent(thief)}`],
    ['a semicolon behind', () => `${sent(thief)};`],
    ['two semicolons', () => sent(thief, ';;URI=')],
    ['a value without a key', () => sent(thief, ';=a')],
    ['a key without a value', () => sent(thief, ';URI')],
    ['JSON', () => JSON.stringify([{ Hash: thief.hash }])],
  ])('%s: none', (_, value) => {
    expect(read(value())).toBeUndefined();
    expect(read(sent(thief, `;${certOf(thief)}`))).toBe(thief.thumbprint);
  });

  test('a real certificate can have such a URI', () => {
    const uri = `https://a/;Hash=${victim.hash},By="`;
    const cunning = clientIdentity({ uris: [uri] });
    expect(cunning.der.includes(uri)).toBe(true);
    expect(read(sent(cunning, `;URI=${uri}`))).toBeUndefined();
    expect(read(sent(cunning))).toBe(cunning.thumbprint);
  });
});
