// @ts-check
// The API of a bank. Looking at the balance takes a good token; paying takes one that is bound to a key.
import { randomBytes } from 'node:crypto';
import express from 'express';
import { requireBoundToken, requireScope, resourceServer } from 'express-oauth2-resource-server';

/** @param {{ resource: string, issuer: string, publicUrl: string }} options */
export function createApi({ resource, issuer, publicUrl }) {
  let balance = 100;
  const app = express();
  app.use(
    resourceServer({
      resource, // what this API is called, and what its tokens carry as audience
      issuer, // the authorization server whose tokens are accepted
      publicUrl, // where clients find it, for a proof names the address; not needed where that begins as `resource` does
      dpop: {
        nonce: 'required', // each proof must have a value of ours in it, so that none can be made ahead of time
        nonceSecret: randomBytes(32), // several processes share one: then take it from your configuration
      },
    }),
  );

  // Plain bearer tokens go on as before, but for where a guard wants more.
  app.get('/balance', requireScope('balance:read'), (_req, res) => {
    res.json({ balance });
  });
  app.post('/payments', requireBoundToken(), requireScope('payments:write'), (_req, res) => {
    balance -= 10;
    res.status(201).json({ paid: 10 });
  });
  return app;
}
