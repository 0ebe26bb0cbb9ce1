import { checkNames, checkUrl, show } from './options.js';
import { checkedList } from './token-terms.js';
import type { TokenTerms } from './token-terms.js';

/** What a preset gives: an `AuthorizationServer` on the vendor's terms. Spread it to change one of them, or name your keys. */
export interface VendorServer extends TokenTerms {
  readonly issuer: string;
}

/** A `VendorServer` whose keys are named. */
export type VendorServerWithKeys = VendorServer & { readonly jwksUri: string };

/** Options of {@link auth0}. */
export interface Auth0Options {
  /** The domain of the tenant, or your custom domain: `example.eu.auth0.com`. */
  readonly domain: string;
  /** The identifier of the API in Auth0. Default: the `resource`. */
  readonly audience?: string | readonly string[];
  /** The access token profile of the API, `auth0` or `rfc9068`. Default: `auth0`, which is Auth0's own. */
  readonly profile?: 'auth0' | 'rfc9068';
}

/**
 * Auth0. The issuer ends with a slash. With the profile `rfc9068` nothing is relaxed. With Auth0's own: `typ` is `JWT`,
 * the client is in `azp`, and there is no `jti`. An ID token has no `azp` and is refused.
 * @throws TypeError for mistakes in the options.
 */
export function auth0(options: Auth0Options): VendorServer {
  checkNames('auth0', options, ['domain', 'audience', 'profile']);
  const { domain, audience, profile = 'auth0' } = options;
  checkShape(
    'domain',
    domain,
    /^[a-z\d-]+(\.[a-z\d-]+)+$/,
    'a domain such as "example.eu.auth0.com", without https://',
  );
  checkShape('profile', profile, /^(auth0|rfc9068)$/, '"auth0" or "rfc9068"');
  const server = { issuer: `https://${domain}/`, ...named(audience) };
  return profile === 'rfc9068' ? server : { ...server, typ: ['JWT'], clientIdClaim: 'azp', optionalClaims: ['jti'] };
}

/** What {@link entraId} and {@link entraIdTenants} have in common. A tenant is named by its Directory (tenant) ID. */
export interface EntraIdTokens {
  /** The `ver` of the tokens: what `accessTokenAcceptedVersion` in the manifest of the API says, `1.0` where it says null. */
  readonly version: '1.0' | '2.0';
  /** What stands in `aud`: with 2.0 the Application (client) ID of the API, with 1.0 that or its Application ID URI. */
  readonly audience: string | readonly string[];
}

/**
 * Microsoft Entra ID, one tenant of the global cloud. `typ` is `JWT`, the client is in `azp` (1.0: `appid`), scope is in
 * `scp`, the token's identifier in `uti` instead of `jti`. An ID token has no `azp` or `appid` and is refused. The keys are
 * named, because the issuer of 1.0 is on another host than its metadata, and are those of the tenant, because the common set
 * has keys that are good for one tenant only. Roles are no scope here: use
 * `requireClaim('roles', …)`. Does not check `tid`: the issuer is the tenant.
 * @throws TypeError for mistakes in the options.
 */
export function entraId(options: EntraIdTokens & { readonly tenantId: string }): VendorServerWithKeys {
  checkNames('entraId', options, ['tenantId', 'version', 'audience']);
  return entraTenant(options.tenantId, options);
}

/**
 * The listed tenants of Microsoft Entra ID, each on the terms of {@link entraId}: a function for `authorizationServers`.
 * For a tenant that is not listed nothing is fetched.
 * @throws TypeError for mistakes in the options.
 */
export function entraIdTenants(
  options: EntraIdTokens & { readonly tenantIds: readonly string[] },
): (issuer: string) => VendorServerWithKeys | undefined {
  checkNames('entraIdTenants', options, ['tenantIds', 'version', 'audience']);
  const tenants = checkedList('tenantIds', options.tenantIds).map((tenantId) => entraTenant(tenantId, options));
  const byIssuer = new Map(tenants.map((tenant) => [tenant.issuer, tenant]));
  return (issuer) => byIssuer.get(issuer);
}

function entraTenant(tenantId: string, { version, audience }: EntraIdTokens): VendorServerWithKeys {
  const guid = /^[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}$/;
  checkShape('tenantId', tenantId, guid, 'a GUID in lower case, no domain, and not "common" (see entraIdTenants)');
  checkShape('version', version, /^[12]\.0$/, '"1.0" or "2.0", as in the claim "ver" of your tokens');
  const authority = `https://login.microsoftonline.com/${tenantId}`;
  const isV1 = version === '1.0';
  return {
    issuer: isV1 ? `https://sts.windows.net/${tenantId}/` : `${authority}/v2.0`,
    jwksUri: `${authority}/discovery/${isV1 ? '' : 'v2.0/'}keys`,
    audience: required('audience', audience, 'the Application (client) ID of the API, or its Application ID URI'),
    typ: ['JWT'],
    clientIdClaim: isV1 ? 'appid' : 'azp',
    scopeClaims: ['scp'],
    optionalClaims: ['jti'],
  };
}

/** Options of {@link okta}, {@link keycloak}, {@link pingOne} and {@link zitadel}. */
export interface IssuerOptions {
  /** The issuer, as the vendor shows it. */
  readonly issuer: string;
  /** What stands in `aud` for this API. Default: the `resource`. */
  readonly audience?: string | readonly string[];
}

