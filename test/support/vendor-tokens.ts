import type { JsonWebKey } from 'node:crypto';
import type { Fetch } from '../../lib/index.js';
import type { Overrides } from './tokens.js';

/** When the documented tokens are good. */
export const NOW = 1_700_000_000;
const TIMES = { iat: NOW - 60, exp: NOW + 3600 };

/** A token before it is signed. */
export interface Token {
  readonly header: Overrides;
  readonly claims: Overrides;
}

/** What a vendor documents, with the times moved to `NOW` and placeholders filled in. */
export interface Documented {
  /** Access tokens that the presets must let pass; the first is an ordinary one. */
  readonly accessTokens: readonly [Token, ...Token[]];
  /** An ID token of the same vendor. Its `aud` is set by the test. */
  readonly idToken: Token;
  /** Where the metadata is and what it says; no entry where the keys are named. */
  readonly metadata: readonly [url: string, document: Overrides] | undefined;
  readonly jwksUri: string;
}

// Access Token Profiles: https://auth0.com/docs/secure/tokens/access-tokens/access-token-profiles (both samples; `typ`, `gty`
// and `sub` of machine-to-machine applications from its tables). ID token:
// https://auth0.com/docs/secure/tokens/id-tokens/id-token-structure
const AUTH0 = 'https://my-domain.auth0.com/';
const AUTH0_CLAIMS = {
  iss: AUTH0,
  sub: 'auth0|123456',
  aud: ['https://example.com/health-api', `${AUTH0}userinfo`],
  scope: 'openid profile read:patients read:admin',
  permissions: ['read:patients'],
  ...TIMES,
};
export const auth0Tokens: Documented = {
  accessTokens: [
    { header: { alg: 'RS256', typ: 'JWT' }, claims: { ...AUTH0_CLAIMS, azp: 'my_client_id' } },
    {
      header: { alg: 'RS256', typ: 'JWT' },
      claims: { ...AUTH0_CLAIMS, sub: 'my_client_id@clients', azp: 'my_client_id', gty: 'client-credentials' },
    },
  ],
  idToken: {
    header: { alg: 'RS256', typ: 'JWT' },
    claims: { iss: AUTH0, sub: 'auth0|123456', name: 'Jane', ...TIMES },
  },
  metadata: [`${AUTH0}.well-known/openid-configuration`, { issuer: AUTH0, jwks_uri: `${AUTH0}.well-known/jwks.json` }],
  jwksUri: `${AUTH0}.well-known/jwks.json`,
};
export const auth0Rfc9068Tokens: Documented = {
  ...auth0Tokens,
  accessTokens: [
    {
      header: { alg: 'RS256', typ: 'at+jwt' },
      claims: { ...AUTH0_CLAIMS, client_id: 'my_client_id', jti: '73WakrfVbNJBaAmhQtEeDv' },
    },
  ],
};

