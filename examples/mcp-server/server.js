// @ts-check
// An MCP server that keeps notes. Looking takes one scope, writing two; the tools see who is calling.
import { toNodeHandler } from '@modelcontextprotocol/node';
import { createMcpHandler, McpServer } from '@modelcontextprotocol/server';
import express from 'express';
import { requireScope, resourceServer } from 'express-oauth2-resource-server';
import { caller, requireToolScope } from 'express-oauth2-resource-server/mcp';
import * as z from 'zod';

/** @param {{ resource: string, issuer: string }} options */
export function createServer({ resource, issuer }) {
  /** @type {Map<string, string[]>} The notes of each person. */
  const notes = new Map();

  // The tools, as the SDK wants them. There is not a word about tokens here.
  const mcp = createMcpHandler(({ authInfo }) => {
    const { subject } = caller(authInfo); // who is calling
    const own = notes.get(subject) ?? [];
    const server = new McpServer({ name: 'notes', version: '1.0.0' });
    server.registerTool('list_notes', { description: 'Your notes' }, () => {
      return { content: own.map((text) => ({ type: 'text', text })) };
    });
    const inputSchema = z.object({ text: z.string() });
    server.registerTool('add_note', { description: 'Write a note', inputSchema }, ({ text }) => {
      notes.set(subject, [...own, text]);
      return { content: [{ type: 'text', text: `noted for ${subject}` }] };
    });
    return server;
  });

  const app = express();
  app.use(
    resourceServer({
      resource, // the address of this server, as clients know it
      issuer, // the authorization server whose tokens are accepted
      metadata: { resource_name: 'Notes' }, // what a client needs to know that was never here: RFC 9728
    }),
  );
  const handler = toNodeHandler(mcp);
  app.all(
    '/mcp',
    express.json(),
    requireToolScope({ list_notes: ['notes:read'], add_note: ['notes:read', 'notes:write'] }), // what each tool needs
    requireScope('notes:read'), // and what it takes to talk to us at all
    (req, res) => handler(req, res, req.body),
  );
  return app;
}
