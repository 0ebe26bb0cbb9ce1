// @ts-check
// The authorization server: oidc-provider with one client and one API. Tokens of the scope chat:short live for two seconds.
import { randomBytes } from 'node:crypto';
import { exportJWK, generateKeyPair } from 'jose';
import { Provider, errors } from 'oidc-provider';

/** @param {{ issuer: string, resource: string, client: { id: string, secret: string } }} options */
export async function createAuthorizationServer({ issuer, resource, client }) {
  const { privateKey } = await generateKeyPair('ES256', { extractable: true });
  const { kty, crv, x, y, d } = await exportJWK(privateKey);
  const robot = { client_id: client.id, client_secret: client.secret, redirect_uris: [], response_types: [] };
  const provider = new Provider(issuer, {
    clients: [{ ...robot, grant_types: ['client_credentials'] }],
    clientDefaults: { id_token_signed_response_alg: 'ES256' },
    jwks: { keys: [{ kty, crv, x, y, d, alg: 'ES256', use: 'sig' }] },
    cookies: { keys: [randomBytes(32).toString('base64url')] },
    ttl: { ClientCredentials: (_ctx, token) => (token.scope?.includes('chat:short') ? 2 : 300) },
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      resourceIndicators: {
        enabled: true,
        getResourceServerInfo: (_ctx, indicator) => {
          if (indicator !== resource) throw new errors.InvalidTarget();
          const scope = 'chat chat:short news';
          return { audience: resource, scope, accessTokenFormat: 'jwt', jwt: { sign: { alg: 'ES256' } } };
        },
      },
    },
  });
  return provider.callback();
}
