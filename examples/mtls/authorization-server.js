// @ts-check
// The authorization server: oidc-provider with one client, which is known by its certificate, and one API.
import { X509Certificate, randomBytes } from 'node:crypto';
import { exportJWK, generateKeyPair } from 'jose';
import { Provider, errors } from 'oidc-provider';

/** @param {{ issuer: string, resource: string, client: { id: string, cert: Buffer } }} options */
export async function createAuthorizationServer({ issuer, resource, client }) {
  const { privateKey } = await generateKeyPair('ES256', { extractable: true });
  const { kty, crv, x, y, d } = await exportJWK(privateKey);
  const { publicKey, raw } = new X509Certificate(client.cert);
  const provider = new Provider(issuer, {
    clients: [
      {
        client_id: client.id,
        token_endpoint_auth_method: 'self_signed_tls_client_auth', // RFC 8705 section 2.2
        jwks: { keys: [{ ...publicKey.export({ format: 'jwk' }), x5c: [raw.toString('base64')] }] },
        tls_client_certificate_bound_access_tokens: true, // RFC 8705 section 3
        grant_types: ['client_credentials'],
        redirect_uris: [],
        response_types: [],
      },
    ],
    clientAuthMethods: ['self_signed_tls_client_auth'],
    clientDefaults: { id_token_signed_response_alg: 'ES256' },
    jwks: { keys: [{ kty, crv, x, y, d, alg: 'ES256', use: 'sig' }] },
    cookies: { keys: [randomBytes(32).toString('base64url')] },
    ttl: { ClientCredentials: 300 },
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      mTLS: {
        enabled: true,
        certificateBoundAccessTokens: true,
        selfSignedTlsClientAuth: true,
        getCertificate: (ctx) => /** @type {import('node:tls').TLSSocket} */ (ctx.req.socket).getPeerX509Certificate(),
      },
      resourceIndicators: {
        enabled: true,
        getResourceServerInfo: (_ctx, indicator) => {
          if (indicator !== resource) throw new errors.InvalidTarget();
          return { audience: resource, scope: 'salaries', accessTokenFormat: 'jwt', jwt: { sign: { alg: 'ES256' } } };
        },
      },
    },
  });
  return provider.callback();
}
