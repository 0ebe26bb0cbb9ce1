import { isJsonObject } from './decode.js';
import type { ProofChecker } from './dpop.js';
import { InvalidTokenError } from './errors.js';
import type { Scheme, TokenClaims } from './types.js';

/** What a bound token is checked against. Functions, so that plain bearer tokens cost nothing. */
export interface Presented {
  readonly scheme: Scheme;
  readonly token: string;
  readonly claims: TokenClaims;
  readonly method: string;
  /** The lines of the `DPoP` header. */
  readonly proofs: () => readonly string[];
  /** What the request may have been meant for, normalized. */
  readonly uris: () => readonly string[];
  /** The thumbprint of the client's certificate, if it showed one (RFC 8705 section 3.1). */
  readonly certificate: () => string | undefined;
}

/** What is accepted as proof, and what must be proven. */
export interface BindingPolicy {
  /** Undefined: DPoP is not supported, and tokens for it are refused. */
  readonly checkProof: ProofChecker | undefined;
  readonly hasCertificates: boolean;
  readonly requireBoundTokens: boolean;
  readonly ignoreUnknown: boolean;
}

/** Whether the token is bound to a key that we know how to check. */
export function isBound({ cnf }: TokenClaims): boolean {
  return isJsonObject(cnf) && (cnf['jkt'] !== undefined || cnf['x5t#S256'] !== undefined);
}

/** Whether a token asks for no proof, and none is asked for here: there is nothing for `checkBinding` to do. */
export function isPlain({ cnf }: TokenClaims, scheme: Scheme, { requireBoundTokens }: BindingPolicy): boolean {
  return cnf === undefined && scheme === 'Bearer' && !requireBoundTokens;
}

/**
 * A token that is bound to a key is worth nothing without proof of that key, and never passes as a bearer token, whether
 * the proof is supported here or not. Whatever `cnf` names must hold. RFC 7800, RFC 9449 section 7, RFC 8705 section 3.
 * Gives a DPoP nonce to send along, where the client needs one.
 *
 * @throws InvalidTokenError when a key is not proven, or none is named where one must be; the errors of the proof.
 */
export async function checkBinding(presented: Presented, policy: BindingPolicy): Promise<string | undefined> {
  const { scheme, claims, token, method } = presented;
  const { cnf } = claims;
  if (cnf === undefined) {
    if (policy.requireBoundTokens) throw new InvalidTokenError('The access token is not bound to a key');
    if (scheme === 'DPoP') throw new InvalidTokenError('The access token is not bound to a key: send it as Bearer');
    return undefined;
  }
  if (!isJsonObject(cnf)) throw unproven();
  const { jkt, 'x5t#S256': x5t } = cnf;
  // A member that we do not know binds the token to something. Ignored, it would make a bearer token of it.
  if (!isBound(claims) && (!policy.ignoreUnknown || policy.requireBoundTokens)) throw unproven();
  if (x5t !== undefined) checkCertificate(x5t, presented, policy);
  if (jkt === undefined) {
    if (scheme === 'DPoP') throw new InvalidTokenError('The access token is not bound to a DPoP key');
    return undefined;
  }
  if (typeof jkt !== 'string' || policy.checkProof === undefined) throw unproven();
  if (scheme !== 'DPoP')
    throw new InvalidTokenError('The access token is bound to a key: send it as DPoP, with a proof');
  return policy.checkProof({ token, jkt, method, proofs: presented.proofs(), uris: presented.uris() });
}

function checkCertificate(x5t: unknown, { certificate }: Presented, { hasCertificates }: BindingPolicy): void {
  if (hasCertificates && typeof x5t === 'string' && certificate() === x5t) return;
  throw unproven();
}

function unproven(): InvalidTokenError {
  return new InvalidTokenError('The access token is bound to a key that was not proven');
}
