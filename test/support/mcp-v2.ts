import { Client, StreamableHTTPClientTransport, UnauthorizedError } from '@modelcontextprotocol/client';
import { NodeStreamableHTTPServerTransport, toNodeHandler } from '@modelcontextprotocol/node';
import { createMcpHandler, McpServer } from '@modelcontextprotocol/server';
import * as z from 'zod';
import { authorized, sessions } from './mcp-line.js';
import type { Connection, McpLine, Notes } from './mcp-line.js';
import type { Person } from './mcp-person.js';

function serverOf(notes: Notes): McpServer {
  const server = new McpServer({ name: 'notes', version: '1.0.0' });
  server.registerTool('whoami', {}, (ctx) => notes.whoami(ctx.http?.authInfo));
  const inputSchema = z.object({ text: z.string() });
  server.registerTool('add_note', { inputSchema }, (args, ctx) => notes.addNote(ctx.http?.authInfo, args.text));
  return server;
}

/** Version 2 of the SDK. `era` is the protocol that the client speaks; the server takes both. */
export const version2 = (era: 'legacy' | 'auto'): McpLine => ({
  handler: (notes, kind) => {
    if (kind === 'sessions') {
      return sessions(async (sessionIdGenerator, onsessioninitialized) => {
        const transport = new NodeStreamableHTTPServerTransport({ sessionIdGenerator, onsessioninitialized });
        await serverOf(notes).connect(transport);
        return transport;
      });
    }
    const handle = toNodeHandler(createMcpHandler(() => serverOf(notes)));
    return (req, res) => handle(req, res, req.body);
  },
  connect: async (url: URL, person: Person): Promise<Connection> => {
    const client = new Client({ name: 'test', version: '1.0.0' }, { versionNegotiation: { mode: era } });
    const open = () => new StreamableHTTPClientTransport(url, { authProvider: person, fetch: person.fetch });
    let transport = open();
    const once = <T>(action: () => Promise<T>) =>
      authorized(
        action,
        (error) => error instanceof UnauthorizedError,
        () => transport.finishAuth(person.callback),
      );
    await once(() => client.connect((transport = open())));
    if (client.getNegotiatedProtocolVersion()?.startsWith('2025')) await person.streamed; // so that nothing goes on by the way
    return {
      get sessionId() {
        return transport.sessionId;
      },
      call: async (name, args = {}) => {
        const { content } = await once(() => client.callTool({ name, arguments: args }));
        return content.map((part) => (part.type === 'text' ? part.text : part.type)).join('\n');
      },
      read: async (uri) => {
        const { contents } = await once(() => client.readResource({ uri }));
        return contents.map((part) => ('text' in part ? part.text : part.uri)).join('\n');
      },
      close: () => client.close(),
    };
  },
});
