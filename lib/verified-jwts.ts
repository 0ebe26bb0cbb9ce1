import { LRUCache } from 'lru-cache';
import { checkNow } from './access-token.js';
import type { JwtServer, ServerFinder, VerifiedJwt } from './jwt.js';
import type { Seconds, VerifiedToken } from './types.js';

/**
 * JWTs whose signature was good, by a digest of the whole token. One is good again for as long as its
 * server is trusted and has the same keys, and its times are checked each time.
 */
export class VerifiedJwts {
  readonly #tokens: LRUCache<string, VerifiedJwt> | undefined;
  readonly #find: ServerFinder;
  readonly #clock: () => Seconds;
  readonly #tolerance: Seconds;

  /** @param max Most tokens remembered; the longest unused is forgotten first. */
  constructor(max: number, find: ServerFinder, clock: () => Seconds, tolerance: Seconds) {
    this.#tokens = max === 0 ? undefined : new LRUCache({ max });
    this.#find = find;
    this.#clock = clock;
    this.#tolerance = tolerance;
  }

  /**
   * The token if it was good before and still is; undefined if it has to be verified. Without a promise wherever none is needed.
   *
   * @throws InvalidTokenError when its time is over; whatever throws that finds the server and its keys.
   */
  recall(digest: string): VerifiedToken | undefined | Promise<VerifiedToken | undefined> {
    const known = this.#tokens?.get(digest);
    if (known === undefined) return undefined;
    const server = this.#find(known.token.claims.iss);
    if (server instanceof Promise) return server.then((found) => this.#unlessChanged(known, found));
    return this.#unlessChanged(known, server);
  }

  #unlessChanged(
    known: VerifiedJwt,
    server: JwtServer | undefined,
  ): VerifiedToken | undefined | Promise<VerifiedToken | undefined> {
    if (server !== known.server) return undefined;
    const keys = server.keys.current();
    if (keys === known.keys) return this.#inTime(known.token);
    return keys instanceof Promise
      ? keys.then((set) => (set === known.keys ? this.#inTime(known.token) : undefined))
      : undefined;
  }

  keep(digest: string, verified: VerifiedJwt): void {
    this.#tokens?.set(digest, verified);
  }

  forget(digest: string): void {
    this.#tokens?.delete(digest);
  }

  clear(): void {
    this.#tokens?.clear();
  }

  #inTime(token: VerifiedToken): VerifiedToken {
    checkNow(token.claims, this.#clock(), this.#tolerance);
    return token;
  }
}
