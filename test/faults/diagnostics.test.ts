import { afterEach, describe, expect, test } from '@jest/globals';
import { checkScope, errorHandler } from '../../lib/index.js';
import { startApp } from '../support/app.js';
import { TestAuthorizationServer } from '../support/authorization-server.js';
import { diagnosticsOf, warningsOf } from '../support/diagnostics.js';
import type { Warning } from '../support/diagnostics.js';
import {
  closeAll,
  closing,
  COOLDOWN,
  expectAccepted,
  expectUnavailable,
  FRESH,
  KEYLESS,
  LONGEST_WAIT,
  METADATA,
  OPENID,
  SAYS,
  stage,
  unsigned,
  until,
  warmStage,
} from '../support/faults.js';
import { signingKey } from '../support/tokens.js';

afterEach(closeAll);

const REFRESHED = { type: 'document', event: 'refreshed', reason: undefined };
const NO_200 = 'The key set of the authorization server came with a status that is not 200';

describe('what the operator hears of an outage', () => {
  test('each document when it is fetched, fails, is served beyond its time, and comes back', async () => {
    const { as, app, clock, mint } = await stage();
    const { issuer } = as;
    const events = await diagnosticsOf(async () => {
      await expectAccepted(app, mint());
      as.answers.set('/jwks', (_req, res) => void res.writeHead(500).end('upstream words'));
      clock.now += FRESH;
      await expectAccepted(app, mint());
      as.answers.clear();
      clock.now += LONGEST_WAIT;
      await expectAccepted(app, mint());
      await until(() => as.keyFetches === 3, 'the refresh');
      await new Promise((resolve) => setTimeout(resolve, 50));
    }, issuer);
    expect(events).toEqual([
      { ...REFRESHED, document: 'metadata', issuer },
      { ...REFRESHED, document: 'keys', issuer },
      { ...REFRESHED, document: 'metadata', issuer },
      { ...REFRESHED, document: 'metadata', issuer }, // once more, because the keys were not at the place it names
      { type: 'document', document: 'keys', issuer, event: 'failed', reason: NO_200 },
      { type: 'document', document: 'keys', issuer, event: 'stale', reason: undefined },
      { type: 'document', document: 'keys', issuer, event: 'stale', reason: undefined },
      { ...REFRESHED, document: 'keys', issuer },
    ]);
  });

  test('a 503 says why', async () => {
    const { as, app, mint } = await stage();
    for (const path of [METADATA, OPENID]) as.answers.set(path, (_req, res) => void res.writeHead(500).end());
    const events = await diagnosticsOf(async () => {
      await expectUnavailable(app, mint());
    }, as.issuer);
    const reason =
      'The metadata of the authorization server is at no well-known place: check "issuer", or name "jwksUri"';
    expect(events).toEqual([
      { type: 'document', document: 'metadata', issuer: as.issuer, event: 'failed', reason },
      { type: 'document', document: 'keys', issuer: as.issuer, event: 'failed', reason },
      { type: 'refusal', status: 503, code: undefined, reason },
    ]);
  });
});

test('a check inside a handler is told as a guard is', async () => {
  const as = closing(await TestAuthorizationServer.start());
  const app = closing(
    await startApp({ resource: as.resource, issuer: as.issuer }, (express) => {
      express.get('/checked', (req, res) => {
        checkScope(req, 'admin');
        res.json({});
      });
      express.use(errorHandler);
    }),
  );
  const events = await diagnosticsOf(async () => {
    expect((await app.get('/checked', as.mint())).status).toBe(403);
    expect((await app.get('/checked', as.mint({ scope: 'admin' }))).status).toBe(200);
  });
  const reason = 'The access token lacks a required scope';
  expect(events).toEqual([{ type: 'refusal', status: 403, code: 'insufficient_scope', reason }]);
});

