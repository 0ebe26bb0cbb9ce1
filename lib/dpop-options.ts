import { randomBytes } from 'node:crypto';
import { LocalReplayStore } from './dpop-replay.js';
import type { ReplayStore } from './dpop-replay.js';
import { Nonces } from './dpop-nonce.js';
import { ALGORITHMS } from './key-set.js';
import { checkCount, checkNames, checkSeconds, show } from './options.js';
import type { Seconds } from './types.js';

/** How proofs of possession are checked. RFC 9449. */
export interface DPoPOptions {
  /** The accepted signature algorithms of proofs, named to clients. Default: ES256, ES384, ES512, EdDSA, Ed25519, PS256, RS256. */
  readonly algs?: readonly string[];
  /** Longest time since a proof was made, 1 to 300; for proofs with a nonce of ours it is 120. Default: 60. RFC 9449 section 11.1. */
  readonly maxAge?: Seconds;
  /**
   * Whether proofs must have a nonce of ours: `off`, `required`, or `optional`, which takes one for what it is and demands none:
   * for the time in which some processes require them already. Default: `off`. RFC 9449 section 9.
   */
  readonly nonce?: 'off' | 'optional' | 'required';
  /**
   * The secret under which nonces are made, 32 bytes or more, the same in all processes. Default: a new one at each start,
   * good for a single process.
   */
  readonly nonceSecret?: string | Uint8Array;
  /**
   * Most used proofs remembered in this process, about 240 bytes each; with more, requests get 503. It takes as many as come in
   * `maxAge` + 20 seconds, or with nonces in 144; half of them for one client. Default: 300000.
   */
  readonly maxProofs?: number;
  /** Remembers used proofs for several processes. Default: each process for itself. */
  readonly replayStore?: ReplayStore;
}

/** The options with their defaults, and what is made of them. */
export interface CheckedDPoP {
  readonly algs: readonly string[];
  readonly maxAge: Seconds;
  readonly nonce: 'off' | 'optional' | 'required';
  readonly nonces: Nonces;
  readonly store: ReplayStore;
}

const NAMES = ['algs', 'maxAge', 'nonce', 'nonceSecret', 'maxProofs', 'replayStore'];
const DEFAULT_ALGS = ['ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519', 'PS256', 'RS256'];
const DEFAULT_AGE: Seconds = 60;
const MAX_AGE: Seconds = 300;
const DEFAULT_PROOFS = 300_000;
const SECRET_BYTES = 32;

/** @throws TypeError for mistakes in the options. */
export function checkedDPoP(options: DPoPOptions | true, resource: string, clock: () => Seconds): CheckedDPoP {
  const given = options === true ? {} : options;
  if (typeof given !== 'object')
    throw new TypeError(`"dpop" must be true, or an object with its options, got ${show(given)}`);
  checkNames('dpop', given, NAMES);
  const { algs = DEFAULT_ALGS, maxAge = DEFAULT_AGE, nonce = 'off', maxProofs = DEFAULT_PROOFS, replayStore } = given;
  checkAlgs(algs);
  checkSeconds('maxAge', maxAge, 1, MAX_AGE);
  if (!['off', 'optional', 'required'].includes(nonce)) {
    throw new TypeError(`"nonce" of "dpop" must be "off", "optional" or "required", got ${show(nonce)}`);
  }
  checkCount('maxProofs', maxProofs);
  if (replayStore !== undefined && typeof (replayStore as Partial<ReplayStore> | null)?.unique !== 'function') {
    throw new TypeError(
      '"replayStore" of "dpop" must have a function "unique", such as { unique: async (id, seconds) => … }',
    );
  }
  if (replayStore !== undefined && given.maxProofs !== undefined) {
    throw new TypeError(
      '"maxProofs" is the bound of this process, and has no meaning beside "replayStore": take one of them out',
    );
  }
  if (nonce === 'off' && given.nonceSecret !== undefined) {
    throw new TypeError('"nonceSecret" has no use while "nonce" is "off": set "nonce" to "required" or "optional"');
  }
  const secret = checkedSecret(given.nonceSecret);
  return {
    algs: [...algs],
    maxAge,
    nonce,
    nonces: new Nonces(secret, resource, clock),
    store: replayStore ?? new LocalReplayStore(maxProofs, clock),
  };
}

function checkAlgs(algs: unknown): void {
  const valid = `it takes a list of ${ALGORITHMS.join(', ')}`;
  if (!Array.isArray(algs) || algs.length === 0) throw new TypeError(`"algs" got ${show(algs)}: ${valid}`);
  for (const alg of algs as unknown[]) {
    // RFC 9449 section 11.6: asymmetric only.
    if (typeof alg !== 'string' || !ALGORITHMS.includes(alg)) throw new TypeError(`"algs" has ${show(alg)}: ${valid}`);
  }
}

function checkedSecret(secret: unknown = randomBytes(SECRET_BYTES)): Uint8Array {
  const bytes = typeof secret === 'string' ? Buffer.from(secret) : secret;
  if (bytes instanceof Uint8Array && bytes.length >= SECRET_BYTES) return Buffer.from(bytes);
  throw new TypeError(`"nonceSecret" must be a string or bytes, ${SECRET_BYTES} bytes or more`); // never shown
}
