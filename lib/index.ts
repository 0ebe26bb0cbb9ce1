export { problemDetails } from './answer.js';
export type { AuthError, OnError } from './answer.js';
export { auth } from './auth.js';
export type { AuthorizationServer, KeyLocation } from './authorization-servers.js';
export { checkAuthorizationDetails, requireAuthorizationDetails } from './authorization-details.js';
export type { AuthorizationDetail, DetailTest } from './authorization-details.js';
export { bearerToken } from './bearer-authentication.js';
export type { OwnToken } from './bearer-authentication.js';
export {
  clientSecretBasic,
  clientSecretJwt,
  clientSecretPost,
  privateKeyJwt,
  tlsClientAuth,
} from './client-authentication.js';
export type { AssertionOptions, Authenticated, ClientAuthentication } from './client-authentication.js';
export type { ClientCertificate } from './client-certificate.js';
export type { DiagnosticsEvent } from './diagnostics.js';
export type { DPoPOptions } from './dpop-options.js';
export type { ReplayStore } from './dpop-replay.js';
export { errorHandler } from './error-handler.js';
export {
  ForbiddenError,
  InsufficientScopeError,
  InsufficientUserAuthenticationError,
  InvalidDPoPProofError,
  InvalidRequestError,
  InvalidTokenError,
  OAuthError,
  UnauthorizedError,
  UseDPoPNonceError,
  VerificationUnavailableError,
} from './errors.js';
export type { StepUp } from './errors.js';
export type { Fetch } from './fetch-json.js';
export {
  checkActor,
  checkAnyScope,
  checkClaim,
  checkScope,
  checkStepUp,
  requireActor,
  requireAnyScope,
  requireBoundToken,
  requireClaim,
  requireScope,
  requireStepUp,
} from './guards.js';
export type { ActorTest, ClaimTest } from './guards.js';
export type { IntrospectionOptions, SignedAnswers } from './introspection-options.js';
export type { CachedKeys, KeyCache } from './key-cache.js';
export type { MetadataOptions, ResourceTexts, SignedMetadata } from './metadata-options.js';
export type { PublicUrl } from './request-uri.js';
export { resourceServer } from './resource-server.js';
export type { ResourceServer } from './resource-server.js';
export type {
  CommonOptions,
  OneAuthorizationServer,
  ResourceServerOptions,
  SeveralAuthorizationServers,
} from './resource-server-options.js';
export type { PrivateKey } from './signing-key.js';
export type { TokenTerms } from './token-terms.js';
export type { SelectIntrospection } from './token-verifier.js';
export type { FindAuthorizationServer } from './trusted-servers.js';
export type { UpgradeHandler, UpgradeListener, UpgradeOptions } from './upgrade.js';
export type { Actor, Auth, Method, Scheme, Seconds, TokenClaims } from './types.js';
