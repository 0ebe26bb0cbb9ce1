import { afterEach, describe, expect, test } from '@jest/globals';
import {
  bearerToken,
  clientSecretBasic,
  clientSecretJwt,
  clientSecretPost,
  privateKeyJwt,
  resourceServer,
  tlsClientAuth,
} from '../../lib/index.js';
import type { ClientAuthentication, CommonOptions, IntrospectionOptions } from '../../lib/index.js';
import { startApp } from '../support/app.js';
import { sendJson, TestAuthorizationServer } from '../support/authorization-server.js';
import { movableClock } from '../support/clock.js';
import { diagnosticsOf } from '../support/diagnostics.js';
import { fetchOverTls } from '../support/mtls-fetch.js';
import { closeAll, closing, expectAccepted, expectRefused, expectUnavailable } from '../support/stage.js';
import { listenTls, selfSigned } from '../support/tls.js';
import { signingKey } from '../support/tokens.js';
import type { Overrides } from '../support/tokens.js';

const API = 'https://api.example.com';
const INACTIVE = 'The access token is not active';
// 32 bytes or more, for the method that signs with it.
const SECRET = 'a secret of thirty-two bytes or more';
const clientAuthentication = clientSecretBasic('rs1', SECRET);

afterEach(closeAll);

async function introspecting(introspection: Partial<IntrospectionOptions> = {}, options: Partial<CommonOptions> = {}) {
  const clock = movableClock();
  const as = closing(await TestAuthorizationServer.start());
  const asked = { clientAuthentication, ...introspection };
  const app = closing(await startApp({ resource: API, issuer: as.issuer, introspection: asked, clock, ...options }));
  return { as, app, clock };
}

const METHODS: readonly [method: string, authentication: ClientAuthentication, header: RegExp, form: string[]][] = [
  ['client_secret_basic', clientAuthentication, /^Basic [\w+/]+=*$/, []],
  ['client_secret_post', clientSecretPost('rs1', SECRET), /^none$/, ['client_id', 'client_secret']],
  [
    'client_secret_jwt',
    clientSecretJwt('rs1', SECRET),
    /^none$/,
    ['client_id', 'client_assertion_type', 'client_assertion'],
  ],
  [
    'private_key_jwt',
    privateKeyJwt('rs1', signingKey().privateKey, { algorithm: 'ES256' }),
    /^none$/,
    ['client_id', 'client_assertion_type', 'client_assertion'],
  ],
  ['a certificate', tlsClientAuth('rs1', fetch), /^none$/, ['client_id']],
  ['a token of our own', bearerToken(() => ({ accessToken: 'our-own' })), /^Bearer our-own$/, []],
  [
    'a method of the user',
    { authenticate: () => ({ headers: { authorization: 'Other x' }, parameters: { who: 'rs1' } }) },
    /^Other x$/,
    ['who'],
  ],
];

