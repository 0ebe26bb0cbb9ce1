// @ts-check
// A client's dealings with the authorization server, by openid-client: each function is one request of RFC 6749.
import * as oauth from 'openid-client';

/**
 * @param {object} options
 * @param {string} options.issuer
 * @param {string} options.resource the API that the tokens are for (RFC 8707)
 * @param {{ id: string, secret: string }} options.credentials
 * @param {typeof globalThis.fetch} options.fetch for the metadata of the authorization server, which everybody shares
 */
export function oauthClient({ issuer, resource, credentials, fetch: fetchMetadata }) {
  const authentication = oauth.ClientSecretBasic(credentials.secret);
  /** @type {Promise<oauth.ServerMetadata> | undefined} */
  let metadata;

  /** RFC 8414 and OpenID Connect Discovery: asked once, and again only if that failed. */
  async function discover() {
    const options = { execute: [oauth.allowInsecureRequests], [oauth.customFetch]: asCustomFetch(fetchMetadata) };
    const found = await oauth.discovery(new URL(issuer), credentials.id, undefined, authentication, options);
    return found.serverMetadata();
  }

  /** A configuration for one request, with the `fetch` that records it. @param {typeof globalThis.fetch} fetch */
  async function configure(fetch) {
    metadata ??= discover().catch((error) => {
      metadata = undefined;
      throw error;
    });
    const configuration = new oauth.Configuration(await metadata, credentials.id, undefined, authentication);
    oauth.allowInsecureRequests(configuration); // http, because all of this stays on one machine
    configuration[oauth.customFetch] = asCustomFetch(fetch);
    return configuration;
  }

  return {
    /** RFC 6749 section 4.1.1, with PKCE (RFC 7636). @param {typeof globalThis.fetch} fetch
     * @param {{ redirectUri: string, scope: string }} wanted */
    async authorizationRequest(fetch, { redirectUri, scope }) {
      const checks = {
        pkceCodeVerifier: oauth.randomPKCECodeVerifier(),
        expectedState: oauth.randomState(),
        expectedNonce: oauth.randomNonce(),
      };
      const url = oauth.buildAuthorizationUrl(await configure(fetch), {
        scope,
        resource,
        redirect_uri: redirectUri,
        prompt: 'login consent', // "login" so that you can change the person, "consent" so that there is a refresh token
        state: checks.expectedState,
        nonce: checks.expectedNonce,
        code_challenge: await oauth.calculatePKCECodeChallenge(checks.pkceCodeVerifier),
        code_challenge_method: 'S256',
      });
      return { url, checks };
    },

    /** RFC 6749 section 4.1.3. Checks `state`, `iss` and the ID token. @param {typeof globalThis.fetch} fetch
     * @param {URL} callback @param {oauth.AuthorizationCodeGrantChecks} checks */
    async redeemCode(fetch, callback, checks) {
      return oauth.authorizationCodeGrant(
        await configure(fetch),
        callback,
        { ...checks, idTokenExpected: true },
        { resource },
      );
    },

    /** RFC 6749 section 6. @param {typeof globalThis.fetch} fetch @param {string} refreshToken
     * @param {string} [scope] less than what was granted */
    async refresh(fetch, refreshToken, scope) {
      const parameters = scope === undefined ? { resource } : { resource, scope };
      return oauth.refreshTokenGrant(await configure(fetch), refreshToken, parameters);
    },

    /** RFC 6749 section 4.4. @param {typeof globalThis.fetch} fetch @param {string} scope */
    async clientCredentials(fetch, scope) {
      return oauth.clientCredentialsGrant(await configure(fetch), { resource, scope });
    },

    /** RFC 7009. @param {typeof globalThis.fetch} fetch @param {string} token */
    async revoke(fetch, token) {
      await oauth.tokenRevocation(await configure(fetch), token);
    },
  };
}

/** @param {typeof globalThis.fetch} fetch */
const asCustomFetch = (fetch) => /** @type {oauth.CustomFetch} */ (fetch);
