import { BackOff } from './back-off.js';
import { VerificationUnavailableError } from './errors.js';
import type { Seconds } from './types.js';

/** Something fetched, and how long it counts as fresh. */
export interface Fetched<T> {
  readonly value: T;
  readonly freshFor: Seconds;
}

/** A kept document for export: what it is, and when it was fetched. */
export interface Snapshot<T> extends Fetched<T> {
  readonly fetchedAt: Seconds;
}

/** What became of a document, for the operator. */
export type KeptEvent = 'refreshed' | 'failed' | 'stale';

/**
 * One remote document: fetched when it is first needed, kept, and fetched again ahead of need.
 *
 * - In the first half of its fresh time it is served as it is; in the second half one refresh runs in the background.
 * - When refreshing fails it is served on, until `maxAge` after it was fetched, and never longer.
 * - After a failure nobody asks again before a wait (`BackOff`).
 * - Simultaneous callers share one fetch. There is no timer: without callers nothing happens.
 */
export class Kept<T> {
  readonly #load: () => Promise<Fetched<T>>;
  readonly #clock: () => Seconds;
  readonly #maxAge: Seconds;
  readonly #report: (event: KeptEvent, error?: unknown) => void;
  #kept: Snapshot<T> | undefined;
  #pending: Promise<T> | undefined;
  /** Counts purges, so that what was asked for before one is not kept after it. */
  #generation = 0;
  readonly #backOff: BackOff;

  constructor(
    load: () => Promise<Fetched<T>>,
    clock: () => Seconds,
    maxAge: Seconds,
    report: (event: KeptEvent, error?: unknown) => void,
  ) {
    this.#load = load;
    this.#clock = clock;
    this.#maxAge = maxAge;
    this.#report = report;
    this.#backOff = new BackOff(clock);
  }

  /** The document. Throws `VerificationUnavailableError`, by a promise, when there is none that may be used. */
  get(): T | Promise<T> {
    const kept = this.#kept;
    const age = this.age();
    if (kept === undefined || age >= this.#maxAge) return this.refresh();
    if (age < kept.freshFor / 2) return kept.value;
    const refreshed = this.refresh();
    // Past its time without a failure lately, nobody has asked for long: what was withdrawn meanwhile must not serve once
    // more. While failures are recent nobody waits for the next attempt.
    if (age >= kept.freshFor && !this.#backOff.failedWithin(kept.freshFor)) {
      const generation = this.#generation;
      return refreshed.catch((error: unknown) => {
        if (generation !== this.#generation) throw error; // purged meanwhile
        return this.#stale(kept);
      });
    }
    refreshed.catch(() => undefined); // counted in #fetch
    return age < kept.freshFor ? kept.value : this.#stale(kept);
  }

  /** Fetches it anew, together with whoever is at it. Rejects with the last failure while it is too early to ask again. */
  refresh(): Promise<T> {
    if (this.#pending !== undefined) return this.#pending;
    const { left, error } = this.#backOff;
    if (left > 0 && error !== undefined) return Promise.reject(tooEarly(error, left));
    const pending = this.#fetch().finally(() => {
      if (this.#pending === pending) this.#pending = undefined;
    });
    this.#pending = pending;
    return pending;
  }

  /** Seconds since it was fetched, Infinity without it. After a clock was put back it is dated anew: its fresh time is over. */
  age(): Seconds {
    if (this.#kept === undefined) return Infinity;
    const now = this.#clock();
    const { fetchedAt, freshFor } = this.#kept;
    if (now < fetchedAt) this.#kept = { ...this.#kept, fetchedAt: now - freshFor };
    return now < fetchedAt ? freshFor : now - fetchedAt;
  }

  /** What is kept, for export. */
  get snapshot(): Snapshot<T> | undefined {
    return this.#kept;
  }

  /** Takes what another process fetched, unless ours is newer. It ages on from when it was fetched. */
  restore(snapshot: Snapshot<T>): void {
    if (snapshot.fetchedAt > this.#clock() || snapshot.fetchedAt <= (this.#kept?.fetchedAt ?? -Infinity)) return;
    this.#kept = snapshot;
  }

  /** Forgets everything: the next caller fetches. */
  purge(): void {
    this.#kept = undefined;
    this.#backOff.succeeded();
    this.#pending = undefined;
    this.#generation++;
  }

  async #fetch(): Promise<T> {
    const generation = this.#generation;
    try {
      const fetched = await this.#load();
      if (generation !== this.#generation) return fetched.value;
      this.#kept = { ...fetched, fetchedAt: this.#clock() };
      this.#backOff.succeeded();
      this.#report('refreshed');
      return fetched.value;
    } catch (thrown) {
      const error = thrown instanceof Error ? thrown : new Error('a load threw what is no Error');
      if (generation === this.#generation) this.#noteFailure(error);
      throw error;
    }
  }

  #noteFailure(error: Error): void {
    if (error instanceof PausedError) this.#backOff.paused(error, error.left);
    else this.#backOff.failed(error);
    this.#report('failed', error);
  }

  #stale({ value }: Snapshot<T>): T {
    this.#report('stale');
    return value;
  }
}

/** It failed, and it is too early to ask again. */
class PausedError extends VerificationUnavailableError {
  constructor(
    reason: string,
    readonly left: Seconds,
  ) {
    super(reason, left);
    this.name = 'VerificationUnavailableError'; // what it is to everybody outside
  }
}

function tooEarly(error: Error, left: Seconds): Error {
  return error instanceof VerificationUnavailableError ? new PausedError(error.reason, left) : error;
}