// Access tokens in the Microsoft identity platform (the two sample tokens, decoded; jwks_uri):
// https://learn.microsoft.com/en-us/entra/identity-platform/access-tokens
// Access token claims reference (header, `roles`; no `scp` for applications):
// https://learn.microsoft.com/en-us/entra/identity-platform/access-token-claims-reference
// ID token claims reference: https://learn.microsoft.com/en-us/entra/identity-platform/id-token-claims-reference
const ENTRA_HEADER = { typ: 'JWT', alg: 'RS256' };
export const ENTRA_TENANT = '72f988bf-86f1-41af-91ab-2d7cd011db47';
export const ENTRA_API = '6e74172b-be56-4843-9ff4-e66a39bb12e3';
const ENTRA_USER = {
  aio: 'AXQAi/8IAAAA',
  name: 'Abe Lincoln',
  oid: '690222be-ff1a-4d56-abd1-7e4f7d38e474',
  rh: 'I',
  sub: 'HKZpfaHyWadeOouYlitjrI-KffTm222X5rrV3xDqfKQ',
  tid: ENTRA_TENANT,
  uti: 'fqiBqXLPj0eQa82S-IYFAA',
  nbf: NOW - 60,
  ...TIMES,
};
const ENTRA_V2 = `https://login.microsoftonline.com/${ENTRA_TENANT}/v2.0`;
export const entraV2Tokens: Documented = {
  accessTokens: [
    {
      header: ENTRA_HEADER,
      claims: {
        ...ENTRA_USER,
        iss: ENTRA_V2,
        aud: ENTRA_API,
        azp: ENTRA_API,
        azpacr: '0',
        preferred_username: 'abeli@example.com',
        scp: 'access_as_user',
        roles: ['Reader'],
        ver: '2.0',
      },
    },
  ],
  idToken: {
    header: ENTRA_HEADER,
    claims: { ...ENTRA_USER, iss: ENTRA_V2, preferred_username: 'abeli@example.com', roles: ['Reader'], ver: '2.0' },
  },
  metadata: undefined,
  jwksUri: `https://login.microsoftonline.com/${ENTRA_TENANT}/discovery/v2.0/keys`,
};
const ENTRA_V1 = `https://sts.windows.net/${ENTRA_TENANT}/`;
export const ENTRA_V1_API = 'ef1da9d4-ff77-4c3e-a005-840c3f830745';
export const entraV1Tokens: Documented = {
  accessTokens: [
    {
      header: ENTRA_HEADER,
      claims: {
        ...ENTRA_USER,
        iss: ENTRA_V1,
        aud: ENTRA_V1_API,
        acr: '1',
        amr: ['wia'],
        appid: '75dbe77f-10a3-4e59-85fd-8c127544f17c',
        appidacr: '0',
        ipaddr: '222.222.222.22',
        scp: 'user_impersonation',
        roles: ['Reader'],
        unique_name: 'abeli@example.com',
        ver: '1.0',
      },
    },
  ],
  idToken: {
    header: ENTRA_HEADER,
    claims: { ...ENTRA_USER, iss: ENTRA_V1, unique_name: 'abeli@example.com', roles: ['Reader'], ver: '1.0' },
  },
  metadata: undefined,
  jwksUri: `https://login.microsoftonline.com/${ENTRA_TENANT}/discovery/keys`,
};

// OpenID Connect & OAuth 2.0 API, sections "Access token", "ID token" and "/.well-known/openid-configuration":
// https://developer.okta.com/docs/reference/api/oidc/
const OKTA = 'https://dev-123456.okta.com/oauth2/default';
const OKTA_HEADER = { alg: 'RS256' };
export const oktaTokens: Documented = {
  accessTokens: [
    {
      header: OKTA_HEADER,
      claims: {
        ver: 1,
        jti: 'AT.0mP4JKAZX1iACIT4vbEDF7LpvDVjxypPMf0D7uX39RE',
        iss: OKTA,
        aud: 'api://default',
        sub: 'john.doe@example.com',
        cid: 'nmdP1fcyvdVO11AL7ECm',
        uid: '00ujmkLgagxeRrAg20g3',
        scp: ['openid', 'email', 'flights', 'custom'],
        groups: ['pilots'],
        ...TIMES,
      },
    },
  ],
  idToken: {
    header: OKTA_HEADER,
    claims: {
      ver: 1,
      sub: '00uid4BxXw6I6TV4m0g3',
      iss: OKTA,
      amr: ['pwd'],
      jti: 'ID.4eAWJOCMB3SX8XewDfVR',
      auth_time: NOW - 60,
      at_hash: 'cpqKfdQA5eH891Ff5oJr_Q',
      name: 'John Doe',
      ...TIMES,
    },
  },
  metadata: [`${OKTA}/.well-known/openid-configuration`, { issuer: OKTA, jwks_uri: `${OKTA}/v1/keys` }],
  jwksUri: `${OKTA}/v1/keys`,
};

// There is no page of reference with a whole token. Names and values of `typ`, in header and claims:
// https://github.com/keycloak/keycloak/blob/main/core/src/main/java/org/keycloak/util/TokenUtil.java and
// https://github.com/keycloak/keycloak/pull/37573 (`at+jwt`). `aud`, `azp` and roles: Server Administration Guide, "Audience
// support": https://www.keycloak.org/docs/latest/server_admin/#audience-support. Paths: "Securing applications", "Endpoints".
const KEYCLOAK = 'https://sso.example.com/realms/example';
const KEYCLOAK_CLAIMS = {
  jti: 'f73a4a37-9550-4f88-97ef-3b45abee06f1',
  iss: KEYCLOAK,
  aud: ['orders-api', 'account'],
  sub: '7ddaf89f-69eb-4ecf-a9ca-acba11211986',
  azp: 'shop',
  sid: '0b2d2b3f-5c1a-4b3c-9d57-5a1f8f6a2f10',
  acr: '1',
  ...TIMES,
};
const KEYCLOAK_ACCESS = {
  ...KEYCLOAK_CLAIMS,
  typ: 'Bearer',
  realm_access: { roles: ['offline_access', 'editor'] },
  resource_access: { 'orders-api': { roles: ['manage-orders'] } },
  scope: 'openid email profile',
};
export const keycloakTokens: Documented = {
  accessTokens: [
    { header: { alg: 'RS256', typ: 'JWT' }, claims: KEYCLOAK_ACCESS },
    { header: { alg: 'RS256', typ: 'at+jwt' }, claims: KEYCLOAK_ACCESS },
  ],
  idToken: {
    header: { alg: 'RS256', typ: 'JWT' },
    claims: { ...KEYCLOAK_CLAIMS, typ: 'ID', at_hash: 'cpqKfdQA5eH891Ff5oJr_Q', preferred_username: 'alice' },
  },
  metadata: [
    `${KEYCLOAK}/.well-known/openid-configuration`,
    { issuer: KEYCLOAK, jwks_uri: `${KEYCLOAK}/protocol/openid-connect/certs` },
  ],
  jwksUri: `${KEYCLOAK}/protocol/openid-connect/certs`,
};

