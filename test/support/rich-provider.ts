import { createHash } from 'node:crypto';
import type { RequestListener } from 'node:http';
import * as oidc from 'oidc-provider';
import { browse } from './browser.js';
import { listen } from './listen.js';
import type { Listening } from './listen.js';
import { providerKey } from './oidc-provider.js';

export const RICH = { jwt: 'https://jwt.example.com', opaque: 'https://opaque.example.com' } as const;
export const RESOURCE_SERVER = { client_id: 'rs', client_secret: 'the secret of rs' };

/** What a client asks for: parameters of the authorization request, beside those that every request has. */
export type Asked = Readonly<Record<string, string>>;

export interface RichProvider extends Listening {
  readonly issuer: string;
  /** An access token for a resource, by the code flow. A person sits there who does what is asked, by password if nothing is. */
  logIn(resource: string, asked?: Asked): Promise<string>;
}

const REDIRECT_URI = 'https://editor.example.com/callback';
const VERIFIER = 'a-verifier-of-the-length-that-is-wanted-at-least';
const EDITOR = { client_id: 'editor', client_secret: 'secret' };

/** oidc-provider itself, whose access tokens say how the person logged in, and what they agreed to in detail. */
export async function startRichProvider(): Promise<RichProvider> {
  let handle: RequestListener = () => undefined;
  const listening = await listen((req, res) => {
    handle(req, res);
  });
  const provider = new oidc.Provider(listening.url, {
    jwks: { keys: [await providerKey()] },
    clients: [
      {
        ...EDITOR,
        grant_types: ['authorization_code'],
        redirect_uris: [REDIRECT_URI],
        token_endpoint_auth_method: 'client_secret_post',
        authorization_details_types: ['payment', 'account'],
      },
      { ...RESOURCE_SERVER, grant_types: [], redirect_uris: [], response_types: [] },
    ],
    clientDefaults: { id_token_signed_response_alg: 'ES256' },
    acrValues: ['pwd', 'urn:example:mfa'],
    cookies: { keys: ['test'] },
    interactions: { url: (_ctx, { uid }) => `/interaction/${uid}` },
    findAccount: (_ctx, sub) => ({ accountId: sub, claims: () => ({ sub }) }),
    extraTokenClaims: ({ oidc: { entities } }) => ({
      acr: entities.AuthorizationCode?.acr,
      auth_time: entities.AuthorizationCode?.authTime,
    }),
    features: {
      devInteractions: { enabled: false },
      introspection: { enabled: true, allowedPolicy: () => true },
      resourceIndicators: {
        enabled: true,
        useGrantedResource: () => true,
        getResourceServerInfo: (_ctx, audience) => ({
          audience,
          scope: 'read',
          ...(audience === RICH.jwt
            ? { accessTokenFormat: 'jwt', jwt: { sign: { alg: 'ES256' } } }
            : { accessTokenFormat: 'opaque' }),
        }),
      },
      richAuthorizationRequests: {
        enabled: true,
        types: { payment: { validate: () => undefined }, account: { validate: () => undefined } },
        authorizationDetailsForGrantSource: (ctx) => detailsOf(ctx.oidc.params?.['authorization_details']),
        authorizationDetailsForAccessToken: (_ctx, _token, source) => source?.rar,
        authorizationDetailsForIntrospection: (_ctx, token) => token.rar,
      },
    },
  });
  provider.use(async (ctx, next) => {
    if (!ctx.path.startsWith('/interaction/')) {
      await next();
      return;
    }
    const { params } = await provider.interactionDetails(ctx.req, ctx.res);
    const { scope = '', resource = '', acr_values: acr = 'pwd', authorization_details: rar } = params as Asked;
    const grant = new provider.Grant({ accountId: 'alice', clientId: EDITOR.client_id });
    grant.addOIDCScope(scope);
    grant.addResourceScope(resource, scope);
    for (const detail of detailsOf(rar) ?? []) grant.addRar(detail);
    const login = { accountId: 'alice', acr: acr.split(' ')[0] ?? '' };
    ctx.respond = false;
    await provider.interactionFinished(ctx.req, ctx.res, { login, consent: { grantId: await grant.save() } });
  });
  const callback = provider.callback();
  handle = (req, res) => void callback(req, res);

  return {
    ...listening,
    issuer: listening.url,
    logIn: async (resource, asked = {}) => {
      const query = new URLSearchParams({
        ...{ client_id: EDITOR.client_id, redirect_uri: REDIRECT_URI, response_type: 'code', resource },
        ...{ scope: 'openid read', prompt: 'consent', code_challenge_method: 'S256' },
        ...{ code_challenge: createHash('sha256').update(VERIFIER).digest('base64url'), ...asked },
      });
      const start = new URL(`${listening.url}/auth?${query.toString()}`);
      const code = (await browse(start, REDIRECT_URI, fetch)).get('code') ?? '';
      const grant = { grant_type: 'authorization_code', code, redirect_uri: REDIRECT_URI, code_verifier: VERIFIER };
      const body = new URLSearchParams({ ...EDITOR, ...grant });
      const answer = (await (await fetch(`${listening.url}/token`, { method: 'POST', body })).json()) as Asked;
      if (answer['access_token'] !== undefined) return answer['access_token'];
      throw new Error(`no token: ${JSON.stringify(answer)}`);
    },
  };
}

function detailsOf(text: unknown): oidc.AuthorizationDetail[] | undefined {
  return typeof text === 'string' ? (JSON.parse(text) as oidc.AuthorizationDetail[]) : undefined;
}
