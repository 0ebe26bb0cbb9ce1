import { afterEach, describe, expect, test } from '@jest/globals';
import type { RequestHandler } from 'express';
import { requireClaim, requireScope } from '../../lib/index.js';
import type { AuthorizationServer, ResourceServerOptions } from '../../lib/index.js';
import { auth0, cognito, entraId, entraIdTenants, keycloak, okta, pingOne, zitadel } from '../../lib/issuers.js';
import type { VendorServer } from '../../lib/issuers.js';
import { startApp } from '../support/app.js';
import type { Answer, TestApp } from '../support/app.js';
import { signingKey, signJwt } from '../support/tokens.js';
import type { Overrides } from '../support/tokens.js';
import * as vendor from '../support/vendor-tokens.js';
import type { Documented, Token } from '../support/vendor-tokens.js';

const RESOURCE = 'https://api.example.com';
const KEY = signingKey('RS256', 'vendor');

const WRONG_TYPE = 'The token is not an access token by its type';
const NO_JTI = 'The access token has no jti';
const NO_CLIENT = 'The access token has no client identifier';
const WRONG_KIND = 'The access token is not of the accepted kind';
const NOT_FOR_US = 'The access token is not for this resource';
const STRANGER = 'The access token is from an issuer that is not trusted here';

interface Case {
  readonly name: string;
  readonly documented: Documented;
  readonly server: VendorServer;
  /** What `auth(req)` says of the first access token. */
  readonly auth: { readonly scopes: readonly string[]; readonly clientId: string; readonly subject: string };
  /** A guard for what the first access token is allowed to do, and the claims that take it away. */
  readonly guard: RequestHandler;
  readonly withoutRole: Overrides;
  /** Why the ID token is refused, and why when it has none of the claims that only ID tokens have. */
  readonly idToken: readonly [string, string];
  /** The `aud` of this API, for the ID token. */
  readonly aud: string;
  /** What tokens that are not for us differ in, and why they are refused. */
  readonly strangers: readonly (readonly [what: string, claims: Overrides, why: string])[];
  /** Why the first access token is refused on the terms of RFC 9068; undefined where they are enough. */
  readonly twin: string | undefined;
}

function has(role: string): (value: unknown) => boolean {
  return (value) => Array.isArray(value) && value.includes(role);
}

const OTHER_TENANT = 'a0000000-0000-4000-8000-000000000001';
const AUTH0 = { domain: 'my-domain.auth0.com', audience: 'https://example.com/health-api' };
const AUTH0_CASE = {
  auth: {
    scopes: ['openid', 'profile', 'read:patients', 'read:admin'],
    clientId: 'my_client_id',
    subject: 'auth0|123456',
  },
  guard: requireClaim('permissions', has('read:patients')),
  withoutRole: { permissions: [] },
  aud: AUTH0.audience,
  strangers: [
    ['another tenant', { iss: 'https://other.auth0.com/' }, STRANGER],
    ['the issuer without its slash', { iss: 'https://my-domain.auth0.com' }, STRANGER],
    ['another API', { aud: ['https://other.example', 'https://my-domain.auth0.com/userinfo'] }, NOT_FOR_US],
  ],
} as const;
const ENTRA_CASE = {
  guard: requireClaim('roles', has('Reader')),
  withoutRole: { roles: ['Writer'] },
  idToken: [NO_CLIENT, NO_CLIENT],
  twin: WRONG_TYPE,
} as const;
const GRAPH: Case['strangers'][number] = [
  'Microsoft Graph',
  { aud: '00000003-0000-0000-c000-000000000000' },
  NOT_FOR_US,
];

