import { randomUUID } from 'node:crypto';
import { checkNow, checkOwnWords, EXPIRED } from './access-token.js';
import type { JsonObject, Jwt } from './decode.js';
import { InvalidTokenError, VerificationUnavailableError } from './errors.js';
import { parseObject } from './fetch-json.js';
import { warnOnce } from './hints.js';
import { INACTIVE, readAnswer } from './introspection-answer.js';
import type { AnswerTerms } from './introspection-answer.js';
import { IntrospectionEndpoint } from './introspection-endpoint.js';
import type { CheckedIntrospection } from './introspection-options.js';
import type { KeySource, Outside } from './keys.js';
import { readSignedAnswer, SIGNED_ANSWER } from './signed-answer.js';
import type { TokenCache, Verdict } from './token-cache.js';
import type { Seconds, VerifiedToken } from './types.js';

/** An authorization server that is asked about its tokens. */
export interface Introspection {
  /** JWTs that name this server are verified by their signature, and not asked about. */
  readonly jwtLocally: boolean;
  /**
   * The token, or undefined when it is not active there. Throws `InvalidTokenError` for an active one that is not for us, and
   * for a JWT that says of itself that it is no good.
   */
  readonly verify: (
    token: string,
    digest: string,
    jwt: Jwt | undefined,
  ) => VerifiedToken | undefined | Promise<VerifiedToken | undefined>;
  readonly forget: (digest: string) => void;
  /** Asks about a token that does not exist. Throws `VerificationUnavailableError` when there is no answer. */
  readonly probe: () => Promise<void>;
}

/** What introspection needs of the server that it belongs to, and of the middleware. */
export interface IntrospectionParts extends Pick<AnswerTerms, 'issuers' | 'terms'>, Outside {
  /** By which signed answers are verified. */
  readonly keys: KeySource;
  /** The introspection endpoint of the metadata. */
  readonly discovered: () => Promise<URL>;
  readonly clockTolerance: Seconds;
  readonly tokens: TokenCache;
}

/** Introspection at one authorization server. RFC 7662. Does not check scope or binding. */
export function introspection(options: CheckedIntrospection, parts: IntrospectionParts): Introspection {
  const { issuers, keys, clock, clockTolerance, tokens } = parts;
  const { endpoint: named, signedAnswers, jwtLocally = false } = options;
  const endpoint = new IntrospectionEndpoint({
    ...options,
    issuer: issuers[0],
    url: named === undefined ? parts.discovered : () => named,
    mediaType: signedAnswers === undefined ? 'application/json' : `application/${SIGNED_ANSWER}`,
    fetch: parts.fetch,
    clock,
  });
  const { ttl: good, inactiveTtl: bad, staleWhileRevalidate: stale } = options;
  const verdicts = tokens.of({ good, bad, stale, tolerance: clockTolerance });
  const warn = warnOnce();
  const { requireAudience = false, acceptUntyped = false } = options;
  const hintUntyped = () => {
    warn('untyped');
  };
  const answerTerms = { ...parts, requireAudience, acceptUntyped, hintUntyped };

  async function ask(token: string, jwt?: Jwt): Promise<Verdict> {
    const body = await endpoint.ask(token);
    try {
      const answer = await read(body);
      const { cnf } = jwt?.claims ?? {}; // a bound JWT is bound, if the answer does not say it either
      return unlessOver(readAnswer(cnf === undefined ? answer : { cnf, ...answer }, answerTerms));
    } catch (error) {
      // It does not count against the endpoint, which answers: what is odd about one token must not stop the others.
      endpoint.tell('failed', error);
      throw error;
    }
  }

  /** A token that is over is remembered as a bad one: or each request with it would ask. */
  function unlessOver(verdict: Verdict): Verdict {
    if ('refused' in verdict) return verdict;
    const { exp = Infinity } = verdict.claims;
    return clock() < exp + clockTolerance ? verdict : { refused: EXPIRED };
  }

  async function read(body: Uint8Array): Promise<JsonObject> {
    if (signedAnswers === undefined) return parseObject(body, 'The introspection answer of the authorization server');
    return readSignedAnswer(body, issuers, keys, signedAnswers, clock(), clockTolerance);
  }

  function unlessRefused(verdict: Verdict): VerifiedToken | undefined {
    if (!('refused' in verdict)) {
      checkNow(verdict.claims, clock(), clockTolerance);
      return verdict;
    }
    if (verdict.refused === INACTIVE) return undefined;
    throw new InvalidTokenError(verdict.refused);
  }

  return {
    jwtLocally,
    verify: (token, digest, jwt) => {
      if (jwt !== undefined) checkOwnWords(jwt, clock(), clockTolerance, parts.terms);
      const verdict = verdicts.find(digest, () => ask(token, jwt));
      return verdict instanceof Promise ? verdict.then(unlessRefused) : unlessRefused(verdict);
    },
    forget: verdicts.forget,
    probe: async () => {
      const verdict = await ask(randomUUID());
      if ('refused' in verdict) return;
      throw new VerificationUnavailableError(
        'The introspection endpoint says of a token that does not exist that it is active',
      );
    },
  };
}
