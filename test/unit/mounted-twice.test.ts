import { afterEach, expect, jest, test } from '@jest/globals';
import { clientSecretBasic, resourceServer } from '../../lib/index.js';
import type { ResourceServerOptions } from '../../lib/index.js';
import { startApp } from '../support/app.js';
import { TestAuthorizationServer } from '../support/authorization-server.js';
import { closeAll, closing } from '../support/stage.js';

afterEach(async () => {
  jest.restoreAllMocks();
  await closeAll();
});

/** An application that has the same middleware for the whole, and for a part of it. */
async function twice(options: (as: TestAuthorizationServer) => Partial<ResourceServerOptions>) {
  const as = closing(await TestAuthorizationServer.start());
  const given = { resource: as.resource, issuer: as.issuer, ...options(as) } as ResourceServerOptions;
  const api = resourceServer(given);
  const app = closing(await startApp(given, () => undefined, { before: [api, api] }));
  return { as, app };
}

test('a middleware that is mounted twice asks once about a token, without a cache as well', async () => {
  const { as, app } = await twice(() => ({
    introspection: { clientAuthentication: clientSecretBasic('rs1', 'secret'), ttl: 0, inactiveTtl: 0 },
  }));
  const token = as.issue();
  // startApp() has a middleware of its own behind the two: another one, which asks for itself.
  expect((await app.get('/protected', token)).status).toBe(200);
  expect(as.questions).toHaveLength(2);
  expect((await app.get('/protected', 'unknown')).status).toBe(401);
  expect(as.questions).toHaveLength(3);
});

test('and checks one signature', async () => {
  const verify = jest.spyOn(crypto.subtle, 'verify');
  const { as, app } = await twice(() => ({ maxCachedTokens: 0 }));
  expect((await app.get('/protected', as.mint())).status).toBe(200);
  expect(verify).toHaveBeenCalledTimes(2);
});
