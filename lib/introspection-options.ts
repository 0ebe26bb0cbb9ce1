import type { CryptoKey, JWK } from 'jose';
import type { ClientAuthentication } from './client-authentication.js';
import { ALGORITHMS } from './key-set.js';
import { checkCount, checkNames, checkSeconds, checkText, checkType, checkUrl, show } from './options.js';
import type { Seconds } from './types.js';

/** How an authorization server is asked about its tokens. RFC 7662. */
export interface IntrospectionOptions {
  /** How we authenticate there: `clientSecretBasic('rs1', secret)` or another of its kind. RFC 7662 section 2.1. */
  readonly clientAuthentication: ClientAuthentication;
  /** The introspection endpoint. Default: what the metadata of the issuer says. */
  readonly endpoint?: string;
  /**
   * Verifies the JWTs of this server by their signature, without asking it: quicker, but a revoked one passes until its `exp`.
   * Other tokens are introspected all the same. Default: false, every token is introspected.
   */
  readonly jwtLocally?: boolean;
  /** Refuses tokens for which the server names no audience. Default: false; a foreign one is always refused. */
  readonly requireAudience?: boolean;
  /**
   * Accepts tokens of which the answer has neither `token_type` nor `token_use` nor `aud`. With some servers that lets refresh
   * tokens pass as access tokens. Default: false, refused.
   */
  readonly acceptUntyped?: boolean;
  /** Demands signed answers, and takes no others. RFC 9701. Default: none, plain JSON. */
  readonly signedAnswers?: SignedAnswers;
  /** Longest reuse of a good answer, never beyond `exp`: so long a revoked token still passes. 0 to 3600; 0 is none. Default: 30. */
  readonly ttl?: Seconds;
  /** Reuse of the answer that a token is bad. 0 to 60. Default: 5. */
  readonly inactiveTtl?: Seconds;
  /** Use of a good answer beyond `ttl` while the server is asked anew in the background. 0 to 300. Default: 0, none. */
  readonly staleWhileRevalidate?: Seconds;
  /** Most questions to the server at the same time. Default: 50. */
  readonly maxConcurrent?: number;
  /** Most questions that wait for their turn, for 5 seconds at most; what comes on top is 503. Default: 1000. */
  readonly maxQueued?: number;
}

/** What was agreed with the authorization server about its answers. RFC 9701 section 6. */
export interface SignedAnswers {
  /** `introspection_signed_response_alg`. Default: `RS256`, as there. */
  readonly algorithm?: string;
  /** The `aud` of the answers. Default: the client identifier of `clientAuthentication`. RFC 9701 section 5. */
  readonly audience?: string;
  /** Where answers are encrypted as well. Then others are refused. Default: none. */
  readonly decryption?: {
    /** Our private key, or the shared secret. */
    readonly key: CryptoKey | JWK | Uint8Array;
    /** `introspection_encrypted_response_alg`, such as `RSA-OAEP-256` or `ECDH-ES`. */
    readonly algorithm: string;
    /** `introspection_encrypted_response_enc`. Default: `A128CBC-HS256`, as there. */
    readonly encryption?: string;
  };
}

/** The options with their defaults. */
export type CheckedIntrospection = Omit<IntrospectionOptions, 'signedAnswers' | 'endpoint' | 'clientAuthentication'> &
  Required<
    Pick<IntrospectionOptions, 'ttl' | 'inactiveTtl' | 'staleWhileRevalidate' | 'maxConcurrent' | 'maxQueued'>
  > & {
    readonly clientAuthentication: ClientAuthentication;
    readonly endpoint: URL | undefined;
    readonly signedAnswers: AgreedAnswers | undefined;
  };

/** {@link SignedAnswers} with their defaults. */
export interface AgreedAnswers {
  readonly algorithm: string;
  readonly audience: string;
  readonly decryption: Required<NonNullable<SignedAnswers['decryption']>> | undefined;
}

