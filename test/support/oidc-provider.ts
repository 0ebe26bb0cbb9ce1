import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { randomUUID } from 'node:crypto';
import { exportJWK, generateKeyPair } from 'jose';
import * as oidc from 'oidc-provider';

const CLIENT = { client_id: 'm2m', client_secret: 'secret' };

export interface RealProvider {
  readonly issuer: string;
  /** An access token by client credentials: for a resource, of the form the provider was told. */
  accessToken(resource: string, scope?: string): Promise<string>;
  /** Exchanges the published keys; the first that fits an algorithm signs. */
  use(keys: readonly oidc.JWK[]): void;
  close(): Promise<void>;
}

/** What the access tokens for a resource look like, beside their audience. */
export type Resources = Readonly<Record<string, Omit<oidc.ResourceServer, 'audience'>>>;

/** A private key for `RealProvider.use`. */
export async function providerKey(alg = 'ES256', kid: string = randomUUID()): Promise<oidc.JWK> {
  const { privateKey } = await generateKeyPair(alg, { extractable: true });
  return { ...(await exportJWK(privateKey)), kid, alg, use: 'sig' };
}

/** oidc-provider itself, on loopback, with client credentials and resource indicators. */
export async function startProvider(resources: Resources, keys: readonly oidc.JWK[]): Promise<RealProvider> {
  let handle: http.RequestListener = () => undefined;
  const server = http.createServer((req, res) => {
    handle(req, res);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  server.unref();
  const issuer = `http://127.0.0.1:${String((server.address() as AddressInfo).port)}`;

  // The keys of a live Provider are private, so a new one takes its place.
  const use = (jwks: readonly oidc.JWK[]) => {
    const [{ alg = 'ES256' } = {}] = jwks;
    const provider = new oidc.Provider(issuer, {
      jwks: { keys: [...jwks] },
      clients: [{ ...CLIENT, grant_types: ['client_credentials'], redirect_uris: [], response_types: [] }],
      clientDefaults: { id_token_signed_response_alg: alg as oidc.AsymmetricSigningAlgorithm },
      features: {
        devInteractions: { enabled: false },
        clientCredentials: { enabled: true },
        resourceIndicators: {
          enabled: true,
          getResourceServerInfo: (_ctx, indicator) => {
            const found = resources[indicator];
            if (found === undefined) throw new oidc.errors.InvalidTarget();
            return { ...found, audience: indicator };
          },
        },
      },
    });
    const callback = provider.callback();
    handle = (req, res) => void callback(req, res);
  };
  use(keys);

  return {
    issuer,
    use,
    accessToken: async (resource, scope = 'read') => {
      const form = { grant_type: 'client_credentials', resource, scope };
      const basic = Buffer.from(`${CLIENT.client_id}:${CLIENT.client_secret}`).toString('base64');
      const headers = { authorization: `Basic ${basic}` };
      const response = await fetch(`${issuer}/token`, { method: 'POST', headers, body: new URLSearchParams(form) });
      const answer = (await response.json()) as { access_token?: string };
      if (answer.access_token === undefined) throw new Error(`no token: ${JSON.stringify(answer)}`);
      return answer.access_token;
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
