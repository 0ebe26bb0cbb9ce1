import type { ServerResponse } from 'node:http';
import { afterEach, describe, expect, jest, test } from '@jest/globals';
import { clientSecretBasic } from '../../lib/index.js';
import type { CommonOptions, IntrospectionOptions } from '../../lib/index.js';
import { startApp } from '../support/app.js';
import { textOf } from '../support/attack.js';
import { sendJson, TestAuthorizationServer } from '../support/authorization-server.js';
import { movableClock } from '../support/clock.js';
import { diagnosticsOf } from '../support/diagnostics.js';
import { until } from '../support/faults.js';
import { expectRefusal, insufficientScope } from '../support/refusals.js';
import { closeAll, closing, expectAccepted, expectRefused, expectUnavailable, SAYS } from '../support/stage.js';
import type { Overrides } from '../support/tokens.js';

const API = 'https://api.example.com';
const INACTIVE = 'The access token is not active';
const clientAuthentication = clientSecretBasic('rs1', 'secret');

afterEach(async () => {
  await closeAll();
  jest.restoreAllMocks();
});

async function introspecting(introspection: Partial<IntrospectionOptions> = {}, options: Partial<CommonOptions> = {}) {
  const clock = movableClock();
  const as = closing(await TestAuthorizationServer.start());
  const asked = { clientAuthentication, ...introspection };
  const app = closing(await startApp({ resource: API, issuer: as.issuer, introspection: asked, clock, ...options }));
  return { as, app, clock };
}

/** A body as it is, with the media type of JSON. */
const raw =
  (body: string | Buffer, type = 'application/json') =>
  (res: ServerResponse) =>
    res.writeHead(200, { 'Content-Type': type }).end(body);
const json =
  (document: unknown, status = 200) =>
  (res: ServerResponse) => {
    sendJson(res, document, status);
  };
const GOOD = { active: true, client_id: 'editor', token_type: 'Bearer' };

describe('the answers of RFC 7662 section 2.2 as they are published', () => {
  // Nothing in it is replaced: the clock is put to its time, and we are whom it names.
  const PUBLISHED = {
    active: true,
    client_id: 'l238j323ds-23ij4',
    username: 'jdoe',
    scope: 'read write dolphin',
    sub: 'Z5O3upPC88QrAjx00dis',
    aud: 'https://protected.example.net/resource',
    iss: 'https://server.example.com/',
    exp: 1419356238,
    iat: 1419350238,
    extension_field: 'twenty-seven',
  };

  async function published(now: number, answer: Overrides) {
    const as = closing(await TestAuthorizationServer.start());
    as.onQuestion = (_question, res) => {
      sendJson(res, answer);
    };
    const introspection = { clientAuthentication, endpoint: as.introspectionEndpoint };
    const us = { resource: PUBLISHED.aud, realm: API, issuer: PUBLISHED.iss };
    return closing(await startApp({ ...us, introspection, clock: movableClock(now) }));
  }

  test('7662-2.2-1 7662-2.2-7 the active one passes, with every member', async () => {
    const app = await published(PUBLISHED.iat, PUBLISHED);
    const { body } = await expectAccepted(app, 'mF_9.B5f-4.1JqM', '/scoped');
    const scopes = ['read', 'write', 'dolphin'];
    const [clientId, subject, issuer, expiresAt] = [PUBLISHED.client_id, PUBLISHED.sub, PUBLISHED.iss, PUBLISHED.exp];
    const said = { claims: PUBLISHED, scopes, clientId, subject, issuer, expiresAt, scheme: 'Bearer' };
    expect(body).toEqual({ auth: said });
  });

  test('7662-2.2-4 the active one is refused when its time is over', async () => {
    await expectRefused(await published(PUBLISHED.exp, PUBLISHED), 'mF_9.B5f-4.1JqM', SAYS.expired);
    await expectAccepted(await published(PUBLISHED.exp - 1, PUBLISHED), 'mF_9.B5f-4.1JqM');
  });

  test('7662-2.2-2 6750-3.1-3 the inactive one is refused', async () => {
    await expectRefused(await published(PUBLISHED.iat, { active: false }), 'mF_9.B5f-4.1JqM', INACTIVE);
  });
});

