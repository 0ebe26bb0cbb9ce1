import type { ClientAuthentication } from './client-authentication.js';
import { VerificationUnavailableError } from './errors.js';
import { timeLimit, unlessLate } from './fetch-json.js';
import { checkNames, checkText, show } from './options.js';
import type { Seconds } from './types.js';

/** An access token of this resource server's own. */
export interface OwnToken {
  readonly accessToken: string;
  /** For how long it is good, from now. Default: until the authorization server refuses it. */
  readonly expiresIn?: Seconds | undefined;
}

/** A token is renewed so long before it expires: it must still be good when it arrives. */
const MARGIN: Seconds = 10;

/**
 * Authentication with an access token of our own, as a bearer token. RFC 7662 section 2.1.
 * `getToken` fetches one, by client credentials say; it is asked when there is none, shortly before the one at hand expires,
 * and when the authorization server refused it (401). Simultaneous requests share one call.
 *
 * @throws TypeError when the argument is no function.
 */
export function bearerToken(
  getToken: () => OwnToken | Promise<OwnToken>,
  options: { readonly clientId?: string } = {},
): ClientAuthentication {
  if (typeof getToken !== 'function') {
    // A string is not shown: it may be the token.
    const got = typeof getToken === 'string' ? 'a string' : show(getToken);
    throw new TypeError(`bearerToken takes a function, got ${got}`);
  }
  checkNames('bearerToken', options, ['clientId']);
  if (options.clientId !== undefined) checkText('clientId', options.clientId);
  let atHand: { readonly token: string; readonly until: Seconds } | undefined;
  let pending: Promise<string> | undefined;

  async function fetchToken(now: Seconds): Promise<string> {
    const asked = new Promise<OwnToken>((resolve) => {
      resolve(getToken());
    });
    const { signal, end } = timeLimit();
    const late = 'The function of bearerToken did not return in time';
    const given: unknown = await unlessLate(signal, late, asked).finally(end);
    const { accessToken: token, expiresIn = Infinity } = (given ?? {}) as {
      accessToken?: unknown;
      expiresIn?: unknown;
    };
    // Not shown: it is a secret. A token by RFC 6750 section 2.1 cannot break out of its header.
    if (typeof token !== 'string' || !/^[\w\-.~+/]+=*$/.test(token)) {
      throw new VerificationUnavailableError('The function of bearerToken returned no bearer token as "accessToken"');
    }
    if (typeof expiresIn !== 'number' || Number.isNaN(expiresIn)) {
      throw new VerificationUnavailableError('The function of bearerToken returned an "expiresIn" that is no number');
    }
    atHand = { token, until: now + expiresIn - MARGIN };
    return token;
  }

  return {
    clientId: options.clientId,
    authenticate: async (_issuer, now) => {
      if (atHand !== undefined && now < atHand.until) return header(atHand.token);
      pending ??= fetchToken(now).finally(() => {
        pending = undefined;
      });
      return header(await pending);
    },
    renew: ({ headers }) => {
      // Another request may have brought a newer one meanwhile.
      if (atHand !== undefined && headers?.['authorization'] === header(atHand.token).headers.authorization)
        atHand = undefined;
    },
  };
}

function header(token: string) {
  return { headers: { authorization: `Bearer ${token}` } };
}
