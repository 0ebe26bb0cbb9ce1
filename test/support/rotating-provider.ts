import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { exportJWK, generateKeyPair } from 'jose';
import * as oidc from 'oidc-provider';

const CLIENT = { client_id: 'm2m', client_secret: 'secret' };

export interface RotatingProvider {
  readonly issuer: string;
  /** A new access token by client credentials, signed with the first published key. */
  mint(): Promise<string>;
  /** Publishes these keys from now on; the first signs. */
  publish(keys: readonly oidc.JWK[]): void;
  /** How often the key set was asked for. */
  readonly keyFetches: number;
  close(): Promise<void>;
}

export async function rotatingKey(kid: string): Promise<oidc.JWK> {
  const { privateKey } = await generateKeyPair('ES256', { extractable: true });
  return { ...(await exportJWK(privateKey)), kid, alg: 'ES256', use: 'sig' };
}

/** oidc-provider itself, on loopback, whose keys change while it serves. */
export async function startRotatingProvider(resource: string, keys: readonly oidc.JWK[]): Promise<RotatingProvider> {
  let handle: http.RequestListener = () => undefined;
  let keyFetches = 0;
  const server = http.createServer((req, res) => {
    if (req.url === '/jwks') keyFetches++;
    handle(req, res);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  server.unref();
  const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;

  // The keys of a live Provider are private, so a new one takes its place.
  const publish = (jwks: readonly oidc.JWK[]) => {
    const provider = new oidc.Provider(issuer, {
      jwks: { keys: [...jwks] },
      clients: [{ ...CLIENT, grant_types: ['client_credentials'], redirect_uris: [], response_types: [] }],
      clientDefaults: { id_token_signed_response_alg: 'ES256' },
      features: {
        devInteractions: { enabled: false },
        clientCredentials: { enabled: true },
        resourceIndicators: {
          enabled: true,
          getResourceServerInfo: () => ({
            scope: 'read',
            audience: resource,
            accessTokenFormat: 'jwt',
            accessTokenTTL: 3600,
            jwt: { sign: { alg: 'ES256' } },
          }),
        },
      },
    });
    const callback = provider.callback();
    handle = (req, res) => void callback(req, res);
  };
  publish(keys);

  return {
    issuer,
    publish,
    get keyFetches() {
      return keyFetches;
    },
    mint: async () => {
      const body = new URLSearchParams({ grant_type: 'client_credentials', scope: 'read', resource });
      const basic = Buffer.from(`${CLIENT.client_id}:${CLIENT.client_secret}`).toString('base64');
      const headers = { authorization: `Basic ${basic}` };
      const answer = await fetch(`${issuer}/token`, { method: 'POST', headers, body });
      const { access_token: token } = (await answer.json()) as { access_token?: string };
      if (token === undefined) throw new Error(`no token, but status ${answer.status}`);
      return token;
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
