import { afterEach, describe, expect, test } from '@jest/globals';
import { clientSecretBasic, resourceServer, tlsClientAuth, VerificationUnavailableError } from '../../lib/index.js';
import type { AuthorizationServer, CommonOptions, Fetch, IntrospectionOptions } from '../../lib/index.js';
import { startApp } from '../support/app.js';
import type { TestApp } from '../support/app.js';
import { expectForgeryRefused, textOf } from '../support/attack.js';
import { sendJson, TestAuthorizationServer } from '../support/authorization-server.js';
import { movableClock } from '../support/clock.js';
import { invalidRequest, expectRefusal } from '../support/refusals.js';
import { closeAll, closing, expectAccepted, expectRefused, expectUnavailable, SAYS, stage } from '../support/stage.js';
import { base64url, signingKey, validClaims } from '../support/tokens.js';
import type { Overrides } from '../support/tokens.js';

const API = 'https://api.example.com';
const INACTIVE = 'The access token is not active';

afterEach(closeAll);

function authenticationAt(name: string) {
  return clientSecretBasic(`client at ${name}`, `secret for ${name}`);
}

/** Three servers that trust each other with nothing: one verified by its keys, two that are asked. */
async function three(introspectAt?: CommonOptions['introspectAt'], introspection: Partial<IntrospectionOptions> = {}) {
  const [local, first, second] = [await server(), await server(), await server()];
  const asked = (name: string, { issuer }: TestAuthorizationServer): AuthorizationServer => ({
    issuer,
    introspection: { clientAuthentication: authenticationAt(name), ...introspection },
  });
  const authorizationServers = [{ issuer: local.issuer }, asked('first', first), asked('second', second)];
  const app = closing(
    await startApp({ resource: API, authorizationServers, introspectAt: introspectAt ?? [first.issuer] }),
  );
  return { local, first, second, app };
}

async function server(): Promise<TestAuthorizationServer> {
  return closing(await TestAuthorizationServer.start());
}

/** The tokens that each server was asked about. */
function seenBy(...servers: readonly TestAuthorizationServer[]): string[][] {
  return servers.map(({ questions }) => questions.map(({ form }) => form.get('token') ?? ''));
}

describe('a forged JWT is shown to the server that it names, and to nobody else', () => {
  const forger = signingKey('ES256', 'first');

  test('7662-2.2-2 it names one that is asked', async () => {
    const { local, first, second, app } = await three();
    for (const options of [{ key: forger }, { header: { kid: 'none' } }, { header: { jku: second.jwksUri } }]) {
      const token = second.mint({}, options);
      await expectRefused(app, token, INACTIVE);
      expect(seenBy(local, first, second).map((tokens) => tokens.includes(token))).toEqual([false, false, true]);
    }
    const good = second.mint();
    second.opaque.set(good, { client_id: 'editor', token_type: 'Bearer' });
    await expectAccepted(app, good);
    expect(seenBy(local, first)).toEqual([[], []]);
  });

  test('it names one that is verified by its keys, or a stranger', async () => {
    const { local, first, second, app } = await three();
    const stranger = await server();
    await expectForgeryRefused(app, local.mint({}, { key: forger }), SAYS.signature);
    await expectForgeryRefused(app, stranger.mint(), SAYS.issuer);
    await expectForgeryRefused(app, stranger.mint({ iss: [first.issuer] }), SAYS.issuer);
    await expectAccepted(app, local.mint());
    expect(seenBy(local, first, second, stranger)).toEqual([[], [], [], []]);
    expect(stranger.log).toEqual([]);
  });

  test('a good JWT of one server, mangled on its way, is shown to no other', async () => {
    const { local, first, second, app } = await three();
    const token = local.mint();
    await expectRefused(app, `${token}=`, SAYS.noJwt);
    await expectAccepted(app, token);
    expect(seenBy(first, second)).toEqual([[], []]);
    const opaque = first.issue();
    await expectAccepted(app, opaque);
    expect(seenBy(first, second)).toEqual([[opaque], []]);
  });
});

