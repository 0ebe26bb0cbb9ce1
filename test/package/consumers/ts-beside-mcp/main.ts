import { requireBearerAuth } from '@modelcontextprotocol/sdk/server/auth/middleware/bearerAuth.js';
import type { AuthInfo } from '@modelcontextprotocol/sdk/server/auth/types.js';
import type { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js';
import express from 'express';
import { auth, requireScope, resourceServer } from 'express-oauth2-resource-server';

export function mcpServer(transport: StreamableHTTPServerTransport, theirs: typeof requireBearerAuth): express.Express {
  const app = express();
  app.use('/old', theirs({ verifier: { verifyAccessToken: () => Promise.reject(new Error('nobody')) } }));
  app.use(resourceServer({ resource: 'https://mcp.example.com', issuer: 'https://as.example.com' }));
  app.post('/mcp', requireScope('mcp:tools'), async (req, res) => {
    const ours: AuthInfo = auth(req);
    const declared: AuthInfo | undefined = req.auth; // the type is theirs, the object at run time ours
    // No Object.assign, no adapter: what resourceServer() leaves on the request is what the transport reads.
    await transport.handleRequest(req, res, { ours, declared, subject: auth(req).subject });
  });
  return app;
}
