import { WRONG_TYPE } from './access-token.js';
import type { TrustedServer } from './authorization-servers.js';
import { claimAt } from './claims.js';
import { decodeJwt } from './decode.js';
import type { Jwt } from './decode.js';
import { digestOf } from './digest.js';
import { InvalidTokenError, VerificationUnavailableError } from './errors.js';
import { checkB64Token } from './grammar.js';
import { INACTIVE } from './introspection-answer.js';
import type { JwtVerifier, ServerFinder } from './jwt.js';
import { SIGNED_ANSWER } from './signed-answer.js';
import { mediaType } from './token-terms.js';
import type { TokenVerifier, VerifiedToken } from './types.js';
import type { VerifiedJwts } from './verified-jwts.js';

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
  jwts: VerifiedJwts,
): TokenVerifier {
  async function unnamed(token: string, jwt: Jwt | undefined): Promise<readonly TrustedServer[]> {
    if (typeof introspectAt !== 'function') return jwt?.claims['iss'] === undefined ? introspectAt : [];
    const issuers: unknown = await introspectAt(token);
    if (!Array.isArray(issuers)) throw new TypeError('"introspectAt" must return a list of issuers');
    return Promise.all(issuers.map(introspecting));
  }

  async function introspecting(issuer: unknown): Promise<TrustedServer> {
    const server = await find(issuer);
    if (server?.introspection !== undefined) return server;
    throw new Error('"introspectAt" returned an issuer that is not trusted, or has no "introspection"');
  }

  async function routed(token: string, digest: string, jwt: Jwt | undefined): Promise<VerifiedToken> {
    const found = jwt && find(jwt.claims['iss']);
    const named = found instanceof Promise ? await found : found;
    if (named === undefined || named.introspection?.jwtLocally === false) {
      const servers = named === undefined ? await unnamed(token, jwt) : [named];
      if (servers.length > 0) return introspected(token, digest, jwt, servers);
      if (jwt === undefined && typeof introspectAt === 'function') throw new InvalidTokenError(INACTIVE); // nobody's token
    }
    const looked = jwt && { jwt, server: named };
    const verified = await verifyJwt(token, looked); // what belongs nowhere is refused there, in the right words
    jwts.keep(digest, verified);
    return verified;
  }

  return (token, digest = digestOf(token)) => {
    const jwt = readJwt(token);
    const [server, ...others] = typeof introspectAt === 'function' || jwt !== undefined ? [] : introspectAt;
    // The usual case of an opaque token: the answer is at hand without a promise if it is remembered.
    if (server === undefined || others.length > 0) return routed(token, digest, jwt);
    const found = server.introspection?.verify(token, digest, jwt);
    return found instanceof Promise ? found.then(unlessInactive) : unlessInactive(found);
  };
}

function unlessInactive(token: VerifiedToken | undefined): VerifiedToken {
  if (token !== undefined) return token;
  throw new InvalidTokenError(INACTIVE);
}

/**
 * The token as a JWT, or undefined if it is none. What begins like one and is none is nobody's token: a server that reads it more
 * freely than we do would tell us of claims that we have not seen.
 *
 * @throws InvalidTokenError for that, and for an introspection answer, which is no token (RFC 9701 section 8.1);
 *   InvalidRequestError for what has characters no token has.
 */
function readJwt(token: string): Jwt | undefined {
  if (!token.includes('.')) {
    checkB64Token(token);
    return undefined;
  }
  let jwt: Jwt;
  try {
    jwt = decodeJwt(token);
  } catch (error) {
    checkB64Token(token); // a JWT has no other characters anyway
    if (looksLikeJwt(token)) throw error;
    return undefined;
  }
  const { alg, typ } = jwt.header;
  if (typeof typ === 'string' && mediaType(typ) === SIGNED_ANSWER) throw new InvalidTokenError(WRONG_TYPE);
  return typeof alg === 'string' ? jwt : undefined;
}

/** Three parts, the first of them a JOSE header to whoever reads it kindly. An encrypted one has five (RFC 7516 section 7.1). */
function looksLikeJwt(token: string): boolean {
  const [header = '', ...rest] = token.split('.');
  if (rest.length !== 2) return false;
  try {
    const parsed: unknown = JSON.parse(Buffer.from(header, 'base64').toString());
    return typeof claimAt(parsed, ['alg']) === 'string';
  } catch {
    return false;
  }
}

/** The first server where it is active decides. As long as one could not be asked, nobody knows that it is bad. */
async function introspected(
  token: string,
  digest: string,
  jwt: Jwt | undefined,
  servers: readonly TrustedServer[],
): Promise<VerifiedToken> {
  let unavailable: VerificationUnavailableError | undefined;
  for (const { introspection } of servers) {
    try {
      const verified = await introspection?.verify(token, digest, jwt);
      if (verified !== undefined) return verified;
    } catch (error) {
      if (!(error instanceof VerificationUnavailableError)) throw error;
      unavailable ??= error;
    }
  }
  throw unavailable ?? new InvalidTokenError(INACTIVE);
}