const CASES: readonly Case[] = [
  {
    ...AUTH0_CASE,
    name: 'Auth0',
    documented: vendor.auth0Tokens,
    server: auth0(AUTH0),
    idToken: [NO_CLIENT, NO_CLIENT],
    twin: WRONG_TYPE,
  },
  {
    ...AUTH0_CASE,
    name: 'Auth0 with the profile rfc9068',
    documented: vendor.auth0Rfc9068Tokens,
    server: auth0({ ...AUTH0, profile: 'rfc9068' }),
    idToken: [WRONG_TYPE, WRONG_TYPE],
    twin: undefined,
  },
  {
    ...ENTRA_CASE,
    name: 'Entra ID 2.0',
    documented: vendor.entraV2Tokens,
    server: entraId({ tenantId: vendor.ENTRA_TENANT, version: '2.0', audience: vendor.ENTRA_API }),
    auth: {
      scopes: ['access_as_user'],
      clientId: vendor.ENTRA_API,
      subject: 'HKZpfaHyWadeOouYlitjrI-KffTm222X5rrV3xDqfKQ',
    },
    aud: vendor.ENTRA_API,
    strangers: [
      ['another tenant', { iss: `https://login.microsoftonline.com/${OTHER_TENANT}/v2.0` }, STRANGER],
      ['the template of the common endpoint', { iss: 'https://login.microsoftonline.com/{tenantid}/v2.0' }, STRANGER],
      ['version 1.0', { iss: `https://sts.windows.net/${vendor.ENTRA_TENANT}/`, ver: '1.0' }, STRANGER],
      GRAPH,
    ],
  },
  {
    ...ENTRA_CASE,
    name: 'Entra ID 1.0',
    documented: vendor.entraV1Tokens,
    server: entraId({
      tenantId: vendor.ENTRA_TENANT,
      version: '1.0',
      audience: ['api://health-api', vendor.ENTRA_V1_API],
    }),
    auth: {
      scopes: ['user_impersonation'],
      clientId: '75dbe77f-10a3-4e59-85fd-8c127544f17c',
      subject: 'HKZpfaHyWadeOouYlitjrI-KffTm222X5rrV3xDqfKQ',
    },
    aud: vendor.ENTRA_V1_API,
    strangers: [
      ['another tenant', { iss: `https://sts.windows.net/${OTHER_TENANT}/` }, STRANGER],
      ['version 2.0', { iss: `https://login.microsoftonline.com/${vendor.ENTRA_TENANT}/v2.0`, ver: '2.0' }, STRANGER],
      GRAPH,
    ],
  },
  {
    name: 'Okta',
    documented: vendor.oktaTokens,
    server: okta({ issuer: 'https://dev-123456.okta.com/oauth2/default', audience: 'api://default' }),
    auth: {
      scopes: ['openid', 'email', 'flights', 'custom'],
      clientId: 'nmdP1fcyvdVO11AL7ECm',
      subject: 'john.doe@example.com',
    },
    guard: requireClaim('groups', has('pilots')),
    withoutRole: { groups: ['passengers'] },
    idToken: [WRONG_TYPE, NO_CLIENT],
    aud: 'api://default',
    strangers: [
      ['the org authorization server', { iss: 'https://dev-123456.okta.com' }, STRANGER],
      ['another authorization server', { iss: 'https://dev-123456.okta.com/oauth2/aus1' }, STRANGER],
      ['another org', { iss: 'https://dev-999999.okta.com/oauth2/default' }, STRANGER],
      ['another API', { aud: 'https://other.example' }, NOT_FOR_US],
    ],
    twin: WRONG_TYPE,
  },
  {
    name: 'Keycloak',
    documented: vendor.keycloakTokens,
    server: keycloak({ issuer: 'https://sso.example.com/realms/example', audience: 'orders-api' }),
    auth: {
      scopes: ['openid', 'email', 'profile'],
      clientId: 'shop',
      subject: '7ddaf89f-69eb-4ecf-a9ca-acba11211986',
    },
    guard: requireClaim(['realm_access', 'roles'], has('editor')),
    withoutRole: { realm_access: { roles: ['offline_access'] } },
    idToken: [WRONG_TYPE, WRONG_KIND],
    aud: 'orders-api',
    strangers: [
      ['another realm', { iss: 'https://sso.example.com/realms/other' }, STRANGER],
      ['another client', { aud: ['invoices-api', 'account'] }, NOT_FOR_US],
      ['a realm without audience mapper', { aud: 'account' }, NOT_FOR_US],
      ['the token endpoint (a refresh token)', { typ: 'Refresh' }, WRONG_KIND],
    ],
    twin: WRONG_TYPE,
  },
  {
    name: 'Cognito',
    documented: vendor.cognitoTokens,
    server: cognito({
      userPoolId: 'us-west-2_example',
      clientIds: ['xxxxxxxxxxxxexample'],
      audience: 'https://api.example.com',
    }),
    auth: {
      scopes: ['phone', 'openid', 'profile', 'resourceserver.1/appclient2', 'email'],
      clientId: 'xxxxxxxxxxxxexample',
      subject: 'aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee',
    },
    guard: requireClaim('cognito:groups', has('testgroup')),
    withoutRole: { 'cognito:groups': ['other'] },
    idToken: [WRONG_TYPE, NO_CLIENT],
    aud: 'https://api.example.com',
    strangers: [
      ['another user pool', { iss: 'https://cognito-idp.us-west-2.amazonaws.com/us-west-2_other' }, STRANGER],
      ['another region', { iss: 'https://cognito-idp.eu-west-1.amazonaws.com/us-west-2_example' }, STRANGER],
      ['an app client that is not listed', { client_id: 'other' }, NOT_FOR_US],
      ['another API that the app named in "resource"', { aud: 'https://other.example' }, NOT_FOR_US],
      ['the app itself (an ID token with client_id)', { token_use: 'id' }, WRONG_KIND],
    ],
    twin: WRONG_TYPE,
  },
  {
    name: 'PingOne',
    documented: vendor.pingOneTokens,
    server: pingOne({
      issuer: 'https://auth.pingone.com/672e060d-e6c9-49d9-81b8-22ac46e55c85/as',
      audience: 'BizPro Invoices API',
    }),
    auth: {
      scopes: ['bizpro:invoices'],
      clientId: '2be7e2f8-02d8-46ca-9ebb-35e129a78452',
      subject: 'c52cc34d-2f29-442d-adf8-00fc89f7bbd8',
    },
    guard: requireClaim('p1.permissions', has('invoices:pay')),
    withoutRole: { 'p1.permissions': ['invoices:read'] },
    idToken: [NO_CLIENT, NO_CLIENT],
    aud: 'BizPro Invoices API',
    strangers: [
      ['another environment', { iss: `https://auth.pingone.com/${OTHER_TENANT}/as` }, STRANGER],
      ['the PingOne API', { aud: ['https://api.pingone.com'] }, NOT_FOR_US],
    ],
    twin: WRONG_TYPE,
  },
  {
    name: 'Zitadel',
    documented: vendor.zitadelTokens,
    server: zitadel({ issuer: 'https://example-abc123.zitadel.cloud', audience: vendor.ZITADEL_PROJECT }),
    auth: { scopes: [], clientId: '345377791925026820', subject: '345377791925026818' },
    guard: requireClaim(['urn:zitadel:iam:org:project:roles', 'streaming'], (grants) => grants !== undefined),
    withoutRole: { 'urn:zitadel:iam:org:project:roles': {} },
    idToken: [WRONG_TYPE, NO_JTI],
    aud: vendor.ZITADEL_PROJECT,
    strangers: [
      ['another instance', { iss: 'https://other-abc123.zitadel.cloud' }, STRANGER],
      ['another project', { aud: ['345377791925026820'] }, NOT_FOR_US],
    ],
    twin: WRONG_TYPE,
  },
];

