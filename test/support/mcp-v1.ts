import { UnauthorizedError } from '@modelcontextprotocol/sdk/client/auth.js';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js';
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js';
import { CallToolResultSchema } from '@modelcontextprotocol/sdk/types.js';
import * as z from 'zod';
import { authorized, sessions } from './mcp-line.js';
import type { Connection, McpLine, Notes } from './mcp-line.js';
import type { Person } from './mcp-person.js';

function serverOf(notes: Notes): McpServer {
  const server = new McpServer({ name: 'notes', version: '1.0.0' });
  server.registerTool('whoami', {}, ({ authInfo }) => notes.whoami(authInfo));
  const inputSchema = { text: z.string() };
  server.registerTool('add_note', { inputSchema }, ({ text }, { authInfo }) => notes.addNote(authInfo, text));
  return server;
}

/** Version 1 of the SDK. */
export const version1: McpLine = {
  handler: (notes, kind) => {
    if (kind === 'sessions') {
      return sessions(async (sessionIdGenerator, onsessioninitialized) => {
        const transport = new StreamableHTTPServerTransport({ sessionIdGenerator, onsessioninitialized });
        await serverOf(notes).connect(transport);
        return transport;
      });
    }
    return async (req, res) => {
      const transport = new StreamableHTTPServerTransport({}); // without sessions
      const server = serverOf(notes);
      res.on('close', () => void server.close());
      await server.connect(transport);
      await transport.handleRequest(req, res, req.body);
    };
  },
  connect: async (url: URL, person: Person): Promise<Connection> => {
    const client = new Client({ name: 'test', version: '1.0.0' });
    const open = () => new StreamableHTTPClientTransport(url, { authProvider: person, fetch: person.fetch });
    let transport = open();
    const once = <T>(action: () => Promise<T>) =>
      authorized(
        action,
        (error) => error instanceof UnauthorizedError,
        () => transport.finishAuth(person.callback.get('code') ?? ''),
      );
    await once(() => client.connect((transport = open())));
    await person.streamed; // so that nothing goes on by the way
    return {
      get sessionId() {
        return transport.sessionId;
      },
      call: async (name, args = {}) => {
        const result = await once(() => client.callTool({ name, arguments: args }));
        const { content } = CallToolResultSchema.parse(result);
        return content.map((part) => (part.type === 'text' ? part.text : part.type)).join('\n');
      },
      read: async (uri) => {
        const { contents } = await once(() => client.readResource({ uri }));
        return contents.map((part) => ('text' in part ? part.text : part.uri)).join('\n');
      },
      close: () => client.close(),
    };
  },
};
