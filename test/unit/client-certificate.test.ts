import http from 'node:http';
import type { IncomingMessage } from 'node:http';
import https from 'node:https';
import { mkdtempSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import tls from 'node:tls';
import type { SecureVersion, TLSSocket } from 'node:tls';
import { afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { certificateReader } from '../../lib/client-certificate.js';
import type { ClientCertificate } from '../../lib/client-certificate.js';
import { haproxy, nginx } from '../../lib/proxies.js';
import { clientIdentity } from '../support/client-certificates.js';
import type { ClientIdentity } from '../support/client-certificates.js';
import { answering, getJson, portOf } from '../support/mutual-tls.js';
import { closeAll, closing } from '../support/stage.js';
import { selfSigned } from '../support/tls.js';
import type { Certificate } from '../support/tls.js';

const DER = haproxy({ header: 'X-SSL-Client-DER' });

afterEach(closeAll);

let server: Certificate;
let client: ClientIdentity;
let other: ClientIdentity;
beforeAll(() => {
  server = selfSigned();
  client = clientIdentity();
  other = clientIdentity({ name: 'other', key: 'rsa' });
});

describe('"tls": the certificate of the connection', () => {
  const asking = { requestCert: true, rejectUnauthorized: false };
  const listening = (more: https.ServerOptions = {}) =>
    portOf(https.createServer({ ...server, ...asking, ...more }, answering('tls')));

  test.each(['TLSv1.2', 'TLSv1.3'] as const)(
    '8705-3-1 8705-6.2-1 self-signed ones are told apart over %s',
    async (version) => {
      const port = await listening({ minVersion: version, maxVersion: version });
      const showing = ({ key, cert }: ClientIdentity) => getJson({ port, ca: server.cert, key, cert, agent: false });
      expect(await Promise.all([showing(client), showing(other)])).toEqual([client.thumbprint, other.thumbprint]);
    },
  );

  test('8705-6.2-1 one that expired is as good', async () => {
    const expired = clientIdentity({ expired: true });
    const port = await listening();
    expect(await getJson({ port, ca: server.cert, key: expired.key, cert: expired.cert })).toBe(expired.thumbprint);
  });

  test('none where the client shows none, or is not asked, or comes without TLS', async () => {
    const { key, cert } = client;
    expect(await getJson({ port: await listening(), ca: server.cert })).toBeNull();
    const unasked = await listening({ requestCert: false });
    expect(await getJson({ port: unasked, ca: server.cert, key, cert })).toBeNull();
    const plain = await portOf(http.createServer(answering('tls')));
    expect(await getJson({ port: plain }, http.get)).toBeNull();
    expect(await getJson({ port: await listening(), ca: server.cert, key, cert })).toBe(client.thumbprint);
  });

  test('each request of a connection has it', async () => {
    const port = await listening();
    const agent = new https.Agent({ keepAlive: true, maxSockets: 1 });
    const { key, cert } = client;
    const answers = [];
    for (let i = 0; i < 3; i++) answers.push(await getJson({ port, ca: server.cert, key, cert, agent }));
    expect(answers).toEqual([client.thumbprint, client.thumbprint, client.thumbprint]);
    agent.destroy();
  });

  test.each<SecureVersion>(['TLSv1.2', 'TLSv1.3'])('a resumed session of %s has it', async (maxVersion) => {
    const reused: boolean[] = [];
    const listener = https.createServer({ ...server, ...asking, maxVersion }, (req, res) => {
      reused.push((req.socket as Partial<TLSSocket>).isSessionReused?.() ?? false);
      answering('tls')(req, res);
    });
    const port = await portOf(listener);
    let session: Buffer | undefined;
    const visit = () =>
      new Promise<string>((resolve, reject) => {
        const { key, cert } = client;
        const socket = tls.connect({
          port,
          host: '127.0.0.1',
          ca: server.cert,
          key,
          cert,
          ...(session && { session }),
        });
        let text = '';
        socket.on('session', (ticket: Buffer) => (session = ticket));
        socket.on('data', (chunk: Buffer) => (text += chunk.toString()));
        socket.on('error', reject).on('close', () => {
          resolve(text);
        });
        socket.write('GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n');
      });
    expect(await visit()).toContain(`"${client.thumbprint}"`);
    expect(await visit()).toContain(`"${client.thumbprint}"`);
    expect(reused).toEqual([false, true]);
  });

  test('none of a connection that is closed', async () => {
    const read = certificateReader('tls');
    const seen: unknown[] = [];
    const listener = https.createServer({ ...server, ...asking }, (req) => {
      seen.push(read(req));
      req.socket.destroy();
      seen.push(read(req));
    });
    const { key, cert } = client;
    await expect(getJson({ port: await portOf(listener), ca: server.cert, key, cert })).rejects.toThrow(
      'socket hang up',
    );
    expect(seen).toEqual([client.thumbprint, undefined]);
  });
});

/** A request as far as it is looked at. No test can connect from all these addresses. */
function requestFrom(remoteAddress: string | undefined, ...rawHeaders: readonly string[]): IncomingMessage {
  return { socket: { remoteAddress }, rawHeaders } as unknown as IncomingMessage;
}

describe('proxies: who is believed', () => {
  const value = () => client.der.toString('base64');

  test.each<[proxies: readonly string[], yes: readonly string[], no: readonly string[]]>([
    [['10.0.0.5'], ['10.0.0.5', '::ffff:10.0.0.5'], ['10.0.0.4', '10.0.0.6', '::10.0.0.5', '64:ff9b::a00:5', '::1']],
    [
      ['10.0.0.0/8'],
      ['10.0.0.0', '10.255.255.255', '::ffff:10.1.2.3', '::ffff:a01:203'],
      ['9.255.255.255', '11.0.0.0'],
    ],
    [['10.1.2.3/8'], ['10.0.0.1'], ['11.0.0.1']],
    [['192.168.1.128/25'], ['192.168.1.128', '192.168.1.255'], ['192.168.1.127', '192.168.2.128']],
    [['127.0.0.1/32'], ['127.0.0.1'], ['127.0.0.2']],
    [['::1'], ['::1'], ['::2', '127.0.0.1', '::ffff:127.0.0.1']],
    [['FD00::/8'], ['fd00::1', 'fdff::1'], ['fc00::1', 'fe00::1']],
    [['fe80::/10'], ['fe80::1', 'fe80::1%eth0'], ['fec0::1%eth0']],
    [['fe80::1'], ['fe80::1%2'], ['fe80::2%1']],
    [['::ffff:10.0.0.5'], ['10.0.0.5', '::ffff:10.0.0.5'], ['10.0.0.6']],
    [['2001:db8::/33'], ['2001:db8:7fff::1'], ['2001:db8:8000::1']],
    [
      ['10.0.0.5', 'unix', '::1'],
      ['10.0.0.5', '::1'],
      ['10.0.0.6', '127.0.0.1', 'unix', ''],
    ],
    [['unix'], [], ['127.0.0.1', '::1', 'unix', '']],
  ])('8705-6.5-1 %j', (proxies, yes, no) => {
    const read = certificateReader({ from: DER, proxies });
    const from = (address: string) => read(requestFrom(address, 'X-SSL-Client-DER', value()));
    expect(yes.map(from)).toEqual(yes.map(() => client.thumbprint));
    expect(no.map(from)).toEqual(no.map(() => undefined));
  });

  test('8705-6.5-1 a real peer, by the address it connects from', async () => {
    const port = await portOf(http.createServer(answering({ from: DER, proxies: ['127.0.0.2'] })));
    const headers = { 'X-SSL-Client-DER': value(), 'X-Forwarded-For': '127.0.0.2', Forwarded: 'for=127.0.0.2' };
    expect(await getJson({ port, headers, localAddress: '127.0.0.2' }, http.get)).toBe(client.thumbprint);
    expect(await getJson({ port, headers, localAddress: '127.0.0.1' }, http.get)).toBeNull();
  });

  test.each(['http', 'https'])(
    'a Unix domain socket, with %s, is believed where the list has the word',
    async (scheme) => {
      const folder = mkdtempSync(join(tmpdir(), 'unix-'));
      closing({ close: () => rm(folder, { recursive: true }) });
      const answers = [];
      for (const [i, proxies] of [['unix'], ['127.0.0.1', '::1']].entries()) {
        const listener = answering({ from: DER, proxies });
        const path = join(folder, String(i));
        await portOf(scheme === 'http' ? http.createServer(listener) : https.createServer(server, listener), {
          path,
        });
        const headers = { 'X-SSL-Client-DER': value() };
        const options = {
          socketPath: path,
          headers,
          ca: server.cert,
          servername: '',
          checkServerIdentity: () => undefined,
        };
        answers.push(await getJson(options, scheme === 'http' ? http.get : https.get));
      }
      expect(answers).toEqual([client.thumbprint, null]);
    },
  );

  test('no other header is read, and none is needed', () => {
    const read = certificateReader({ from: DER, proxies: ['10.0.0.5'] });
    expect(read(requestFrom('10.0.0.5'))).toBeUndefined();
    expect(read(requestFrom('10.0.0.5', 'X-SSL-Client-Cert', value()))).toBeUndefined();
    expect(read(requestFrom('10.0.0.5', 'A', 'x-ssl-client-der', value(), 'B'))).toBeUndefined();
    expect(read(requestFrom('10.0.0.5', 'A', 'b', 'x-ssl-client-DER', value()))).toBe(client.thumbprint);
  });

  test('a reader of your own is called as it is, with the value', () => {
    class Upper {
      readonly header = 'x-thumbprint';
      readonly suffix = '!';
      thumbprint(text: string): string {
        return text + this.suffix;
      }
    }
    const read = certificateReader({ from: new Upper(), proxies: ['::1'] });
    expect(read(requestFrom('::1', 'X-Thumbprint', 'abc'))).toBe('abc!');
  });
});

describe('mistakes in the option', () => {
  const nobody =
    '"proxies" of "clientCertificate" must be a list of IP addresses and networks such as "10.0.0.5", "10.0.0.0/8" and "::1", ' +
    'or "unix"; not everybody ("/0"), not a host name. Got ';

  test.each<[proxies: unknown, got: string]>([
    [undefined, 'undefined'],
    [[], 'an empty list'],
    ['10.0.0.5', '"10.0.0.5"'],
    [['10.0.0.5', ''], '""'],
    [['10.0.0.5', 7], '7'],
    [['10.0.0.5', null], 'null'],
    [['localhost'], '"localhost"'],
    [['loopback'], '"loopback"'],
    [['Unix'], '"Unix"'],
    [['10.0.0'], '"10.0.0"'],
    [['10.0.0.256'], '"10.0.0.256"'],
    [['010.0.0.1'], '"010.0.0.1"'],
    [['10.0.0.5:80'], '"10.0.0.5:80"'],
    [['10.0.0.5 '], '"10.0.0.5 "'],
    [['0.0.0.0/0'], '"0.0.0.0/0"'],
    [['::/0'], '"::/0"'],
    [['10.0.0.0/33'], '"10.0.0.0/33"'],
    [['10.0.0.0/08'], '"10.0.0.0/08"'],
    [['10.0.0.0/255.0.0.0'], '"10.0.0.0/255.0.0.0"'],
    [['10.0.0.0/'], '"10.0.0.0/"'],
    [['10.0.0.0/8/8'], '"10.0.0.0/8/8"'],
    [['::1/129'], '"::1/129"'],
    [['[::1]'], '"[::1]"'],
    [['fe80::1%eth0'], '"fe80::1%eth0"'],
  ])('proxies %j', (proxies, got) => {
    const option = { from: DER, proxies } as ClientCertificate;
    expect(() => certificateReader(option)).toThrow(new TypeError(nobody + got));
  });

  test.each<[from: unknown]>([
    [undefined],
    [null],
    ['nginx'],
    [nginx],
    [{}],
    [{ header: 'x' }],
    [{ thumbprint: String }],
  ])('from %p', (from) => {
    const option = { from, proxies: ['::1'] } as ClientCertificate;
    expect(() => certificateReader(option)).toThrow('"from" of "clientCertificate" must be a header in lower case');
  });

  test.each(['X-Cert', '', 'x cert', 'x:', 'x\n'])('a reader of your own for the header %j', (header) => {
    const option = { from: { header, thumbprint: String }, proxies: ['::1'] };
    expect(() => certificateReader(option)).toThrow('"from" of "clientCertificate" must be a header in lower case');
    expect(() => certificateReader({ ...option, from: { header: 'x', thumbprint: String } })).not.toThrow();
  });

  test('anything else', () => {
    const anything = certificateReader as (option: unknown) => unknown;
    const wanted =
      '"clientCertificate" must be "tls", or an object such as ' +
      '{ from: nginx({ header: "X-SSL-Client-Cert" }), proxies: ["10.0.0.5"] }, got ';
    expect(() => anything('TLS')).toThrow(new TypeError(`${wanted}"TLS"`));
    expect(() => anything(true)).toThrow(new TypeError(`${wanted}true`));
    expect(() => anything(undefined)).toThrow(new TypeError(`${wanted}undefined`));
    expect(() => anything(null)).toThrow(new TypeError('clientCertificate takes an object, got null'));
    expect(() => anything({ from: DER, proxy: [] })).toThrow(
      'clientCertificate has no option "proxy": the options are from, proxies',
    );
  });
});