const apps: TestApp[] = [];
afterEach(async () => {
  await Promise.all(apps.splice(0).map((app) => app.close()));
});

async function start(
  servers: ResourceServerOptions['authorizationServers'],
  documented: Documented,
  { guard = requireScope('x'), log = [] }: { guard?: RequestHandler; log?: string[] } = {},
): Promise<TestApp> {
  const fetch = vendor.vendorFetch(documented, KEY.jwk, log);
  const options = { resource: RESOURCE, authorizationServers: servers ?? [], fetch, clock: () => vendor.NOW };
  const app = await startApp(options, (express) => {
    express.get('/guarded', guard, (_req, res) => void res.json({ passed: true }));
  });
  apps.push(app);
  return app;
}

function sign({ header, claims }: Token, overrides: Overrides = {}): string {
  return signJwt({ ...header, kid: KEY.kid }, { ...claims, ...overrides }, KEY);
}

function expectRefusal(answer: Answer, why: string, status = 401, code = 'invalid_token'): void {
  expect(answer.status).toBe(status);
  expect(answer.challenge).toBe(`Bearer realm="${RESOURCE}", error="${code}", error_description="${why}"`);
}

describe.each(CASES)('$name', ({ documented, server, ...expected }) => {
  const [first] = documented.accessTokens;
  const issuer = server.issuer;

  test.each([...documented.accessTokens.entries()])('documented access token %i passes', async (_number, token) => {
    const log: string[] = [];
    const app = await start([server], documented, { log });
    const answer = await app.get('/protected', sign(token));
    expect(answer.status).toBe(200);
    const { clientId } = expected.auth;
    const subject = token === first ? expected.auth.subject : (token.claims['sub'] ?? clientId);
    expect(answer.body).toMatchObject({ auth: { ...expected.auth, subject, issuer } });
    expect(log.at(-1)).toBe(documented.jwksUri);
  });

  test('its roles open a guard, and others do not', async () => {
    const app = await start([server], documented, expected);
    const answer = await app.get('/guarded', sign(first));
    expect([answer.status, answer.body]).toEqual([200, { passed: true }]);
    expectRefusal(
      await app.get('/guarded', sign(first, expected.withoutRole)),
      'The access token lacks a required claim',
      403,
      'insufficient_scope',
    );
  });

  test('without the preset the token is refused, unless nothing is relaxed', async () => {
    const plain: AuthorizationServer = {
      issuer,
      jwksUri: documented.jwksUri,
      ...(server.audience !== undefined && { audience: server.audience }),
    };
    const app = await start([plain], documented);
    const answer = await app.get('/protected', sign(first));
    if (expected.twin === undefined) expect(answer.status).toBe(200);
    else expectRefusal(answer, expected.twin);
  });

  test('each relaxation is needed by a documented token', async () => {
    const narrower = eachRelaxationLess(server);
    expect(narrower.length > 0).toBe(expected.twin !== undefined);
    for (const less of narrower) {
      const app = await start([less], documented);
      const answers = await Promise.all(documented.accessTokens.map((token) => app.get('/protected', sign(token))));
      const scopes = answers.map(
        ({ status, body }) => status === 200 && (body as { auth: { scopes: string[] } }).auth.scopes,
      );
      expect(scopes).not.toEqual(documented.accessTokens.map(() => expected.auth.scopes));
    }
  });

  test('an ID token for the same audience is refused, whether or not it shows that it is one', async () => {
    const app = await start([server], documented);
    const [why, whyPlain] = expected.idToken;
    expectRefusal(await app.get('/protected', sign(documented.idToken, { aud: expected.aud })), why);
    const plain = { aud: expected.aud, nonce: undefined, at_hash: undefined };
    expectRefusal(await app.get('/protected', sign(documented.idToken, plain)), whyPlain);
  });

  test.each(expected.strangers)('a token of or for %s is refused', async (_what, claims, why) => {
    const log: string[] = [];
    const app = await start([server], documented, { log });
    expectRefusal(await app.get('/protected', sign(first, claims)), why);
    expect(log).toEqual([]);
  });

  test('a token signed by somebody else is refused', async () => {
    const app = await start([server], documented);
    const forged = signJwt({ ...first.header, kid: KEY.kid }, first.claims, signingKey('RS256'));
    expectRefusal(await app.get('/protected', forged), 'The access token has a wrong signature');
  });
});

