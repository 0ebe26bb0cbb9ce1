import { afterEach, describe, expect, test } from '@jest/globals';
import express from 'express';
import { auth, requireScope, resourceServer } from '../../lib/index.js';
import { requireToolScope } from '../../lib/mcp.js';
import { listen } from '../support/listen.js';
import { call, challenge, LACKS, MCP, mcpEndpoint, METADATA, TOOLS } from '../support/mcp-endpoint.js';
import type { Endpoint, Reply } from '../support/mcp-endpoint.js';
import { closeAll, closing, SAYS } from '../support/stage.js';

afterEach(closeAll);

const json: express.RequestHandler = express.json();
const READ = requireScope('notes:read');
const SCOPE = ', scope="notes:read"';
const PATH = new URL(METADATA).pathname;

/** The endpoint as it is meant to be used: what every message needs, and what tools need. */
const notes = (options = {}) => mcpEndpoint({ guards: [requireToolScope(TOOLS), READ], ...options });

/** The whole refusal; no tool was called. */
function expectRefused({ called }: Endpoint, reply: Reply, status: number, middle = '', body: object = {}): void {
  expect(reply).toEqual({ status, challenge: challenge(middle), body });
  expect(called).toEqual([]);
}

function invalid(says: string): [number, string, object] {
  const said = `, error="invalid_token", error_description="${says}"${SCOPE}`;
  return [401, said, { error: 'invalid_token', error_description: says }];
}

function lacking(scope: string): [number, string, object] {
  const error_description = 'The access token lacks a required scope';
  return [403, `, ${LACKS}, scope="${scope}"`, { error: 'insufficient_scope', error_description }];
}

describe('metadata', () => {
  test('MCP-A3-1 MCP-D1-1 MCP-A8.1-1 the document names the server without a slash at the end, and its issuer', async () => {
    const { send, as } = await notes();
    const { status, body } = await send(PATH);
    expect([status, body]).toEqual([
      200,
      {
        resource: MCP,
        authorization_servers: [as.issuer],
        bearer_methods_supported: ['header'],
        scopes_supported: ['notes:read', 'notes:write'],
      },
    ]);
  });

  test('MCP-D1-1 a document without an issuer is refused at construction', () => {
    const find = { resource: MCP, authorizationServers: () => undefined };
    expect(() => resourceServer({ ...find, metadata: true })).toThrow(/"metadata" needs "authorization_servers"/);
    const named = { authorization_servers: ['https://as.example.com'] };
    expect(() => resourceServer({ ...find, metadata: named })).not.toThrow();
  });

  test('MCP-D2-1 it is found by the 401, by the address of the endpoint, and at the root where that is an option', async () => {
    const root = '/.well-known/oauth-protected-resource';
    const [plain, both] = [await notes(), await notes({ metadata: { alsoAt: [root] } })];
    const first = await plain.post(undefined, call('ping'));
    expectRefused(plain, first, 401, SCOPE);
    expect((await plain.send(PATH)).body).toMatchObject({ resource: MCP });
    expect((await plain.send(root)).status).toBe(404);
    expect((await both.send(root)).body).toMatchObject({ resource: MCP });
    expect((await both.send(PATH)).body).toMatchObject({ resource: MCP });
  });

  test('MCP-A8.1-1 scheme and host in capitals are another audience, unless an option says that it is ours', async () => {
    const aud = 'HTTPS://MCP.EXAMPLE.COM/mcp';
    const [strict, tolerant] = [await notes(), await notes({ audience: [MCP, aud] })];
    const ask = ({ post, mint }: Endpoint, name: string) => post(mint('notes:read', { aud: name }), call('ping'));
    expectRefused(strict, await ask(strict, aud), ...invalid(SAYS.audience));
    expectRefused(tolerant, await ask(tolerant, `${MCP}/`), ...invalid(SAYS.audience));
    expect((await ask(tolerant, aud)).status).toBe(200);
    expect((await ask(tolerant, MCP)).status).toBe(200);
    expect((await ask(strict, MCP)).status).toBe(200);
  });

  test('MCP-A10-1 offline_access is refused in guards, tools and metadata; no challenge and no document has it', async () => {
    const base = { resource: MCP, issuer: 'https://as.example.com' };
    expect(() => requireScope('offline_access')).toThrow(TypeError);
    expect(() => requireToolScope({ a: ['notes:read', 'offline_access'] })).toThrow(TypeError);
    expect(() => resourceServer({ ...base, metadata: { scopes_supported: ['offline_access'] } })).toThrow(TypeError);
    expect(() => resourceServer({ ...base, metadata: { scopes_supported: ['notes:read'] } })).not.toThrow();
    const { post, mint, send } = await notes();
    const replies = [await post(undefined, call('ping')), await post(mint('offline_access'), call('add_note'))];
    expect(replies.map(({ status }) => status)).toEqual([401, 403]);
    expect(JSON.stringify([...replies, await send(PATH)])).not.toContain('offline');
  });
});