describe('a server speaks for its own tokens only', () => {
  test('7662-2.2-6 it says that another trusted server issued what it is asked about: refused', async () => {
    const { local, first, second, app } = await three();
    for (const iss of [local.issuer, second.issuer, `${first.issuer}/`, 'https://stranger.example']) {
      await expectForgeryRefused(app, first.issue({ iss }), SAYS.issuer);
    }
    await expectAccepted(app, first.issue({ iss: first.issuer }));
  });

  test('7662-2.2-9 each gets our credentials for itself, and not those for another', async () => {
    const { first, second, app } = await three(() => [first.issuer, second.issuer]);
    await expectRefused(app, 'opaque', INACTIVE);
    const sent = [first, second].map(({ questions }) => questions.map(({ headers }) => headers.authorization));
    const basic = (name: string) => `Basic ${Buffer.from(`client+at+${name}:secret+for+${name}`).toString('base64')}`;
    expect(sent).toEqual([[basic('first')], [basic('second')]]);
    await expectAccepted(app, second.issue());
  });

  test.each([307, 308])('status %i, which would repeat the question elsewhere, takes it nowhere', async (status) => {
    const { first, app } = await three();
    const thief = await server();
    const token = first.issue();
    const moved = { Location: thief.introspectionEndpoint };
    first.answers.set('/introspect', (_req, res) => res.writeHead(status, moved).end());
    await expectUnavailable(app, token);
    first.answers.clear();
    await expectAccepted(app, token);
    expect(thief.log).toEqual([]);
  });

  test('7662-2.2-9 a tenant whose client changed is asked anew, as the new client', async () => {
    const clock = movableClock();
    const as = await server();
    let client = authenticationAt('old');
    const app = closing(
      await startApp({
        ...{ resource: API, clock, introspectAt: () => [as.issuer] },
        authorizationServers: (issuer) => ({ issuer, introspection: { clientAuthentication: client, ttl: 3600 } }),
      }),
    );
    const token = as.issue({ exp: clock.now + 10_000 });
    await expectAccepted(app, token);
    clock.now += 299;
    await expectAccepted(app, token);
    client = authenticationAt('new');
    as.opaque.delete(token);
    clock.now += 1;
    await expectRefused(app, token, INACTIVE);
    expect(as.questions).toHaveLength(2);
  });
});

describe('the token cannot change the question', () => {
  test.each(['a&client_id=evil', 'a%26client_id=evil', 'a\r\nx: y', 'a b', 'a;b', 'a"b', 'a,b', '\u00e9', 'a\u0000'])(
    '7662-2.1-2 %j is no token, and nobody sees it',
    async (text) => {
      const { as, app } = await asking({}, { methods: ['header', 'query'] });
      const answer = await app.request(`/protected?${new URLSearchParams({ access_token: text }).toString()}`);
      expectRefusal(answer, invalidRequest('The access token has characters no token has'));
      expect([app.handled, as.questions]).toEqual([0, []]);
      as.opaque.set('a-._~+/b==', { client_id: 'editor', token_type: 'Bearer' });
      await expectAccepted(app, 'a-._~+/b==');
      expect(as.questions.map(({ body, url }) => [body, url])).toEqual([
        ['token=a-._%7E%2B%2Fb%3D%3D&token_type_hint=access_token', '/introspect'],
      ]);
    },
  );
});

// Its server has just vouched for it, so what it says is so; what the answer leaves out is not undone.
describe('a JWT that is asked about: what it says against itself counts, whatever its server leaves out', () => {
  const LIVELY: Overrides = { client_id: 'editor', sub: 'alice', token_type: 'Bearer' };
  const now = Math.floor(Date.now() / 1000);
  const AGAINST: readonly [what: string, claims: Overrides, header: Overrides, says: string][] = [
    ['it is for somebody else', { aud: 'https://other.example' }, {}, SAYS.audience],
    ['it is for several, and not for us', { aud: ['https://other.example', `${API}/`] }, {}, SAYS.audience],
    ['its time is over', { exp: now - 100 }, {}, SAYS.expired],
    ['its time has not come', { nbf: now + 1000 }, {}, SAYS.early],
    ['it is bound to a key', { cnf: { jkt: 'x' } }, {}, 'The access token is bound to a key that was not proven'],
    ['it is not signed', {}, { alg: 'none' }, SAYS.algorithm],
  ];

  test.each(AGAINST)('%s', async (_what, claims, header, says) => {
    const { as, app } = await asking();
    const [bad, good] = [as.mint(claims, { header }), as.mint()];
    for (const token of [bad, good]) as.opaque.set(token, LIVELY);
    await expectAccepted(app, good);
    await expectForgeryRefused(app, bad, says);
  });

  // Servers whose base64url is careless take it for the same token.
  test.each(AGAINST)('%s, and it is spelled so that we cannot read it', async (_what, claims, header) => {
    const { as, app } = await asking({ jwtLocally: true });
    const [bad, good] = [`${as.mint(claims, { header })}=`, as.mint()];
    for (const token of [bad, good]) as.opaque.set(token, LIVELY);
    await expectAccepted(app, good);
    await expectForgeryRefused(app, bad, SAYS.noJwt);
  });
});