/** The server with one relaxation less, for each of them. `audience` and `requiredClaims` relax nothing. */
function eachRelaxationLess(server: VendorServer): VendorServer[] {
  const { typ, optionalClaims = [] } = server;
  const relaxations = ['typ', 'clientIdClaim', 'scopeClaims', 'audienceSubstitute', 'optionalClaims'];
  const names = Object.keys(server).filter((name) => relaxations.includes(name));
  return [
    ...names.map((name) => Object.fromEntries(Object.entries(server).filter(([other]) => other !== name))),
    ...(typ ?? []).map((one) => ({ ...server, typ: ['other', ...(typ ?? []).filter((other) => other !== one)] })),
    ...optionalClaims.map((name) => ({ ...server, optionalClaims: optionalClaims.filter((other) => other !== name) })),
  ] as VendorServer[];
}

describe('the vendors that send a typ', () => {
  const withTyp = CASES.filter(({ name }) => !['Okta', 'Cognito', 'PingOne'].includes(name));

  test.each(withTyp)('$name: any other is refused', async (one) => {
    const app = await start([one.server], one.documented);
    const [{ header, claims }] = one.documented.accessTokens;
    for (const typ of ['logout+jwt', 'dpop+jwt', '', undefined]) {
      expectRefusal(await app.get('/protected', sign({ header: { ...header, typ }, claims })), WRONG_TYPE);
    }
  });
});

