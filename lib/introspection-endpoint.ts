import { setTimeout } from 'node:timers/promises';
import pLimit from 'p-limit';
import { BackOff } from './back-off.js';
import type { Authenticated, ClientAuthentication } from './client-authentication.js';
import { tell } from './diagnostics.js';
import { VerificationUnavailableError } from './errors.js';
import { ConnectionError, exchange, timeLimit, unlessLate, UnusableAnswerError } from './fetch-json.js';
import type { Fetch } from './fetch-json.js';
import { checkObject } from './options.js';
import type { Seconds } from './types.js';

/** What an endpoint needs to be asked. */
export interface EndpointOptions {
  readonly issuer: string;
  readonly url: () => URL | Promise<URL>;
  readonly clientAuthentication: ClientAuthentication;
  readonly mediaType: string;
  readonly maxConcurrent: number;
  readonly maxQueued: number;
  readonly fetch: Fetch;
  readonly clock: () => Seconds;
}

interface Question {
  readonly url: URL;
  readonly token: string;
  /** Ends the time for all of it. */
  readonly signal: AbortSignal;
}

const WHAT = 'The introspection answer of the authorization server';
/** So many failures in a row are bad luck. One more, and the server is left alone for a while. */
const TOLERATED = 4;
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
 * The introspection endpoint of one authorization server. RFC 7662 section 2.1.
 * Asks it no more than a stated number of questions at once; the others wait, within bounds of number and time. When it
 * fails again and again it is left alone for a while (`BackOff`), and then asked one question to see whether it is back.
 */
export class IntrospectionEndpoint {
  readonly #options: EndpointOptions;
  readonly #limit;
  readonly #backOff: BackOff;
  #isTrying = false;

  constructor(options: EndpointOptions) {
    this.#options = options;
    this.#limit = pLimit(options.maxConcurrent);
    this.#backOff = new BackOff(options.clock, TOLERATED);
  }

  /**
   * The body of the answer about a token.
   *
   * @throws VerificationUnavailableError for everything but status 200 and the media type asked for, all of it in time.
   */
  async ask(token: string): Promise<Uint8Array> {
    const url = await this.#options.url(); // it has its own pauses
    this.#refuseWhilePaused();
    if (this.#limit.pendingCount >= this.#options.maxQueued) {
      throw new VerificationUnavailableError(
        'More tokens wait for introspection than "maxQueued" allows: the authorization server is slow, or "maxConcurrent" is low',
      );
    }
    const { signal, end } = timeLimit();
    const question = this.#limit(async () => {
      signal.throwIfAborted(); // nobody waits for it any longer
      this.#refuseWhilePaused(); // what was met while this one waited
      return this.#watched({ url, token, signal });
    });
    question.catch(() => undefined); // told below, unless time is over
    return unlessLate(signal, `${WHAT} did not come in time`, question).finally(end);
  }

  #refuseWhilePaused(): void {
    const { left, error, isTripped } = this.#backOff;
    if (left === 0 && !(isTripped && this.#isTrying)) return;
    const reason = error instanceof VerificationUnavailableError ? error.reason : `${WHAT} failed`;
    throw new VerificationUnavailableError(reason, left || undefined);
  }

  /** One question, and what it says about the health of the server. */
  async #watched(question: Question): Promise<Uint8Array> {
    const isTrial = this.#backOff.isTripped;
    if (isTrial) this.#isTrying = true;
    try {
      const body = await this.#repeating(question, !isTrial);
      this.#noteAnswer();
      return body;
    } catch (error) {
      this.#note(error);
      throw error;
    } finally {
      if (isTrial) this.#isTrying = false;
    }
  }

  /** It answers, whoever asked: the trial, or a question that was under way when the pause began. */
  #noteAnswer(): void {
    if (this.#backOff.isTripped) this.tell('recovered');
    this.#backOff.succeeded();
  }

  #note(error: unknown): void {
    const isOfTheToken = error instanceof UnusableAnswerError && ABOUT_THE_TOKEN.includes(error.answeredWith);
    this.tell('failed', error);
    // A burst of questions that fail together is one failure of the server, and does not count on while it is left alone.
    if (isOfTheToken) this.#noteAnswer();
    if (isOfTheToken || this.#backOff.left > 0) return;
    this.#backOff.failed(error as Error);
    if (this.#backOff.left > 0) this.tell('paused', error);
  }

  async #repeating(question: Question, mayRepeat: boolean): Promise<Uint8Array> {
    const { renew } = this.#options.clientAuthentication;
    const authenticated = await this.#authenticate(question);
    try {
      return await this.#send(question, authenticated);
    } catch (error) {
      // Asking twice changes nothing at the server. A kept connection may have been closed under our hands.
      const isLost = error instanceof ConnectionError && mayRepeat && !question.signal.aborted;
      const isRefused = error instanceof UnusableAnswerError && error.answeredWith === 401 && renew !== undefined;
      if (isLost) await setTimeout(50 + Math.random() * 200, undefined, { ref: false });
      else if (isRefused) renew(authenticated);
      else throw error;
    }
    return this.#send(question, await this.#authenticate(question));
  }

  /** What the user's own code throws there is not repeated: it may have the words of another server in it. */
  async #authenticate({ signal }: Question): Promise<Authenticated> {
    const { issuer, clientAuthentication, clock } = this.#options;
    const failure = 'We could not authenticate at the authorization server: what "clientAuthentication" calls failed';
    try {
      const given = new Promise<Authenticated>((resolve) => {
        resolve(clientAuthentication.authenticate(issuer, clock()));
      });
      const authenticated = await unlessLate(signal, failure, given);
      checkObject('what "clientAuthentication" returns', authenticated);
      const { headers, parameters } = authenticated;
      // RFC 7662 section 2.1: the endpoint must know who asks.
      if (headers ?? parameters ?? clientAuthentication.fetch) return authenticated;
      throw new VerificationUnavailableError('What "clientAuthentication" returns has neither headers nor parameters');
    } catch (error) {
      throw error instanceof VerificationUnavailableError ? error : new VerificationUnavailableError(failure);
    }
  }

  async #send({ url, token, signal }: Question, { headers, parameters }: Authenticated): Promise<Uint8Array> {
    const { clientAuthentication, fetch, mediaType } = this.#options;
    const init = {
      method: 'POST',
      headers: { ...headers, 'content-type': 'application/x-www-form-urlencoded' },
      body: new URLSearchParams({ ...parameters, token, token_type_hint: 'access_token' }).toString(),
    };
    try {
      const wanted = { url, what: WHAT, mediaTypes: [mediaType] };
      const { body } = await exchange(wanted, clientAuthentication.fetch ?? fetch, signal, init);
      return body;
    } catch (error) {
      if (!(error instanceof UnusableAnswerError)) throw error;
      const { answeredWith, wait, reason } = error;
      throw new UnusableAnswerError(REASONS[answeredWith] ?? reason, wait, answeredWith);
    }
  }

  /** Tells the operator. */
  tell(event: 'failed' | 'paused' | 'recovered', error?: unknown): void {
    const reason = error instanceof VerificationUnavailableError ? error.reason : undefined;
    tell(() => ({ type: 'introspection', issuer: this.#options.issuer, event, reason }));
  }
}
