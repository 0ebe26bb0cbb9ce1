import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import { join } from 'node:path';
import { afterAll, describe, expect, jest, test } from '@jest/globals';
import { nginx } from '../../lib/proxies.js';
import { ROOT, temporaryFolder } from '../package/project.js';
import { clientIdentity, escaped, pemOf } from '../support/client-certificates.js';
import { until } from '../support/faults.js';
import { answering, portOf } from '../support/mutual-tls.js';
import { describeWith, startProxy } from '../support/proxy-process.js';
import { closeAll, closing } from '../support/stage.js';
import { complaintsIn, exchangesIn, expectReadme, folderOf, programOf, summaryOf } from './printed.js';

jest.setTimeout(30_000);

/** Milliseconds after which what still runs is ended, and counts as left behind. */
const LIMIT = 20_000;

const FOLDER = folderOf('mtls');
const [PASSED, REFUSED] = ['GET /salaries 200', 'GET /salaries 401 Bearer invalid_token'];
const DIRECT = ['POST /token 200', PASSED, REFUSED, REFUSED];
const END = '\n\nOnly the client was told the salaries.\n';

/** Where the programs put their files, and where scripts are that take the place of nginx. */
const [files, scripts] = [temporaryFolder(), temporaryFolder()];
afterAll(() => {
  files.remove();
  scripts.remove();
});

/** The program, as the leader of a group of processes, to which all belong that it starts. */
function start(env: NodeJS.ProcessEnv) {
  const child = spawn(process.execPath, [programOf('mtls')], {
    cwd: ROOT,
    env: { ...process.env, TMPDIR: files.path, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  });
  const printed = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const) {
    child[name].setEncoding('utf8').on('data', (text: string) => (printed[name] += text));
  }
  const running: string[] = [];
  const limit = setTimeout(() => {
    running.push('a process');
    if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
  }, LIMIT);
  // nginx shares the standard error of the program, so this comes when both have ended.
  const ended = once(child, 'close').then(([code]: (number | null)[]) => {
    clearTimeout(limit);
    const left = [...readdirSync(files.path), ...running];
    return { code, complaints: complaintsIn(printed.stderr), stdout: printed.stdout, left };
  });
  return { child, ended };
}

/** Runs the program to its end. */
const run = (env: NodeJS.ProcessEnv = {}) => start(env).ended;

/** The requests, each with the status of its answer, and the scheme of the challenge and its error. */
const exchanges = (stdout: string) => exchangesIn(stdout, 'https').map(summaryOf);

/** A script that takes the place of nginx. */
function script(name: string, ...lines: readonly string[]): string {
  const path = join(scripts.path, name);
  writeFileSync(path, ['#!/bin/sh', ...lines, ''].join('\n'), { mode: 0o755 });
  return path;
}

test('where nginx is not installed it does the first part, says so, and ends by itself', async () => {
  const { stdout, ...end } = await run({ NGINX: '/nonexistent/nginx' });
  expect(end).toEqual({ code: 0, complaints: '', left: [] });
  expect(exchanges(stdout)).toEqual(DIRECT);
  const line = 'nginx is not installed (or set NGINX to its path): the second part is left out.';
  expect(stdout.slice(-line.length - END.length - 2)).toBe(`\n\n${line}${END}`);
});

test('without openssl it says so in one line', async () => {
  const complaints = 'The example cannot start, for openssl makes no certificate: spawnSync openssl ENOENT\n';
  expect(await run({ PATH: '/nonexistent' })).toEqual({ code: 1, complaints, stdout: '', left: [] });
});

test('where nginx does not start, what it says is to be read, and nothing is left', async () => {
  const { code, complaints, left } = await run({ NGINX: script('broken', 'echo the reason >&2', 'exit 1') });
  expect([code, left]).toEqual([1, []]);
  expect(complaints).toMatch(/^the reason\n[^]*Error: nginx ended before it listened\n/);
});

test.each(['SIGINT', 'SIGTERM'] as const)('%s in the middle ends nginx, too, and nothing is left', async (signal) => {
  const begun = join(scripts.path, signal);
  const { child, ended } = start({ NGINX: script('slow', `: > '${begun}'`, 'exec sleep 600') });
  await until(() => existsSync(begun), 'the script begins', 20);
  child.kill(signal);
  const { stdout, ...end } = await ended;
  expect(end).toEqual({ code: 1, complaints: '', left: [] });
  expect(exchanges(stdout)).toEqual(DIRECT);
});