describe('RFC 7662 2.1: the question', () => {
  test.each([
    ['a+b/c~=', 'a%2Bb%2Fc%7E%3D'],
    ['-._~+/==', '-._%7E%2B%2F%3D%3D'],
  ])('7662-2.1-1 7662-2.1-2 7662-2.1-3 the token %s arrives in a form, unchanged and once', async (token, encoded) => {
    const { as, app } = await introspecting();
    as.opaque.set(token, { client_id: 'editor', token_type: 'Bearer' });
    await expectAccepted(app, token);
    const [question] = as.questions;
    expect(question?.method).toBe('POST');
    expect(question?.headers['content-type']).toBe('application/x-www-form-urlencoded');
    expect(question?.headers.accept).toBe('application/json');
    expect(question?.body).toBe(`token=${encoded}&token_type_hint=access_token`);
    expect(question?.form.getAll('token')).toEqual([token]);
    expect(as.questions).toHaveLength(1);
  });

  // The second request of RFC 7662 section 2.1, and the first, but for the hint, which we always send.
  test.each<[token: string, authentication: ClientAuthentication, header: string]>([
    ['mF_9.B5f-4.1JqM', clientSecretBasic('s6BhdRkqt3', 'gX1fBat3bV'), 'Basic czZCaGRSa3F0MzpnWDFmQmF0M2JW'],
    [
      '2YotnFZFEjr1zCsicMWpAA',
      bearerToken(() => ({ accessToken: '23410913-abewfq.123483' })),
      'Bearer 23410913-abewfq.123483',
    ],
  ])('7662-2.1-1 7662-2.1-4 the published request about %s', async (token, authentication, header) => {
    const { as, app } = await introspecting({ clientAuthentication: authentication });
    await expectRefused(app, token, INACTIVE);
    expect(as.questions.map(({ headers, body }) => [headers.authorization, body])).toEqual([
      [header, `token=${token}&token_type_hint=access_token`],
    ]);
  });

  test.each(METHODS)(
    '7662-2.1-4 7662-4-4 6749-2.3.1-2 %s: in header or form, and nothing of it or of the token in the URL',
    async (_name, authentication, header, parameters) => {
      const { as, app } = await introspecting({ clientAuthentication: authentication });
      await expectAccepted(app, as.issue());
      const [question] = as.questions;
      expect(question?.headers.authorization ?? 'none').toMatch(header);
      expect([...(question?.form.keys() ?? [])]).toEqual([...parameters, 'token', 'token_type_hint']);
      expect(as.log).toEqual(['GET /.well-known/oauth-authorization-server', 'POST /introspect']);
      expect(question?.headers.referer).toBeUndefined();
    },
  );

  test('6749-2.3.1-1 identifier and secret are form-encoded before base64', async () => {
    const [id, secret] = ['https://api.example.com/:ü +1', 'p%20:+/é'];
    const { as, app } = await introspecting({ clientAuthentication: clientSecretBasic(id, secret) });
    await expectAccepted(app, as.issue());
    const [, credentials = ''] = as.questions[0]?.headers.authorization?.split(' ') ?? [];
    const text = Buffer.from(credentials, 'base64').toString('latin1');
    expect(text).toBe('https%3A%2F%2Fapi.example.com%2F%3A%C3%BC+%2B1:p%2520%3A%2B%2F%C3%A9');
    const decoded = text.split(':').map((part) => new URLSearchParams(`v=${part}`).get('v'));
    expect(decoded).toEqual([id, secret]);
  });

  test('7662-2.1-4 8414-2-4 without a configured method nothing is guessed: refused at the start', async () => {
    const { as } = await introspecting();
    const start = (given: unknown) => () =>
      resourceServer({ resource: API, issuer: as.issuer, introspection: given as IntrospectionOptions });
    const wanted = `"clientAuthentication" must be one such as clientSecretBasic('rs1', secret), got undefined`;
    expect(start({})).toThrow(new TypeError(wanted));
    expect(start({ clientAuthentication })).not.toThrow();
  });

  test.each<[what: string, metadata: Overrides]>([
    ['no methods', {}],
    ['other methods', { introspection_endpoint_auth_methods_supported: ['client_secret_post', 'private_key_jwt'] }],
  ])('8414-2-4 where the metadata lists %s, the configured one is used', async (_what, metadata) => {
    const { as, app } = await introspecting();
    as.metadata = metadata;
    await expectAccepted(app, as.issue());
    expect(as.questions[0]?.headers.authorization).toMatch(/^Basic /);
    expect(as.questions[0]?.form.has('client_secret')).toBe(false);
  });
});

describe('RFC 7662 2 and 4: TLS', () => {
  test('7662-2-1 an endpoint in clear, in the options or in the metadata, is refused', async () => {
    const { as, app } = await introspecting();
    const start = (endpoint: string) => () =>
      resourceServer({ resource: API, issuer: as.issuer, introspection: { clientAuthentication, endpoint } });
    expect(start('http://as.example.com/introspect')).toThrow(
      '"introspection.endpoint" must be an https URL such as "https://as.example.com/introspect" (http only on loopback), ' +
        'got "http://as.example.com/introspect"',
    );
    expect(start('https://as.example.com/introspect')).not.toThrow();

    as.metadata = { introspection_endpoint: 'http://as.example.com/introspect' };
    const reason =
      'The metadata of the authorization server has no "introspection_endpoint" with https: name yours as "introspection.endpoint"';
    const events = await diagnosticsOf(() => expectUnavailable(app, as.issue()));
    expect(events).toEqual([{ type: 'refusal', status: 503, code: undefined, reason }]);
    expect(as.questions).toEqual([]);
    const { as: loopback, app: onLoopback } = await introspecting();
    await expectAccepted(onLoopback, loopback.issue());
  });

  test.each([
    ['nobody vouches for', 'IP:127.0.0.1', false],
    ['of another host', 'DNS:as.example.com', true],
  ])(
    '7662-4-1 a certificate %s answers 503, and the token is not sent; one that is right passes',
    async (_name, names, trust) => {
      const as = closing(await TestAuthorizationServer.start());
      const endpointWith = async (subjectAltName: string) => {
        const certificate = selfSigned(subjectAltName);
        const log: (string | undefined)[] = [];
        const server = await listenTls(certificate, (req, res) => {
          log.push(req.url);
          sendJson(res, { active: true, client_id: 'editor', token_type: 'Bearer' });
        });
        return { ...closing(server), ca: certificate.cert, log };
      };
      const start = async ({ url, ca }: { url: string; ca: Buffer }, trusted: boolean) => {
        const introspection = { clientAuthentication, endpoint: `${url}/introspect` };
        const fetch = trusted && { fetch: fetchOverTls({ ca }) };
        return closing(await startApp({ resource: API, issuer: as.issuer, introspection, ...fetch }));
      };
      const [bad, good] = [await endpointWith(names), await endpointWith('IP:127.0.0.1')];
      await expectUnavailable(await start(bad, trust), 'token');
      expect(bad.log).toEqual([]);
      await expectAccepted(await start(good, true), 'token');
      expect(good.log).toEqual(['/introspect']);
    },
  );
});

