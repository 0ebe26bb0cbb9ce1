import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import express from 'express';
import { auth, resourceServer } from '../../lib/index.js';
import { TestAuthorizationServer } from '../support/authorization-server.js';
import { behind, guardStage, KINDS } from '../support/guard-stage.js';
import { listen } from '../support/listen.js';
import { expectRefusal, invalidToken, RESOURCE } from '../support/refusals.js';
import { closeAll, closing, SAYS } from '../support/stage.js';

let as: TestAuthorizationServer;
beforeEach(async () => {
  as = closing(await TestAuthorizationServer.start());
});
afterEach(closeAll);

describe('the identifier of the resource', () => {
  test.each([
    ['a relative reference', '/api'],
    ['a host alone', 'api.example.com'],
    ['no host', 'https://'],
    ['a reference without scheme', '//api.example.com'],
    ['a fragment', 'https://api.example.com/#a'],
    ['an empty fragment', 'https://api.example.com/#'],
    ['a space', 'https://api.example.com/a b'],
    ['a letter beyond ASCII', 'https://api.example.com/\u00e9'],
    ['a name alone', 'my-api'],
    ['http beyond this machine', 'http://api.example.com'],
    ['another scheme', 'urn:example:api'],
    ['an empty string', ''],
  ])('8707-2-1 %s is refused at construction', (_what, resource) => {
    const { issuer } = as;
    expect(() => resourceServer({ resource, issuer })).toThrow(TypeError);
    expect(() => resourceServer({ resource, issuer })).toThrow(/"resource" must be an https URL/);
    expect(() => resourceServer({ resource: 'https://api.example.com/a?b=c', issuer })).not.toThrow();
  });

  test('8707-2-1 an audience that is no URL is an option of its own', async () => {
    const { app, mint, ran } = await guardStage('JWT', behind(), { audience: 'my-api' });
    expectRefusal(await app.get('/x', mint()), invalidToken(SAYS.audience));
    expect(ran).toEqual([]);
    expect((await app.get('/x', mint({ aud: 'my-api' }))).status).toBe(200);
  });
});

describe.each(KINDS)('tokens for this resource, by %s', (kind) => {
  test('8707-2-2 a token for another resource is refused, one for several with ours among them passes', async () => {
    const { app, mint, ran } = await guardStage(kind, behind());
    const near = [`${RESOURCE}/`, `${RESOURCE}/x`, `${RESOURCE}:443`, 'HTTPS://API.EXAMPLE.COM', 'https://api.example'];
    for (const aud of [...near, near, [], 'api.example.com', `${RESOURCE} https://b.example.com`]) {
      expectRefusal(await app.get('/x', mint({ aud })), invalidToken(SAYS.audience));
    }
    expect(ran).toEqual([]);
    for (const aud of [RESOURCE, [RESOURCE], [...near, RESOURCE]]) {
      expect((await app.get('/x', mint({ aud }))).status).toBe(200);
    }
  });

  test('8707-2-3 several names for us, each as it stands', async () => {
    const names = ['https://old.example.com/v1', 'urn:example:Api'];
    const { app, mint, ran } = await guardStage(kind, behind(), { audience: names });
    for (const aud of [RESOURCE, 'https://old.example.com/v1/', 'https://old.example.com', 'urn:example:api', 'urn']) {
      expectRefusal(await app.get('/x', mint({ aud })), invalidToken(SAYS.audience));
    }
    expect(ran).toEqual([]);
    for (const aud of [...names, names]) expect((await app.get('/x', mint({ aud }))).status).toBe(200);
  });
});

test('8707-3-1 the tenant is a part of the identifier: what is for one is nothing to another', async () => {
  const app = express();
  const tenants = ['tenantA', 'tenantB', 'tenantA/deep'];
  for (const tenant of tenants) {
    const resource = `${RESOURCE}/${tenant}`;
    const name = tenant.replace('/', '-');
    app.get(`/${name}`, resourceServer({ resource, issuer: as.issuer }), (req, res) => {
      res.json({ tenant, subject: auth(req).subject });
    });
  }
  const server = closing(await listen(app));
  for (const [aud, own] of tenants.map((tenant) => [`${RESOURCE}/${tenant}`, tenant] as const)) {
    for (const tenant of tenants) {
      const headers = { authorization: `Bearer ${as.mint({ aud })}` };
      const answer = await fetch(`${server.url}/${tenant.replace('/', '-')}`, { headers });
      const challenge = answer.headers.get('www-authenticate');
      const body: unknown = await answer.json();
      if (tenant === own) {
        expect([answer.status, challenge, body]).toEqual([200, null, { tenant, subject: 'alice' }]);
        continue;
      }
      const said = `error="invalid_token", error_description="${SAYS.audience}"`;
      expect([answer.status, challenge]).toEqual([401, `Bearer realm="${RESOURCE}/${tenant}", ${said}`]);
      expect(body).toEqual({ error: 'invalid_token', error_description: SAYS.audience });
    }
  }
});
