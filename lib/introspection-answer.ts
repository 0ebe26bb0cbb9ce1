import { checkAudience, checkValues, isText, isTime, WRONG_TYPE } from './access-token.js';
import { claimAt } from './claims.js';
import type { JsonObject } from './decode.js';
import { InvalidTokenError } from './errors.js';
import { UnusableAnswerError } from './fetch-json.js';
import type { Verdict } from './token-cache.js';
import type { Terms } from './token-terms.js';
import type { TokenClaims } from './types.js';
import { verifiedToken } from './verified-token.js';

export const INACTIVE = 'The access token is not active';
const WHAT = 'The introspection answer of the authorization server';

/** On what terms the answers of a server are believed. */
export interface AnswerTerms {
  /** The spellings of its issuer. */
  readonly issuers: readonly [string, ...string[]];
  readonly terms: Terms;
  readonly requireAudience: boolean;
  readonly acceptUntyped: boolean;
  /** Called for an active token that is refused because nothing tells that it is an access token. */
  readonly hintUntyped: () => void;
}

/**
 * What an introspection answer says of the token. RFC 7662 section 2.2.
 * `iss` is added where the server leaves it out. Does not check whether `exp` and `nbf` fit the time: that is for each use.
 *
 * @throws UnusableAnswerError for an answer that leaves open whether the token is good, or whose it is.
 */
export function readAnswer(answer: JsonObject, server: AnswerTerms): Verdict {
  const { active } = answer;
  if (active === false) return { refused: INACTIVE };
  if (active !== true) throw new UnusableAnswerError(`${WHAT} has no "active" that is true or false`);
  const claims: JsonObject = { iss: server.issuers[0], ...answer };
  checkForm(claims, server.terms);
  try {
    checkMeaning(claims, server);
  } catch (error) {
    if (error instanceof InvalidTokenError) return { refused: error.message };
    throw error;
  }
  return verifiedToken(claims, server.terms);
}

/** The members that we rely on are what RFC 7662 section 2.2 makes them. */
function checkForm(claims: JsonObject, { clientIdClaim }: Terms): asserts claims is TokenClaims {
  const { exp, nbf, iat, sub, iss } = claims;
  if ([exp, nbf, iat].some((time) => time !== undefined && !isTime(time))) {
    throw new UnusableAnswerError(`${WHAT} has times that are no numbers`);
  }
  if (!isText(iss) || (sub !== undefined && !isText(sub))) {
    throw new UnusableAnswerError(`${WHAT} has an issuer or a subject that is no text`);
  }
  if (!isText(claims[clientIdClaim])) {
    throw new UnusableAnswerError(`${WHAT} has no client identifier: name the member that has it in "clientIdClaim"`);
  }
}

/** @throws InvalidTokenError for a token that is active, but not for us, or no access token. */
function checkMeaning(claims: TokenClaims, server: AnswerTerms): void {
  const { issuers, terms, requireAudience } = server;
  if (!issuers.includes(claims.iss)) {
    throw new InvalidTokenError('The access token is from an issuer that is not trusted here');
  }
  const mustBeForUs = requireAudience || claims.aud !== undefined || terms.audienceSubstitute.length > 0;
  if (mustBeForUs) checkAudience(claims, terms);
  checkKind(claims, server);
  checkValues(claims, terms);
}

/**
 * Servers introspect refresh tokens and others, too, and some tell them apart by what they leave out only: a refresh token
 * of oidc-provider is active, with the whole scope, and without `token_type` and `aud`. RFC 7662 section 2.2.
 */
function checkKind(claims: TokenClaims, { acceptUntyped, hintUntyped }: AnswerTerms): void {
  const { token_type: type, token_use: use, aud, cnf } = claims;
  if (!acceptUntyped && type === undefined && use === undefined && aud === undefined) {
    hintUntyped();
    throw new InvalidTokenError(WRONG_TYPE);
  }
  const isBearer = type === undefined || (typeof type === 'string' && /^bearer$/i.test(type));
  // A token for DPoP that names no key could not be told from a stolen one.
  const isBound = typeof type === 'string' && /^dpop$/i.test(type) && claimAt(cnf, ['jkt']) !== undefined;
  const isForAccess = use === undefined || use === 'access_token' || use === 'access';
  if (!(isBearer || isBound) || !isForAccess) throw new InvalidTokenError(WRONG_TYPE);
}
