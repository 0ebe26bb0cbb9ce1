import { LRUCache } from 'lru-cache';
import type { Seconds, VerifiedToken } from './types.js';

/** A token that is bad, and why, as `InvalidTokenError` says it. */
export interface Refused {
  readonly refused: string;
}

/** What was found out about a token. That nothing could be found out is no verdict. */
export type Verdict = VerifiedToken | Refused;

/** For how long the verdicts of one server are used again. */
export interface Lives {
  /** A good token; 0: every request asks, and none shares the question of another. */
  readonly good: Seconds;
  /** A bad one. */
  readonly bad: Seconds;
  /** Beyond `good`: used once more while it is asked anew in the background. */
  readonly stale: Seconds;
  /** How far clocks may differ: added to `exp`, beyond which nothing is used again. */
  readonly tolerance: Seconds;
}

/** What one server said, and is asked when it has not said anything. */
export interface Verdicts {
  /** The verdict at hand, or the answer to `ask`. Failures are passed on, and not remembered. */
  readonly find: (digest: string, ask: () => Promise<Verdict>) => Verdict | Promise<Verdict>;
  /** Forgets a token, and what is being asked about it. */
  readonly forget: (digest: string) => void;
}

interface Entry<T> {
  readonly verdict: T;
  readonly since: Seconds;
  readonly until: Seconds;
  /** When the token is over, whatever its server says later. */
  readonly expires: Seconds;
}

/** Most bad tokens remembered: anybody can make one. About 150 bytes each. */
const MAX_BAD = 10_000;

/**
 * Verdicts about tokens, by a digest of the whole token and the server that was asked.
 * Good and bad ones are apart, so that rubbish cannot evict the good. Identical questions at the same time are one.
 * The times in a token are not checked here, but for `exp`, beyond which a verdict is not used again.
 */
export class TokenCache {
  readonly #max: number;
  readonly #good: LRUCache<string, Entry<VerifiedToken>>;
  readonly #bad = new LRUCache<string, Entry<Refused>>({ max: MAX_BAD });
  readonly #pending = new Map<string, Promise<Verdict>>();
  readonly #clock: () => Seconds;
  #servers = 0;

  /** @param max Most good tokens remembered, 0 for none; the longest unused is forgotten first. */
  constructor(max: number, clock: () => Seconds) {
    this.#max = max;
    this.#good = new LRUCache({ max: Math.max(1, max) });
    this.#clock = clock;
  }

  /** The part of one server: what others said is not seen from there. */
  of(lives: Lives): Verdicts {
    const server = String(this.#servers++);
    const keyOf = (digest: string) => `${digest} ${server}`;
    return {
      find: (digest, ask) => this.#find(keyOf(digest), lives, ask),
      forget: (digest) => {
        const key = keyOf(digest);
        for (const store of [this.#good, this.#bad, this.#pending]) store.delete(key);
      },
    };
  }

  clear(): void {
    for (const store of [this.#good, this.#bad, this.#pending]) store.clear();
  }

  #find(key: string, lives: Lives, ask: () => Promise<Verdict>): Verdict | Promise<Verdict> {
    const good = this.#at(this.#good, key);
    if (good !== undefined && this.#isWithin(good, 0)) return good.verdict;
    const bad = this.#at(this.#bad, key);
    if (bad !== undefined && this.#isWithin(bad, 0)) return bad.verdict;
    const asked = this.#share(key, lives, ask);
    if (good === undefined || !this.#isWithin(good, lives.stale)) return asked;
    asked.catch(() => undefined); // the next who come too late for the stale verdict will see it
    return good.verdict;
  }

  /** A verdict counts from when it was asked for, so that a token revoked after that is refused in time. */
  #share(key: string, lives: Lives, ask: () => Promise<Verdict>): Promise<Verdict> {
    const since = this.#clock();
    const pending = this.#pending.get(key);
    if (pending !== undefined && lives.good > 0) return pending;
    const asked = ask().then((verdict) => {
      if (this.#pending.get(key) === asked) this.#keep(key, verdict, since, lives); // else forgotten meanwhile
      return verdict;
    });
    this.#pending.set(key, asked);
    const done = () => {
      if (this.#pending.get(key) === asked) this.#pending.delete(key);
    };
    asked.then(done, done);
    return asked;
  }

  #keep(key: string, verdict: Verdict, since: Seconds, { good, bad, tolerance }: Lives): void {
    if ('refused' in verdict) {
      this.#good.delete(key);
      if (bad > 0) this.#bad.set(key, { verdict, since, until: since + bad, expires: Infinity });
      return;
    }
    this.#bad.delete(key);
    const { exp = Infinity } = verdict.claims;
    if (good > 0 && this.#max > 0)
      this.#good.set(key, { verdict, since, until: since + good, expires: exp + tolerance });
  }

  /** What is remembered, unless it seems to come from the future: a clock that was put back makes nothing younger. */
  #at<T>(store: LRUCache<string, Entry<T>>, key: string): Entry<T> | undefined {
    const entry = store.get(key);
    if (entry === undefined || this.#clock() >= entry.since) return entry;
    store.delete(key);
    return undefined;
  }

  #isWithin({ until, expires }: Entry<Verdict>, longer: Seconds): boolean {
    return this.#clock() < Math.min(until + longer, expires);
  }
}
