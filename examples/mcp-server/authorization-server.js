// @ts-check
// The authorization server: oidc-provider. Clients that nobody has heard of may register, and alice agrees to what they ask.
import { randomBytes } from 'node:crypto';
import { exportJWK, generateKeyPair } from 'jose';
import { Provider, errors } from 'oidc-provider';

/** @param {{ issuer: string, resource: string, scopes: string[] }} options */
export async function createAuthorizationServer({ issuer, resource, scopes }) {
  const { privateKey } = await generateKeyPair('ES256', { extractable: true });
  const { kty, crv, x, y, d } = await exportJWK(privateKey);
  const provider = new Provider(issuer, {
    scopes: ['openid', 'offline_access', ...scopes], // what a client that registers may name
    clientAuthMethods: ['none'], // an MCP client on somebody's desk can keep no secret
    clientDefaults: { id_token_signed_response_alg: 'ES256' },
    // The scope that a client names when it registers would be the most it could ever get, and a step-up asks for more.
    extraClientMetadata: { properties: ['any'], validator: (_ctx, _name, _value, client) => void delete client.scope },
    jwks: { keys: [{ kty, crv, x, y, d, alg: 'ES256', use: 'sig' }] },
    cookies: { keys: [randomBytes(32).toString('base64url')] },
    ttl: { AccessToken: 300, Session: 3600, Grant: 3600, Interaction: 600 },
    pkce: { required: () => true },
    interactions: { url: (_ctx, { uid }) => `/interaction/${uid}` },
    findAccount: (_ctx, sub) => ({ accountId: sub, claims: () => ({ sub }) }),
    features: {
      devInteractions: { enabled: false },
      registration: { enabled: true },
      resourceIndicators: {
        enabled: true,
        getResourceServerInfo: (_ctx, indicator) => {
          if (indicator !== resource) throw new errors.InvalidTarget();
          const scope = scopes.join(' ');
          return { audience: resource, scope, accessTokenFormat: 'jwt', jwt: { sign: { alg: 'ES256' } } };
        },
      },
    },
  });

  // Where others show pages for login and consent, alice is logged in at once, and agrees to everything.
  provider.use(async (ctx, next) => {
    if (!ctx.path.startsWith('/interaction/')) return next();
    const { params, grantId } = await provider.interactionDetails(ctx.req, ctx.res);
    const { client_id: clientId, scope = '' } = /** @type {Record<string, string>} */ (params);
    const agreed = grantId === undefined ? undefined : await provider.Grant.find(grantId);
    const grant = agreed ?? new provider.Grant({ accountId: 'alice', clientId });
    grant.addOIDCScope(scope);
    grant.addResourceScope(resource, scope);
    const result = { login: { accountId: 'alice' }, consent: { grantId: await grant.save() } };
    ctx.respond = false;
    await provider.interactionFinished(ctx.req, ctx.res, result);
  });
  return provider.callback();
}
