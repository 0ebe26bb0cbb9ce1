import { createHash } from 'node:crypto';
import http from 'node:http';
import https from 'node:https';
import type { ServerOptions } from 'node:https';
import type { AddressInfo } from 'node:net';
import { TLSSocket } from 'node:tls';
import * as oidc from 'oidc-provider';
import type { Fetch } from '../../lib/index.js';
import { browse } from './browser.js';
import { providerKey } from './oidc-provider.js';
import type { Resources } from './oidc-provider.js';

export interface ProviderOptions {
  /** What the access tokens for a resource look like. */
  readonly resources: Resources;
  /** The resource servers that may introspect. They have no grant of their own. */
  readonly clients: readonly oidc.ClientMetadata[];
  /** Key, certificate and authorities: serves https, and asks for client certificates. */
  readonly tls?: ServerOptions;
  /** By which the tests reach it. Default: that of Node. */
  readonly fetch?: Fetch;
}

/** What a person's log-in ends with. */
export interface LoggedIn {
  readonly access_token: string;
  readonly refresh_token: string;
  readonly id_token: string;
}

export interface IntrospectingProvider {
  readonly issuer: string;
  /** Every question to the introspection endpoint, as the `Authorization` line that it came with, oldest first. */
  readonly questions: (string | undefined)[];
  /** An access token by client credentials. */
  accessToken(resource: string, scope?: string): Promise<string>;
  /** The tokens of alice, by the code flow in a browser without a screen. */
  logIn(resource: string): Promise<LoggedIn>;
  revoke(token: string): Promise<void>;
  close(): Promise<void>;
}

const REDIRECT_URI = 'https://editor.example.com/callback';
const VERIFIER = 'a-verifier-of-the-length-that-is-wanted-at-least';
const EDITOR = { client_id: 'editor', client_secret: 'secret' };
const METHODS = ['client_secret_basic', 'client_secret_post', 'client_secret_jwt', 'private_key_jwt', 'none'] as const;
const BY_CERTIFICATE = ['tls_client_auth', 'self_signed_tls_client_auth'] as const;

/** oidc-provider with introspection and revocation, on loopback. */
export async function startIntrospectingProvider(options: ProviderOptions): Promise<IntrospectingProvider> {
  const { tls, fetch = globalThis.fetch } = options;
  const questions: (string | undefined)[] = [];
  let handle: http.RequestListener = () => undefined;
  const listener: http.RequestListener = (req, res) => {
    if (req.url === '/token/introspection') questions.push(req.headers.authorization);
    handle(req, res);
  };
  const server =
    tls === undefined
      ? http.createServer(listener)
      : https.createServer({ ...tls, requestCert: true, rejectUnauthorized: false }, listener);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  server.unref();
  const { port } = server.address() as AddressInfo;
  const issuer = `${tls === undefined ? 'http' : 'https'}://127.0.0.1:${String(port)}`;
  const callback = await providerAt(issuer, options);
  handle = (req, res) => void callback(req, res);

  async function post(path: string, form: Record<string, string>): Promise<Response> {
    const body = new URLSearchParams({ ...EDITOR, ...form }).toString();
    const headers = { 'content-type': 'application/x-www-form-urlencoded' };
    const response = await fetch(`${issuer}${path}`, { method: 'POST', headers, body });
    if (response.status === 200) return response;
    throw new Error(`${path}: ${String(response.status)} ${await response.text()}`);
  }

  return {
    issuer,
    questions,
    accessToken: async (resource, scope = 'read') => {
      const response = await post('/token', { grant_type: 'client_credentials', resource, scope });
      return ((await response.json()) as LoggedIn).access_token;
    },
    logIn: async (resource) => {
      const challenge = createHash('sha256').update(VERIFIER).digest('base64url');
      const query = new URLSearchParams({
        ...{ client_id: EDITOR.client_id, redirect_uri: REDIRECT_URI, response_type: 'code', prompt: 'consent' },
        ...{ scope: 'openid offline_access read', resource },
        ...{ code_challenge: challenge, code_challenge_method: 'S256' },
      });
      const start = new URL(`${issuer}/auth?${query.toString()}`);
      const code = (await browse(start, REDIRECT_URI, fetch)).get('code') ?? '';
      const form = { grant_type: 'authorization_code', code, redirect_uri: REDIRECT_URI, code_verifier: VERIFIER };
      return (await (await post('/token', form)).json()) as LoggedIn;
    },
    revoke: async (token) => {
      await post('/token/revocation', { token });
    },
    close: () =>
      new Promise((resolve) => {
        server.closeAllConnections();
        server.close(() => {
          resolve();
        });
      }),
  };
}

async function providerAt(
  issuer: string,
  { resources, clients, tls }: ProviderOptions,
): Promise<(req: http.IncomingMessage, res: http.ServerResponse) => Promise<void>> {
  const certificateOf = ({ req: { socket } }: oidc.KoaContextWithOIDC) =>
    socket instanceof TLSSocket ? socket.getPeerX509Certificate() : undefined;
  const provider = new oidc.Provider(issuer, {
    jwks: { keys: [await providerKey('ES256', 'first')] },
    cookies: { keys: ['test'] },
    clients: [
      {
        ...EDITOR,
        token_endpoint_auth_method: 'client_secret_post',
        grant_types: ['authorization_code', 'refresh_token', 'client_credentials'],
        redirect_uris: [REDIRECT_URI],
      },
      ...clients.map((client) => ({ grant_types: [], redirect_uris: [], response_types: [], ...client })),
    ],
    clientAuthMethods: [...METHODS, ...(tls === undefined ? [] : BY_CERTIFICATE)],
    clientDefaults: { id_token_signed_response_alg: 'ES256' },
    findAccount: (_ctx, sub) => ({ accountId: sub, claims: () => ({ sub }) }),
    interactions: { url: (_ctx, interaction) => `/interaction/${interaction.uid}` },
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      introspection: { enabled: true, allowedPolicy: () => true },
      revocation: { enabled: true },
      resourceIndicators: {
        enabled: true,
        useGrantedResource: () => true,
        getResourceServerInfo: (_ctx, indicator) => {
          const found = resources[indicator];
          if (found === undefined) throw new oidc.errors.InvalidTarget();
          return { ...found, audience: indicator };
        },
      },
      ...(tls !== undefined && {
        mTLS: {
          enabled: true,
          tlsClientAuth: true,
          selfSignedTlsClientAuth: true,
          getCertificate: certificateOf,
          certificateAuthorized: ({ req: { socket } }) => socket instanceof TLSSocket && socket.authorized,
          certificateSubjectMatches: (ctx, property, expected) =>
            property === 'tls_client_auth_subject_dn' && certificateOf(ctx)?.subject === expected,
        },
      }),
    },
  });
  // Nobody sits at the browser: alice logs in and agrees to all that is asked.
  provider.use(async (ctx, next) => {
    if (!ctx.path.startsWith('/interaction/')) {
      await next();
      return;
    }
    const { params } = await provider.interactionDetails(ctx.req, ctx.res);
    const grant = new provider.Grant({ accountId: 'alice', clientId: EDITOR.client_id });
    const scope = String(params['scope']);
    grant.addOIDCScope(scope);
    grant.addResourceScope(String(params['resource']), scope);
    const result = { login: { accountId: 'alice' }, consent: { grantId: await grant.save() } };
    ctx.respond = false;
    await provider.interactionFinished(ctx.req, ctx.res, result, { mergeWithLastSubmission: false });
  });
  return provider.callback();
}
