import { expect, test } from '@jest/globals';
import { nginx } from '../../lib/proxies.js';
import { escaped, pemOf } from '../support/client-certificates.js';
import { startNginx } from '../support/nginx.js';
import { describeWith } from '../support/proxy-process.js';
import { proxyTests } from '../support/proxy-tests.js';

// Envoy, Traefik and the load balancer of AWS are not to be had here: test/unit/proxies.test.ts and
// test/attacks/certificate-headers.test.ts use what their documentation and source say that they send.
describeWith('nginx')('client certificates through the real nginx', () => {
  const { proxy, client, other } = proxyTests(startNginx, nginx({ header: 'X-SSL-Client-Cert' }));

  // The reason for a line in the documentation of nginx(): should nginx change, it may go.
  test('a location with a proxy_set_header of its own lets the header of the client through', async () => {
    const { key, cert } = client();
    const headers = { 'X-SSL-Client-Cert': escaped(pemOf(other().der)) };
    expect((await proxy().get('/forgetful', { headers, key, cert })).body).toBe(JSON.stringify(other().thumbprint));
    expect((await proxy().get('/', { headers, key, cert })).body).toBe(JSON.stringify(client().thumbprint));
  });
});