describe('RFC 7662 2.2: the form of an answer', () => {
  test.each<[what: string, (res: ServerResponse) => unknown]>([
    ['HTML', raw('<html>', 'text/html')],
    ['JSON by another name', raw(JSON.stringify(GOOD), 'text/plain')],
    ['the media type of signed answers', raw(JSON.stringify(GOOD), 'application/token-introspection+jwt')],
    ['no media type', (res) => res.writeHead(200).end(JSON.stringify(GOOD))],
    ['JSON that breaks off', raw('{"active":true,"client_id":"edi')],
    ['nothing', raw('')],
    ['bytes that are no UTF-8', raw(Buffer.from('{"active":true,"client_id":"\xff"}', 'latin1'))],
    ['a list', json([GOOD])],
    ['null', json(null)],
    ['a string', json('active')],
    ['no active', json({ client_id: 'editor', token_type: 'Bearer' })],
    ['active "true"', json({ ...GOOD, active: 'true' })],
    ['active "false"', json({ ...GOOD, active: 'false' })],
    ['active 1', json({ ...GOOD, active: 1 })],
    ['active 0', json({ ...GOOD, active: 0 })],
    ['active null', json({ ...GOOD, active: null })],
    ['active in a list', json({ ...GOOD, active: [true] })],
    ['Active', json({ Active: true, client_id: 'editor' })],
    ['more than 1 MB', json({ ...GOOD, pad: 'x'.repeat(1024 * 1024) })],
    ['an exp that is text', json({ ...GOOD, exp: '4102444800' })],
    ['an nbf that is null', json({ ...GOOD, nbf: null })],
    ['an iat that is an object', json({ ...GOOD, iat: {} })],
    ['an issuer that is a list', json({ ...GOOD, iss: [] })],
    ['a subject that is a number', json({ ...GOOD, sub: 5 })],
    ['no client', json({ active: true })],
    ['a client that is a number', json({ ...GOOD, client_id: 5 })],
  ])('7662-2.2-1 %s is no answer: 503, and not remembered', async (_what, answer) => {
    const { as, app } = await introspecting();
    as.onQuestion = (_question, res) => answer(res);
    await expectUnavailable(app, 'token');
    as.onQuestion = (_question, res) => {
      sendJson(res, GOOD);
    };
    await expectAccepted(app, 'token');
  });

  test.each([
    ['a character set', 'application/json; charset=utf-8'],
    ['capitals', 'Application/JSON'],
  ])('7662-2.2-1 the media type of JSON with %s is one', async (_what, type) => {
    const { as, app } = await introspecting();
    as.onQuestion = (_question, res) => raw(JSON.stringify(GOOD), type)(res);
    await expectAccepted(app, 'token');
  });

  test.each<[what: string, members: Overrides]>([
    ['nothing more', {}],
    ['a scope', { scope: 'read' }],
    ['all of a good answer', { client_id: 'editor', aud: API, exp: 4_102_444_800 }],
    ['times that are none', { exp: 'never' }],
  ])('7662-2.2-2 active: false with %s is refused', async (_what, members) => {
    const { as, app } = await introspecting({ inactiveTtl: 0 });
    as.onQuestion = (_question, res) => {
      sendJson(res, { ...members, active: false });
    };
    await expectRefused(app, 'token', INACTIVE);
    as.onQuestion = (_question, res) => {
      sendJson(res, { ...GOOD, active: true });
    };
    await expectAccepted(app, 'token');
  });

  test('7662-2.2-10 6750-3.1-3 revoked, expired and unknown at the server: the answers are the same', async () => {
    const { as, app, clock } = await introspecting({ ttl: 0 });
    const [revoked, expired] = [as.issue(), as.issue({ exp: clock.now + 5 })];
    for (const token of [revoked, expired]) await expectAccepted(app, token);
    as.onQuestion = ({ form }, res) => {
      // Some servers give reasons; they are nobody's business.
      const why = { [revoked]: 'revoked', [expired]: 'expired' }[form.get('token') ?? ''] ?? 'unknown';
      sendJson(res, { active: false, reason: why, error_description: why });
    };
    const seen = [];
    for (const token of [revoked, expired, 'unknown-token']) {
      await expectRefused(app, token, INACTIVE);
      const { headers, body } = await app.get('/protected', token);
      seen.push({ headers: [...headers].filter(([name]) => name !== 'date'), body });
    }
    expect(seen[1]).toEqual(seen[0]);
    expect(seen[2]).toEqual(seen[0]);
  });
});

