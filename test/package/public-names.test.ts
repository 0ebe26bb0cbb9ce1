import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import ts from 'typescript';
import * as lib from '../../lib/index.js';
import * as issuers from '../../lib/issuers.js';
import * as mcp from '../../lib/mcp.js';
import * as proxies from '../../lib/proxies.js';
import * as typedRequest from '../../lib/typed-request.js';
import { ENTRIES, ROOT } from './project.js';

/** Taking a name away, or renaming one, breaks programs: it is a major version. */
const VALUES = [
  'ForbiddenError',
  'InsufficientScopeError',
  'InsufficientUserAuthenticationError',
  'InvalidDPoPProofError',
  'InvalidRequestError',
  'InvalidTokenError',
  'OAuthError',
  'UnauthorizedError',
  'UseDPoPNonceError',
  'VerificationUnavailableError',
  'auth',
  'bearerToken',
  'checkActor',
  'checkAnyScope',
  'checkAuthorizationDetails',
  'checkClaim',
  'checkScope',
  'checkStepUp',
  'clientSecretBasic',
  'clientSecretJwt',
  'clientSecretPost',
  'errorHandler',
  'privateKeyJwt',
  'problemDetails',
  'requireActor',
  'requireAnyScope',
  'requireAuthorizationDetails',
  'requireBoundToken',
  'requireClaim',
  'requireScope',
  'requireStepUp',
  'resourceServer',
  'tlsClientAuth',
];
const TYPES = [
  'Actor',
  'ActorTest',
  'AssertionOptions',
  'Auth',
  'AuthError',
  'Authenticated',
  'AuthorizationDetail',
  'AuthorizationServer',
  'CachedKeys',
  'ClaimTest',
  'ClientAuthentication',
  'ClientCertificate',
  'CommonOptions',
  'DPoPOptions',
  'DetailTest',
  'DiagnosticsEvent',
  'Fetch',
  'FindAuthorizationServer',
  'IntrospectionOptions',
  'KeyCache',
  'KeyLocation',
  'MetadataOptions',
  'Method',
  'OnError',
  'OneAuthorizationServer',
  'OwnToken',
  'PrivateKey',
  'PublicUrl',
  'ReplayStore',
  'ResourceServer',
  'ResourceServerOptions',
  'ResourceTexts',
  'Scheme',
  'Seconds',
  'SelectIntrospection',
  'SeveralAuthorizationServers',
  'SignedAnswers',
  'SignedMetadata',
  'StepUp',
  'TokenClaims',
  'TokenTerms',
  'UpgradeHandler',
  'UpgradeListener',
  'UpgradeOptions',
];
const ISSUERS = {
  values: ['auth0', 'cognito', 'entraId', 'entraIdTenants', 'keycloak', 'okta', 'pingOne', 'zitadel'],
  types: [
    ...['Auth0Options', 'CognitoOptions', 'EntraIdTokens', 'IssuerOptions', 'VendorServer', 'VendorServerWithKeys'],
  ],
};

const MCP = { values: ['caller', 'requireToolScope'], types: [] };

const PROXIES = {
  values: ['awsAlb', 'envoy', 'haproxy', 'nginx', 'rfc9440', 'traefik'],
  types: ['AwsAlbOptions', 'CertificateHeader', 'HeaderOptions'],
};

function exportsOf(entry: string): { values: string[]; types: string[] } {
  const options = { module: ts.ModuleKind.NodeNext, strict: true, types: ['node'], noEmit: true };
  const program = ts.createProgram([entry], options);
  const checker = program.getTypeChecker();
  const source = program.getSourceFile(entry);
  const module = source && checker.getSymbolAtLocation(source);
  if (module === undefined) throw new Error(`${entry} is no module`);
  const values: string[] = [];
  const types: string[] = [];
  for (const symbol of checker.getExportsOfModule(module)) {
    const target = symbol.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol;
    (target.flags & ts.SymbolFlags.Value ? values : types).push(symbol.name);
  }
  return { values: values.sort(), types: types.sort() };
}

test('the names at run time', () => {
  expect(Object.keys(lib).sort()).toEqual(VALUES);
  expect(Object.keys(issuers).sort()).toEqual(ISSUERS.values);
  expect(Object.keys(mcp).sort()).toEqual(MCP.values);
  expect(Object.keys(proxies).sort()).toEqual(PROXIES.values);
  expect(Object.keys(typedRequest)).toEqual([]);
});

test('the names in the declarations, as they were built', () => {
  expect(exportsOf(join(ROOT, 'dist/index.d.ts'))).toEqual({ values: VALUES, types: TYPES });
  expect(exportsOf(join(ROOT, 'dist/issuers.d.ts'))).toEqual(ISSUERS);
  expect(exportsOf(join(ROOT, 'dist/mcp.d.ts'))).toEqual(MCP);
  expect(exportsOf(join(ROOT, 'dist/proxies.d.ts'))).toEqual(PROXIES);
  expect(exportsOf(join(ROOT, 'dist/typed-request.d.ts'))).toEqual({ values: [], types: [] });
}, 60_000);

test('the entries in package.json, and the files behind them', () => {
  const { exports } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { exports: unknown };
  const entry = (name: string) => ({ types: `./dist/${name}.d.ts`, default: `./dist/${name}.js` });
  expect(exports).toEqual({
    '.': entry('index'),
    './issuers': entry('issuers'),
    './mcp': entry('mcp'),
    './proxies': entry('proxies'),
    './typed-request': entry('typed-request'),
    './package.json': './package.json',
  });
  for (const name of ENTRIES) expect(readFileSync(join(ROOT, 'lib', `${name}.ts`), 'utf8')).not.toBe('');
});