// Understanding the access token (sample, header, `aud` with a resource binding):
// https://docs.aws.amazon.com/cognito/latest/developerguide/amazon-cognito-user-pools-using-the-access-token.html
// Understanding user pool JSON web tokens (`jti` only with token revocation):
// https://docs.aws.amazon.com/cognito/latest/developerguide/amazon-cognito-user-pools-using-tokens-with-identity-providers.html
const COGNITO = 'https://cognito-idp.us-west-2.amazonaws.com/us-west-2_example';
const COGNITO_HEADER = { alg: 'RS256' };
const COGNITO_CLAIMS = {
  sub: 'aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee',
  'cognito:groups': ['testgroup'],
  iss: COGNITO,
  event_id: '64f513be-32db-42b0-b78e-b02127b4f463',
  auth_time: NOW - 60,
  ...TIMES,
};
const COGNITO_ACCESS = {
  ...COGNITO_CLAIMS,
  version: 2,
  client_id: 'xxxxxxxxxxxxexample',
  token_use: 'access',
  scope: 'phone openid profile resourceserver.1/appclient2 email',
  username: 'my-test-user',
};
const COGNITO_IDS = { origin_jti: 'aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeee1', jti: 'aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeee2' };
export const cognitoTokens: Documented = {
  accessTokens: [
    { header: COGNITO_HEADER, claims: { ...COGNITO_ACCESS, ...COGNITO_IDS } },
    { header: COGNITO_HEADER, claims: COGNITO_ACCESS },
  ],
  idToken: {
    header: COGNITO_HEADER,
    claims: {
      ...COGNITO_CLAIMS,
      ...COGNITO_IDS,
      token_use: 'id',
      at_hash: 'example',
      'cognito:username': 'my-test-user',
    },
  },
  metadata: [
    `${COGNITO}/.well-known/openid-configuration`,
    { issuer: COGNITO, jwks_uri: `${COGNITO}/.well-known/jwks.json` },
  ],
  jwksUri: `${COGNITO}/.well-known/jwks.json`,
};

// Token claims (header; no `sub` for client_credentials; ID token):
// https://developer.pingidentity.com/pingone-api/foundations/authentication-concepts/access-tokens-and-id-tokens/token-claims.html
// Application permissions (the sample with `p1.permissions`): https://docs.pingidentity.com/pingone/applications/
const PINGONE = 'https://auth.pingone.com/672e060d-e6c9-49d9-81b8-22ac46e55c85/as';
const PINGONE_CLIENT = {
  aud: ['BizPro Invoices API'],
  client_id: '2be7e2f8-02d8-46ca-9ebb-35e129a78452',
  iss: PINGONE,
  scope: 'bizpro:invoices',
  'p1.permissions': ['invoices:read', 'invoices:write', 'invoices:pay'],
  ...TIMES,
};
const PINGONE_USER = {
  ...PINGONE_CLIENT,
  sid: 'd11d5eb0-b2cb-4674-b4ef-2cdc211d379c',
  sub: 'c52cc34d-2f29-442d-adf8-00fc89f7bbd8',
};
export const pingOneTokens: Documented = {
  accessTokens: [
    { header: { alg: 'RS256' }, claims: PINGONE_USER },
    { header: { alg: 'RS256', typ: 'at+jwt' }, claims: PINGONE_USER },
    { header: { alg: 'RS256' }, claims: PINGONE_CLIENT },
  ],
  idToken: {
    header: { alg: 'RS256' },
    claims: {
      iss: PINGONE,
      sub: PINGONE_USER.sub,
      sid: PINGONE_USER.sid,
      auth_time: NOW - 60,
      acr: 'Password',
      ...TIMES,
    },
  },
  metadata: [`${PINGONE}/.well-known/openid-configuration`, { issuer: PINGONE, jwks_uri: `${PINGONE}/jwks` }],
  jwksUri: `${PINGONE}/jwks`,
};

