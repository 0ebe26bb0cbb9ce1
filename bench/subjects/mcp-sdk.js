// @ts-check
// The guard of the Model Context Protocol SDK leaves the check of the token to the user.
import { requireBearerAuth } from '@modelcontextprotocol/sdk/server/auth/middleware/bearerAuth.js';
import { InvalidTokenError } from '@modelcontextprotocol/sdk/server/auth/errors.js';
import { introspect } from './introspect.js';
import { joseVerifier } from './jose.js';

/** @type {import('../types.js').Factory} */
export function create(settings) {
  const verify = settings.introspection === undefined ? joseVerifier(settings) : introspect(settings);
  return requireBearerAuth({
    verifier: {
      verifyAccessToken: async (token) => {
        const claims = /** @type {any} */ (
          await verify(token).catch(() => {
            throw new InvalidTokenError('The access token is not valid');
          })
        );
        const { client_id: clientId, scope, exp: expiresAt } = claims;
        return { token, clientId, scopes: scope.split(' '), expiresAt, extra: claims };
      },
    },
  });
}
