import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import { randomBytes } from 'node:crypto';
import { listen } from './listen.js';
import { signingKey, signJwt, validClaims } from './tokens.js';
import type { Overrides, SigningKey } from './tokens.js';

/** What the introspection endpoint was sent. */
export interface Question {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
  readonly form: URLSearchParams;
}

export interface MintOptions {
  readonly header?: Overrides;
  /** Signs with this key instead of the server's first. */
  readonly key?: SigningKey;
  readonly now?: number;
}

/**
 * A scripted authorization server on loopback: metadata, key set, introspection, a log of what was asked, answers that can
 * be exchanged.
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
  /** The opaque tokens that are active, and what introspection says of them beside `active`. */
  readonly opaque = new Map<string, Overrides>();
  /** Every question to the introspection endpoint, oldest first. */
  readonly questions: Question[] = [];
  /** Answers a question in place of the ordinary answer. */
  onQuestion: ((question: Question, res: ServerResponse) => unknown) | undefined;

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

  get introspectionEndpoint(): string {
    return `${this.origin}/introspect`;
  }

  get document(): Overrides {
    const places = { jwks_uri: this.jwksUri, introspection_endpoint: this.introspectionEndpoint };
    return { issuer: this.issuer, ...places, ...this.metadata };
  }

  /** A new opaque token that is active; `members` replace those of the answer, `undefined` takes one away. */
  issue(members: Overrides = {}, now?: number): string {
    const token = randomBytes(24).toString('base64url');
    const claims = validClaims(this.issuer, this.resource, now);
    this.opaque.set(token, { token_type: 'Bearer', ...claims, ...members });
    return token;
  }

  /** What the introspection endpoint says of a token. RFC 7662 section 2.2. */
  answerTo(token: string | null): Overrides {
    const members = this.opaque.get(token ?? '');
    return members === undefined ? { active: false } : { active: true, ...members };
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
    else if (path === '/introspect') void this.#introspect(req, res);
    else if (path === '/jwks') sendJson(res, this.jwks ?? { keys: this.keys.map((key) => key.jwk) });
    else res.writeHead(404).end();
  }

  async #introspect(req: IncomingMessage, res: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of req) chunks.push(chunk as Buffer);
    const body = Buffer.concat(chunks).toString();
    const { method = '', url = '', headers } = req;
    const question: Question = { method, url, headers, body, form: new URLSearchParams(body) };
    this.questions.push(question);
    if (this.onQuestion === undefined) sendJson(res, this.answerTo(question.form.get('token')));
    else this.onQuestion(question, res);
  }
}

export function sendJson(res: ServerResponse, document: unknown, status = 200, type = 'application/json'): void {
  res.writeHead(status, { 'Content-Type': type }).end(JSON.stringify(document));
}
