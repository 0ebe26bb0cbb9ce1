import { randomUUID } from 'node:crypto';
import pLimit from 'p-limit';
import { BackOff } from './back-off.js';
import { tell } from './diagnostics.js';
import { VerificationUnavailableError } from './errors.js';
import { timeLimit, unlessLate } from './fetch-json.js';
import { isAnswer, questioner } from './introspection-question.js';
import type { Question, QuestionOptions } from './introspection-question.js';

/** What an endpoint needs to be asked. */
export interface EndpointOptions extends QuestionOptions {
  readonly url: () => URL | Promise<URL>;
  readonly maxConcurrent: number;
  readonly maxQueued: number;
}

const WHAT = 'The introspection answer of the authorization server';
/** So many failures in a row are bad luck, or somebody's odd tokens. One more, and a trial decides. */
const TOLERATED = 4;
/**
 * The introspection endpoint of one authorization server. RFC 7662 section 2.1.
 * Asks it no more than a stated number of questions at once; the others wait, within bounds of number and time. When it fails
 * again and again it is tried out with a token that does not exist, so that nobody's odd tokens stop the tokens of others; if
 * that fails, too, it is left alone for a while (`BackOff`), and then tried out again.
 */
export class IntrospectionEndpoint {
  readonly #options: EndpointOptions;
  readonly #ask: (question: Question) => Promise<Uint8Array>;
  readonly #limit;
  readonly #backOff: BackOff;
  /** Failures in a row. */
  #failures = 0;
  #trial: Promise<void> | undefined;
  /** How many wait for the trial. */
  #waiting = 0;

  constructor(options: EndpointOptions) {
    this.#options = options;
    this.#ask = questioner(options);
    this.#limit = pLimit(options.maxConcurrent);
    this.#backOff = new BackOff(options.clock);
  }

  /**
   * The body of the answer about a token.
   *
   * @throws VerificationUnavailableError for everything but status 200 and the media type asked for, all of it in time.
   */
  async ask(token: string): Promise<Uint8Array> {
    const url = await this.#options.url(); // it has its own pauses
    this.#refuseWhilePaused();
    this.#refuseTooMany(this.#limit.pendingCount + this.#waiting);
    if (this.#backOff.isTripped) await this.#waitForTrial(url);
    const { signal, end } = timeLimit();
    const question = this.#limit(async () => {
      signal.throwIfAborted(); // nobody waits for it any longer
      this.#refuseWhilePaused(); // what was met while this one waited
      return this.#watched({ url, token, signal });
    });
    question.catch(() => undefined); // told below, unless time is over
    return unlessLate(signal, `${WHAT} did not come in time`, question).finally(end);
  }

  #refuseTooMany(waiting: number): void {
    if (waiting < this.#options.maxQueued) return;
    throw new VerificationUnavailableError(
      'More tokens wait for introspection than "maxQueued" allows: the authorization server is slow, or "maxConcurrent" is low',
    );
  }

  async #waitForTrial(url: URL): Promise<void> {
    this.#waiting++;
    try {
      await this.#tryOut(url);
    } catch (error) {
      this.#refuseWhilePaused(); // says for how long
      throw error;
    } finally {
      this.#waiting--;
    }
  }

  #refuseWhilePaused(): void {
    const { left, error } = this.#backOff;
    if (left === 0) return;
    const reason = error instanceof VerificationUnavailableError ? error.reason : `${WHAT} failed`;
    throw new VerificationUnavailableError(reason, left);
  }

  /** One question, and what it says about the health of the server. */
  async #watched(question: Question): Promise<Uint8Array> {
    try {
      const body = await this.#ask(question);
      this.#noteAnswer();
      return body;
    } catch (error) {
      this.tell('failed', error);
      if (isAnswer(error)) this.#noteAnswer();
      else if (++this.#failures > TOLERATED && !this.#backOff.isTripped) {
        this.#tryOut(question.url).catch(() => undefined); // told there
      }
      throw error;
    }
  }

  #noteAnswer(): void {
    this.#failures = 0;
    if (this.#backOff.isTripped) this.tell('recovered');
    this.#backOff.succeeded();
  }

  /** Whether it answers at all, by a token that does not exist; everybody who wants to know shares one question. */
  #tryOut(url: URL): Promise<void> {
    this.#trial ??= this.#askAboutNothing(url).finally(() => {
      this.#trial = undefined;
    });
    return this.#trial;
  }

  async #askAboutNothing(url: URL): Promise<void> {
    const { signal, end } = timeLimit();
    try {
      await this.#ask({ url, token: randomUUID(), signal });
      this.#noteAnswer();
    } catch (error) {
      if (isAnswer(error)) {
        this.#noteAnswer();
        return;
      }
      this.#backOff.failed(error as Error);
      this.tell('paused', error);
      throw error;
    } finally {
      end();
    }
  }

  /** Tells the operator. */
  tell(event: 'failed' | 'paused' | 'recovered', error?: unknown): void {
    const reason = error instanceof VerificationUnavailableError ? error.reason : undefined;
    tell(() => ({ type: 'introspection', issuer: this.#options.issuer, event, reason }));
  }
}