// Claims in ZITADEL (which token has which; roles): https://zitadel.com/docs/apis/openidoauth/claims
// What is put into the two tokens: https://github.com/zitadel/zitadel/blob/main/internal/api/oidc/token.go with
// https://github.com/zitadel/oidc (pkg/oidc/token.go; pkg/op/signer.go: `typ`)
const ZITADEL = 'https://example-abc123.zitadel.cloud';
export const ZITADEL_PROJECT = '344374183645413380';
const ZITADEL_CLAIMS = {
  iss: ZITADEL,
  sub: '345377791925026818',
  aud: ['345377791925026820', ZITADEL_PROJECT],
  client_id: '345377791925026820',
  'urn:zitadel:iam:org:project:roles': { streaming: { '344373908297744388': 'example.zitadel.cloud' } },
  ...TIMES,
};
export const zitadelTokens: Documented = {
  accessTokens: [
    {
      header: { alg: 'RS256', typ: 'JWT' },
      claims: { ...ZITADEL_CLAIMS, nbf: NOW - 60, jti: 'V2_345377791925026822-at_345377791925092358' },
    },
  ],
  idToken: {
    header: { alg: 'RS256', typ: 'JWT' },
    claims: { ...ZITADEL_CLAIMS, azp: '345377791925026820', at_hash: 'example', sid: 'V1_1', auth_time: NOW - 60 },
  },
  metadata: [`${ZITADEL}/.well-known/openid-configuration`, { issuer: ZITADEL, jwks_uri: `${ZITADEL}/oauth/v2/keys` }],
  jwksUri: `${ZITADEL}/oauth/v2/keys`,
};

// Configuring JSON token management, with "Type Header Value" at+jwt, "JWT ID Claim Length" 22, "Include Issued At Claim",
// "Space Delimit Scope Values", "Issuer Claim Value" and "Audience Claim Value" set, and `sub` in the attribute contract:
// https://docs.pingidentity.com/pingfederate/latest/administrators_reference_guide/pf_configure_json_token_management.html
export const pingFederateToken: Token = {
  header: { alg: 'RS256', typ: 'at+jwt' },
  claims: {
    scope: 'openid orders:read',
    client_id: 'shop',
    iss: 'https://sso.example.com',
    aud: 'https://api.example.com',
    jti: 'XC8WQRVLzkcYbJtRfUlAbq',
    sub: 'joe',
    ...TIMES,
  },
};

// lib/models/formats/jwt.js of oidc-provider 9
export const oidcProviderToken: Token = {
  header: { alg: 'RS256', typ: 'at+jwt' },
  claims: {
    jti: 'hPBpyiFsY1xnCMTN4cuzSy8aEWIWaE1bXxbOV0y0x1c',
    sub: 'alice',
    scope: 'orders:read',
    client_id: 'shop',
    iss: 'https://sso.example.com',
    aud: 'https://api.example.com',
    ...TIMES,
  },
};

// Token types, "Service account ID token": https://cloud.google.com/docs/authentication/token-types
export const googleIdToken: Token = {
  header: { alg: 'RS256', typ: 'JWT' },
  claims: {
    iss: 'https://accounts.google.com',
    azp: '112010400000000710080',
    aud: 'https://api.example.com',
    sub: '112010400000000710080',
    email: 'caller@example.iam.gserviceaccount.com',
    email_verified: true,
    ...TIMES,
  },
};

/** Serves what a vendor publishes, 404 for all else, and writes down the addresses that were asked for. */
export function vendorFetch({ metadata, jwksUri }: Documented, key: JsonWebKey, log: string[]): Fetch {
  const documents = new Map<string, unknown>([
    [jwksUri, { keys: [key] }],
    ...(metadata === undefined ? [] : [metadata]),
  ]);
  return (input) => {
    const url = input instanceof Request ? input.url : input.toString();
    log.push(url);
    const document = documents.get(url);
    return Promise.resolve(document === undefined ? new Response(null, { status: 404 }) : Response.json(document));
  };
}