describe('RFC 7662 2.2: what an answer says', () => {
  test.each<[what: string, scope: unknown]>([
    ['another', 'write'],
    ['none', undefined],
    ['other case', 'Read READ'],
    ['a part of the name', 'read:all reader'],
    ['a comma for the space', 'read,write'],
    ['a list, which is no string', ['read']],
  ])('7662-2.2-3 scope: %s lacks what the route needs', async (_what, scope) => {
    const { as, app } = await introspecting();
    expectRefusal(await app.get('/scoped', as.issue({ scope })), insufficientScope('read'));
    expect(as.questions).toHaveLength(1);
    await expectAccepted(app, as.issue({ scope: 'write read' }), '/scoped');
  });

  type Ahead = (now: number) => Overrides;
  test.each<[what: string, bad: Ahead, says: string, good: Ahead]>([
    ['exp is now', (now) => ({ exp: now }), SAYS.expired, (now) => ({ exp: now + 1 })],
    ['exp is past', (now) => ({ exp: now - 3600 }), SAYS.expired, () => ({ exp: undefined })],
    ['nbf is ahead', (now) => ({ nbf: now + 1 }), SAYS.early, (now) => ({ nbf: now })],
  ])('7662-2.2-4 6749-7-1 active, but %s: refused', async (_what, bad, says, good) => {
    const { as, app, clock } = await introspecting();
    await expectRefused(app, as.issue(bad(clock.now), clock.now), says);
    await expectAccepted(app, as.issue(good(clock.now), clock.now));
    const tolerant = { clockTolerance: 10, clock, resource: API, issuer: as.issuer };
    const second = closing(await startApp({ ...tolerant, introspection: { clientAuthentication } }));
    await expectRefused(second, as.issue({ exp: clock.now - 10 }), SAYS.expired);
    await expectAccepted(second, as.issue({ exp: clock.now - 9 }));
  });

  test('7662-2.2-4 a token that is not valid yet passes from its nbf on, and its answer may be remembered', async () => {
    const { as, app, clock } = await introspecting();
    const token = as.issue({ nbf: clock.now + 10 });
    await expectRefused(app, token, SAYS.early);
    clock.now += 10;
    await expectAccepted(app, token);
    expect(as.questions).toHaveLength(1);
  });

  test.each<[what: string, aud: unknown]>([
    ['a stranger', 'https://other.example.com'],
    ['strangers', ['https://other.example.com', 'https://third.example.com']],
    ['us with a slash', `${API}/`],
    ['us and a number', [API, 5]],
    ['an empty list', []],
    ['null', null],
    ['an object', { [API]: true }],
  ])('7662-2.2-5 active, but for %s: refused', async (_what, aud) => {
    const { as, app } = await introspecting();
    await expectRefused(app, as.issue({ aud }), SAYS.audience);
    for (const ours of [API, ['https://other.example.com', API]]) await expectAccepted(app, as.issue({ aud: ours }));
  });

  test('7662-2.2-5 an answer without an audience passes, unless requireAudience is set', async () => {
    const { as, app } = await introspecting();
    await expectAccepted(app, as.issue({ aud: undefined }));
    const { as: second, app: strict } = await introspecting({ requireAudience: true });
    await expectRefused(strict, second.issue({ aud: undefined }), SAYS.audience);
    await expectAccepted(strict, second.issue());
  });

  test('7662-2.2-6 active, but of another issuer: refused; without one it is the server that was asked', async () => {
    const { as, app } = await introspecting();
    for (const iss of ['https://other.example.com', `${as.issuer}/`, as.issuer.toUpperCase()]) {
      await expectRefused(app, as.issue({ iss }), SAYS.issuer);
    }
    await expectAccepted(app, as.issue({ iss: as.issuer }));
    const { body } = await expectAccepted(app, as.issue({ iss: undefined }));
    expect(body).toMatchObject({ auth: { issuer: as.issuer, claims: { iss: as.issuer } } });
  });

  test('7662-2.2-7 members that nobody knows reach the handler as they are', async () => {
    const { as, app } = await introspecting();
    const extension = { extension_field: 'twenty-seven', 'https://a.example/b': { c: [1, null] }, constructor: 'x' };
    const { body } = await expectAccepted(app, as.issue(extension));
    expect(body).toMatchObject({ auth: { claims: extension } });
  });
});

