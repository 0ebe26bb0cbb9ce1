import express from 'express';
import { auth as auth0 } from 'express-oauth2-jwt-bearer';
import { auth, requireScope, resourceServer } from 'express-oauth2-resource-server';

// One route behind each: what a move from one package to the other looks like half-way.
const app = express();
app.get('/old', auth0({ issuerBaseURL: 'https://as.example.com', audience: 'https://api.example.com' }), (req, res) => {
  const payload: string | undefined = req.auth?.payload.sub;
  res.json({ owner: payload });
});
app.use(resourceServer({ resource: 'https://api.example.com', issuer: 'https://as.example.com' }));
app.get('/new', requireScope('pictures:read'), (req, res) => void res.json({ owner: auth(req).claims.sub }));
