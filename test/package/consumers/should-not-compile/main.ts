import express from 'express';
import { auth, checkClaim, requireClaim, requireScope, resourceServer } from 'express-oauth2-resource-server';
import type { AuthorizationServer, Method, TokenClaims } from 'express-oauth2-resource-server';

// The number after each directive is the compiler's: the line must fail for this reason and for no other.
const resource = 'https://api.example.com';
const issuer = 'https://as.example.com';
const jwksUri = 'https://as.example.com/jwks';
const jwks = { keys: [{ kty: 'OKP', crv: 'Ed25519', x: 'AA' }] };
const app = express();

// @ts-expect-error 2345: no options
resourceServer({});
// @ts-expect-error 2345: nobody to trust
resourceServer({ resource });
// @ts-expect-error 2345: no resource
resourceServer({ issuer });
// @ts-expect-error 2345: keys in two places
resourceServer({ resource, issuer, jwks, jwksUri });
// @ts-expect-error 2345: one server and several
resourceServer({ resource, issuer, authorizationServers: [{ issuer }] });
// @ts-expect-error 2345: keys that belong to no server
resourceServer({ resource, authorizationServers: [{ issuer }], jwksUri });
// @ts-expect-error 2345: keys that belong to no server
resourceServer({ resource, authorizationServers: [{ issuer }], jwks });
// @ts-expect-error 2353: an option that there is not
resourceServer({ resource, issuer, leeway: 5 });
// @ts-expect-error 2353: an option that a server has not
export const server: AuthorizationServer = { issuer, realm: 'pictures' };
// @ts-expect-error 2322: keys in two places
export const twice: AuthorizationServer = { issuer, jwks, jwksUri };
// @ts-expect-error 2322: no such place
export const methods: Method[] = ['header', 'cookie'];
// @ts-expect-error 2322: seconds, not words
resourceServer({ resource, issuer, clockTolerance: '5s' });
// @ts-expect-error 2322: a verdict is a boolean
resourceServer({ resource, issuer, acceptToken: (claims: TokenClaims) => claims.sub });
// @ts-expect-error 2322: an asynchronous answer to a synchronous question
resourceServer({ resource, issuer, impliesScope: async () => Promise.resolve(true) });

// @ts-expect-error 2345: scopes are strings
app.get('/', requireScope(1));
// @ts-expect-error 2345: a list is no scope
app.get('/', requireScope(['a', 'b']));
// @ts-expect-error 2322: an asynchronous test
requireClaim('role', async () => Promise.resolve(true));
// @ts-expect-error 2554: no test
app.get('/', requireClaim('role'));
// @ts-expect-error 2345: a value is no test
app.get('/', requireClaim('role', 'editor'));

app.get('/', (req, res) => {
  // @ts-expect-error 2540: claims are read-only
  auth(req).claims.sub = 'mallory';
  // @ts-expect-error 2542: claims are read-only
  auth(req).claims['role'] = 'admin';
  // @ts-expect-error 2540: the result is read-only
  auth(req).subject = 'mallory';
  // @ts-expect-error 2532: perhaps nobody
  const subject: string = auth.optional(req).subject;
  // @ts-expect-error 2322: a claim that nobody checked is unknown
  const tenant: string = auth(req).claims['tenant'];
  // @ts-expect-error 2339: no global type without the entry "typed-request"
  const owner: unknown = req.auth;
  // @ts-expect-error 2554: the request comes first
  checkClaim('role', (role: unknown) => role === 'editor');
  res.json({ subject, tenant, owner });
});
