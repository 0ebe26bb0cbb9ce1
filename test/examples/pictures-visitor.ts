/** A message as the example has recorded it. */
export interface Message {
  readonly line: string;
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly body: string;
}

export interface Exchange {
  readonly number: number;
  readonly step: string;
  readonly from: string;
  readonly to: string;
  readonly request: Message;
  readonly response: Message & { readonly status: number };
  /** How often the storage asked about the token of this request, before it answered. */
  readonly questions?: number;
}

/** What the editor's server tells its page. */
export interface Story {
  readonly person?: string;
  readonly access?: { readonly scope: string; readonly expiresAt: number };
  readonly notice?: string;
  readonly tokenFormat: 'jwt' | 'opaque';
  readonly exchanges: readonly Exchange[];
  readonly pictures?: readonly { readonly id: string; readonly title: string; readonly look: string }[];
  readonly status?: number;
  readonly count?: { readonly people: number; readonly pictures: number; readonly edited: number };
}

/** A person with a browser that has no screen: keeps cookies, follows redirects, fills in forms. */
export class Visitor {
  readonly #cookies = new Map<string, string>();

  constructor(readonly editor: string) {}

  get cookies(): readonly string[] {
    return [...this.#cookies.values()];
  }

  /** One request, without following redirects. */
  async send(url: URL | string, init: RequestInit = {}): Promise<Response> {
    const headers = new Headers(init.headers);
    headers.set('cookie', [...this.#cookies].map(([name, value]) => `${name}=${value}`).join('; '));
    if (init.method !== undefined && !headers.has('origin')) headers.set('origin', new URL(url).origin);
    const response = await fetch(url, { ...init, headers, redirect: 'manual' });
    for (const cookie of response.headers.getSetCookie()) {
      const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(cookie) ?? [];
      if (value === '') this.#cookies.delete(name);
      else this.#cookies.set(name, value);
    }
    return response;
  }

  /** Follows redirects to the page at their end. */
  async visit(url: URL | string, init?: RequestInit): Promise<{ url: URL; status: number; html: string }> {
    let at = new URL(url);
    let response = await this.send(at, init);
    for (let hops = 0; response.headers.has('location'); hops++) {
      if (hops === 10) throw new Error('too many redirects');
      at = new URL(response.headers.get('location') ?? '', at);
      response = await this.send(at);
    }
    return { url: at, status: response.status, html: await response.text() };
  }

  /** Sends the form of `page` whose action ends with `action`. */
  async submit(page: { url: URL; html: string }, action: string, fields: Record<string, string> = {}) {
    const [, target] = new RegExp(`<form method="post" action="([^"]*/${action})"`).exec(page.html) ?? [];
    if (target === undefined) throw new Error(`no form for ${action} in: ${page.html}`);
    return this.visit(new URL(target, page.url), { method: 'POST', body: new URLSearchParams(fields) });
  }

  /** The whole way: editor, login, consent, and back. */
  async signIn(name: string, password: string, wishes: Record<string, string> = { write: 'yes' }) {
    const login = await this.visit(`${this.editor}/sign-in`);
    const consent = await this.submit(login, 'login', { name, password });
    return this.submit(consent, 'consent', wishes);
  }

  /** What the editor's page would ask its server. */
  async ask(path: string, method = 'GET', body?: unknown): Promise<Story> {
    const init: RequestInit =
      body === undefined ? {} : { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) };
    const response = await this.send(this.editor + path, { method, ...init });
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${await response.text()}`);
    return (await response.json()) as Story;
  }
}

/** The access token that the editor got last. */
export function accessToken({ exchanges }: Story): string {
  const answer = exchanges.findLast(
    ({ step, to }) => ['tokens', 'refresh'].includes(step) && to === 'authorization server',
  );
  return (JSON.parse(answer?.response.body ?? '{}') as { access_token?: string }).access_token ?? '';
}

/** The exchange that was recorded last. */
export function last({ exchanges }: Story): Exchange {
  const exchange = exchanges.at(-1);
  if (exchange === undefined) throw new Error('nothing was recorded');
  return exchange;
}

/** The values of a header, line by line. */
export function lines(message: Message | undefined, name: string): string[] {
  return (message?.headers ?? []).filter(([field]) => field.toLowerCase() === name).map(([, value]) => value);
}
