import { browse } from './browser.js';

/** One request of a client with its answer, the secrets left out. */
export interface Exchange {
  /** Such as `POST /mcp 401`. */
  readonly summary: string;
  readonly url: URL;
  /** The `Authorization` line as it was sent. */
  readonly authorization: string | undefined;
  readonly challenge: string | undefined;
  /** The nonce that the answer brought along. */
  readonly nonce: string | undefined;
  /** The form that was sent, or the query. */
  readonly params: Readonly<Record<string, string>>;
}

/**
 * The person behind an MCP client: keeps what the SDK has it remember, and logs in where it is sent. It is an
 * `OAuthClientProvider` of both lines of the SDK, which differ in what they keep, and not in how.
 */
export class Person {
  readonly redirectUrl = 'http://127.0.0.1:9/callback'; // nobody listens there: the browser looks at the address, and stops
  /** What the browser brought back. */
  callback = new URLSearchParams();
  /** All that the client and the browser have sent, oldest first. */
  readonly exchanges: Exchange[] = [];
  /** Changes the address of the login before the browser goes there, as a person could. */
  before: (url: URL) => void = () => undefined;
  /** Changes an answer before the client sees it, as a proxy could. */
  alter: (answer: Response) => Response = (answer) => answer;
  /** The stream that clients open by the way, for the protocol of 2025, has got its answer. */
  readonly streamed: Promise<void>;
  #onStream: () => void = () => undefined;
  readonly #kept = new Map<string, unknown>();

  constructor(private readonly grantTypes: readonly string[] = ['authorization_code']) {
    this.streamed = new Promise((resolve) => {
      this.#onStream = resolve;
    });
  }

  get clientMetadata() {
    return {
      client_name: 'test',
      redirect_uris: [this.redirectUrl],
      grant_types: [...this.grantTypes],
      response_types: ['code'],
      token_endpoint_auth_method: 'none',
    };
  }

  readonly clientInformation = () => this.#kept.get('client') as { client_id: string } | undefined;
  readonly saveClientInformation = (client: object) => void this.#kept.set('client', client);
  readonly tokens = () => this.#kept.get('tokens') as { access_token: string; token_type: string } | undefined;
  readonly saveTokens = (tokens: object) => void this.#kept.set('tokens', tokens);
  readonly codeVerifier = () => this.#kept.get('verifier') as string;
  readonly saveCodeVerifier = (verifier: string) => void this.#kept.set('verifier', verifier);

  readonly discoveryState = () => this.#kept.get('found') as { authorizationServerUrl: string } | undefined;
  readonly saveDiscoveryState = (found: object) => void this.#kept.set('found', found);

  /** The access token that the client has. */
  get token(): string {
    const { access_token: token } = this.tokens() ?? {};
    if (token === undefined) throw new Error('the client has no token');
    return token;
  }

  readonly redirectToAuthorization = async (url: URL): Promise<void> => {
    this.before(url);
    this.callback = await browse(url, this.redirectUrl, this.fetch);
  };

  /** What client and browser send with. */
  readonly fetch = async (input: string | URL | Request, init?: RequestInit): Promise<Response> => {
    const request = new Request(input, init);
    const url = new URL(request.url);
    const isForm = request.headers.get('content-type')?.includes('urlencoded') === true;
    const params = isForm ? new URLSearchParams(await request.clone().text()) : url.searchParams;
    const answer = this.alter(await fetch(request));
    this.exchanges.push({
      summary: `${request.method} ${url.pathname.replace(/(interaction|auth)\/.*/, '$1/…')} ${answer.status}`,
      url,
      authorization: request.headers.get('authorization') ?? undefined,
      challenge: answer.headers.get('www-authenticate') ?? undefined,
      nonce: answer.headers.get('dpop-nonce') ?? undefined,
      params: Object.fromEntries(params),
    });
    if (request.method === 'GET' && request.headers.get('accept') === 'text/event-stream') this.#onStream();
    return answer;
  };

  /** What went to and fro since the last time, but for the pages of the browser, and the stream that a client may open. */
  told(): Exchange[] {
    return this.exchanges.splice(0).filter(({ summary }) => !/…|^GET \/mcp /.test(summary));
  }
}
