import { isTime } from './access-token.js';
import { decodeJwt, isJsonObject } from './decode.js';
import type { JsonObject } from './decode.js';
import { InvalidTokenError } from './errors.js';
import { UnusableAnswerError } from './fetch-json.js';
import type { AgreedAnswers } from './introspection-options.js';
import type { KeySource } from './keys.js';
import { checkSignature } from './signature.js';
import { mediaType } from './token-terms.js';
import type { Seconds } from './types.js';

/** The media type of a signed answer, and the `typ` of its JWT. RFC 9701 sections 4 and 5. */
export const SIGNED_ANSWER = 'token-introspection+jwt';
const WHAT = 'The signed introspection answer';

/**
 * The introspection answer in a signed JWT, which may be encrypted. RFC 9701 section 5.
 * What else the JWT claims is not the token's. Does not check the age: an answer is used at once, and TLS brought it.
 *
 * @throws UnusableAnswerError for an answer of another form than was agreed, by another party, or for another client.
 */
export async function readSignedAnswer(
  body: Uint8Array,
  issuers: readonly string[],
  keys: KeySource,
  agreed: AgreedAnswers,
  now: Seconds,
  tolerance: Seconds,
): Promise<JsonObject> {
  const text = Buffer.from(body).toString('latin1').trim(); // a JWT is ASCII
  const jws = agreed.decryption === undefined ? text : await decrypt(text, agreed.decryption);
  const claims = await verify(jws, keys, agreed.algorithm);
  const { iss, aud, iat, exp, nbf, token_introspection: answer } = claims;
  if (!issuers.includes(iss as string)) throw new UnusableAnswerError(`${WHAT} is from another issuer`);
  if (![aud].flat().includes(agreed.audience)) {
    throw new UnusableAnswerError(`${WHAT} is for another client: compare its aud with "audience" of "signedAnswers"`);
  }
  if (!isTime(iat)) throw new UnusableAnswerError(`${WHAT} has no time of issue`);
  // RFC 7519 sections 4.1.4 and 4.1.5. Answers should have neither, but who sets them means them.
  const hasBegun = nbf === undefined || (isTime(nbf) && now >= nbf - tolerance);
  const lasts = exp === undefined || (isTime(exp) && now < exp + tolerance);
  if (!hasBegun || !lasts) throw unusable('expired, or is not valid yet');
  if (isJsonObject(answer)) return answer;
  throw new UnusableAnswerError(`${WHAT} has no token_introspection`);
}

async function decrypt(jwe: string, { key, algorithm, encryption }: NonNullable<AgreedAnswers['decryption']>) {
  try {
    const options = { keyManagementAlgorithms: [algorithm], contentEncryptionAlgorithms: [encryption] };
    const { compactDecrypt } = await import('jose/jwe/compact/decrypt'); // for those who use it only
    const { plaintext } = await compactDecrypt(jwe, key, options);
    return Buffer.from(plaintext).toString('latin1');
  } catch {
    // Web Crypto has errors of its own for a header of rubbish, and jose for a key of ours that does not fit.
    throw new UnusableAnswerError(`${WHAT} cannot be decrypted: check "decryption" of "signedAnswers"`);
  }
}

async function verify(jws: string, keys: KeySource, algorithm: string): Promise<JsonObject> {
  try {
    const { header, claims } = decodeJwt(jws);
    const { typ, alg, kid, crit } = header;
    if (typeof typ !== 'string' || mediaType(typ) !== SIGNED_ANSWER) throw unusable('has another typ');
    if (alg !== algorithm) throw unusable('has another algorithm: check "algorithm" of "signedAnswers"');
    if (crit !== undefined || (kid !== undefined && typeof kid !== 'string')) throw unusable('has a strange header');
    await checkSignature(jws, algorithm, kid, keys);
    return claims;
  } catch (error) {
    // What makes a token bad makes an answer unusable.
    throw error instanceof InvalidTokenError ? unusable('is no JWT that the authorization server signed') : error;
  }
}

function unusable(what: string): UnusableAnswerError {
  return new UnusableAnswerError(`${WHAT} ${what}`);
}