describe('metadata do not send us inside our network', () => {
  // Addresses for documentation (RFC 5737), which are not resolved, and not reached: `fetch` has the whole world.
  const ISSUER = 'https://203.0.113.10';

  async function discovering(metadata: Overrides, fetch: (world: Fetch) => IntrospectionOptions) {
    const asked: string[] = [];
    const world: Fetch = (input) => {
      const url = new URL(input instanceof Request ? input.url : input);
      if (url.pathname === '/.well-known/oauth-authorization-server') {
        return Promise.resolve(Response.json({ issuer: ISSUER, ...metadata }));
      }
      asked.push(url.href);
      return Promise.resolve(Response.json({ active: true, client_id: 'editor', token_type: 'Bearer' }));
    };
    const options = { resource: API, issuer: ISSUER, introspection: fetch(world), fetch: world };
    return { asked, app: closing(await startApp(options)) };
  }
  const basic = () => ({ clientAuthentication: authenticationAt('issuer') });

  test.each([
    ...['https://127.0.0.1/i', 'http://127.0.0.1:8080/i', 'https://localhost/i', 'https://as.localhost./i'],
    ...['https://2130706433/i', 'https://0x7f.1/i', 'https://10.1.2.3/i', 'https://192.168.0.1/i'],
    ...['https://169.254.169.254/latest', 'https://[::1]/i', 'https://[::ffff:10.0.0.1]/i', 'https://[fd00::1]/i'],
    ...['http://203.0.113.10/i', 'https://user:pw@203.0.113.10/i', 'file:///etc/passwd', 'data:,{}', '/i', ''],
  ])('7662-2-1 %j is not asked', async (endpoint) => {
    const plain = await discovering({ introspection_endpoint: endpoint }, basic);
    const alias = {
      introspection_endpoint: `${ISSUER}/i`,
      mtls_endpoint_aliases: { introspection_endpoint: endpoint },
    };
    const tls = await discovering(alias, (world) => ({ clientAuthentication: tlsClientAuth('rs1', world) }));
    for (const { app, asked } of [plain, tls]) {
      await expectUnavailable(app, 'opaque');
      expect(asked).toEqual([]);
    }
  });

  test.each([`${ISSUER}/i`, 'https://203.0.113.11/i', 'https://[2001:db8::1]/i'])('%s is', async (endpoint) => {
    const { app, asked } = await discovering({ introspection_endpoint: endpoint }, basic);
    const answer = await expectAccepted(app, 'opaque');
    expect(textOf(answer)).toContain('editor');
    expect(asked).toEqual([endpoint]);
  });
});

describe('ready()', () => {
  test('resolves where the endpoint is found by discovery, and nothing else is wanted of it', async () => {
    const as = await server();
    as.metadata = { jwks_uri: undefined };
    const introspection = { clientAuthentication: authenticationAt('as') };
    await resourceServer({ resource: API, issuer: as.issuer, introspection }).ready();
    expect(as.questions).toHaveLength(1);
  });

  test('7662-2.2-2 rejects where a token that does not exist is active: there every token is', async () => {
    const as = await server();
    const introspection = { clientAuthentication: authenticationAt('as'), endpoint: as.introspectionEndpoint };
    const middleware = resourceServer({ resource: API, issuer: as.issuer, introspection });
    as.onQuestion = (_question, res) => {
      sendJson(res, { active: true, ...validClaims(as.issuer, API) });
    };
    await expect(middleware.ready()).rejects.toThrow(VerificationUnavailableError);
    as.onQuestion = undefined;
    await middleware.ready();
  });
});

test('7662-2.2-2 what is opaque, and looks like a JWT by its dots, is asked about', async () => {
  const { as, app } = await asking();
  for (const token of ['ory.at.x', 'a.b.c', '..', `${base64url({ id: 1 })}.1700000000.c2ln`, 'v4.local.c2VjcmV0']) {
    await expectRefused(app, token, INACTIVE);
    as.opaque.set(`${token}1`, { client_id: 'editor', token_type: 'Bearer' });
    await expectAccepted(app, `${token}1`);
  }
  expect(as.questions).toHaveLength(10);
});

/** One server that is asked about its tokens. */
async function asking(
  introspection: Partial<IntrospectionOptions> = {},
  options: Partial<CommonOptions> = {},
): Promise<{ as: TestAuthorizationServer; app: TestApp }> {
  const { as } = await stage();
  const asked = { clientAuthentication: authenticationAt('as'), ...introspection };
  return {
    as,
    app: closing(await startApp({ resource: API, issuer: as.issuer, introspection: asked, ...options })),
  };
}
