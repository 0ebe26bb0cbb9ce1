// @ts-check
// Starts the real nginx in front of a server of ours.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';

/** The header by which nginx tells the API the certificate. */
export const HEADER = 'X-SSL-Client-Cert';

/**
 * @param {string} folder where `server.pem` and `server.key` are
 * @param {string} api the address to which it hands requests on
 * @returns the Unix domain socket where it listens, for which no port need be free; undefined when it is not installed
 */
export async function startNginx(folder, api) {
  const socket = join(folder, 'nginx.socket');
  const configuration = join(folder, 'nginx.conf');
  writeFileSync(configuration, configure(socket, api));
  const env = { ...process.env, PATH: `${process.env['PATH']}:/usr/sbin:/usr/local/sbin` };
  const args = ['-p', folder, '-c', configuration, '-e', 'stderr'];
  const child = spawn(process.env['NGINX'] ?? 'nginx', args, { env, stdio: ['ignore', 'ignore', 'inherit'] });
  const failed = await new Promise((resolve) => child.once('spawn', () => resolve(undefined)).once('error', resolve));
  if (failed?.code === 'ENOENT') return undefined;
  if (failed !== undefined) throw failed;

  const ended = once(child, 'exit');
  const kill = () => child.kill();
  process.once('exit', kill); // whatever happens here, it must not live on
  while (!(await listens(socket))) {
    if ((child.exitCode ?? child.signalCode) !== null) throw new Error('nginx ended before it listened');
    await wait(20);
  }
  const close = async () => {
    kill();
    await ended;
    process.removeListener('exit', kill);
  };
  return { socketPath: socket, close };
}

/** @param {string} socket @param {string} api */
const configure = (socket, api) => `
daemon off;
master_process off;
pid nginx.pid;
error_log stderr;
events {}
http {
  access_log off;
  ${['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((of) => `${of}_temp_path ${of};`).join(' ')}

  server {
    listen "unix:${socket}" ssl;
    ssl_certificate server.pem;
    ssl_certificate_key server.key;
    ssl_verify_client optional_no_ca;

    location / {
      proxy_pass ${api};
      proxy_set_header ${HEADER} $ssl_client_escaped_cert;
    }
  }
}
`;

/** @param {string} path @returns {Promise<boolean>} */
function listens(path) {
  return new Promise((resolve) => {
    const socket = connect(path, () => {
      socket.destroy();
      resolve(true);
    });
    socket.on('error', () => resolve(false));
  });
}
