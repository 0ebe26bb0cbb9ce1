// @ts-check
// The API of a payroll office: it takes tokens that are bound to the certificate of the client, and no others.
import express from 'express';
import { auth, requireScope, resourceServer } from 'express-oauth2-resource-server';

/**
 * @param {object} options
 * @param {string} options.resource what this API is called, and what its tokens carry as audience
 * @param {string} options.issuer the authorization server whose tokens are accepted
 * @param {import('express-oauth2-resource-server').ClientCertificate} options.clientCertificate
 *   where the certificate is found: `tls`, or in a header of trusted proxies
 * @param {typeof globalThis.fetch} options.fetch fetches the keys of the issuer; only needed for its private authority
 */
export function createApi({ resource, issuer, clientCertificate, fetch }) {
  const app = express();
  app.use(resourceServer({ resource, issuer, clientCertificate, requireBoundTokens: true, fetch }));
  app.get('/salaries', requireScope('salaries'), (req, res) => {
    res.json({ for: auth(req).clientId, salaries: [4200, 3900] });
  });
  return app;
}
