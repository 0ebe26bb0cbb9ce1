import express from 'express';
import type { RequestHandler } from 'express';
import { auth, resourceServer } from '../../lib/index.js';
import type { CommonOptions } from '../../lib/index.js';
import { requireToolScope } from '../../lib/mcp.js';
import { TestAuthorizationServer } from './authorization-server.js';
import { movableClock } from './clock.js';
import type { Clock } from './clock.js';
import { listen } from './listen.js';
import { closing } from './stage.js';
import type { Overrides } from './tokens.js';

export const MCP = 'https://mcp.example.com/mcp';
export const METADATA = 'https://mcp.example.com/.well-known/oauth-protected-resource/mcp';
export const LACKS = 'error="insufficient_scope", error_description="The access token lacks a required scope"';
export const NO_JSON_RPC = 'The body must be JSON-RPC, sent as application/json';

export const TOOLS = { read_note: ['notes:read'], add_note: ['notes:read', 'notes:write'], ping: [] } as const;

export interface Reply {
  readonly status: number;
  readonly challenge: string | undefined;
  readonly body: unknown;
}

export interface Endpoint {
  readonly as: TestAuthorizationServer;
  readonly clock: Clock;
  readonly url: string;
  /** A token with this scope, for this endpoint. */
  readonly mint: (scope?: string, claims?: Overrides) => string;
  /** The names of the tools that were called, oldest first. */
  readonly called: string[];
  /** How many requests got past the middleware. */
  readonly passed: () => number;
  readonly send: (path: string, init?: RequestInit) => Promise<Reply>;
  /** A message, or a batch of them, as JSON unless it is a text already. */
  readonly post: (
    token: string | undefined,
    message: unknown,
    headers?: Readonly<Record<string, string>>,
  ) => Promise<Reply>;
}

export interface EndpointOptions extends Partial<CommonOptions> {
  /** In front of the guards of the route. Default: `express.json()`. */
  readonly parsers?: readonly RequestHandler[];
  /** Default: one for `TOOLS`. */
  readonly guards?: readonly RequestHandler[];
}

/** An endpoint that runs what a message calls, as loosely as a server can that nobody wrote with care. */
export async function mcpEndpoint(options: EndpointOptions = {}): Promise<Endpoint> {
  const { parsers = [express.json()], guards = [requireToolScope(TOOLS)], ...rest } = options;
  const clock = movableClock();
  const as = closing(await TestAuthorizationServer.start('', MCP));
  const called: string[] = [];
  let passed = 0;
  const app = express();
  app.set('env', 'test');
  app.use(resourceServer({ resource: MCP, issuer: as.issuer, clock, metadata: true, ...rest }));
  app.use((_req, _res, next) => {
    passed++;
    next();
  });
  app.all('/mcp', ...parsers, ...guards, (req, res, next) => {
    messageOf(req)
      .then((message) => {
        for (const name of toolsIn(message)) called.push(name);
        res.json({ subject: auth(req).subject });
      })
      .catch(next);
  });
  const server = closing(await listen(app));
  const send: Endpoint['send'] = async (path, init) => {
    const answer = await fetch(`${server.url}${path}`, init);
    const text = await answer.text();
    const isJson = answer.headers.get('content-type')?.includes('json') === true && text !== '';
    const challenge = answer.headers.get('www-authenticate') ?? undefined;
    return { status: answer.status, challenge, body: isJson ? JSON.parse(text) : text };
  };
  return {
    ...{ as, clock, called, send, url: server.url, passed: () => passed },
    mint: (scope, claims = {}) => as.mint({ scope, ...claims }, { now: clock.now }),
    post: (token, message, headers = {}) => {
      const body = typeof message === 'string' ? message : JSON.stringify(message);
      const authorization = token === undefined ? {} : { authorization: `Bearer ${token}` };
      const all = { 'content-type': 'application/json', ...authorization, ...headers };
      return send('/mcp', { method: 'POST', body, headers: all });
    },
  };
}

/** A call of a tool. */
export function call(name: unknown, more: object = {}): object {
  return { jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name, arguments: {} }, ...more };
}

/** The challenge of this endpoint. `middle` stands between realm and `resource_metadata`. */
export function challenge(middle = ''): string {
  return `Bearer realm="${MCP}"${middle}, resource_metadata="${METADATA}"`;
}

/** A transport that takes what a parser left, and reads the stream by itself where there is nothing. */
async function messageOf(req: express.Request): Promise<unknown> {
  const body: unknown = req.body;
  if (typeof body === 'object' && body !== null && Object.keys(body).length > 0) return body;
  const chunks: Buffer[] = [];
  for await (const chunk of req) chunks.push(chunk as Buffer);
  const text = typeof body === 'string' ? body : Buffer.concat(chunks).toString();
  return text === '' ? {} : JSON.parse(text);
}

function toolsIn(message: unknown): string[] {
  if (Array.isArray(message)) return message.flatMap(toolsIn);
  const { method, params } = (message ?? {}) as { method?: unknown; params?: { name?: unknown } };
  return method === 'tools/call' ? [params?.name === undefined ? 'nothing' : JSON.stringify(params.name)] : [];
}
