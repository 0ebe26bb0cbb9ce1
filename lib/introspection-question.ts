import { setTimeout } from 'node:timers/promises';
import type { Authenticated, ClientAuthentication } from './client-authentication.js';
import { VerificationUnavailableError } from './errors.js';
import { ConnectionError, exchange, unlessLate, UnusableAnswerError } from './fetch-json.js';
import type { Fetch } from './fetch-json.js';
import { checkObject } from './options.js';
import type { Seconds } from './types.js';

/** What every question to one authorization server has in common. */
export interface QuestionOptions {
  readonly issuer: string;
  readonly clientAuthentication: ClientAuthentication;
  readonly mediaType: string;
  readonly fetch: Fetch;
  readonly clock: () => Seconds;
}

/** One question. */
export interface Question {
  readonly url: URL;
  readonly token: string;
  /** Ends the time for all of it. */
  readonly signal: AbortSignal;
}

const WHAT = 'The introspection answer of the authorization server';
/** Most bytes of an answer: as many are remembered with the token. */
const MAX_BYTES = 64 * 1024;
/** What a status says of us, for the operator. */
const REASONS: Readonly<Record<number, string>> = {
  400: 'The introspection endpoint takes the question for malformed (400): some servers introspect no JWTs, see "jwtLocally"; else check "clientAuthentication"',
  401: 'The introspection endpoint refused our own credentials (401): check "clientAuthentication"',
  403: 'The introspection endpoint does not let us ask (403): allow this client to introspect, or check "clientAuthentication"',
  404: 'The introspection endpoint is not there (404): check "endpoint" of "introspection"',
};
/** Answers to a single token, which say nothing about the next. */
const ABOUT_THE_TOKEN = [400, 413, 414, 422, 431];

/**
 * Asks about one token over HTTP, and once more where that is safe and of use. RFC 7662 section 2.1. Gives the body of an answer
 * with status 200 and the media type asked for.
 *
 * @throws VerificationUnavailableError for everything else.
 */
export function questioner(options: QuestionOptions): (question: Question) => Promise<Uint8Array> {
  const { issuer, clientAuthentication, fetch, mediaType, clock } = options;

  return async (question) => {
    const { renew } = clientAuthentication;
    const authenticated = await authenticate(question);
    try {
      return await send(question, authenticated);
    } catch (error) {
      // Asking twice changes nothing at the server. A kept connection may have been closed under our hands.
      const isLost = error instanceof ConnectionError && !question.signal.aborted;
      const isRefused = error instanceof UnusableAnswerError && error.answeredWith === 401 && renew !== undefined;
      if (isLost) await setTimeout(50 + Math.random() * 200, undefined, { ref: false });
      else if (isRefused) await own(question, () => renew(authenticated));
      else throw error;
    }
    return send(question, await authenticate(question));
  };

  async function authenticate(question: Question): Promise<Authenticated> {
    return own(question, async () => {
      const authenticated = await clientAuthentication.authenticate(issuer, clock());
      checkObject('what "clientAuthentication" returns', authenticated);
      const { headers, parameters } = authenticated;
      // RFC 7662 section 2.1: the endpoint must know who asks.
      if (headers ?? parameters ?? clientAuthentication.fetch) return authenticated;
      throw new VerificationUnavailableError('What "clientAuthentication" returns has neither headers nor parameters');
    });
  }

  async function send({ url, token, signal }: Question, { headers, parameters }: Authenticated): Promise<Uint8Array> {
    const init = {
      method: 'POST',
      headers: { ...headers, 'content-type': 'application/x-www-form-urlencoded' },
      body: new URLSearchParams({ ...parameters, token, token_type_hint: 'access_token' }).toString(),
    };
    try {
      const wanted = { url: new URL(url), what: WHAT, mediaTypes: [mediaType] }; // a copy: the fetch may be the user's
      const { body } = await exchange(wanted, clientAuthentication.fetch ?? fetch, signal, init);
      if (body.length <= MAX_BYTES) return body;
      throw new UnusableAnswerError(`${WHAT} is larger than ${String(MAX_BYTES)} bytes`);
    } catch (error) {
      if (!(error instanceof UnusableAnswerError)) throw error;
      const { answeredWith, wait, reason } = error;
      throw new UnusableAnswerError(REASONS[answeredWith] ?? reason, wait, answeredWith);
    }
  }
}

/** What the user's own code throws is not repeated: it may have the words of another server in it. */
async function own<T>({ signal }: Question, step: () => T | Promise<T>): Promise<T> {
  const failure = 'We could not authenticate at the authorization server: what "clientAuthentication" calls failed';
  try {
    const work = new Promise<T>((resolve) => {
      resolve(step());
    });
    return await unlessLate(signal, failure, work);
  } catch (error) {
    throw error instanceof VerificationUnavailableError ? error : new VerificationUnavailableError(failure);
  }
}

/** The server is well, whatever it thinks of the token or of us: asking it less would help nobody. */
export function isAnswer(error: unknown): boolean {
  return error instanceof UnusableAnswerError && [...ABOUT_THE_TOKEN, 401].includes(error.answeredWith);
}
