import { expect } from '@jest/globals';
import * as oauth from 'oauth4webapi';
import type { Answer } from './app.js';
import { parseChallenges } from './challenge-parser.js';
import type { RawResponse } from './raw.js';
import { expectRefusal, RESOURCE } from './refusals.js';
import type { Refusal } from './refusals.js';

/** The algorithms of proofs that are accepted by default. */
export const DPOP_ALGS = 'ES256 ES384 ES512 EdDSA Ed25519 PS256 RS256';

/** The challenges without an error. */
export const BEARER = `Bearer realm="${RESOURCE}"`;
export const DPOP = dpopChallenge();

export function dpopChallenge(algs = DPOP_ALGS): string {
  return `DPoP realm="${RESOURCE}", algs="${algs}"`;
}

/** A challenge with an error in it. */
export function failing(challenge: string, code: string, description: string, more = ''): string {
  return `${challenge}, error="${code}", error_description="${description}"${more}`;
}

/** 401 in the DPoP scheme, and in no other. */
export function dpopRefusal(code: string, description: string, algs = DPOP_ALGS): Refusal {
  const challenge = failing(dpopChallenge(algs), code, description);
  return { status: 401, challenge, body: { error: code, error_description: description } };
}

export function badProof(what: string, algs = DPOP_ALGS): Refusal {
  return dpopRefusal('invalid_dpop_proof', `The DPoP proof ${what}`, algs);
}

/** A whole refusal. The strict parser and oauth4webapi read the same challenges in it; the error is that of the body. */
export async function expectChallenges(answer: Answer | RawResponse, status: number, ...lines: string[]) {
  const line = lines.join(', ');
  const read = parseChallenges(line);
  const [failed] = read.filter(({ params }) => params.has('error'));
  const { error, error_description = '' } = Object.fromEntries(failed?.params ?? []);
  expectRefusal(answer, { status, challenge: line, body: error === undefined ? {} : { error, error_description } });
  const response = new Response(null, { status, headers: { 'www-authenticate': line } });
  const options = { [oauth.customFetch]: () => Promise.resolve(response) };
  const told = oauth.protectedResourceRequest('token', 'GET', new URL(RESOURCE), undefined, null, options);
  const { cause } = (await told.catch((thrown: unknown) => thrown)) as oauth.WWWAuthenticateChallengeError;
  expect(cause.map(({ scheme, parameters }) => ({ scheme, params: { ...parameters } }))).toEqual(
    read.map(({ scheme, params }) => ({ scheme: scheme.toLowerCase(), params: Object.fromEntries(params) })),
  );
}