test('the token names the certificate that the client shows, and no token is printed whole', async () => {
  const { stdout } = await run({ NGINX: '/nonexistent/nginx' });
  const [, named = ''] =
    /^ {3}The token names the certificate: \{"cnf":\{"x5t#S256":"([\w-]{43})"\}\}$/m.exec(stdout) ?? [];
  const shown = [...stdout.matchAll(/^ {5}(?:with the certificate (\w+, \S+)|(without) a certificate)$/gm)];
  const [client, , thief, none] = shown.map(([, certificate, without]) => certificate ?? without);
  expect([client, none]).toEqual([`client, ${named}`, 'without']);
  expect(thief).toMatch(/^thief, [\w-]{43}$/);
  expect(thief).not.toContain(named);
  expect(stdout).toMatch(/Bearer eyJ[\w-]{7}\.\.\.[\w-]{5}\n/);
  expect(stdout).not.toMatch(/eyJ[\w-]{8}/);
});

describeWith('nginx')('with the real nginx', () => {
  test('the client passes through nginx, no thief does, and nothing is left', async () => {
    const { stdout, ...end } = await run();
    expect(end).toEqual({ code: 0, complaints: '', left: [] });
    expect(exchanges(stdout)).toEqual([...DIRECT, PASSED, REFUSED, REFUSED, REFUSED]);
    expect(stdout).toMatch(/ {3}> X-SSL-Client-Cert: -----BEGIN%20CERTIFICATE-----\S+\n {3}< 401\n/);
    expect(stdout.slice(-END.length)).toBe(END);
  });

  describe('the configuration in the README', () => {
    afterAll(closeAll);

    test('tells the certificate that the client shows, and nothing that it says', async () => {
      const from = nginx({ header: 'X-SSL-Client-Cert' });
      const port = await portOf(http.createServer(answering({ from, proxies: ['127.0.0.1'] })));
      const proxy = closing(
        await startProxy(
          'nginx',
          (configuration) => ['-c', configuration],
          ({ file, listen, cert, key }) => {
            const paths = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
              (of) => `${of}_temp_path ${file(of)};`,
            );
            const server = readme()
              .replace('listen 443 ssl;', `listen unix:${listen} ssl;`)
              .replace('/etc/nginx/server.pem', cert)
              .replace('/etc/nginx/server.key', key)
              .replace('http://127.0.0.1:3000', `http://127.0.0.1:${String(port)}`);
            const main = `daemon off; master_process off; pid ${file('pid')}; error_log stderr; events {}`;
            return `${main} http { access_log off; ${paths.join(' ')} ${server} }`;
          },
        ),
      );
      const [client, other] = [clientIdentity(), clientIdentity({ name: 'other' })];
      const headers = { 'X-SSL-Client-Cert': escaped(pemOf(client.der)) };
      const told = async (options: object) => JSON.parse((await proxy.get('/', options)).body) as unknown;
      expect(await told({ key: client.key, cert: client.cert })).toBe(client.thumbprint);
      expect(await told({ key: other.key, cert: other.cert, headers })).toBe(other.thumbprint);
      expect(await told({ headers })).toBeNull();
    });

    test('is that of the example, but for addresses and files', () => {
      const own = readFileSync(join(FOLDER, 'nginx.js'), 'utf8').replaceAll('${HEADER}', 'X-SSL-Client-Cert');
      const lines = (text: string) => text.split('\n').map((line) => line.replace(/#.*/, '').trim());
      const missing = lines(readme()).filter((line) => !lines(own).includes(line));
      expect(missing.map((line) => line.split(' ')[0])).toEqual([
        ...['listen', 'server_name', 'ssl_certificate', 'ssl_certificate_key', 'proxy_pass'],
      ]);
    });
  });
});

test('the README has the command, and every file', () => {
  expectReadme('mtls');
});

/** The configuration of nginx in the README. */
function readme(): string {
  const text = readFileSync(join(FOLDER, 'README.md'), 'utf8');
  return /^```nginx\n([^]*?)^```$/m.exec(text)?.[1] ?? '';
}
