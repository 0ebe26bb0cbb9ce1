import { VerificationUnavailableError } from './errors.js';
import { fetchJson, UnusableAnswerError } from './fetch-json.js';
import type { Fetch, FetchedJson } from './fetch-json.js';
import { isInternal } from './internal-address.js';
import { isSecureUrl } from './options.js';
import type { Seconds } from './types.js';

const WHAT = 'The metadata of the authorization server';

/** What we use of the metadata of an authorization server. */
export interface Metadata {
  readonly jwksUri: URL;
}

/**
 * The metadata of an issuer. RFC 8414 section 3, OpenID Connect Discovery 1.0 section 4.
 * Asks the three well-known places in turn and takes the first that holds a document.
 *
 * @throws VerificationUnavailableError when none does, or what it says cannot be trusted: another `issuer` than the one
 *   asked for (nothing in it is used then), a `jwks_uri` that is missing, not https, or inside our own network.
 */
export async function discover(
  issuer: string,
  fetch: Fetch,
): Promise<{ value: Metadata; maxAge: Seconds | undefined }> {
  const { document, maxAge } = await fetchMetadata(issuer, fetch);
  // RFC 8414 sections 3.3 and 4: identical, code point by code point.
  if (document['issuer'] !== issuer) {
    throw new VerificationUnavailableError(
      `${WHAT} names another issuer: compare its "issuer" with yours, to the last slash`,
    );
  }
  const jwksUri = document['jwks_uri'];
  if (typeof jwksUri !== 'string' || !URL.canParse(jwksUri) || !isSecureUrl(new URL(jwksUri))) {
    throw new VerificationUnavailableError(`${WHAT} has no "jwks_uri" with https: name yours as "jwksUri"`);
  }
  const url = new URL(jwksUri);
  if (url.username !== '' || url.password !== '') {
    throw new VerificationUnavailableError(`${WHAT} has a "jwks_uri" with a password in it: name yours as "jwksUri"`);
  }
  await refuseInwards(new URL(issuer), url);
  return { value: { jwksUri: url }, maxAge };
}

/** The addresses of the metadata, in the order in which they are asked. RFC 8414 sections 3.1 and 5. */
export function metadataUrls(issuer: string): readonly URL[] {
  const { origin, pathname } = new URL(issuer);
  const path = pathname.replace(/\/$/, ''); // a terminating slash is removed first
  return [
    new URL(`${origin}/.well-known/oauth-authorization-server${path}`),
    new URL(`${origin}/.well-known/openid-configuration${path}`),
    ...(path === '' ? [] : [new URL(`${origin}${path}/.well-known/openid-configuration`)]),
  ];
}

async function fetchMetadata(issuer: string, fetch: Fetch): Promise<FetchedJson> {
  let wait: Seconds = 0;
  for (const url of metadataUrls(issuer)) {
    try {
      return await fetchJson(url, WHAT, ['application/json'], fetch);
    } catch (error) {
      if (!(error instanceof UnusableAnswerError)) throw error; // the host is silent: the other places are on it, too
      wait = Math.max(wait, error.wait);
    }
  }
  throw new UnusableAnswerError(`${WHAT} is at no well-known place: check "issuer", or name "jwksUri"`, wait);
}

/** A public issuer must not make us call addresses inside our own network. RFC 8725bis section 3.10. */
async function refuseInwards(issuer: URL, jwksUri: URL): Promise<void> {
  if (jwksUri.host === issuer.host || !(await isInternal(jwksUri)) || (await isInternal(issuer))) return;
  throw new VerificationUnavailableError(
    `${WHAT} has a "jwks_uri" inside your network: name it as "jwksUri" if it is right`,
  );
}