describe('RFC 7662 2.3: errors of the server', () => {
  const refused = (document: unknown) => (status: number) => json(document, status);
  test.each<[status: number, (status: number) => (res: ServerResponse) => unknown, reason: RegExp]>([
    [400, refused({ error: 'invalid_request' }), /\(400\).*"jwtLocally"/],
    [401, refused({ error: 'invalid_client' }), /refused our own credentials \(401\): check "clientAuthentication"/],
    [401, refused({ active: false }), /\(401\)/],
    [403, refused({ active: false }), /\(403\).*"clientAuthentication"/],
    [404, refused({ active: false }), /\(404\): check "endpoint"/],
    [429, refused({ active: false }), /a status that is not 200/],
    [500, refused({ active: false }), /a status that is not 200/],
    [503, refused({ active: false }), /a status that is not 200/],
    [201, refused(GOOD), /a status that is not 200/],
    [307, () => (res) => res.writeHead(307, { Location: '/elsewhere' }).end(), /a status that is not 200/],
  ])(
    '7662-2.3-1 %i from the server says nothing of the token: 503, and not remembered',
    async (status, answer, reason) => {
      const { as, app } = await introspecting();
      as.onQuestion = (_question, res) => answer(status)(res);
      const token = as.issue();
      const events = await diagnosticsOf(() => expectUnavailable(app, token));
      const told = expect.stringMatching(reason);
      expect(events).toEqual([
        { type: 'introspection', issuer: as.issuer, event: 'failed', reason: told },
        { type: 'refusal', status: 503, code: undefined, reason: told },
      ]);
      expect(as.log.slice(1)).toEqual(['POST /introspect']);
      as.onQuestion = undefined;
      await expectAccepted(app, token);
    },
  );

  test('7662-2.3-1 no answer in time, or half of one, says nothing of the token: 503, and not remembered', async () => {
    const silent = await introspecting();
    silent.as.onQuestion = () => undefined;
    const halting = await introspecting();
    halting.as.onQuestion = (_question, res) => {
      res.writeHead(200, { 'Content-Type': 'application/json' }).write('{"active":');
    };
    await Promise.all([silent, halting].map(({ as, app }) => expectUnavailable(app, as.issue())));
    for (const { as, app } of [silent, halting]) {
      as.onQuestion = undefined;
      await expectAccepted(app, as.issue());
    }
  }, 30_000);
});

describe('RFC 7662 5: privacy', () => {
  const PERSON = { sub: 'subject-4711', username: 'alice-liddell', email: 'alice@wonderland.example' };

  test.each<[what: string, members: Overrides, status: number]>([
    ['an expired token', { exp: 1 }, 401],
    ['a token for another resource', { aud: 'https://other.example.com' }, 401],
    ['a token of another issuer', { iss: 'https://other.example.com' }, 401],
    ['a bound token', { cnf: { jkt: 'x' } }, 401],
    ['a token of another kind', { token_type: 'N_A' }, 401],
    ['a token without the scope', { scope: 'write' }, 403],
    ['a token with strange times', { exp: 'alice-liddell' }, 503],
    ['a token without a client', { client_id: undefined }, 503],
  ])('7662-5-1 %s: the answer, the events and the log name no person', async (_what, members, status) => {
    const logged: string[] = [];
    for (const method of ['error', 'warn', 'info', 'log'] as const) {
      jest.spyOn(console, method).mockImplementation((...line: unknown[]) => {
        logged.push(line.map(String).join(' '));
      });
    }
    const as = closing(await TestAuthorizationServer.start());
    const options = { resource: API, issuer: as.issuer, introspection: { clientAuthentication } };
    const plain = closing(await startApp(options));
    // Express prints what it is handed into the answer and, outside of tests, into the log.
    const onError: CommonOptions['onError'] = (error, _req, _res, next) => {
      next(error);
    };
    const handing = closing(
      await startApp({ ...options, onError }, (server) => {
        server.set('env', 'development');
      }),
    );
    const token = as.issue({ ...PERSON, ...members });
    const seen: string[] = [];
    const events = await diagnosticsOf(async () => {
      for (const app of [plain, handing]) {
        const answer = await app.get('/scoped', token);
        expect(answer.status).toBe(status);
        seen.push(textOf(answer));
      }
    });
    await until(() => logged.length > 0, 'Express logs the error');
    expect(events.filter(({ type }) => type === 'refusal')).toHaveLength(2);
    const all = [...seen, JSON.stringify(events), ...logged].join('\n');
    for (const secret of [...Object.values(PERSON), 'liddell', token]) expect(all).not.toContain(secret);

    const { body } = await expectAccepted(plain, as.issue(PERSON), '/scoped');
    expect(body).toMatchObject({ auth: { subject: PERSON.sub, claims: PERSON } });
  });
});
