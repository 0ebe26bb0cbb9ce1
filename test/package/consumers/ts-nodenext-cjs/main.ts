import express = require('express');
import {
  auth,
  checkAnyScope,
  checkClaim,
  checkScope,
  errorHandler,
  InsufficientScopeError,
  InvalidRequestError,
  InvalidTokenError,
  OAuthError,
  problemDetails,
  requireAnyScope,
  requireClaim,
  requireScope,
  resourceServer,
  UnauthorizedError,
  VerificationUnavailableError,
} from 'express-oauth2-resource-server';
import type {
  Auth,
  AuthError,
  AuthorizationServer,
  ClaimTest,
  CommonOptions,
  Fetch,
  Method,
  OnError,
  ResourceServerOptions,
  Seconds,
  TokenClaims,
} from 'express-oauth2-resource-server';

// Every public name once, as a program would use it.
const methods: Method[] = ['header', 'body'];
const clockTolerance: Seconds = 5;
const fetchKeys: Fetch = (input, init) => fetch(input, init);
const onError: OnError = (error, req, res, next) => {
  const known: AuthError = error;
  if (known instanceof VerificationUnavailableError) next(known);
  else problemDetails(known, req, res, next);
};
const common: CommonOptions = {
  resource: 'https://api.example.com',
  methods,
  clockTolerance,
  fetch: fetchKeys,
  onError,
  acceptToken: async (claims: TokenClaims) => Promise.resolve(claims.sub !== 'mallory'),
  impliesScope: (granted, required) => required.startsWith(`${granted}:`),
};
const one: ResourceServerOptions = {
  ...common,
  issuer: 'https://as.example.com',
  jwksUri: 'https://as.example.com/jwks',
};
const servers: AuthorizationServer[] = [
  { issuer: 'https://a.example' },
  { issuer: 'https://b.example', jwks: { keys: [{ kty: 'OKP', crv: 'Ed25519', x: 'AA' }] }, audience: ['a', 'b'] },
];
const isEditor: ClaimTest = (role) => role === 'editor';

const app = express();
app.use('/one', resourceServer(one));
app.use('/several', resourceServer({ ...common, authorizationServers: servers }));
app.get('/pictures', requireScope('a', 'b'), requireAnyScope('a', 'b'), requireClaim('role', isEditor), (req, res) => {
  const found: Auth<{ tenant: string }> = auth<{ tenant: string }>(req);
  const tenant: string = found.claims.tenant;
  const subject: string | undefined = auth.optional(req)?.subject;
  const other: unknown = auth(req).claims['department'];
  checkScope(req, 'a');
  checkAnyScope(req, 'a', 'b');
  checkClaim(req, 'role', isEditor);
  res.json({ tenant, subject, other, resource: found.resource.href, expires: found.expiresAt?.toFixed() });
});
app.use(errorHandler);

export function statusOf(error: unknown): number | undefined {
  for (const Class of [InsufficientScopeError, InvalidRequestError, InvalidTokenError, UnauthorizedError, OAuthError]) {
    if (error instanceof Class) return error.status;
  }
  return undefined;
}