describe('Auth0 machine-to-machine applications', () => {
  test('have the client in subject and client', async () => {
    const app = await start([auth0(AUTH0)], vendor.auth0Tokens);
    const [, token] = vendor.auth0Tokens.accessTokens;
    const answer = await app.get('/protected', sign(token ?? vendor.googleIdToken));
    expect(answer.body).toMatchObject({ auth: { subject: 'my_client_id@clients', clientId: 'my_client_id' } });
  });
});

describe('Cognito with a resource binding', () => {
  const [token] = vendor.cognitoTokens.accessTokens;
  const options = { userPoolId: 'us-west-2_example', clientIds: 'xxxxxxxxxxxxexample' };

  test('passes by its aud where that is named', async () => {
    const app = await start([cognito({ ...options, audience: RESOURCE })], vendor.cognitoTokens);
    expect((await app.get('/protected', sign(token, { aud: RESOURCE }))).status).toBe(200);
  });

  test('is for another API by its aud, though its client is listed; also if the aud is that client', async () => {
    const app = await start([cognito(options)], vendor.cognitoTokens);
    expect((await app.get('/protected', sign(token))).status).toBe(200);
    expect((await app.get('/protected', sign(token, { aud: RESOURCE }))).status).toBe(200);
    expectRefusal(await app.get('/protected', sign(token, { aud: 'https://other.example' })), NOT_FOR_US);
    for (const aud of [options.clientIds].flat()) {
      expectRefusal(await app.get('/protected', sign(token, { aud, client_id: 'other' })), NOT_FOR_US);
    }
  });
});

describe('several tenants of Entra ID', () => {
  const [token] = vendor.entraV2Tokens.accessTokens;
  const find = entraIdTenants({
    tenantIds: [OTHER_TENANT, vendor.ENTRA_TENANT],
    version: '2.0',
    audience: vendor.ENTRA_API,
  });
  const issuerOf = (tenant: string) => `https://login.microsoftonline.com/${tenant}/v2.0`;

  test('a listed tenant passes, with the keys of that tenant', async () => {
    const log: string[] = [];
    const app = await start(find, vendor.entraV2Tokens, { log });
    const answer = await app.get('/protected', sign(token));
    expect(answer.status).toBe(200);
    expect(answer.body).toMatchObject({ auth: { scopes: ['access_as_user'], issuer: issuerOf(vendor.ENTRA_TENANT) } });
    expect(log).toEqual([vendor.entraV2Tokens.jwksUri]);
  });

  test.each([
    ['that is not listed', issuerOf('b0000000-0000-4000-8000-000000000002')],
    ['called common', issuerOf('common')],
    ['of the template', issuerOf('{tenantid}')],
    ['in capitals', issuerOf(vendor.ENTRA_TENANT.toUpperCase())],
    ['of version 1.0', `https://sts.windows.net/${vendor.ENTRA_TENANT}/`],
    ['by a name every object has', 'constructor'],
  ])('a tenant %s is refused, and nothing is fetched', async (_what, iss) => {
    const log: string[] = [];
    const app = await start(find, vendor.entraV2Tokens, { log });
    expectRefusal(await app.get('/protected', sign(token, { iss })), STRANGER);
    expect(log).toEqual([]);
  });

  test('the key of one tenant is not tried for another', async () => {
    const log: string[] = [];
    const app = await start(find, vendor.entraV2Tokens, { log });
    expect((await app.get('/protected', sign(token))).status).toBe(200);
    expect((await app.get('/protected', sign(token, { iss: issuerOf(OTHER_TENANT) }))).status).toBe(503); // has none here
    expect(log).toEqual([vendor.entraV2Tokens.jwksUri, expect.stringContaining(OTHER_TENANT)]);
  });

  test('an ID token of a listed tenant is refused', async () => {
    const app = await start(find, vendor.entraV2Tokens);
    expectRefusal(
      await app.get('/protected', sign(vendor.entraV2Tokens.idToken, { aud: vendor.ENTRA_API })),
      NO_CLIENT,
    );
  });
});

