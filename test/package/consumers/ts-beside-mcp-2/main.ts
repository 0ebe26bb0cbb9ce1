import { requireBearerAuth } from '@modelcontextprotocol/express';
import type { AuthInfo } from '@modelcontextprotocol/server';
import express from 'express';
import { auth, requireScope, resourceServer } from 'express-oauth2-resource-server';

export function mcpServer(theirs: typeof requireBearerAuth): express.Express {
  const app = express();
  app.use('/old', theirs({ verifier: { verifyAccessToken: () => Promise.reject(new Error('nobody')) } }));
  app.use(resourceServer({ resource: 'https://mcp.example.com', issuer: 'https://as.example.com' }));
  app.post('/mcp', requireScope('mcp:tools'), (req, res) => {
    const ours: AuthInfo = auth(req);
    const declared: AuthInfo | undefined = req.auth; // the type is theirs, the object at run time ours
    res.json({ ours, declared, subject: auth(req).subject });
  });
  return app;
}