/**
 * Okta, a custom authorization server, `default` included. There is no `typ`; the client is in `cid`, scope is
 * the array `scp`. An ID token has no `cid` and is refused. Not for the org authorization server: nobody but Okta can verify
 * its access tokens.
 * @throws TypeError for mistakes in the options.
 */
export function okta(options: IssuerOptions): VendorServer {
  checkNames('okta', options, ['issuer', 'audience']);
  const shape = /^[^:]+:\/\/(?![^/]*-admin\.)[^/]+\/oauth2\/(?!v1$)[^/?]+$/;
  const issuer = checkedIssuer(options.issuer, 'https://example.okta.com/oauth2/default', shape);
  return { issuer, ...named(options.audience), typ: [null], clientIdClaim: 'cid', scopeClaims: ['scp'] };
}

/**
 * Keycloak, one realm. `typ` in the header is `JWT`, or `at+jwt` where the client is set so; the client is in `azp`. What tells
 * access, ID and refresh tokens apart is the claim `typ`: it must be `Bearer`.
 * @throws TypeError for mistakes in the options.
 */
export function keycloak(options: IssuerOptions): VendorServer {
  checkNames('keycloak', options, ['issuer', 'audience']);
  const issuer = checkedIssuer(options.issuer, 'https://sso.example.com/realms/example', /\/realms\/[^/?]+$/);
  const terms = { typ: ['JWT', 'at+jwt'], clientIdClaim: 'azp', requiredClaims: { typ: 'Bearer' } };
  return { issuer, ...named(options.audience), ...terms };
}

/**
 * PingOne, one environment. `typ` may be missing (until March 2027, then it is `at+jwt`); there is no `jti`,
 * and for a client on its own behalf no `sub`. An ID token has no `client_id` and is refused.
 * @throws TypeError for mistakes in the options.
 */
export function pingOne(options: IssuerOptions): VendorServer {
  checkNames('pingOne', options, ['issuer', 'audience']);
  const issuer = checkedIssuer(options.issuer, 'https://auth.pingone.com/your-environment-id/as', /[^/]\/as$/);
  return { issuer, ...named(options.audience), typ: [null, 'at+jwt'], optionalClaims: ['sub', 'jti'] };
}

/** Options of {@link cognito}. */
export interface CognitoOptions {
  /** The ID of the user pool, such as `eu-west-1_AbCdEfGhI`. */
  readonly userPoolId: string;
  /** The IDs of all the app clients that may use this API: they stand in for the audience. */
  readonly clientIds: string | readonly string[];
  /** What stands in `aud` of tokens that an app asked for with `resource`. Default: the `resource`. */
  readonly audience?: string | readonly string[];
}

/**
 * Amazon Cognito, one user pool. There is no `typ`, but `token_use` must be `access`; there is no `aud`, so
 * `client_id` must be one of `clientIds`; with token revocation off there is no `jti`.
 * @throws TypeError for mistakes in the options.
 */
export function cognito(options: CognitoOptions): VendorServer {
  checkNames('cognito', options, ['userPoolId', 'clientIds', 'audience']);
  const { userPoolId, clientIds, audience } = options;
  checkShape('userPoolId', userPoolId, /^[a-z\d-]+_[A-Za-z\d]+$/, 'a user pool ID such as "eu-west-1_AbCdEfGhI"');
  const clients = required('clientIds', clientIds, 'the IDs of the app clients that may use this API');
  return {
    issuer: `https://cognito-idp.${userPoolId.replace(/_.*/, '')}.amazonaws.com/${userPoolId}`,
    ...named(audience),
    audienceSubstitute: { client_id: clients },
    typ: [null],
    optionalClaims: ['jti'],
    requiredClaims: { token_use: 'access' },
  };
}

/**
 * Zitadel, with the token type JWT. `audience` is the ID of the API's project. `typ` is `JWT`; nothing else is relaxed. An ID
 * token has no `jti` and is refused. There is no scope in the token: use `requireClaim('urn:zitadel:iam:org:project:roles', …)`.
 * @throws TypeError for mistakes in the options.
 */
export function zitadel(options: Required<IssuerOptions>): VendorServer {
  checkNames('zitadel', options, ['issuer', 'audience']);
  const issuer = checkedIssuer(options.issuer, 'https://example.zitadel.cloud', /^[^:]+:\/\/[^/?]+$/);
  const audience = required('audience', options.audience, 'the ID of the project of this API');
  return { issuer, audience, typ: ['JWT'] };
}

function checkShape(name: string, value: unknown, shape: RegExp, wanted: string): void {
  if (typeof value === 'string' && shape.test(value)) return;
  throw new TypeError(`"${name}" must be ${wanted}, got ${show(value)}`);
}

function checkedIssuer(issuer: unknown, example: string, shape: RegExp): string {
  checkUrl('issuer', issuer, example);
  checkShape('issuer', issuer, shape, `an issuer of this vendor, in the form "${example}", with no slash at the end`);
  return issuer;
}

function required(name: string, list: unknown, wanted: string): readonly string[] {
  if (list === undefined) throw new TypeError(`"${name}" is missing: give ${wanted}`);
  return checkedList(name, list);
}

/** The audience, if there is one: a member that is undefined would hide the one beside `authorizationServers`. */
function named(audience: unknown): { audience?: readonly string[] } {
  return audience === undefined ? {} : { audience: required('audience', audience, '') };
}
