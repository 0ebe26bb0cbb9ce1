import express from 'express';
import type { RequestListener } from 'node:http';
import { requireScope, resourceServer } from '../../lib/index.js';
import type { CommonOptions } from '../../lib/index.js';
import { requireToolScope } from '../../lib/mcp.js';
import { listen } from './listen.js';
import type { Listening } from './listen.js';
import { Notes } from './mcp-line.js';
import type { McpLine } from './mcp-line.js';
import type { McpProvider } from './mcp-provider.js';

/** The headers of clients that speak the protocol by hand. */
const ACCEPT = { accept: 'application/json, text/event-stream', 'content-type': 'application/json' };

export interface Reply {
  readonly status: number;
  readonly challenge: string | undefined;
  readonly headers: Headers;
  readonly text: string;
}

interface Asking {
  readonly method?: string;
  readonly path?: string;
  readonly token?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

export interface NotesApp extends Listening {
  /** The address of the endpoint, which is the resource as well. */
  readonly endpoint: URL;
  readonly resource: string;
  readonly notes: Notes;
  /** How many requests got past the middleware: all of them, or those by `ask`. */
  readonly passed: (which: 'all' | 'asked') => number;
  /** A request by hand, to the endpoint unless `path` says otherwise. */
  ask(init?: Asking): Promise<Reply>;
  /** The challenge of this server. `middle` stands between realm and `resource_metadata`. */
  challenge(middle?: string, scheme?: string): string;
}

export interface NotesOptions extends Partial<CommonOptions> {
  readonly kind?: 'requests' | 'sessions';
  /** Where the endpoint is. Default: `/mcp`. */
  readonly path?: string;
  /** What stands as audience in the tokens of the provider. Default: the resource. */
  readonly audienceOfTokens?: (resource: string) => string;
  /** What a token may be for. */
  readonly audiences?: (resource: string) => string[];
}

/** The notes of `line` behind `resourceServer`: reading takes `notes:read`, writing `notes:write` as well. */
export async function startNotes(
  line: McpLine,
  provider: Pick<McpProvider, 'issuer' | 'audiences'>,
  options: NotesOptions = {},
): Promise<NotesApp> {
  const { kind = 'requests', path = '/mcp', audienceOfTokens = (own: string) => own, audiences, ...rest } = options;
  const notes = new Notes();
  const app = express();
  const handle: RequestListener = app;
  const server = await listen((req, res) => {
    handle(req, res);
  });
  const resource = `${server.url}${path === '/' ? '' : path}`;
  provider.audiences.set(resource, audienceOfTokens(resource));
  const audience = audiences === undefined ? {} : { audience: audiences(resource) };
  app.use(resourceServer({ resource, issuer: provider.issuer, metadata: { maxAge: 0 }, ...audience, ...rest }));
  const passed = { all: 0, asked: 0 };
  app.use((req, _res, next) => {
    passed.all++;
    if (req.get('x-asked') !== undefined) passed.asked++;
    next();
  });
  app.all(
    path,
    express.json(),
    requireToolScope({ whoami: ['notes:read'], add_note: ['notes:read', 'notes:write'] }),
    requireScope('notes:read'),
    line.handler(notes, kind),
  );
  const document = `${server.url}/.well-known/oauth-protected-resource${path === '/' ? '' : path}`;
  return {
    ...server,
    resource,
    endpoint: new URL(`${server.url}${path}`),
    notes,
    passed: (which) => passed[which],
    ask: async ({ token, path: other = path, headers, ...init } = {}) => {
      const authorization = token === undefined ? {} : { authorization: `Bearer ${token}` };
      const all = { ...ACCEPT, 'x-asked': 'yes', ...authorization, ...headers };
      const answer = await fetch(`${server.url}${other}`, { method: 'POST', ...init, headers: all });
      const challenge = answer.headers.get('www-authenticate') ?? undefined;
      return { status: answer.status, headers: answer.headers, challenge, text: await answer.text() };
    },
    challenge: (middle = '', scheme = 'Bearer') =>
      `${scheme} realm="${resource}"${middle}, resource_metadata="${document}"`,
  };
}

/** A message of the protocol, as a client sends it. */
export function message(method: string, params: object = {}, id = 1): string {
  return JSON.stringify({ jsonrpc: '2.0', id, method, params });
}