describe('every request is authorized', () => {
  test('MCP-A6-1 the first 401 names the scope of the endpoint', async () => {
    const endpoint = await notes();
    for (const method of ['GET', 'POST', 'DELETE']) {
      expectRefused(endpoint, await endpoint.send('/mcp', { method }), 401, SCOPE);
    }
    const { post, mint } = endpoint;
    expect((await post(mint('notes:read'), call('ping'))).status).toBe(200);
  });

  test('MCP-A9.1-1 a token in the query is none', async () => {
    const endpoint = await notes();
    const { send, mint, post } = endpoint;
    const token = mint('notes:read');
    const body = JSON.stringify(call('ping'));
    const init = { method: 'POST', body, headers: { 'content-type': 'application/json' } };
    expectRefused(endpoint, await send(`/mcp?access_token=${token}`, init), 401, SCOPE);
    expect((await post(token, call('ping'))).status).toBe(200);
  });

  test('MCP-A9.1-2 a session takes the place of no token', async () => {
    const endpoint = await notes();
    const { send, post, mint } = endpoint;
    const session = { 'mcp-session-id': 'a1b2c3' };
    expect((await post(mint('notes:read'), { jsonrpc: '2.0', id: 1, method: 'initialize' }, session)).status).toBe(200);
    expectRefused(endpoint, await post(undefined, call('ping'), session), 401, SCOPE);
    for (const method of ['GET', 'DELETE']) {
      expectRefused(endpoint, await send('/mcp', { method, headers: session }), 401, SCOPE);
    }
    expect((await post(mint('notes:read'), call('ping'), session)).status).toBe(200);
  });

  test('MCP-A9.2-1 MCP-A9.2-3 expired, forged, revoked by the application: 401, and never 400 or 403', async () => {
    const endpoint = await notes({ acceptToken: ({ sub }: { readonly sub?: string }) => sub !== 'blocked' });
    const { post, mint, clock } = endpoint;
    const good = mint('notes:read');
    for (const message of [call('ping'), call('add_note'), call('no_such_tool'), '{"jsonrpc":']) {
      expectRefused(endpoint, await post(mint('notes:read', { exp: clock.now }), message), ...invalid(SAYS.expired));
      expectRefused(endpoint, await post(`${good}x`.replace(/..$/, 'AA'), message), ...invalid(SAYS.signature));
      expectRefused(endpoint, await post(mint('notes:read', { sub: 'blocked' }), message), ...invalid(SAYS.hook));
      expectRefused(endpoint, await post('rubbish', message), ...invalid(SAYS.noJwt));
    }
    expect(endpoint.passed()).toBe(0);
    expect((await post(good, call('ping'))).status).toBe(200);
  });

  test('MCP-A9.2-2 a token that names another server, or none, is refused', async () => {
    const endpoint = await notes();
    const { post, mint } = endpoint;
    for (const aud of ['https://mcp.example.com', `${MCP}/`, `${MCP}2`, ['https://b.example.com/mcp'], undefined]) {
      expectRefused(endpoint, await post(mint('notes:read', { aud }), call('ping')), ...invalid(SAYS.audience));
    }
    expect((await post(mint('notes:read', { aud: ['https://b.example.com/mcp', MCP] }), call('ping'))).status).toBe(
      200,
    );
  });

  test('MCP-A9.2-4 what the handler asks of a server upstream carries no token', async () => {
    const seen: string[][] = [];
    const upstream = closing(
      await listen((req, res) => {
        seen.push(req.rawHeaders);
        res.end();
      }),
    );
    const asks: express.RequestHandler = (_req, _res, next) => {
      fetch(upstream.url).then(() => {
        next();
      }, next);
    };
    const { post, mint } = await notes({ guards: [requireToolScope(TOOLS), READ, asks] });
    const token = mint('notes:read');
    expect((await post(token, call('ping'))).status).toBe(200);
    expect(seen).toHaveLength(1);
    expect(seen.flat().map((text) => text.toLowerCase())).not.toContain('authorization');
    expect(seen.flat().join()).not.toContain(token.slice(0, 20));
  });

  test('MCP-S9-1 nothing is parsed, and no guard runs, before the token is checked', async () => {
    let parsed = 0;
    const counting: express.RequestHandler = (req, res, next) => {
      parsed++;
      json(req, res, next);
    };
    const endpoint = await notes({ parsers: [counting] });
    const { post, mint } = endpoint;
    expectRefused(endpoint, await post(undefined, '{"jsonrpc":'), 401, SCOPE);
    expectRefused(endpoint, await post('rubbish', call('ping')), ...invalid(SAYS.noJwt));
    expect([parsed, endpoint.passed()]).toEqual([0, 0]);
    expect((await post(mint('notes:read'), call('ping'))).status).toBe(200);
    expect(parsed).toBe(1);
  });

  test('MCP-S2-1 the token is on the request and nowhere else: what is printed of it does not show it', async () => {
    const shows: express.RequestHandler = (req, res) => void res.json({ auth: auth(req) });
    const { post, mint, send } = await notes({ guards: [READ, shows] });
    const token = mint('notes:read');
    const { status, body } = await post(token, call('ping'));
    expect([status, body]).toMatchObject([200, { auth: { subject: 'alice' } }]);
    expect(JSON.stringify([body, await send(PATH)])).not.toContain(token.slice(-20));
  });
});