describe('without a preset', () => {
  const published = (issuer: string): Documented => ({
    ...vendor.oktaTokens,
    metadata: [`${issuer}/.well-known/openid-configuration`, { issuer, jwks_uri: `${issuer}/keys` }],
    jwksUri: `${issuer}/keys`,
  });

  test.each([
    ['PingFederate, set up as docs/issuers.md says', vendor.pingFederateToken, ['openid', 'orders:read']],
    ['oidc-provider', vendor.oidcProviderToken, ['orders:read']],
  ])('%s passes', async (_name, token, scopes) => {
    const issuer = 'https://sso.example.com';
    const app = await start([{ issuer }], published(issuer));
    const answer = await app.get('/protected', sign(token));
    expect(answer.status).toBe(200);
    expect(answer.body).toMatchObject({ auth: { scopes, clientId: 'shop', subject: token.claims['sub'] } });
  });

  test('PingFederate as it comes is refused: no typ', async () => {
    const issuer = 'https://sso.example.com';
    const app = await start([{ issuer }], published(issuer));
    const token = { ...vendor.pingFederateToken, header: { alg: 'RS256' } };
    expectRefusal(await app.get('/protected', sign(token)), WRONG_TYPE);
  });

  test('an ID token of a Google service account is refused', async () => {
    const issuer = 'https://accounts.google.com';
    const app = await start([{ issuer }], published(issuer));
    expectRefusal(await app.get('/protected', sign(vendor.googleIdToken)), WRONG_TYPE);
  });
});

