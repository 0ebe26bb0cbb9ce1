import { describe, expect, jest, test } from '@jest/globals';
import { toNodeHandler } from '@modelcontextprotocol/node';
import { createMcpHandler, McpServer, requireScopes } from '@modelcontextprotocol/server';
import cors from 'cors';
import express from 'express';
import { decodeJwt } from 'jose';
import { requireScope, resourceServer } from '../../lib/index.js';
import { listen } from '../support/listen.js';
import { message } from '../support/mcp-app.js';
import { mcpFlowTests, WAY_IN } from '../support/mcp-flow-tests.js';
import { Notes } from '../support/mcp-line.js';
import { mcpProvider, mcpStage } from '../support/mcp-stage.js';
import { mcpTokenTests } from '../support/mcp-token-tests.js';
import { version2 } from '../support/mcp-v2.js';
import { closing } from '../support/stage.js';

jest.setTimeout(30_000); // a login takes a dozen requests

const line = version2('auto');

describe('version 2 of the SDK, and the protocol of 2026', () => {
  mcpFlowTests(line, WAY_IN);
  mcpTokenTests(line);
});

describe('version 2 of the SDK, and the protocol of 2025', () => {
  mcpFlowTests(version2('legacy'), [...WAY_IN, 'POST /mcp 202']);
  mcpTokenTests(version2('legacy'));
});

describe('other ways to put an application together', () => {
  const provider = mcpProvider();
  const { connect } = mcpStage(line, provider);

  /** An application, and the address of its endpoint at `path`. */
  async function start(routes: (app: express.Express, origin: string) => void): Promise<string> {
    const app = express();
    const { url } = closing(await listen(app));
    routes(app, url);
    return url;
  }

  const protect = (resource: string) => {
    const { issuer, audiences } = provider();
    audiences.set(resource, resource);
    return resourceServer({ resource, issuer, metadata: { maxAge: 0 } });
  };

  test('MCP-D2-1 MCP-A9.2-2 two servers in one application, each on its path, each with its document and its tokens', async () => {
    const paths = ['/office/mcp', '/garden/mcp'] as const;
    const origin = await start((app, url) => {
      for (const path of paths) {
        const api = protect(`${url}${path}`);
        app.use(api.metadata());
        app.use(path, api, requireScope('notes:read'), express.json(), line.handler(new Notes(), 'requests'));
      }
    });
    const people = [];
    for (const path of paths) {
      const { person, client } = await connect({ endpoint: new URL(`${origin}${path}`) });
      expect(await client.call('whoami')).toMatch(/^alice /);
      expect(decodeJwt(person.token).aud).toBe(`${origin}${path}`);
      const summaries = person.told().map(({ summary }) => summary);
      expect(summaries).toContain(`GET /.well-known/oauth-protected-resource${path} 200`);
      people.push(person);
    }
    const [ofOffice] = people;
    const garden = `${origin}/garden/mcp`;
    const authorization = `Bearer ${ofOffice?.token ?? ''}`;
    const ask = (url: string) => fetch(url, { method: 'POST', headers: { authorization }, body: '{}' });
    const refused = await ask(garden);
    const says = 'error="invalid_token", error_description="The access token is not for this resource"';
    const document = `resource_metadata="${origin}/.well-known/oauth-protected-resource/garden/mcp"`;
    expect([refused.status, refused.headers.get('www-authenticate')]).toEqual([
      401,
      `Bearer realm="${garden}", ${says}, scope="notes:read", ${document}`,
    ]);
    expect((await ask(`${origin}/office/mcp`)).status).not.toBe(401);
  });

  test('MCP-A11.1-1 MCP-A11.1-2 the scope that the SDK asks of a resource: its challenge finds our metadata', async () => {
    const origin = await start((app, url) => {
      app.use(protect(`${url}/mcp`));
      const mcp = createMcpHandler(() => {
        const server = new McpServer({ name: 'notes', version: '1.0.0' });
        const scopeChallenge = requireScopes('notes:read', 'notes:write');
        server.registerResource('draft', 'notes://draft', { scopeChallenge }, (uri) => ({
          contents: [{ uri: uri.href, text: 'a draft' }],
        }));
        return server;
      });
      const handler = toNodeHandler(mcp);
      app.all('/mcp', requireScope('notes:read'), express.json(), (req, res) => handler(req, res, req.body));
    });
    const { person, client } = await connect({ endpoint: new URL(`${origin}/mcp`) });
    person.told();
    expect(await client.read('notes://draft')).toBe('a draft');
    const [refused, ...more] = person.told();
    const document = `${origin}/.well-known/oauth-protected-resource/mcp`;
    expect(refused?.summary).toBe('POST /mcp 403');
    expect(refused?.challenge).toContain('error="insufficient_scope"');
    expect(refused?.challenge).toContain('scope="notes:read notes:write"');
    expect(refused?.challenge).toContain(`resource_metadata="${document}"`);
    expect(more.at(-1)?.summary).toBe('POST /mcp 200');
  });

  test('MCP-A6-1 a client in a browser may ask, and sees the challenge and the session', async () => {
    const page = 'https://client.example';
    const origin = await start((app, url) => {
      app.use(cors({ origin: page, exposedHeaders: ['Mcp-Session-Id'] }));
      app.use(protect(`${url}/mcp`));
      app.all('/mcp', requireScope('notes:read'), express.json(), line.handler(new Notes(), 'requests'));
    });
    const wanted = 'authorization,content-type,mcp-protocol-version';
    const asking = { 'access-control-request-method': 'POST', 'access-control-request-headers': wanted, origin: page };
    const preflight = await fetch(`${origin}/mcp`, { method: 'OPTIONS', headers: asking });
    expect([preflight.status, preflight.headers.get('access-control-allow-headers')]).toEqual([204, wanted]);
    const refused = await fetch(`${origin}/mcp`, { method: 'POST', headers: { origin: page }, body: message('ping') });
    expect([refused.status, refused.headers.get('access-control-allow-origin')]).toEqual([401, page]);
    const exposed = refused.headers.get('access-control-expose-headers')?.split(/, */);
    expect(exposed).toEqual(['Mcp-Session-Id', 'WWW-Authenticate']);
    const document = await fetch(`${origin}/.well-known/oauth-protected-resource/mcp`, { headers: { origin: page } });
    expect(document.status).toBe(200);
    expect(['*', page]).toContain(document.headers.get('access-control-allow-origin'));
  });
});
