// @ts-check
// The authorization server: signs people in, asks for their consent, issues tokens. It is oidc-provider with two clients
// and one protected resource; the pages that people see are in login-pages.js. Its access tokens are JWTs, or opaque if the
// storage is a client, too, which may ask about them.
import { randomBytes } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import express from 'express';
import { exportJWK, generateKeyPair } from 'jose';
import { Provider, errors } from 'oidc-provider';
import { findAccount } from './accounts.js';
import { errorPage } from './login-html.js';
import { loginPages } from './login-pages.js';
import { securityHeaders } from './security-headers.js';

const PUBLIC = fileURLToPath(new URL('public', import.meta.url));
const DAY = 24 * 60 * 60;
/** How long things live, in seconds. A program's token (client credentials) is made for one or two requests. */
const LIFE = {
  AccessToken: 300,
  ClientCredentials: 6,
  AuthorizationCode: 60,
  IdToken: 300,
  RefreshToken: DAY,
  Grant: DAY,
  Interaction: 600,
  Session: 3600,
};

/**
 * @param {object} options
 * @param {string} options.issuer the address of this server
 * @param {string} options.resource the address of the storage
 * @param {{ id: string, secret: string, redirectUri: string }} options.editor
 * @param {{ id: string, secret: string }} options.job
 * @param {{ id: string, secret: string } | undefined} [options.storage] makes access tokens opaque, and this client the only
 *   one that may ask what they mean
 */
export async function createAuthorizationServer({ issuer, resource, editor, job, storage }) {
  const provider = new Provider(issuer, {
    clients: [
      {
        client_id: editor.id,
        client_name: 'Photo editor',
        client_secret: editor.secret,
        redirect_uris: [editor.redirectUri],
        response_types: ['code'],
        grant_types: ['authorization_code', 'refresh_token'],
      },
      {
        client_id: job.id,
        client_name: 'Nightly job',
        client_secret: job.secret,
        redirect_uris: [],
        response_types: [],
        grant_types: ['client_credentials'],
      },
      ...(storage === undefined
        ? []
        : [
            {
              client_id: storage.id,
              client_name: 'Storage',
              client_secret: storage.secret,
              redirect_uris: [],
              response_types: [],
              grant_types: [], // it gets no tokens: it asks about those of others
            },
          ]),
    ],
    clientDefaults: { id_token_signed_response_alg: 'ES256' },
    jwks: { keys: [await signingKey()] },
    cookies: { keys: [randomBytes(32).toString('base64url')] },
    claims: { openid: ['sub'], profile: ['name'] },
    conformIdTokenClaims: false, // the name goes into the ID token: the editor need not ask once more
    findAccount: (_ctx, sub) => {
      const account = findAccount(sub);
      return account && { accountId: sub, claims: () => ({ sub, name: account.name }) };
    },
    ttl: LIFE,
    interactions: { url: (_ctx, { uid }) => `/interaction/${uid}` },
    pkce: { required: () => true }, // RFC 9700 section 2.1.1
    rotateRefreshToken: true, // each refresh token works once; a second use ends the grant. RFC 9700 section 4.14.2
    renderError: (ctx, { error, error_description }) => {
      ctx.type = 'html';
      ctx.body = errorPage(error, error_description);
    },
    features: {
      devInteractions: { enabled: false },
      rpInitiatedLogout: { enabled: false },
      userinfo: { enabled: false },
      clientCredentials: { enabled: true },
      revocation: { enabled: true, allowedPolicy: (_ctx, client, token) => token.clientId === client.clientId },
      // RFC 7662 section 2.1: whoever may ask can find out which tokens are good. To others all of them are inactive.
      introspection: {
        enabled: storage !== undefined,
        allowedPolicy: (_ctx, client) => client.clientId === storage?.id,
      },
      resourceIndicators: {
        enabled: true,
        useGrantedResource: () => true,
        getResourceServerInfo: (_ctx, indicator, client) => {
          if (indicator !== resource) throw new errors.InvalidTarget();
          return {
            scope: client.clientId === job.id ? 'pictures:count' : 'pictures:read pictures:write',
            audience: resource,
            accessTokenFormat: storage === undefined ? 'jwt' : 'opaque', // RFC 9068, or nothing to read in it
            jwt: { sign: { alg: 'ES256' } },
          };
        },
      },
    },
  });

  const app = express();
  app.disable('x-powered-by');
  // The consent form ends in a redirect to the editor, and form-action covers redirects too (Content Security Policy).
  app.use(['/interaction', '/auth'], securityHeaders({ formAction: `'self' ${new URL(editor.redirectUri).origin}` }));
  for (const file of ['/style.css', '/icon.svg']) app.get(file, (_req, res) => res.sendFile(PUBLIC + file));
  app.use('/interaction', loginPages(provider, issuer));
  app.use(provider.callback());
  return app;
}

/** A new key at every start: this server remembers nothing anyway. */
async function signingKey() {
  const { privateKey } = await generateKeyPair('ES256', { extractable: true });
  const { kty, crv, x, y, d } = await exportJWK(privateKey);
  return { kty, crv, x, y, d, kid: randomBytes(8).toString('hex'), alg: 'ES256', use: 'sig' };
}
