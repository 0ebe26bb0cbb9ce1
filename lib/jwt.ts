import { BAD_ALGORITHM, checkAudience, checkHeader, checkRequired, checkTimes } from './access-token.js';
import { decodeJwt } from './decode.js';
import type { JsonObject, Jwt } from './decode.js';
import { InvalidTokenError } from './errors.js';
import type { Hinter } from './hints.js';
import { ALGORITHMS } from './key-set.js';
import type { KeySet } from './key-set.js';
import type { KeySource } from './keys.js';
import { checkSignature, NO_KEY } from './signature.js';
import type { Terms } from './token-terms.js';
import type { Seconds, VerifiedToken } from './types.js';
import { verifiedToken } from './verified-token.js';

/** An authorization server whose JWTs are accepted, on what terms, and with which keys. */
export interface JwtServer {
  /** The spellings of its issuer in `iss`; the first is the issuer identifier. */
  readonly issuers: readonly [string, ...string[]];
  readonly terms: Terms;
  readonly keys: KeySource;
}

/** The trusted server that an `iss` names, or undefined. */
export type ServerFinder<Server extends JwtServer = JwtServer> = (
  issuer: unknown,
) => Server | undefined | Promise<Server | undefined>;

/** A good token, and what makes it one for as long as it stays the same: the server that is trusted, and its keys. */
export interface VerifiedJwt extends VerifiedToken {
  readonly server: JwtServer;
  readonly keys: KeySet;
}

/** What `decodeJwt` made of a token, and the server that it names: of one moment, because either may change. */
export interface Looked {
  readonly jwt: Jwt;
  readonly server: JwtServer | undefined;
}

/** Checks one token; `looked` where somebody has looked at it already. */
export type JwtVerifier = (token: string, looked?: Looked) => Promise<VerifiedJwt>;

/**
 * Verifies JWT access tokens. RFC 9068 section 4, RFC 8725.
 * Whatever can be refused without a key is refused first, so that rubbish is cheap and an outage hides no bad token.
 * The `iss` that nobody has vouched for yet only selects among the trusted servers. Keys that the token brings along or
 * points to (`jwk`, `jku`, `x5c`, `x5u`) are never looked at. Does not check scope, revocation or binding.
 */
export function jwtVerifier(
  findServer: ServerFinder,
  clock: () => Seconds,
  clockTolerance: Seconds,
  hint: Hinter,
): JwtVerifier {
  return async (token, looked) => {
    const { header, claims } = looked?.jwt ?? decodeJwt(token);
    const { alg, kid } = header;
    if (typeof alg !== 'string' || !ALGORITHMS.includes(alg)) throw new InvalidTokenError(BAD_ALGORITHM);
    if (kid !== undefined && typeof kid !== 'string') throw new InvalidTokenError(NO_KEY);
    const server = looked === undefined ? await findServer(claims['iss']) : looked.server;
    try {
      if (server === undefined)
        throw new InvalidTokenError('The access token is from an issuer that is not trusted here');
      const { terms, keys } = server;
      checkHeader(header, claims, terms);
      if (!terms.algorithms.has(alg)) throw new InvalidTokenError(BAD_ALGORITHM);
      checkTimes(claims, clock(), clockTolerance, terms);
      checkAudience(claims, terms);
      checkRequired(claims, terms);
      const set = await checkSignature(token, alg, kid, keys);
      shareIssuer(claims, server.issuers);
      const { scopes, clientId } = verifiedToken(claims, terms);
      return { claims, scopes, clientId, server, keys: set }; // written out: a spread takes 200 bytes more for each token
    } catch (error) {
      if (error instanceof InvalidTokenError) hint(header, claims, server?.terms, clock());
      throw error;
    }
  };
}

/** Every token brings its issuer along. One text for all of them is less to keep, and to look at each time a token comes again. */
function shareIssuer(claims: JsonObject, issuers: readonly string[]): void {
  const iss = issuers.find((own) => own === claims['iss']);
  if (iss !== undefined) Object.assign(claims, { iss });
}
