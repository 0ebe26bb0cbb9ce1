import { WRONG_TYPE } from './access-token.js';
import type { TrustedServer } from './authorization-servers.js';
import { decodeJwt } from './decode.js';
import type { Jwt } from './decode.js';
import { InvalidTokenError, VerificationUnavailableError } from './errors.js';
import { INACTIVE } from './introspection-answer.js';
import type { JwtVerifier, ServerFinder } from './jwt.js';
import { SIGNED_ANSWER } from './signed-answer.js';
import { mediaType } from './token-terms.js';
import type { TokenVerifier, VerifiedToken } from './types.js';

/**
 * The issuers to ask about a token that names none that is trusted, in this order; none: it is refused. Each sees the token,
 * and could use it.
 */
export type SelectIntrospection = (token: string) => readonly string[] | Promise<readonly string[]>;

/** Who is asked about tokens that do not say who issued them: the servers of a list, or those that a function names. */
export type IntrospectAt = readonly TrustedServer[] | SelectIntrospection;

/**
 * Has each token checked where it belongs. A JWT belongs to the trusted server that it names, which verifies it by its
 * signature or is asked about it, as its options say. About any other token the servers are asked that the user named. A JWT
 * that names a stranger is refused, unless the user's own function says otherwise: it is nobody else's business.
 */
export function tokenVerifier(
  verifyJwt: JwtVerifier,
  find: ServerFinder<TrustedServer>,
  introspectAt: IntrospectAt,
): TokenVerifier {
  async function unnamed(token: string, jwt: Jwt | undefined): Promise<readonly TrustedServer[]> {
    if (typeof introspectAt !== 'function') return typeof jwt?.claims['iss'] === 'string' ? [] : introspectAt;
    return Promise.all((await introspectAt(token)).map(introspecting));
  }

  async function introspecting(issuer: string): Promise<TrustedServer> {
    const server = await find(issuer);
    if (server?.introspection !== undefined) return server;
    throw new Error('"introspectAt" returned an issuer that is not trusted, or has no "introspection"');
  }

  return async (token) => {
    const jwt = readJwt(token);
    // RFC 9701 section 8.1: what a server once said of a token is no token, whoever would take it for one.
    const typ = jwt?.header['typ'];
    if (typeof typ === 'string' && mediaType(typ) === SIGNED_ANSWER) throw new InvalidTokenError(WRONG_TYPE);
    const named = jwt && (await find(jwt.claims['iss']));
    if (named !== undefined && named.introspection?.jwtLocally !== false) return verifyJwt(token, jwt);
    const servers = named === undefined ? await unnamed(token, jwt) : [named];
    return servers.length === 0 ? verifyJwt(token, jwt) : introspected(token, servers);
  };
}

function readJwt(token: string): Jwt | undefined {
  try {
    return decodeJwt(token);
  } catch (error) {
    if (error instanceof InvalidTokenError) return undefined;
    throw error;
  }
}

/** The first server where it is active decides. As long as one could not be asked, nobody knows that it is bad. */
async function introspected(token: string, servers: readonly TrustedServer[]): Promise<VerifiedToken> {
  let unavailable: VerificationUnavailableError | undefined;
  for (const { introspection } of servers) {
    try {
      const verified = await introspection?.verify(token);
      if (verified !== undefined) return verified;
    } catch (error) {
      if (!(error instanceof VerificationUnavailableError)) throw error;
      unavailable ??= error;
    }
  }
  throw unavailable ?? new InvalidTokenError(INACTIVE);
}
