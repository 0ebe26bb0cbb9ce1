import { describe, expect, test } from '@jest/globals';
import { decodeJwt } from 'jose';
import { requireScope, resourceServer } from '../../lib/index.js';
import { message } from './mcp-app.js';
import type { McpLine } from './mcp-line.js';
import { Person } from './mcp-person.js';
import { mcpProvider, mcpStage } from './mcp-stage.js';

const ADD = message('tools/call', { name: 'add_note', arguments: { text: 'x' } });

/** How a client gets in that knows nothing but the address. Some go on from there. */
export const WAY_IN = [
  'POST /mcp 401',
  'GET /.well-known/oauth-protected-resource/mcp 200',
  'GET /.well-known/oauth-authorization-server 200',
  'POST /reg 201',
  'GET /auth 303',
  'POST /token 200',
  'POST /mcp 200',
];

/** What every line of the SDK does with a server of ours, from the first contact on. `first` is how it gets in. */
export function mcpFlowTests(line: McpLine, first: readonly string[]): void {
  const provider = mcpProvider();
  const { start, connect } = mcpStage(line, provider);

  describe('first contact', () => {
    test('MCP-A3-1 MCP-D2-1 MCP-A6-1 the client knows the address, and gets in', async () => {
      const app = await start();
      const { person, client } = await connect(app);
      const told = person.told();
      const [contact] = told;
      const login = told.find(({ summary }) => summary === 'GET /auth 303');
      expect(told.map(({ summary }) => summary)).toEqual(first);
      expect(contact?.challenge).toBe(app.challenge(', scope="notes:read"'));
      expect(login?.params).toMatchObject({
        scope: 'notes:read',
        resource: app.resource,
        code_challenge_method: 'S256',
      });
      expect(decodeJwt(person.token)).toMatchObject({ aud: app.resource, scope: 'notes:read', sub: 'alice' });
      expect(await client.call('whoami')).toMatch(/^alice by [\w-]{21,}$/);
    });

    test('MCP-D2-1 it finds the document by its address alone, where something on the way eats the header', async () => {
      const app = await start();
      const person = new Person();
      person.alter = ({ status, body, headers }) => {
        const left = new Headers(headers);
        left.delete('www-authenticate');
        return new Response(status === 204 ? null : body, { status, headers: left });
      };
      const { client } = await connect(app, person);
      expect(person.exchanges.flatMap(({ challenge }) => challenge ?? [])).toEqual([]);
      expect(summaries(person)).toContain('GET /.well-known/oauth-protected-resource/mcp 200');
      expect(await client.call('whoami')).toMatch(/^alice /);
    });

    test('MCP-D2-1 it finds the document at the root as well, where that is an option', async () => {
      const root = '/.well-known/oauth-protected-resource';
      const app = await start({ metadata: { alsoAt: [root] } });
      const person = new Person();
      person.alter = (answer) => {
        const { pathname } = new URL(answer.url);
        if (pathname === `${root}/mcp`) return new Response(null, { status: 404 });
        if (pathname === '/mcp' && answer.status === 401) return new Response(null, { status: 401 });
        return answer;
      };
      const { client } = await connect(app, person);
      expect(summaries(person)).toEqual(expect.arrayContaining([`GET ${root}/mcp 404`, `GET ${root} 200`]));
      expect(await client.call('whoami')).toMatch(/^alice /);
    });

    test('MCP-D1-1 the document names the authorization server, and without one the program does not start', async () => {
      const app = await start();
      const { text } = await app.ask({ method: 'GET', path: '/.well-known/oauth-protected-resource/mcp' });
      expect(JSON.parse(text)).toEqual({
        resource: app.resource,
        authorization_servers: [provider().issuer],
        bearer_methods_supported: ['header'],
        scopes_supported: ['notes:read', 'notes:write'],
      });
      const { resource } = app;
      const find = { resource, metadata: true, authorizationServers: () => undefined } as const;
      expect(() => resourceServer(find)).toThrow(/"authorization_servers"/);
      expect(() => resourceServer({ ...find, metadata: { authorization_servers: [provider().issuer] } })).not.toThrow();
    });

    test('MCP-A8.1-1 a server at the root is called what its address is, without a slash at the end', async () => {
      const app = await start({ path: '/' });
      const { text } = await app.ask({ method: 'GET', path: '/.well-known/oauth-protected-resource' });
      expect(JSON.parse(text)).toMatchObject({ resource: app.url });
      const { person, client } = await connect(app);
      expect(decodeJwt(person.token).aud).toBe(app.url);
      expect(await client.call('whoami')).toMatch(/^alice /);
    });

    test('MCP-A8.1-1 an authorization server that writes the address in capitals: by the option, and not without', async () => {
      const capitals = (resource: string) => resource.replace('http://', 'HTTP://');
      const audiences = (resource: string) => [resource, capitals(resource)];
      const [tolerant, strict] = [
        await start({ audienceOfTokens: capitals, audiences }),
        await start({ audienceOfTokens: capitals }),
      ];
      const { person, client } = await connect(tolerant);
      expect(decodeJwt(person.token).aud).toBe(capitals(tolerant.resource));
      expect(await client.call('whoami')).toMatch(/^alice /);
      const stubborn = new Person();
      await expect(line.connect(strict.endpoint, stubborn)).rejects.toThrow();
      const says = 'error="invalid_token", error_description="The access token is not for this resource"';
      const { challenge, summary } = stubborn.exchanges.findLast(({ url }) => url.pathname === '/mcp') ?? {};
      expect([summary, challenge]).toEqual(['POST /mcp 401', strict.challenge(`, ${says}, scope="notes:read"`)]);
      expect(strict.passed('all')).toBe(0);
    });

    test('MCP-A10-1 refresh tokens are between the client and the authorization server', async () => {
      const app = await start();
      const { person, client } = await connect(app, new Person(['authorization_code', 'refresh_token']));
      const challenges = person.exchanges.flatMap(({ challenge }) => challenge ?? []);
      expect(challenges).toEqual([app.challenge(', scope="notes:read"')]);
      expect(await client.call('whoami')).toMatch(/^alice /);
      expect(() => requireScope('offline_access')).toThrow(TypeError);
      expect(() =>
        resourceServer({
          resource: app.resource,
          issuer: provider().issuer,
          metadata: { scopes_supported: ['offline_access'] },
        }),
      ).toThrow(TypeError);
    });
  });

  describe('more scope', () => {
    const LACKS = ', error="insufficient_scope", error_description="The access token lacks a required scope"';

    test('MCP-A11.1-1 MCP-A11.1-2 a tool that needs more: the refusal names all, the person agrees, the call is made', async () => {
      const app = await start();
      const { person, client } = await connect(app);
      person.told();
      expect(await client.call('add_note', { text: 'milk' })).toBe('1');
      const [refused, ...more] = person.told();
      expect([refused?.summary, refused?.challenge]).toEqual([
        'POST /mcp 403',
        app.challenge(`${LACKS}, scope="notes:read notes:write"`),
      ]);
      const login = more.find(({ summary }) => summary === 'GET /auth 303');
      expect(login?.params['scope']?.split(' ').sort()).toEqual(['notes:read', 'notes:write']);
      expect(app.notes.written).toEqual(['milk']);
      expect(app.notes.seen).toHaveLength(1);
      expect(await client.call('add_note', { text: 'bread' })).toBe('2');
      expect(await client.call('whoami')).toMatch(/^alice /);
      expect(summaries(person)).toEqual(['POST /mcp 200', 'POST /mcp 200']);
    });

    test('MCP-A11.1-2 the person agrees to one half only: the next refusal names all again', async () => {
      const app = await start();
      const { person, client } = await connect(app);
      person.before = (url) => {
        url.searchParams.set('scope', 'notes:write');
      };
      await expect(client.call('add_note', { text: 'milk' })).rejects.toThrow();
      const refusals = person.exchanges.filter(({ summary }) => summary === 'POST /mcp 403');
      const { token } = person;
      expect(decodeJwt(token)['scope']).toBe('notes:write');
      const all = app.challenge(`${LACKS}, scope="notes:read notes:write"`);
      const again = await app.ask({ token, body: ADD });
      expect([refusals[0]?.challenge, again.status, again.challenge]).toEqual([all, 403, all]);
      expect(app.notes.written).toEqual([]);
      person.before = () => undefined;
      const { client: willing } = await connect(app);
      expect(await willing.call('add_note', { text: 'milk' })).toBe('1');
    });

    test('MCP-A11.1-3 a scope that includes others serves for them, where the server says so', async () => {
      const impliesScope = (granted: string, required: string) => required.startsWith(`${granted}:`);
      const [wide, plain] = [await start({ impliesScope }), await start()];
      const generous = () => {
        const person = new Person();
        person.before = (url) => {
          url.searchParams.set('scope', 'notes');
        };
        return person;
      };
      const { person, client } = await connect(wide, generous());
      expect(decodeJwt(person.token)['scope']).toBe('notes');
      expect(await client.call('add_note', { text: 'milk' })).toBe('1');
      expect(person.exchanges.filter(({ summary }) => summary === 'POST /mcp 403')).toEqual([]);
      const other = generous();
      await expect(line.connect(plain.endpoint, other)).rejects.toThrow();
      const { summary, challenge } = other.exchanges.findLast(({ url }) => url.pathname === '/mcp') ?? {};
      expect([summary, challenge]).toEqual(['POST /mcp 403', plain.challenge(`${LACKS}, scope="notes:read"`)]);
    });
  });
}

function summaries(person: Person): string[] {
  return person.told().map(({ summary }) => summary);
}
