import { startProxy } from './proxy-process.js';
import type { Proxy } from './proxy-process.js';

/**
 * The real nginx, configured as `nginx()` of `lib/proxies.ts` says, in front of a server at a port of loopback and one at a Unix
 * domain socket (`/unix`). In `/forgetful` a line of its own makes it forget those of the server.
 */
export function startNginx(port: number, socket: string): Promise<Proxy> {
  return startProxy(
    'nginx',
    (configuration) => ['-c', configuration],
    ({ file, listen, cert, key }) => `
      daemon off;
      master_process off;
      pid ${file('pid')};
      error_log stderr;
      events {}
      http {
        access_log off;
        client_body_temp_path ${file('body')};
        proxy_temp_path ${file('proxy')};
        fastcgi_temp_path ${file('fastcgi')};
        uwsgi_temp_path ${file('uwsgi')};
        scgi_temp_path ${file('scgi')};
        server {
          listen unix:${listen} ssl;
          ssl_certificate ${cert};
          ssl_certificate_key ${key};
          ssl_verify_client optional_no_ca;
          proxy_set_header X-SSL-Client-Cert $ssl_client_escaped_cert;
          location / { proxy_pass http://127.0.0.1:${String(port)}; }
          location /unix { proxy_pass http://unix:${socket}; }
          location /forgetful {
            proxy_pass http://127.0.0.1:${String(port)};
            proxy_set_header X-Other 1;
          }
        }
      }`,
  );
}
