// @ts-check
// A client that knows nothing but an address: the SDK's own, and a browser without a screen for the login.
import { Client, StreamableHTTPClientTransport, UnauthorizedError } from '@modelcontextprotocol/client';

/** @typedef {import('@modelcontextprotocol/client').OAuthClientProvider} OAuthClientProvider */
/** @typedef {(url: string | URL, init?: RequestInit) => Promise<Response>} Fetch */

/** Keeps what the SDK has it remember, and sends the person to the authorization server. @implements {OAuthClientProvider} */
class Person {
  redirectUrl = 'http://127.0.0.1:9/callback'; // nobody listens there: the browser looks at where it is sent, and stops
  clientMetadata = {
    client_name: 'A client',
    redirect_uris: [this.redirectUrl],
    token_endpoint_auth_method: 'none',
  };
  /** @type {URLSearchParams} What the browser brought back. */
  callback = new URLSearchParams();
  /** @type {Map<string, any>} */
  #kept = new Map();
  #fetch;

  /** @param {Fetch} fetch */
  constructor(fetch) {
    this.#fetch = fetch;
  }

  clientInformation = () => this.#kept.get('client');
  /** @param {import('@modelcontextprotocol/client').StoredOAuthClientInformation} client */
  saveClientInformation = (client) => void this.#kept.set('client', client);
  tokens = () => this.#kept.get('tokens');
  /** @param {import('@modelcontextprotocol/client').StoredOAuthTokens} tokens */
  saveTokens = (tokens) => void this.#kept.set('tokens', tokens);
  codeVerifier = () => this.#kept.get('verifier');
  /** @param {string} verifier */
  saveCodeVerifier = (verifier) => void this.#kept.set('verifier', verifier);
  discoveryState = () => this.#kept.get('discovery');
  /** @param {import('@modelcontextprotocol/client').OAuthDiscoveryState} state */
  saveDiscoveryState = (state) => void this.#kept.set('discovery', state);

  /** A browser: follows redirects, with cookies, until it is sent back to the client. @param {URL} start */
  redirectToAuthorization = async (start) => {
    /** @type {Map<string, string>} */
    const cookies = new Map();
    for (let url = start; !url.href.startsWith(this.redirectUrl);) {
      const cookie = [...cookies].map((pair) => pair.join('=')).join('; ');
      const answer = await this.#fetch(url, { redirect: 'manual', headers: { cookie } });
      for (const line of answer.headers.getSetCookie()) {
        const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(line) ?? [];
        cookies.set(name, value);
      }
      const location = answer.headers.get('location');
      if (location === null) throw new Error(`${url.href} answered ${answer.status}: ${await answer.text()}`);
      url = new URL(location, url);
      this.callback = url.searchParams;
    }
  };
}

/**
 * A client of an MCP server. Where an answer asks for a login, or for more scope, it sees to that and tries once more.
 *
 * @param {URL} url
 * @param {Fetch} fetch
 */
export function createClient(url, fetch) {
  const person = new Person(fetch);
  const client = new Client(
    { name: 'a-client', version: '1.0.0' },
    { versionNegotiation: { mode: 'auto' } }, // the protocol of 2026 where the server speaks it, else the one before
  );
  const open = () => new StreamableHTTPClientTransport(url, { authProvider: person, fetch });
  let transport = open();

  /** @template Result @param {() => Promise<Result>} action */
  async function authorized(action) {
    try {
      return await action();
    } catch (error) {
      if (!(error instanceof UnauthorizedError)) throw error;
      await transport.finishAuth(person.callback); // the SDK has sent the person to the login, and here is the answer
      return action();
    }
  }

  return {
    connect: () => authorized(() => client.connect((transport = open()))),
    /** @param {string} name @param {Record<string, unknown>} [args] */
    callTool: (name, args = {}) => authorized(() => client.callTool({ name, arguments: args })),
    close: () => client.close(),
  };
}
