import { LRUCache } from 'lru-cache';
import { checkNow } from './access-token.js';
import type { JwtServer, ServerFinder, VerifiedJwt } from './jwt.js';
import type { Seconds, VerifiedToken } from './types.js';

/**
 * JWTs whose signature was good, by a digest of the whole token. One is good again for as long as its server is trusted and has
 * the same keys, and its times are checked each time.
 */
export class VerifiedJwts {
  readonly #tokens: LRUCache<string, VerifiedJwt> | undefined;
  readonly #find: ServerFinder;
  readonly #clock: () => Seconds;
  readonly #tolerance: Seconds;

  /** @param max Most tokens remembered, 0 for none; the longest unused is forgotten first. */
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
    this.#checkTimes(known); // first: an outage hides no bad token
    const server = this.#find(known.claims.iss);
    const found =
      server instanceof Promise ? server.then((one) => unlessChanged(known, one)) : unlessChanged(known, server);
    if (!(found instanceof Promise)) return found;
    return found.then((token) => {
      this.#checkTimes(known); // the wait took its time
      return token;
    });
  }

  #checkTimes({ claims }: VerifiedJwt): void {
    checkNow(claims, this.#clock(), this.#tolerance);
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
}

function unlessChanged(
  known: VerifiedJwt,
  server: JwtServer | undefined,
): VerifiedToken | undefined | Promise<VerifiedToken | undefined> {
  if (server !== known.server) return undefined;
  const keys = server.keys.current();
  if (keys === known.keys) return known;
  return keys instanceof Promise ? keys.then((set) => (set === known.keys ? known : undefined)) : undefined;
}
