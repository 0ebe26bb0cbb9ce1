import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import type { Seconds } from './types.js';

/** How long a nonce is accepted, and from when on a newer one is handed out. */
export const NONCE_LIFE: Seconds = 120;
const RENEWED_AFTER: Seconds = NONCE_LIFE / 2;
/** A nonce is: when it was made (4 bytes), chance (12), and a seal over both (16). */
const TIME_BYTES = 4;
const SEAL_START = 16;
const LENGTH = 32;

/**
 * DPoP nonces without memory: the time of issue and chance, sealed under a secret. All processes that have the same secret
 * accept each other's. RFC 9449 sections 8 and 9.
 */
export class Nonces {
  readonly #secret: Uint8Array;
  readonly #resource: string;
  readonly #clock: () => Seconds;

  /** @param resource Whose nonces these are: another resource's are none of ours, though the secret be the same. */
  constructor(secret: Uint8Array, resource: string, clock: () => Seconds) {
    this.#secret = secret;
    this.#resource = resource;
    this.#clock = clock;
  }

  issue(): string {
    const head = Buffer.alloc(SEAL_START);
    head.writeUInt32BE(Math.floor(this.#clock()) >>> 0);
    randomBytes(SEAL_START - TIME_BYTES).copy(head, TIME_BYTES);
    return Buffer.concat([head, this.#seal(head)]).toString('base64url');
  }

  /** How old one of our nonces is, or undefined for one that is not ours, too old, or from the future. */
  age(nonce: unknown): Seconds | undefined {
    if (typeof nonce !== 'string') return undefined;
    const bytes = Buffer.from(nonce, 'base64url');
    if (bytes.length !== LENGTH || bytes.toString('base64url') !== nonce) return undefined;
    const head = bytes.subarray(0, SEAL_START);
    if (!timingSafeEqual(bytes.subarray(SEAL_START), this.#seal(head))) return undefined;
    const age = Math.floor(this.#clock()) - head.readUInt32BE();
    // The clock of another process may be a little ahead.
    return age >= -NONCE_LIFE / 10 && age < NONCE_LIFE ? age : undefined;
  }

  /** A new one for who used one that will be too old soon. RFC 9449 section 8.2. */
  renew(age: Seconds): string | undefined {
    return age < RENEWED_AFTER ? undefined : this.issue();
  }

  #seal(head: Uint8Array): Buffer {
    const seal = createHmac('sha256', this.#secret).update(this.#resource).update('\0').update(head).digest();
    return seal.subarray(0, LENGTH - SEAL_START);
  }
}
