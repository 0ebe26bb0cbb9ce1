import type { IncomingMessage } from 'node:http';
import type { RequestHandler } from 'express';
import { isAuth } from './auth.js';
import { isJsonObject } from './decode.js';
import { ForbiddenError, InsufficientScopeError, InvalidRequestError } from './errors.js';
import { guard, hasScopes } from './guard.js';
import { checkedScopes, checkObject, show } from './options.js';
import type { Auth } from './types.js';

/**
 * A guard for the endpoint of a Model Context Protocol server, behind `express.json()`: a call of a tool passes if the token has
 * the scopes of that tool, such as `requireToolScope({ add_note: ['notes:write'], list_notes: [] })`. Answers 403
 * `insufficient_scope` otherwise, with all that the route and the tool need, so that a client steps up by itself. A tool that
 * is not listed is 403 without a code; other messages pass. Looks at `req.body`, so hand that to the transport of the SDK.
 *
 * @throws TypeError at construction, for what is no list of scopes.
 */
export function requireToolScope(tools: Readonly<Record<string, readonly string[]>>): RequestHandler {
  const scopesOf = checkedTools(tools);
  const scopesFor = (calls: readonly string[]) => [...new Set(calls.flatMap((name) => scopesOf.get(name) ?? []))];
  return guard({
    needs: {
      sometimes: [...scopesOf.values()].flat(),
      scopesOf: (req) => scopesFor(toolsIn(messagesOf(req))),
    },
    check: (auth, context, req) => {
      const messages = messagesOf(req);
      // What our parser did not take for JSON the transport may read by itself: it would be a way past this guard.
      if (!messages.every(isJsonRpc)) {
        throw new InvalidRequestError('The body must be JSON-RPC, sent as application/json');
      }
      const calls = toolsIn(messages);
      if (!calls.every((name) => scopesOf.has(name))) {
        throw new ForbiddenError('This tool is not open to anybody: the server does not say which scope it needs');
      }
      const scopes = scopesFor(calls);
      if (!hasScopes(auth, { scopes }, context)) throw new InsufficientScopeError(scopes);
    },
  });
}

/**
 * Who is calling: what `auth(req)` gives, out of the `authInfo` that the SDK hands to a tool.
 *
 * @throws Error for anything else: the endpoint is not behind `resourceServer()`.
 */
export function caller<Claims extends object = object>(authInfo: unknown): Auth<Claims> {
  if (isAuth(authInfo)) return authInfo as Auth<Claims>; // that the claims are of the caller's type is the caller's word
  throw new Error(
    'This is not what resourceServer() left with the request: put app.use(resourceServer({ … })) before it',
  );
}

type Message = Readonly<Record<string, unknown>>;

/** The messages of a request; none where a stream is opened, or a session ended. */
function messagesOf(req: IncomingMessage): readonly unknown[] {
  const { body } = req as { readonly body?: unknown };
  return req.method === 'POST' || carriesBody(req) ? [body].flat() : [];
}

/** RFC 9112 section 6. A transport may read a body whatever the method is. */
function carriesBody({ headers }: IncomingMessage): boolean {
  return headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0;
}

/** A message of JSON-RPC; the call of a tool has the name of one. */
function isJsonRpc(message: unknown): message is Message {
  if (!isJsonObject(message)) return false;
  const { jsonrpc, method, params } = message;
  return jsonrpc === '2.0' && (method !== 'tools/call' || typeof nameIn(params) === 'string');
}

function nameIn(params: unknown): unknown {
  return (params as { readonly name?: unknown } | null | undefined)?.name;
}

/** The tools that are called. */
function toolsIn(messages: readonly unknown[]): readonly string[] {
  return messages
    .filter(isJsonRpc)
    .filter(({ method }) => method === 'tools/call')
    .map(({ params }) => nameIn(params) as string);
}

function checkedTools(tools: unknown): ReadonlyMap<string, readonly string[]> {
  const example = "{ add_note: ['notes:write'], list_notes: [] }";
  checkObject(`requireToolScope, such as requireToolScope(${example}),`, tools);
  return new Map(
    Object.entries(tools).map(([name, scopes]) => {
      if (!Array.isArray(scopes))
        throw new TypeError(`requireToolScope needs a list of scopes for ${show(name)}, got ${show(scopes)}`);
      return [name, scopes.length === 0 ? [] : checkedScopes('requireToolScope', scopes)];
    }),
  );
}
