import { VerificationUnavailableError } from './errors.js';
import type { Seconds } from './types.js';

/** Remembers which proofs were used. RFC 9449 section 11.1. For several processes it is a store that they share. */
export interface ReplayStore {
  /**
   * True, exactly once in `seconds` for the same `id`, however many ask at the same time; false for all others. `client` is
   * the thumbprint of the client's key, for limits of the store's own. What it throws is 503: nobody knows whether the
   * proof was used.
   */
  unique(id: string, seconds: Seconds, client: string): boolean | Promise<boolean>;
}

interface Used {
  readonly until: Seconds;
  readonly client: string;
}

/** So much of the store may one client take: a full one refuses everybody. */
const SHARE_OF_ONE_CLIENT = 0.5;

/**
 * The store of a single process. It forgets a proof when it could not be used again anyway, and nothing before: when it is
 * full it refuses, and so does it refuse a client key that has taken half of it.
 */
export class LocalReplayStore implements ReplayStore {
  readonly #max: number;
  readonly #clock: () => Seconds;
  /** In the order of their end, since all live equally long. */
  readonly #used = new Map<string, Used>();
  readonly #ofClient = new Map<string, number>();
  #swept: Seconds = 0;

  /** @param max Most proofs remembered at once, about 240 bytes each. */
  constructor(max: number, clock: () => Seconds) {
    this.#max = max;
    this.#clock = clock;
  }

  /** @throws VerificationUnavailableError when there is no room: nobody could tell whether the proof comes again. */
  unique(id: string, seconds: Seconds, client: string): boolean {
    const now = this.#clock();
    // Not each time: a Map is gone through from its start, past the places of all that was deleted.
    if (Math.abs(now - this.#swept) >= 1) this.#forget(now);
    if (this.#used.has(id)) return false;
    const taken = this.#ofClient.get(client) ?? 0;
    if (taken >= Math.max(this.#max * SHARE_OF_ONE_CLIENT, 1)) {
      throw new VerificationUnavailableError('One client used more DPoP proofs than fit: raise "maxProofs" of "dpop"');
    }
    if (this.#used.size >= this.#max) {
      throw new VerificationUnavailableError('The store of used DPoP proofs is full: raise "maxProofs" of "dpop"');
    }
    this.#used.set(id, { until: now + seconds, client });
    this.#ofClient.set(client, taken + 1);
    return true;
  }

  #forget(now: Seconds): void {
    this.#swept = now;
    for (const [id, { until, client }] of this.#used) {
      if (until > now) return;
      this.#used.delete(id);
      const left = (this.#ofClient.get(client) ?? 0) - 1;
      if (left > 0) this.#ofClient.set(client, left);
      else this.#ofClient.delete(client);
    }
  }
}
