import express from 'express';
import { requireScope, resourceServer } from 'express-oauth2-resource-server';
import 'express-oauth2-resource-server/typed-request';

const app = express();
app.use(resourceServer({ resource: 'https://api.example.com', issuer: 'https://as.example.com' }));
app.get('/pictures', requireScope('pictures:read'), (req, res) => {
  const owner: string | undefined = req.auth?.claims.sub;
  // @ts-expect-error: anonymous requests have none
  const certain: string = req.auth.subject;
  res.json({ owner, certain });
});