describe('mistakes in the options are named', () => {
  const entra = { tenantId: OTHER_TENANT, version: '2.0', audience: vendor.ENTRA_API } as const;
  const guid = '"tenantId" must be a GUID in lower case, no domain, and not "common" (see entraIdTenants), got ';

  test.each<[string, () => unknown, string]>([
    [
      'Auth0 with a URL',
      () => auth0({ domain: 'https://my-domain.auth0.com/' }),
      '"domain" must be a domain such as "example.eu.auth0.com", without https://, got "https://my-domain.auth0.com/"',
    ],
    [
      'Auth0 with an unknown profile',
      () => auth0({ ...AUTH0, profile: 'RFC 9068' as 'rfc9068' }),
      '"profile" must be "auth0" or "rfc9068", got "RFC 9068"',
    ],
    [
      'Auth0 with an issuer',
      () => auth0({ ...AUTH0, issuer: 'https://my-domain.auth0.com/' } as typeof AUTH0),
      'auth0 has no option "issuer": the options are domain, audience, profile',
    ],
    [
      'an empty audience',
      () => auth0({ ...AUTH0, audience: [] }),
      '"audience" must be a string or a list of strings, none of them empty, got an empty list',
    ],
    ['Entra ID common', () => entraId({ ...entra, tenantId: 'common' }), `${guid}"common"`],
    ['Entra ID with a domain', () => entraId({ ...entra, tenantId: 'contoso.com' }), `${guid}"contoso.com"`],
    [
      'Entra ID without a version',
      () => entraId({ ...entra, version: undefined as unknown as '2.0' }),
      '"version" must be "1.0" or "2.0", as in the claim "ver" of your tokens, got undefined',
    ],
    [
      'Entra ID without an audience',
      () => entraId({ ...entra, audience: undefined as unknown as string }),
      '"audience" is missing: give the Application (client) ID of the API, or its Application ID URI',
    ],
    [
      'no tenants of Entra ID',
      () => entraIdTenants({ version: '2.0', audience: vendor.ENTRA_API, tenantIds: [] }),
      '"tenantIds" must be a string or a list of strings, none of them empty, got an empty list',
    ],
    [
      'a wrong tenant of Entra ID',
      () => entraIdTenants({ version: '2.0', audience: vendor.ENTRA_API, tenantIds: [OTHER_TENANT, 'organizations'] }),
      `${guid}"organizations"`,
    ],
    ...[
      'https://dev-123456.okta.com',
      'https://dev-123456.okta.com/oauth2/v1',
      'https://dev-123456.okta.com/oauth2/default/',
      'https://dev-123456-admin.okta.com/oauth2/default',
    ].map((issuer): [string, () => unknown, string] => [
      `Okta at ${issuer}`,
      () => okta({ issuer }),
      `"issuer" must be an issuer of this vendor, in the form "https://example.okta.com/oauth2/default", with no slash at the end, got "${issuer}"`,
    ]),
    ...['https://sso.example.com', 'https://sso.example.com/realms/example/'].map(
      (issuer): [string, () => unknown, string] => [
        `Keycloak at ${issuer}`,
        () => keycloak({ issuer }),
        `"issuer" must be an issuer of this vendor, in the form "https://sso.example.com/realms/example", with no slash at the end, got "${issuer}"`,
      ],
    ),
    [
      'Keycloak without TLS',
      () => keycloak({ issuer: 'http://sso.example.com/realms/example' }),
      '"issuer" must be an https URL such as "https://sso.example.com/realms/example" (http only on loopback), got "http://sso.example.com/realms/example"',
    ],
    [
      'PingOne without /as',
      () => pingOne({ issuer: `https://auth.pingone.eu/${OTHER_TENANT}` }),
      `"issuer" must be an issuer of this vendor, in the form "https://auth.pingone.com/your-environment-id/as", with no slash at the end, got "https://auth.pingone.eu/${OTHER_TENANT}"`,
    ],
    [
      'Cognito with the ID of an identity pool',
      () => cognito({ userPoolId: 'us-west-2:aaaa-bbbb', clientIds: 'a' }),
      '"userPoolId" must be a user pool ID such as "eu-west-1_AbCdEfGhI", got "us-west-2:aaaa-bbbb"',
    ],
    [
      'Cognito without app clients',
      () => cognito({ userPoolId: 'us-west-2_example' } as Parameters<typeof cognito>[0]),
      '"clientIds" is missing: give the IDs of the app clients that may use this API',
    ],
    [
      'Zitadel with a slash',
      () => zitadel({ issuer: 'https://example.zitadel.cloud/', audience: '1' }),
      '"issuer" must be an issuer of this vendor, in the form "https://example.zitadel.cloud", with no slash at the end, got "https://example.zitadel.cloud/"',
    ],
    [
      'Zitadel without a project',
      () => zitadel({ issuer: 'https://example.zitadel.cloud' } as Parameters<typeof zitadel>[0]),
      '"audience" is missing: give the ID of the project of this API',
    ],
  ])('%s', (_what, make, message) => {
    expect(make).toThrow(new TypeError(message));
  });

  test('Keycloak on this machine needs no TLS', () => {
    expect(keycloak({ issuer: 'http://localhost:8080/realms/example' }).issuer).toBe(
      'http://localhost:8080/realms/example',
    );
  });
});

describe('what presets give is an AuthorizationServer', () => {
  test('keys of your own go beside it', async () => {
    const server = keycloak({ issuer: 'https://sso.example.com/realms/example', audience: 'orders-api' });
    const log: string[] = [];
    const app = await start([{ ...server, jwks: { keys: [KEY.jwk] as never } }], vendor.keycloakTokens, { log });
    const [token] = vendor.keycloakTokens.accessTokens;
    expect((await app.get('/protected', sign(token))).status).toBe(200);
    expect(log).toEqual([]);
  });

  test('the audience beside authorizationServers counts where the preset has none', async () => {
    const [token] = vendor.keycloakTokens.accessTokens;
    const authorizationServers = [keycloak({ issuer: 'https://sso.example.com/realms/example' })];
    const fetch = vendor.vendorFetch(vendor.keycloakTokens, KEY.jwk, []);
    const ask = async (audience: string) => {
      const app = await startApp({
        resource: RESOURCE,
        audience,
        authorizationServers,
        fetch,
        clock: () => vendor.NOW,
      });
      apps.push(app);
      return app.get('/protected', sign(token));
    };
    expect((await ask('orders-api')).status).toBe(200);
    expectRefusal(await ask('invoices-api'), NOT_FOR_US);
  });
});
