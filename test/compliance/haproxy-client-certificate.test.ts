import { describe, expect, test } from '@jest/globals';
import { haproxy, rfc9440 } from '../../lib/proxies.js';
import { clientIdentity } from '../support/client-certificates.js';
import { startHaproxy } from '../support/haproxy.js';
import { describeWith } from '../support/proxy-process.js';
import { proxyTests } from '../support/proxy-tests.js';

describeWith('haproxy')('client certificates through the real HAProxy', () => {
  describe.each([
    ['DER in base64', haproxy({ header: 'X-SSL-Client-DER' })],
    ['Client-Cert of RFC 9440', rfc9440()],
  ])('%s', (_, from) => {
    const { proxy } = proxyTests(startHaproxy, from);

    test('8705-6.2-1 one that expired arrives', async () => {
      const { key, cert, thumbprint } = clientIdentity({ expired: true });
      expect((await proxy().get('/', { key, cert })).body).toBe(JSON.stringify(thumbprint));
    });
  });
});
