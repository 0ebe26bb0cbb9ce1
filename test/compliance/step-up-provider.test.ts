import { afterAll, afterEach, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { auth, clientSecretBasic, requireAuthorizationDetails, requireStepUp } from '../../lib/index.js';
import { startApp } from '../support/app.js';
import type { TestApp } from '../support/app.js';
import { movableClock } from '../support/clock.js';
import { NO_DETAILS, weakLogin } from '../support/guard-stage.js';
import { RESOURCE_SERVER, RICH, startRichProvider } from '../support/rich-provider.js';
import type { RichProvider } from '../support/rich-provider.js';
import { closeAll, closing } from '../support/stage.js';

const MFA = 'urn:example:mfa';

let as: RichProvider;
beforeAll(async () => {
  for (const method of ['warn', 'info'] as const) jest.spyOn(console, method).mockImplementation(() => undefined);
  as = await startRichProvider();
});
afterEach(closeAll);
afterAll(async () => {
  await as.close();
  jest.restoreAllMocks();
});

describe.each(['jwt', 'opaque'] as const)('tokens of oidc-provider, %s', (form) => {
  const resource = RICH[form];
  const introspection = {
    clientAuthentication: clientSecretBasic(RESOURCE_SERVER.client_id, RESOURCE_SERVER.client_secret),
  };
  const start = async (routes: Parameters<typeof startApp>[1], clock = movableClock()): Promise<TestApp> => {
    const options = { resource, issuer: as.issuer, clock };
    return closing(await startApp(form === 'jwt' ? options : { ...options, introspection }, routes));
  };
  const logIn = (asked?: Readonly<Record<string, string>>) => as.logIn(resource, asked);

  test('9470-3-1 9470-6.1-1 9470-6.2-1 the client logs its person in as the challenge says, and gets in', async () => {
    const clock = movableClock();
    const app = await start((server) => {
      server.get('/x', requireStepUp({ acrValues: [MFA], maxAge: 60 }), (req, res) => {
        const { acr, auth_time: authTime } = auth(req).claims;
        res.json({ acr, authTime });
      });
    }, clock);
    const weak = await app.get('/x', await logIn());
    const middle = weakLogin(`acr_values="${MFA}", max_age="60"`);
    expect([weak.status, weak.challenge]).toEqual([401, `Bearer realm="${resource}"${middle}`]);
    const [challenge] = weak.challenges;
    const asked = ['acr_values', 'max_age'].map((name) => [name, challenge?.params.get(name) ?? '']);
    const token = await logIn(Object.fromEntries(asked) as Record<string, string>);
    const { status, body } = await app.get('/x', token);
    const { acr, authTime } = body as { acr: string; authTime: number };
    expect([status, acr]).toEqual([200, MFA]);
    clock.now = authTime + 60;
    expect((await app.get('/x', token)).status).toBe(200);
    clock.now += 1;
    const old = await app.get('/x', token);
    expect([old.status, old.challenge]).toEqual([401, weak.challenge]);
  });

  test('9396-9.1-1 9396-9.2-1 9396-2.2-1 what the person agreed to in detail is what the guard reads', async () => {
    const app = await start((server) => {
      const upTo = requireAuthorizationDetails<{ limit: number }>('payment', ({ limit }) => limit >= 50);
      server.get('/x', upTo, (req, res) => void res.json(auth(req).claims['authorization_details']));
    });
    const details = [{ type: 'account' }, { type: 'payment', limit: 50, locations: [resource] }];
    const agreed = (list: unknown) => logIn({ authorization_details: JSON.stringify(list) });
    const lacks = `, error="insufficient_scope", error_description="${NO_DETAILS}"`;
    for (const token of [
      await logIn(),
      await agreed([{ type: 'account', limit: 50 }]),
      await agreed([{ type: 'payment', limit: 49 }]),
      await agreed([{ type: 'payment', limit: 50, locations: ['https://b.example.com'] }]),
    ]) {
      const { status, challenge } = await app.get('/x', token);
      expect([status, challenge]).toEqual([403, `Bearer realm="${resource}"${lacks}`]);
    }
    const answer = await app.get('/x', await agreed(details));
    expect([answer.status, answer.body]).toEqual([200, details]);
  });
});