describe('no secret is told', () => {
  test('over a whole run of refusals: no token, claim value, key id or word of another server', async () => {
    const secret = (name: string) => `secret-${name}-value`;
    const { as, app, clock, mint } = await stage();
    const claims = { sub: secret('sub'), jti: secret('jti'), client_id: secret('client'), email: secret('email') };
    const sent: string[] = [];
    const send = async (token: string, status: number) => {
      sent.push(token);
      expect((await app.get(token)).status).toBe(status);
    };
    let warnings: Warning[] = [];
    const events = await diagnosticsOf(async () => {
      warnings = await warningsOf(async () => {
        await send(mint(claims), 200);
        for (const [, wrong, header] of KEYLESS) await send(mint({ ...claims, ...wrong }, header), 401);
        await send(mint({ ...claims, aud: secret('aud') }), 401);
        await send(mint({ ...claims, iss: `https://${secret('iss')}.example` }), 401);
        await send(mint({ ...claims, iss: `${as.issuer}/` }), 401);
        await send(mint({ ...claims, nbf: clock.now + 100 }), 401);
        await send(mint({ ...claims, nonce: secret('nonce') }, { typ: 'JWT' }), 401);
        await send(unsigned(as, clock.now, { kid: secret('kid') }, claims), 401);
        await send(as.mint(claims, { key: signingKey('ES256', 'first'), now: clock.now }), 401);
        await send(secret('opaque'), 401);
        await send(`${secret('malformed')}*`, 400);
        as.answers.set('/jwks', (_req, res) => void res.writeHead(500).end(secret('upstream')));
        clock.now += COOLDOWN;
        await send(unsigned(as, clock.now, { kid: secret('kid') }, claims), 503);
        clock.now += LONGEST_WAIT;
        as.answers.set('/jwks', (_req, res) => {
          res.setHeader('Content-Type', 'application/json').end(`{"keys":"${secret('document')}"}`);
        });
        await send(unsigned(as, clock.now, { kid: secret('kid') }, claims), 503);
      });
    }, as.issuer);
    const refusals = events.filter(({ type }) => type === 'refusal');
    expect(refusals).toHaveLength(sent.length - 1);
    expect(warnings.length).toBeGreaterThanOrEqual(5);
    const told = JSON.stringify([events, warnings.map(({ message }) => message)]);
    expect(told).toContain(as.issuer); // the control: what comes from the options is named
    expect(told).not.toContain('secret-');
    for (const token of sent) {
      for (const part of token.split('.')) {
        if (part.length >= 16) expect(told).not.toContain(part.slice(0, 16));
      }
    }
  });

  test('every reason is one of a few sentences, however many tokens there are', async () => {
    const { as, app, clock } = await warmStage();
    const events = await diagnosticsOf(async () => {
      for (let i = 0; i < 100; i++) {
        const token = unsigned(
          as,
          clock.now,
          { kid: `kid-${i}` },
          { iss: i % 2 === 0 ? as.issuer : `https://i${i}.example` },
        );
        expect((await app.get(token)).status).toBe(401);
      }
    });
    expect(new Set(events.map((event) => ('reason' in event ? event.reason : event.hint)))).toEqual(
      new Set([SAYS.issuer, SAYS.key]),
    );
  });
});

describe('hints', () => {
  test('once for each cause and middleware, with a code, however often it happens', async () => {
    const { as, app, clock, mint } = await warmStage();
    const mistakes = [
      mint({ iss: `${as.issuer}/` }),
      mint({ nonce: 'n' }, { typ: 'JWT' }),
      mint({}, { typ: 'JWT' }),
      mint({ aud: 'https://other.example' }),
      mint({ nbf: clock.now + 100 }),
    ];
    const warnings = await warningsOf(async () => {
      const events = await diagnosticsOf(async () => {
        for (let i = 0; i < 20; i++) for (const token of mistakes) expect((await app.get(token)).status).toBe(401);
      });
      expect(events.filter(({ type }) => type === 'hint')).toHaveLength(5);
    });
    expect(warnings.map(({ code }) => code)).toEqual([
      'OAUTH2_RS_ISSUER',
      'OAUTH2_RS_IDTOKEN',
      'OAUTH2_RS_TYP',
      'OAUTH2_RS_AUDIENCE',
      'OAUTH2_RS_CLOCK',
    ]);
  });

  test('none for good tokens, for tokens that merely expired, nor during an outage', async () => {
    const { as, app, clock, mint } = await warmStage();
    const warnings = await warningsOf(async () => {
      await expectAccepted(app, mint());
      expect((await app.get(mint({ exp: 1 }))).status).toBe(401);
      await as.close();
      clock.now += COOLDOWN;
      await expectUnavailable(app, unsigned(as, clock.now, { kid: 'x' }));
      await as.reopen();
    });
    expect(warnings).toEqual([]);
  });

  test.each([
    ['iat', { iat: { toString: 1 } }],
    ['nbf', { nbf: { toString: 1 } }],
  ])('an %s that cannot be made a number is a refusal, and no bug', async (_name, claims) => {
    const { app, mint } = await warmStage();
    expect(await app.get(mint(claims))).toMatchObject({ status: 401, body: { error_description: SAYS.times } });
  });
});
