import { startProxy } from './proxy-process.js';
import type { Proxy } from './proxy-process.js';

/**
 * The real HAProxy, configured as `haproxy()` and `rfc9440()` of `lib/proxies.ts` say, in front of a server at a port of loopback
 * and one at a Unix domain socket (`/unix`).
 */
export function startHaproxy(port: number, socket: string): Promise<Proxy> {
  return startProxy(
    'haproxy',
    (configuration) => ['-db', '-f', configuration],
    ({ listen, both, cert }) => `
defaults
  mode http
  timeout connect 10s
  timeout client 10s
  timeout server 10s
frontend tls
  bind unix@${listen} ssl crt ${both} verify optional ca-file ${cert} ca-ignore-err all crt-ignore-err all
  http-request set-header X-SSL-Client-DER %[ssl_c_der,base64]
  http-request set-header Client-Cert :%[ssl_c_der,base64]:
  use_backend unix if { path_beg /unix }
  default_backend tcp
backend tcp
  server node 127.0.0.1:${String(port)}
backend unix
  server node unix@${socket}
`,
  );
}
