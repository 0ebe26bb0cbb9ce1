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
 * `getToken` fetches one from the authorization server that it is told, by client credentials say; it is asked when there is none,
 * shortly before the one at hand expires, and when the authorization server refused it (401). Simultaneous requests share one
 * call, and each authorization server has a token of its own.
 *
 * @throws TypeError when the argument is no function.
 */
export function bearerToken(
  getToken: (issuer: string) => OwnToken | Promise<OwnToken>,
  options: { readonly clientId?: string } = {},
): ClientAuthentication {
  if (typeof getToken !== 'function') {
    // A string is not shown: it may be the token.
    const got = typeof getToken === 'string' ? 'a string' : show(getToken);
    throw new TypeError(`bearerToken takes a function, got ${got}`);
  }
  checkNames('bearerToken', options, ['clientId']);
  if (options.clientId !== undefined) checkText('clientId', options.clientId);
  const tokens = new Map<string, KeptToken>(); // as many as there are trusted servers
  return {
    clientId: options.clientId,
    authenticate: async (issuer, now) => {
      const kept = tokens.get(issuer) ?? new KeptToken(async () => getToken(issuer));
      tokens.set(issuer, kept);
      return header(await kept.get(now));
    },
    renew: ({ headers }) => {
      for (const kept of tokens.values())
        kept.forget((token) => header(token).headers.authorization === headers?.['authorization']);
    },
  };
}

/** The token for one authorization server. */
class KeptToken {
  readonly #fetch: () => Promise<unknown>;
  #atHand: { readonly token: string; readonly until: Seconds } | undefined;
  #pending: Promise<string> | undefined;

  constructor(fetch: () => Promise<unknown>) {
    this.#fetch = fetch;
  }

  async get(now: Seconds): Promise<string> {
    if (this.#atHand !== undefined && now < this.#atHand.until) return this.#atHand.token;
    this.#pending ??= this.#renew(now).finally(() => {
      this.#pending = undefined;
    });
    return this.#pending;
  }

  /** Forgets the refused token. Another request may have brought a newer one meanwhile. */
  forget(isRefused: (token: string) => boolean): void {
    if (this.#atHand !== undefined && isRefused(this.#atHand.token)) this.#atHand = undefined;
  }

  async #renew(now: Seconds): Promise<string> {
    const { signal, end } = timeLimit();
    const late = 'The function of bearerToken did not return in time';
    const given = await unlessLate(signal, late, this.#fetch()).finally(end);
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
    this.#atHand = { token, until: now + expiresIn - MARGIN };
    return token;
  }
}

function header(token: string) {
  return { headers: { authorization: `Bearer ${token}` } };
}
