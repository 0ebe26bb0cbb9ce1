import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import { listen } from './listen.js';
import { signingKey, signJwt, validClaims } from './tokens.js';
import type { Overrides, SigningKey } from './tokens.js';

export interface MintOptions {
  readonly header?: Overrides;
  /** Signs with this key instead of the server's first. */
  readonly key?: SigningKey;
  readonly now?: number;
}

/**
 * A scripted authorization server on loopback: metadata, key set, a log of what was asked, answers that can be exchanged.
 * Its keys are real and so are its signatures; what is scripted is how it misbehaves.
 */
export class TestAuthorizationServer {
  /** Every request, as `METHOD /path`, oldest first. */
  readonly log: string[] = [];
  /** Answers by path, in place of the ordinary ones. */
  readonly answers = new Map<string, RequestListener>();
  /** The published keys; the first signs. */
  keys: SigningKey[];
  /** Members that replace those of the metadata document; `undefined` takes one away. */
  metadata: Overrides = {};
  /** Replaces the whole key set document. */
  jwks: unknown;

  private constructor(
    readonly issuer: string,
    readonly origin: string,
    readonly close: () => Promise<void>,
    /** After `close`: comes back at the same port. */
    readonly reopen: () => Promise<void>,
    readonly resource: string,
  ) {
    this.keys = [signingKey('ES256', 'first')];
  }

  /** @param path The path of the issuer identifier, such as `/t1`. */
  static async start(path = '', resource = 'https://api.example.com'): Promise<TestAuthorizationServer> {
    const server = await listen((req, res) => {
      as.#answer(req, res);
    });
    const as = new TestAuthorizationServer(`${server.url}${path}`, server.url, server.close, server.reopen, resource);
    return as;
  }

  get jwksUri(): string {
    return `${this.origin}/jwks`;
  }

  get document(): Overrides {
    return { issuer: this.issuer, jwks_uri: this.jwksUri, ...this.metadata };
  }

  /** A valid access token for `resource`, with what `claims` and `options.header` replace. */
  mint(claims: Overrides = {}, { header = {}, key = this.#signer, now }: MintOptions = {}): string {
    return signJwt(
      { typ: 'at+jwt', alg: key.alg, kid: key.kid, ...header },
      { ...validClaims(this.issuer, this.resource, now), ...claims },
      key,
    );
  }

  /** How often the key set was asked for. */
  get keyFetches(): number {
    return this.log.filter((line) => line === 'GET /jwks').length;
  }

  get #signer(): SigningKey {
    const [key] = this.keys;
    if (key === undefined) throw new Error('the test authorization server has no key');
    return key;
  }

  #answer(req: IncomingMessage, res: ServerResponse): void {
    const path = req.url ?? '/';
    this.log.push(`${req.method ?? ''} ${path}`);
    const scripted = this.answers.get(path);
    if (scripted !== undefined) {
      scripted(req, res);
      return;
    }
    const issuerPath = this.issuer.slice(this.origin.length).replace(/\/$/, '');
    if (path === `/.well-known/oauth-authorization-server${issuerPath}`) sendJson(res, this.document);
    else if (path === '/jwks') sendJson(res, this.jwks ?? { keys: this.keys.map((key) => key.jwk) });
    else res.writeHead(404).end();
  }
}

export function sendJson(res: ServerResponse, document: unknown, status = 200, type = 'application/json'): void {
  res.writeHead(status, { 'Content-Type': type }).end(JSON.stringify(document));
}
