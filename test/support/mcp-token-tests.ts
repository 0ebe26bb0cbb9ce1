import { inspect } from 'node:util';
import { describe, expect, test } from '@jest/globals';
import { decodeJwt } from 'jose';
import { movableClock } from './clock.js';
import { listen } from './listen.js';
import { message } from './mcp-app.js';
import type { NotesApp, Reply } from './mcp-app.js';
import type { McpLine } from './mcp-line.js';
import { Person } from './mcp-person.js';
import { mcpProvider, mcpStage } from './mcp-stage.js';
import { closing, SAYS } from './stage.js';

const LIST = message('tools/list');
const WHOAMI = message('tools/call', { name: 'whoami' });
const ADD = message('tools/call', { name: 'add_note', arguments: { text: 'x' } });

/** What a server of ours lets in, whichever line of the SDK is behind it. */
export function mcpTokenTests(line: McpLine): void {
  const { start, connect } = mcpStage(line, mcpProvider());

  /** The whole refusal, and that nothing behind the middleware has seen the request. */
  async function expectRefused(app: NotesApp, asked: Promise<Reply>, status: number, middle: string): Promise<void> {
    const before = app.passed('asked');
    const { challenge, ...reply } = await asked;
    expect([reply.status, challenge]).toEqual([status, app.challenge(middle)]);
    expect(app.passed('asked')).toBe(before);
  }

  const invalid = (says: string) => `, error="invalid_token", error_description="${says}", scope="notes:read"`;
  const NOTHING = ', scope="notes:read"';

  describe('whose token', () => {
    test('MCP-A9.2-2 MCP-A9.2-4 a token for another server of the same authorization server is refused', async () => {
      const [notes, other] = [await start(), await start()];
      const { person, client } = await connect(notes);
      const { token } = person;
      await expectRefused(other, other.ask({ token, body: WHOAMI }), 401, invalid(SAYS.audience));
      expect(other.notes.seen).toEqual([]);
      expect((await notes.ask({ token, body: WHOAMI })).status).toBe(200);
      expect(await client.call('whoami')).toMatch(/^alice /);
    });

    test('MCP-A9.2-4 a tool that asks a server upstream passes no token on by itself', async () => {
      const app = await start();
      const { person, client } = await connect(app);
      const seen: string[] = [];
      const upstream = closing(
        await listen((req, res) => {
          seen.push(JSON.stringify(req.rawHeaders));
          res.end();
        }),
      );
      app.notes.during = () => fetch(upstream.url);
      await client.call('whoami');
      expect(seen).toHaveLength(1);
      expect(seen.join()).not.toContain(person.token.slice(0, 20));
      expect(seen.join().toLowerCase()).not.toContain('authorization');
    });

    test('MCP-A9.2-1 the tools see who is calling, as the SDK hands it on', async () => {
      const app = await start();
      const { person, client } = await connect(app);
      await client.call('whoami');
      const { client_id: clientId, exp } = decodeJwt(person.token);
      const [authInfo] = app.notes.seen;
      expect(authInfo).toMatchObject({ clientId, scopes: ['notes:read'], expiresAt: exp, token: person.token });
      expect(authInfo?.resource?.href).toBe(app.resource);
    });

    test('MCP-S2-1 what the tools see can be printed without giving the token away', async () => {
      const app = await start();
      const { person, client } = await connect(app);
      await client.call('whoami');
      const [authInfo] = app.notes.seen;
      for (const printed of [JSON.stringify(authInfo), inspect(authInfo, { depth: 9, showHidden: true })]) {
        expect(printed).toContain('alice');
        expect(printed).not.toContain(person.token.slice(0, 20));
      }
    });
  });

  describe('which token', () => {
    test('MCP-A9.2-3 MCP-A9.2-1 an expired token: 401, and never 400 or 403', async () => {
      const clock = movableClock();
      const app = await start({ clock });
      const { person } = await connect(app);
      const { token } = person;
      expect((await app.ask({ token, body: ADD })).status).toBe(403);
      expect((await app.ask({ token, body: WHOAMI })).status).toBe(200);
      clock.now += 301;
      for (const body of [WHOAMI, ADD, LIST]) {
        await expectRefused(app, app.ask({ token, body }), 401, invalid(SAYS.expired));
      }
      clock.now -= 301;
      expect((await app.ask({ token, body: LIST })).status).toBe(200);
    });

    test('MCP-A9.2-3 a token that is refused in the middle: the client gets a new one by itself, and goes on', async () => {
      const refused = new Set<unknown>();
      const app = await start({ acceptToken: ({ jti }) => !refused.has(jti) });
      const { person, client } = await connect(app);
      const first = person.token;
      refused.add(decodeJwt(first).jti);
      person.told();
      expect(await client.call('whoami')).toMatch(/^alice /);
      const [refusal, ...more] = person.told();
      expect([refusal?.summary, refusal?.challenge]).toEqual(['POST /mcp 401', app.challenge(invalid(SAYS.hook))]);
      expect(more.map(({ summary }) => summary)).toEqual(expect.arrayContaining(['POST /token 200', 'POST /mcp 200']));
      expect(person.token).not.toBe(first);
      expect(app.notes.seen).toHaveLength(1);
    });

    test('MCP-A11-1 401 without a token and with a bad one, 400 for what is no request, 403 for want of scope', async () => {
      const app = await start();
      const { person } = await connect(app);
      const { token } = person;
      const shape = 'The Authorization header must be Bearer, a space and one token';
      const malformed = `, error="invalid_request", error_description="${shape}"`;
      const headers = { authorization: 'Bearer one two' };
      await expectRefused(app, app.ask({ body: WHOAMI }), 401, NOTHING);
      await expectRefused(app, app.ask({ token: 'x', body: WHOAMI }), 401, invalid(SAYS.noJwt));
      await expectRefused(app, app.ask({ headers, body: WHOAMI }), 400, malformed);
      const lacks = 'error="insufficient_scope", error_description="The access token lacks a required scope"';
      const denied = await app.ask({ token, body: ADD });
      const scope = 'scope="notes:read notes:write"';
      expect([denied.status, denied.challenge]).toEqual([403, app.challenge(`, ${lacks}, ${scope}`)]);
      expect(app.notes.seen).toEqual([]);
      expect((await app.ask({ token, body: WHOAMI })).status).toBe(200);
    });

    test('MCP-A11.1-2 a batch needs what all its calls need, and one refusal names it', async () => {
      const app = await start();
      const { person } = await connect(app);
      const { token } = person;
      const lacks = 'error="insufficient_scope", error_description="The access token lacks a required scope"';
      for (const batch of [`[${WHOAMI},${ADD}]`, `[${ADD},${WHOAMI}]`]) {
        const denied = await app.ask({ token, body: batch });
        const all = `, ${lacks}, scope="notes:read notes:write"`;
        expect([denied.status, denied.challenge]).toEqual([403, app.challenge(all)]);
      }
      expect(app.notes.seen).toEqual([]);
      expect((await app.ask({ token, body: `[${WHOAMI},${message('tools/list', {}, 2)}]` })).status).toBe(200);
      expect(app.notes.seen).toHaveLength(1);
    });

    test('MCP-A9.1-1 a token in the query is none', async () => {
      const app = await start();
      const { person } = await connect(app);
      const { token } = person;
      const path = `/mcp?access_token=${token}`;
      await expectRefused(app, app.ask({ path, body: WHOAMI }), 401, NOTHING);
      expect((await app.ask({ path: '/mcp', token, body: WHOAMI })).status).toBe(200);
      expect(app.notes.seen).toHaveLength(1);
    });

    test('MCP-S9-1 a message is not even read before the token is checked', async () => {
      const app = await start();
      const { person } = await connect(app);
      const body = '{"jsonrpc":';
      await expectRefused(app, app.ask({ body }), 401, NOTHING);
      await expectRefused(app, app.ask({ token: 'x', body }), 401, invalid(SAYS.noJwt));
      const read = await app.ask({ token: person.token, body });
      expect([read.status, read.challenge]).toEqual([400, undefined]);
    });

    test('MCP-S9-1 a tool that nobody listed, and a message that our parser did not read, go nowhere', async () => {
      const app = await start();
      const { person } = await connect(app);
      const { token } = person;
      const body = message('tools/call', { name: 'drop_notes' });
      const unknown = await app.ask({ token, body });
      expect([unknown.status, unknown.challenge]).toEqual([403, app.challenge('')]); // no code: no other token would do
      // express.json() takes these for no JSON, and leaves the body to whoever reads it next.
      const unread =
        ', error="invalid_request", error_description="The body must be JSON-RPC, sent as application/json"';
      for (const type of ['application/json, text/plain', 'text/plain', 'application/jsonrequest']) {
        const { status, challenge } = await app.ask({ token, body: ADD, headers: { 'content-type': type } });
        expect([type, status, challenge]).toEqual([type, 400, app.challenge(unread)]);
      }
      expect(app.notes.written).toEqual([]);
      expect((await app.ask({ token, body: WHOAMI })).status).toBe(200);
    });
  });

  describe('sessions', () => {
    const inSession = (id: string | undefined) => ({
      'mcp-session-id': id ?? '',
    });

    test('MCP-A9.1-2 a session takes the place of no token', async () => {
      const app = await start({ kind: 'sessions' });
      const { person, client } = await connect(app);
      const { token } = person;
      const headers = inSession(client.sessionId);
      expect(client.sessionId).toMatch(/^[\da-f-]{36}$/);
      await expectRefused(app, app.ask({ headers, body: WHOAMI }), 401, NOTHING);
      await expectRefused(app, app.ask({ headers, method: 'GET' }), 401, NOTHING);
      await expectRefused(app, app.ask({ headers, method: 'DELETE' }), 401, NOTHING);
      await expectRefused(app, app.ask({ headers, token: 'x', body: WHOAMI }), 401, invalid(SAYS.noJwt));
      expect(await client.call('whoami')).toMatch(/^alice /);
      expect((await app.ask({ headers, token, body: WHOAMI })).status).toBe(200);
      expect((await app.ask({ headers, token, method: 'DELETE' })).status).toBe(200);
    });

    test('MCP-A9.1-2 each request of a session brings its own token, and the tools see that one', async () => {
      const app = await start({ kind: 'sessions' });
      const { client } = await connect(app);
      const { sessionId } = client;
      await client.call('whoami');
      expect(await client.call('add_note', { text: 'milk' })).toBe('1');
      await client.call('whoami');
      expect(client.sessionId).toBe(sessionId);
      const scopes = app.notes.seen.map((authInfo) => [...(authInfo?.scopes ?? [])].sort().join(' '));
      expect(scopes).toEqual(['notes:read', 'notes:read notes:write', 'notes:read notes:write']);
    });

    test('MCP-A9.1-2 the session of another person is none', async () => {
      const app = await start({ kind: 'sessions' });
      const { person: alice, client } = await connect(app);
      const bob = new Person();
      bob.before = (url) => {
        url.searchParams.set('login_hint', 'bob');
      };
      const { client: ofBob } = await connect(app, bob);
      expect(await ofBob.call('whoami')).toMatch(/^bob /);
      const headers = inSession(client.sessionId);
      expect((await app.ask({ headers, token: bob.token, body: WHOAMI })).status).toBe(404);
      expect((await app.ask({ headers, token: alice.token, body: WHOAMI })).status).toBe(200);
    });
  });
}
