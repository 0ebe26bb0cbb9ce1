import { hash } from 'node:crypto';
import type { CheckedDPoP } from './dpop-options.js';
import { NONCE_LIFE } from './dpop-nonce.js';
import { ProofKeys } from './dpop-key.js';
import { isTime } from './access-token.js';
import { decodeJwt } from './decode.js';
import type { JsonObject, Jwt } from './decode.js';
import { InvalidDPoPProofError, InvalidTokenError, UseDPoPNonceError, VerificationUnavailableError } from './errors.js';
import { timeLimit, unlessLate } from './fetch-json.js';
import { normalizeUri } from './request-uri.js';
import { isSignedBy } from './signature.js';
import { mediaType } from './token-terms.js';
import type { Seconds } from './types.js';

/** What a proof is checked against. */
export interface ProofFacts {
  /** The access token, as it was received. */
  readonly token: string;
  /** The thumbprint of the key that it is bound to: `cnf.jkt`. */
  readonly jkt: string;
  /** The lines of the `DPoP` header. */
  readonly proofs: readonly string[];
  readonly method: string;
  /** What the request may have been meant for, normalized. */
  readonly uris: readonly string[];
}

/** Checks a proof. Gives a nonce to send along where the client needs a newer one. */
export type ProofChecker = (facts: ProofFacts) => Promise<string | undefined>;

/** Longest proof that is looked at: RSA with 4096 bits fits. */
const MAX_PROOF_LENGTH = 4096;
/** So much may the clock of a client be ahead. RFC 9449 section 11.1. */
const AHEAD: Seconds = 10;

/**
 * Checks proofs of possession, in the order of cost; the replay last, so that a proof that fails is not used up. RFC 9449
 * section 4.3; the numbers in the steps are its numbers.
 *
 * @param hint Called for a proof that fits but for the address: `publicUrl` may be wrong.
 */
export function proofChecker(
  options: CheckedDPoP,
  clock: () => Seconds,
  tolerance: Seconds,
  hint: () => void,
): ProofChecker {
  const { algs, maxAge, nonces, store } = options;
  const keys = new ProofKeys();
  // As long as a proof could be used a second time, and a little longer: clocks are set, and those of processes that share a
  // store differ. In whole seconds: some stores take no others.
  const rememberedFor = Math.ceil(
    Math.max(maxAge + 2 * AHEAD + 2 * tolerance, options.nonce === 'off' ? 0 : NONCE_LIFE * 1.2),
  );

  return async (facts) => {
    const proof = onlyProof(facts.proofs);
    const { header, claims } = decodeProof(proof);
    const alg = checkHeader(header, algs);
    const jti = checkClaims(claims, facts, hint);
    const key = await keys.find(header['jwk'], alg, facts.jkt); // 7 and 12
    if (!(await isSignedBy(key, proof, alg))) throw bad('has a wrong signature'); // 6
    const renewed = checkFreshness(claims);
    await checkReplay(jti, facts);
    return renewed;
  };

  /**
   * 10 and 11. A nonce of ours says when the proof was made, whatever the client's clock says. Who requires none hands none out
   * either: proofs without it would have to be refused from then on (section 11.3).
   */
  function checkFreshness({ nonce, iat, exp, nbf }: JsonObject): string | undefined {
    const now = clock();
    // RFC 7519 sections 4.1.4 and 4.1.5, for who sets them.
    if (exp !== undefined && !(isTime(exp) && exp > now - tolerance)) throw bad('is too old');
    if (nbf !== undefined && !(isTime(nbf) && nbf <= now + AHEAD + tolerance)) throw bad('is from the future');
    const age = options.nonce === 'off' ? undefined : nonces.age(nonce);
    if (options.nonce === 'required') {
      if (age === undefined) throw new UseDPoPNonceError(nonces.issue());
      return nonces.renew(age);
    }
    if (age !== undefined) return undefined;
    const made = iat as Seconds;
    if (!(made > now - maxAge - tolerance)) throw bad('is too old');
    if (!(made <= now + AHEAD + tolerance)) throw bad('is from the future');
    return undefined;
  }

  /** Section 11.1. Only a digest is kept: a `jti` may be long, and it is the client's. */
  async function checkReplay(jti: string, { jkt, uris }: ProofFacts): Promise<void> {
    // Any of the addresses, as long as it is always the same one.
    const id = hash('sha256', JSON.stringify([jkt, uris[0], jti]), 'base64url');
    if (!(await asked(id, jkt))) throw bad('was used before');
  }

  async function asked(id: string, client: string): Promise<boolean> {
    const failure = 'The store of used DPoP proofs failed: see "replayStore" of "dpop"';
    try {
      const given: unknown = store.unique(id, rememberedFor, client);
      const answer = typeof given === 'boolean' ? given : await inTime(given, failure);
      if (typeof answer === 'boolean') return answer;
      throw new VerificationUnavailableError('"unique" of "replayStore" must answer true or false');
    } catch (error) {
      throw error instanceof VerificationUnavailableError ? error : new VerificationUnavailableError(failure);
    }
  }
}

async function inTime(given: unknown, failure: string): Promise<unknown> {
  const { signal, end } = timeLimit();
  return unlessLate(signal, failure, Promise.resolve(given)).finally(end);
}

/** 1. */
function onlyProof(proofs: readonly string[]): string {
  const [proof] = proofs;
  if (proof === undefined) throw new InvalidDPoPProofError('A DPoP proof is required');
  if (proofs.length > 1) throw new InvalidDPoPProofError('The DPoP header must be sent once');
  if (proof.length > MAX_PROOF_LENGTH) throw bad('is too long');
  return proof;
}

/** 2. */
function decodeProof(proof: string): Jwt {
  try {
    return decodeJwt(proof);
  } catch (error) {
    throw error instanceof InvalidTokenError ? bad('is not a JSON Web Token') : error;
  }
}

/** 3, 4 and 5. */
function checkHeader({ typ, alg, crit }: JsonObject, algs: readonly string[]): string {
  if (typeof typ !== 'string' || mediaType(typ) !== 'dpop+jwt') throw bad('is no proof by its type');
  if (typeof alg !== 'string' || !algs.includes(alg))
    throw bad('is signed with an algorithm that is not accepted here');
  if (crit !== undefined) throw bad('has critical extensions');
  return alg;
}

/** 3, 8, 9 and 12. Gives the identifier of the proof. */
function checkClaims(
  { jti, htm, htu, iat, ath }: JsonObject,
  { method, uris, token }: ProofFacts,
  hint: () => void,
): string {
  if (typeof jti !== 'string' || jti === '' || !isTime(iat)) throw bad('lacks a claim that every proof has');
  if (htm !== method) throw bad('is for another method');
  if (ath !== hash('sha256', token, 'base64url')) throw bad('is for another access token');
  if (typeof htu === 'string' && isOneOf(uris, htu)) return jti;
  hint();
  throw bad('is for another address');
}

/** Most clients write it as it is compared. */
function isOneOf(uris: readonly string[], htu: string): boolean {
  if (uris.includes(htu)) return true;
  const uri = normalizeUri(htu);
  return uri !== undefined && uris.includes(uri);
}

function bad(what: string): InvalidDPoPProofError {
  return new InvalidDPoPProofError(`The DPoP proof ${what}`);
}
