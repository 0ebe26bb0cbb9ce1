import type { RequestListener } from 'node:http';
import * as oidc from 'oidc-provider';
import { listen } from './listen.js';
import type { Listening } from './listen.js';
import { providerKey } from './oidc-provider.js';

/** The scopes of the servers under test. `notes` includes the others where a server says so. */
export const SCOPES = ['notes', 'notes:read', 'notes:write'];

export interface McpProvider extends Listening {
  readonly issuer: string;
  /** The resources whose tokens can be asked for, and what stands in them as audience. */
  readonly audiences: Map<string, string>;
}

/**
 * oidc-provider itself as MCP clients want it: registration for everybody, PKCE, resource indicators, and nobody at the
 * browser. Whom `login_hint` names is logged in, alice by default, and agrees to all that is asked.
 */
export async function startMcpProvider({ nonces = false } = {}): Promise<McpProvider> {
  let handle: RequestListener = () => undefined;
  const listening = await listen((req, res) => {
    handle(req, res);
  });
  const audiences = new Map<string, string>();
  const provider = new oidc.Provider(listening.url, {
    jwks: { keys: [await providerKey()] },
    scopes: ['openid', 'offline_access', ...SCOPES], // what a client that registers may name
    clientAuthMethods: ['none'],
    clientDefaults: { id_token_signed_response_alg: 'ES256' },
    // The scope that a client names when it registers would be the most it could ever get; a step-up asks for more.
    extraClientMetadata: {
      properties: ['any'],
      validator: (_ctx, _name, _value, metadata) => {
        delete metadata.scope;
      },
    },
    cookies: { keys: ['test'] },
    ttl: { AccessToken: 300, Session: 3600, Grant: 3600, Interaction: 600, RefreshToken: 3600 },
    pkce: { required: () => true },
    interactions: { url: (_ctx, { uid }) => `/interaction/${uid}` },
    findAccount: (_ctx, sub) => ({ accountId: sub, claims: () => ({ sub }) }),
    features: {
      devInteractions: { enabled: false },
      registration: { enabled: true },
      dPoP: { enabled: true, ...(nonces && { nonceSecret: Buffer.alloc(32, 7), requireNonce: () => true }) },
      resourceIndicators: {
        enabled: true,
        useGrantedResource: () => true,
        getResourceServerInfo: (_ctx, indicator) => {
          const audience = audiences.get(indicator);
          if (audience === undefined) throw new oidc.errors.InvalidTarget();
          const jwt = { sign: { alg: 'ES256' as const } };
          return { audience, scope: SCOPES.join(' '), accessTokenFormat: 'jwt', jwt };
        },
      },
    },
  });
  provider.use(async (ctx, next) => {
    if (!ctx.path.startsWith('/interaction/')) {
      await next();
      return;
    }
    const { params, grantId } = await provider.interactionDetails(ctx.req, ctx.res);
    const { client_id: clientId = '', scope = '', resource = '', login_hint: accountId = 'alice' } = params as Params;
    const agreed = grantId === undefined ? undefined : await provider.Grant.find(grantId);
    const grant = agreed ?? new provider.Grant({ accountId, clientId });
    grant.addOIDCScope(scope);
    grant.addResourceScope(resource, scope);
    const result = { login: { accountId }, consent: { grantId: await grant.save() } };
    ctx.respond = false;
    await provider.interactionFinished(ctx.req, ctx.res, result);
  });
  const callback = provider.callback();
  handle = (req, res) => void callback(req, res);
  return { ...listening, issuer: listening.url, audiences };
}

type Params = Readonly<Record<string, string | undefined>>;