describe('RFC 7662 2.2 and 4: answers that are used again', () => {
  test.each([
    ['by default', {}, 1],
    ['with a ttl', { ttl: 60 }, 1],
    ['without', { ttl: 0 }, 2],
  ])('7662-2.2-8 7662-4-3 %s: two requests', async (_what, introspection, count) => {
    const { as, app } = await introspecting(introspection);
    const token = as.issue();
    for (const same of [token, token]) await expectAccepted(app, same);
    expect(as.questions).toHaveLength(count);
  });

  test.each([
    ['30 seconds by default', {}, 30],
    ['as long as ttl says', { ttl: 90 }, 90],
    ['a part of a second', { ttl: 0.5 }, 0.5],
  ])('7662-4-3 %s: so long a revoked token passes, and no longer', async (_what, introspection, ttl) => {
    const { as, app, clock } = await introspecting(introspection);
    const [token, good] = [as.issue(), as.issue()];
    for (const each of [token, good]) await expectAccepted(app, each);
    as.opaque.delete(token);
    clock.now += ttl - 0.25;
    await expectAccepted(app, token);
    clock.now += 0.25;
    await expectRefused(app, token, INACTIVE);
    await expectAccepted(app, good);
    expect(as.questions).toHaveLength(4);
  });

  test('7662-4-3 a revoked token is refused at once where nothing is cached', async () => {
    const { as, app } = await introspecting({ ttl: 0 });
    const token = as.issue();
    await expectAccepted(app, token);
    as.opaque.delete(token);
    await expectRefused(app, token, INACTIVE);
    await expectAccepted(app, as.issue());
  });

  test.each([
    ['5 seconds by default', {}, 5, 2],
    ['as long as inactiveTtl says', { inactiveTtl: 20 }, 20, 2],
  ])('7662-2.2-8 an inactive answer is used for %s', async (_what, introspection, life, count) => {
    const { as, app, clock } = await introspecting(introspection);
    await expectRefused(app, 'a-token', INACTIVE);
    as.opaque.set('a-token', { client_id: 'editor', token_type: 'Bearer' });
    clock.now += life - 1;
    await expectRefused(app, 'a-token', INACTIVE);
    clock.now += 1;
    await expectAccepted(app, 'a-token');
    expect(as.questions).toHaveLength(count);
  });

  test.each([
    ['cached', { ttl: 300 }],
    ['served stale', { ttl: 1, staleWhileRevalidate: 300 }],
  ])('7662-4-2 an answer is not %s beyond the exp of the token', async (_what, introspection) => {
    const { as, app, clock } = await introspecting(introspection);
    const [token, good] = [as.issue({ exp: clock.now + 5 }), as.issue({ exp: clock.now + 300 })];
    for (const each of [token, good]) await expectAccepted(app, each);
    as.questions.length = 0;
    clock.now += 6;
    as.opaque.delete(token);
    await expectRefused(app, token, INACTIVE); // the server's own word of now
    expect(as.questions).toHaveLength(1);
    await expectAccepted(app, good);
  });

  test('7662-2.2-9 what one resource server was told is not told to another', async () => {
    const { as, app } = await introspecting();
    const introspection = { clientAuthentication: clientSecretBasic('rs2', SECRET) };
    const second = closing(await startApp({ resource: API, issuer: as.issuer, introspection }));
    const ours = Buffer.from(`rs1:${encodeURIComponent(SECRET).replaceAll('%20', '+')}`).toString('base64');
    as.onQuestion = ({ headers, form }, res) => {
      const isOurs = headers.authorization === `Basic ${ours}`;
      sendJson(res, isOurs ? as.answerTo(form.get('token')) : { active: false });
    };
    const token = as.issue();
    for (const same of [token, token]) await expectAccepted(app, same);
    await expectRefused(second, token, INACTIVE);
    await expectAccepted(app, token);
    expect(as.questions).toHaveLength(2);
  });

  test('7662-2.2-9 what one server said of a token is not what another says of it', async () => {
    const [a, b] = [closing(await TestAuthorizationServer.start()), closing(await TestAuthorizationServer.start())];
    const authorizationServers = [a, b].map(({ issuer }) => ({ issuer, introspection: { clientAuthentication } }));
    let ask = a.issuer;
    const app = closing(await startApp({ resource: API, authorizationServers, introspectAt: () => [ask] }));
    const token = a.issue();
    await expectAccepted(app, token);
    ask = b.issuer;
    await expectRefused(app, token, INACTIVE);
    ask = a.issuer;
    await expectAccepted(app, token);
    expect([a.questions.length, b.questions.length]).toEqual([1, 1]);
  });
});
