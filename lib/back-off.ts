import { UnusableAnswerError } from './fetch-json.js';
import type { Seconds } from './types.js';

/** First wait after a failure, and the longest; doubled with each failure in between. */
const FIRST_WAIT: Seconds = 1;
const LONGEST_WAIT: Seconds = 30;

/**
 * For how long a server that failed is left alone: a wait that doubles with each failure, with jitter, or that the server
 * named (`Retry-After`). There is no timer: who comes, asks.
 */
export class BackOff {
  readonly #clock: () => Seconds;
  #failed: Failure | undefined;

  constructor(clock: () => Seconds) {
    this.#clock = clock;
  }

  /** For how long nobody may ask yet; 0 when asking is allowed. */
  get left(): Seconds {
    const left = (this.#failed?.until ?? 0) - this.#clock();
    return left > 0 && left <= LONGEST_WAIT ? left : 0; // longer than the longest is a clock that was put back
  }

  /** The last failure since the last success. */
  get error(): Error | undefined {
    return this.#failed?.error;
  }

  /** Whether there was a wait since the last success, over or not. */
  get isTripped(): boolean {
    return this.#failed !== undefined;
  }

  succeeded(): void {
    this.#failed = undefined;
  }

  failed(error: Error): void {
    const count = (this.#failed?.count ?? 0) + 1;
    const doubled = Math.min(FIRST_WAIT * 2 ** (count - 1), LONGEST_WAIT) * (0.5 + Math.random() / 2);
    const asked = error instanceof UnusableAnswerError ? error.wait : 0;
    this.#note(error, count, Math.min(Math.max(doubled, asked), LONGEST_WAIT));
  }

  /** Nobody was asked, because what this depends on is in a wait itself: as long as that, and nothing counts. */
  paused(error: Error, wait: Seconds): void {
    this.#note(error, this.#failed?.count ?? 0, wait);
  }

  /** Whether the last failure since the last success is younger than `time`. */
  failedWithin(time: Seconds): boolean {
    return this.#failed !== undefined && Math.abs(this.#clock() - this.#failed.at) < time;
  }

  #note(error: Error, count: number, wait: Seconds): void {
    const at = this.#clock();
    this.#failed = { count, error, at, until: at + wait };
  }
}

/** The failures since the last success: how many, the last, when it was, and until when nobody asks again. */
interface Failure {
  readonly count: number;
  readonly error: Error;
  readonly at: Seconds;
  readonly until: Seconds;
}