const NAMES = (
  'clientAuthentication endpoint jwtLocally requireAudience acceptUntyped signedAnswers ttl inactiveTtl staleWhileRevalidate ' +
  'maxConcurrent maxQueued'
).split(' ');
const MAX_TTL: Seconds = 3600;
const MAX_INACTIVE_TTL: Seconds = 60;
const MAX_STALE: Seconds = 300;

/** @throws TypeError for mistakes in the options. */
export function checkedIntrospection(options: IntrospectionOptions): CheckedIntrospection {
  checkNames('introspection', options, NAMES);
  const { clientAuthentication, endpoint, signedAnswers } = options;
  const { ttl = 30, inactiveTtl = 5, staleWhileRevalidate = 0, maxConcurrent = 50, maxQueued = 1000 } = options;
  checkAuthentication(clientAuthentication);
  if (endpoint !== undefined) checkUrl('introspection.endpoint', endpoint, 'https://as.example.com/introspect');
  for (const name of ['jwtLocally', 'requireAudience', 'acceptUntyped'] as const) {
    checkType(name, options[name], 'boolean');
  }
  checkSeconds('ttl', ttl, 0, MAX_TTL);
  checkSeconds('inactiveTtl', inactiveTtl, 0, MAX_INACTIVE_TTL);
  checkSeconds('staleWhileRevalidate', staleWhileRevalidate, 0, MAX_STALE);
  checkCount('maxConcurrent', maxConcurrent);
  checkCount('maxQueued', maxQueued);
  return {
    ...{ ...options, ttl, inactiveTtl, staleWhileRevalidate, maxConcurrent, maxQueued },
    endpoint: endpoint === undefined ? undefined : new URL(endpoint),
    signedAnswers: signedAnswers === undefined ? undefined : agreed(signedAnswers, clientAuthentication),
  };
}

/** RFC 7662 section 4: the endpoint must not be open to everybody, so a question without authentication has no use. */
function checkAuthentication(given: unknown): void {
  const byHand = (typeof given === 'object' && given !== null ? given : {}) as Readonly<Record<string, unknown>>;
  if (typeof byHand['authenticate'] === 'function') {
    if (byHand['clientId'] !== undefined) checkText('"clientId" of clientAuthentication', byHand['clientId']);
    for (const name of ['fetch', 'renew']) checkType(`clientAuthentication.${name}`, byHand[name], 'function');
    return;
  }
  throw new TypeError(
    `"clientAuthentication" must be one such as clientSecretBasic('rs1', secret), got ${typeof given === 'string' ? 'a string' : show(given)}`,
  );
}

function agreed(signed: SignedAnswers, { clientId }: ClientAuthentication): AgreedAnswers {
  checkNames('signedAnswers', signed, ['algorithm', 'audience', 'decryption']);
  const { algorithm = 'RS256', audience = clientId, decryption } = signed;
  if (!ALGORITHMS.includes(algorithm)) {
    throw new TypeError(`"algorithm" of signedAnswers must be one of ${ALGORITHMS.join(', ')}, got ${show(algorithm)}`);
  }
  if (audience === undefined) {
    throw new TypeError('"signedAnswers" needs an "audience": the clientAuthentication names no client identifier');
  }
  checkText('"audience" of signedAnswers', audience);
  if (decryption === undefined) return { algorithm, audience, decryption };
  checkNames('decryption', decryption, ['key', 'algorithm', 'encryption']);
  const { key, encryption = 'A128CBC-HS256' } = decryption;
  if (typeof key !== 'object' || (key as unknown) === null || Array.isArray(key))
    throw new TypeError('"key" of decryption must be a CryptoKey, a JWK or a Uint8Array');
  checkText('"algorithm" of decryption', decryption.algorithm);
  checkText('"encryption" of decryption', encryption);
  // jose freezes a JWK that it is given; and theirs may change.
  const ours = ArrayBuffer.isView(key) || 'type' in key ? key : { ...key };
  return { algorithm, audience, decryption: { key: ours, algorithm: decryption.algorithm, encryption } };
}
