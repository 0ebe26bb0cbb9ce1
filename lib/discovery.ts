import { claimAt } from './claims.js';
import type { JsonObject } from './decode.js';
import { VerificationUnavailableError } from './errors.js';
import { fetchJson, UnusableAnswerError } from './fetch-json.js';
import type { Fetch, FetchedJson } from './fetch-json.js';
import { isInternal } from './internal-address.js';
import { isSecureUrl } from './options.js';
import type { Seconds } from './types.js';

const WHAT = 'The metadata of the authorization server';

/** A place that the metadata names; the last is the endpoint for clients that show a certificate (RFC 8705 section 5). */
export type Place = 'jwks_uri' | 'introspection_endpoint' | 'mtls_introspection_endpoint';

/** The places that are wanted of an authorization server, as its metadata names them. */
export type Metadata = Readonly<Partial<Record<Place, URL>>>;

/** What the user can name in place of what is wrong in the metadata. */
const SETTINGS: Readonly<Record<Place, string>> = {
  jwks_uri: 'jwksUri',
  introspection_endpoint: 'introspection.endpoint',
  mtls_introspection_endpoint: 'introspection.endpoint',
};

/**
 * The metadata of an issuer. RFC 8414 section 3, OpenID Connect Discovery 1.0 section 4.
 * Asks the three well-known places in turn and takes the first that holds a document.
 *
 * @throws VerificationUnavailableError when none does, or what it says cannot be trusted: another `issuer` than the one
 *   asked for (nothing in it is used then), a wanted place that is missing, not https, or inside our own network.
 */
export async function discover(
  issuer: string,
  wanted: readonly Place[],
  fetch: Fetch,
): Promise<{ value: Metadata; maxAge: Seconds | undefined }> {
  const { document, maxAge } = await fetchMetadata(issuer, wanted, fetch);
  // RFC 8414 sections 3.3 and 4: identical, code point by code point.
  if (document['issuer'] !== issuer) {
    throw new VerificationUnavailableError(
      `${WHAT} names another issuer: compare its "issuer" with yours, to the last slash`,
    );
  }
  const places: Partial<Record<Place, URL>> = {};
  for (const place of wanted) {
    const url = readUrl(place, document);
    await refuseInwards(new URL(issuer), place, url);
    places[place] = url;
  }
  return { value: places, maxAge };
}

/** A place that was wanted of the metadata. */
export function placeIn(metadata: Metadata, place: Place): URL {
  return metadata[place] ?? missing(place);
}

function readUrl(place: Place, document: JsonObject): URL {
  const value = claimAt(document, ['mtls_endpoint_aliases', 'introspection_endpoint']);
  const isAlias = place === 'mtls_introspection_endpoint' && value !== undefined;
  const text = isAlias ? value : document[place.replace('mtls_', '')];
  if (typeof text !== 'string' || !URL.canParse(text) || !isSecureUrl(new URL(text))) return missing(place);
  const url = new URL(text);
  if (url.username === '' && url.password === '') return url;
  throw new VerificationUnavailableError(
    `${WHAT} has a "${place}" with a password in it: name yours as "${SETTINGS[place]}"`,
  );
}

function missing(place: Place): never {
  throw new VerificationUnavailableError(`${WHAT} has no "${place}" with https: name yours as "${SETTINGS[place]}"`);
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

async function fetchMetadata(issuer: string, wanted: readonly Place[], fetch: Fetch): Promise<FetchedJson> {
  let wait: Seconds = 0;
  for (const url of metadataUrls(issuer)) {
    try {
      return await fetchJson(url, WHAT, ['application/json'], fetch);
    } catch (error) {
      if (!(error instanceof UnusableAnswerError)) throw error; // the host is silent: the other places are on it, too
      wait = Math.max(wait, error.wait);
    }
  }
  const settings = wanted.map((place) => `"${SETTINGS[place]}"`).join(' and ');
  throw new UnusableAnswerError(`${WHAT} is at no well-known place: check "issuer", or name ${settings}`, wait);
}

/** A public issuer must not make us call addresses inside our own network. RFC 8725bis section 3.10. */
async function refuseInwards(issuer: URL, place: Place, url: URL): Promise<void> {
  if (url.host === issuer.host || !(await isInternal(url)) || (await isInternal(issuer))) return;
  throw new VerificationUnavailableError(
    `${WHAT} has a "${place}" inside your network: name it as "${SETTINGS[place]}" if it is right`,
  );
}