describe('refusals', () => {
  test('MCP-A11-1 401 without a token and with a bad one, 403 for want of scope, 400 for what is malformed', async () => {
    const endpoint = await notes();
    const { post, mint, send } = endpoint;
    expectRefused(endpoint, await post(undefined, call('ping')), 401, SCOPE);
    expectRefused(endpoint, await post('rubbish', call('ping')), ...invalid(SAYS.noJwt));
    expectRefused(endpoint, await post(mint('other'), call('read_note')), ...lacking('notes:read'));
    const error_description = 'The Authorization header must be Bearer, a space and one token';
    const said = `, error="invalid_request", error_description="${error_description}"`;
    const malformed = await send('/mcp', { method: 'POST', headers: { authorization: 'Bearer a b' } });
    expectRefused(endpoint, malformed, 400, said, { error: 'invalid_request', error_description });
    expect((await post(mint('notes:read'), call('read_note'))).status).toBe(200);
  });

  test.each([
    ['tool first', 'notes:read notes:write mcp'],
    ['route first', 'mcp notes:read notes:write'],
  ])(
    'MCP-A11.1-1 MCP-A11.1-2 the 403 has the error, all scope of route and tool, and the metadata: %s',
    async (order, all) => {
      const guards = [requireToolScope(TOOLS), requireScope('mcp')];
      const endpoint = await notes({ guards: order === 'tool first' ? guards : guards.reverse() });
      const { post, mint, called } = endpoint;
      // Whatever is lacking, and again for a token that has got one half of it.
      for (const scope of ['other', 'mcp', 'notes:read notes:write', 'mcp notes:read', 'mcp notes:write']) {
        expectRefused(endpoint, await post(mint(scope), call('add_note')), ...lacking(all));
      }
      expect((await post(mint('mcp notes:read notes:write'), call('add_note'))).status).toBe(200);
      expect(called).toEqual(['"add_note"']);
    },
  );

  test.each(['{}', '[]', '[null]', '{"method":"tools/call"}', 'null'])(
    'MCP-A11.1-1 MCP-A11-1 the body %s, which is no message, takes nothing from the refusal of a guard in front',
    async (body) => {
      const guards = [requireScope('mcp'), requireToolScope(TOOLS)];
      const endpoint = await notes({ parsers: [express.json({ strict: false })], guards });
      const { post, mint } = endpoint;
      expectRefused(endpoint, await post(mint('other'), body), ...lacking('mcp'));
      expect((await post(mint('mcp'), call('ping'))).status).toBe(200);
    },
  );

  test('MCP-A11.1-3 a scope that includes others serves for them, where the server says so', async () => {
    const impliesScope = (granted: string, required: string) => required.startsWith(`${granted}:`);
    const [wide, plain] = [await notes({ impliesScope }), await notes()];
    expectRefused(plain, await plain.post(plain.mint('notes'), call('add_note')), ...lacking('notes:read notes:write'));
    expectRefused(wide, await wide.post(wide.mint('note'), call('add_note')), ...lacking('notes:read notes:write'));
    expect((await wide.post(wide.mint('notes'), call('add_note'))).status).toBe(200);
  });
});
