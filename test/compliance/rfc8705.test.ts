import { createHash } from 'node:crypto';
import https from 'node:https';
import { afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import express from 'express';
import { clientSecretBasic, resourceServer } from '../../lib/index.js';
import type { CommonOptions } from '../../lib/index.js';
import { rfc9440 } from '../../lib/proxies.js';
import { startApp } from '../support/app.js';
import type { Answer } from '../support/app.js';
import { TestAuthorizationServer } from '../support/authorization-server.js';
import { clientIdentity } from '../support/client-certificates.js';
import type { ClientIdentity } from '../support/client-certificates.js';
import { fetchOverTls } from '../support/mtls-fetch.js';
import { portOf } from '../support/mutual-tls.js';
import { expectRefusal, invalidToken, RESOURCE } from '../support/refusals.js';
import { closeAll, closing } from '../support/stage.js';
import { selfSigned } from '../support/tls.js';
import type { Certificate } from '../support/tls.js';
import type { Overrides } from '../support/tokens.js';

const UNPROVEN = invalidToken('The access token is bound to a key that was not proven');

afterEach(closeAll);

let server: Certificate;
let mine: ClientIdentity;
let theirs: ClientIdentity;
beforeAll(() => {
  server = selfSigned();
  // The same name, as of a certificate that was renewed: that is another one as well.
  [mine, theirs] = [clientIdentity(), clientIdentity()];
});

interface Scene {
  readonly as: TestAuthorizationServer;
  readonly issue: (claims: Overrides) => string;
  /** A request over a TLS connection of its own, on which this certificate is shown. */
  readonly ask: (token: string, shown?: ClientIdentity) => Promise<Answer>;
  readonly handled: () => number;
}

/** An application behind mutual TLS, which takes every certificate for what it is. */
async function scene(kind: string, options: Partial<CommonOptions> = {}, requestCert = true): Promise<Scene> {
  const as = closing(await TestAuthorizationServer.start());
  const introspection = { clientAuthentication: clientSecretBasic('rs1', 'secret') };
  const introspecting = kind === 'introspection';
  let handled = 0;
  const app = express();
  app.use(
    resourceServer({
      ...{ resource: RESOURCE, issuer: as.issuer, clientCertificate: 'tls', ...options },
      ...(introspecting && { introspection }),
    }),
  );
  app.use((_req, res) => {
    handled++;
    res.json({});
  });
  const port = await portOf(https.createServer({ ...server, requestCert, rejectUnauthorized: false }, app));
  const ask: Scene['ask'] = async (token, shown) => {
    const fetchIt = fetchOverTls({ ca: server.cert, ...(shown && { shows: { key: shown.key, cert: shown.cert } }) });
    const headers = { authorization: `Bearer ${token}` };
    const answer = await fetchIt(`https://127.0.0.1:${String(port)}/things`, { headers });
    const challenge = answer.headers.get('www-authenticate') ?? undefined;
    return { status: answer.status, headers: answer.headers, body: await answer.json(), challenge, challenges: [] };
  };
  const issue = (claims: Overrides) => (introspecting ? as.issue(claims) : as.mint(claims));
  return { as, issue, ask, handled: () => handled };
}

const boundTo = ({ thumbprint }: ClientIdentity) => ({ cnf: { 'x5t#S256': thumbprint } });

async function expectPassed({ ask, handled }: Scene, token: string, shown?: ClientIdentity): Promise<void> {
  const before = handled();
  const { status, challenge } = await ask(token, shown);
  expect([status, challenge, handled()]).toEqual([200, undefined, before + 1]);
}

async function expectUnproven({ ask, handled }: Scene, token: string, shown?: ClientIdentity): Promise<void> {
  const before = handled();
  expectRefusal(await ask(token, shown), UNPROVEN);
  expect(handled()).toBe(before);
}

describe.each(['JWT', 'introspection'])('a token that is bound to a certificate, by %s (RFC 8705 3)', (kind) => {
  test('8705-3-2 8705-3-3 with its certificate it passes; with another or none: 401, invalid_token', async () => {
    const at = await scene(kind);
    const token = at.issue(boundTo(mine));
    await expectUnproven(at, token, theirs);
    await expectUnproven(at, token);
    await expectPassed(at, token, mine);
    await expectUnproven(at, token, theirs);
    await expectPassed(at, at.issue(boundTo(theirs)), theirs);
  });

  test.each<[what: string, x5t: (identity: ClientIdentity) => unknown]>([
    ['with padding', ({ thumbprint }) => `${thumbprint}=`],
    ['with a space', ({ thumbprint }) => ` ${thumbprint}`],
    ['with a line break', ({ thumbprint }) => `${thumbprint}\n`],
    ['in hexadecimal', ({ hash }) => hash],
    ['in hexadecimal, coded once more', ({ hash }) => Buffer.from(hash).toString('base64url')],
    ['by SHA-1', ({ der }) => createHash('sha1').update(der).digest('base64url')],
    ['of the text of the PEM file', ({ cert }) => createHash('sha256').update(cert).digest('base64url')],
    ['in lower case', ({ thumbprint }) => thumbprint.toLowerCase()],
    ['that is empty', () => ''],
    ['that is null', () => null],
    ['in a list', ({ thumbprint }) => [thumbprint]],
  ])('8705-3-3 8705-3.1-1 a thumbprint %s: refused with that very certificate, and without', async (_what, x5t) => {
    const at = await scene(kind);
    const token = at.issue({ cnf: { 'x5t#S256': x5t(mine) } });
    await expectUnproven(at, token, mine);
    await expectUnproven(at, token);
    await expectPassed(at, at.issue(boundTo(mine)), mine);
  });

  test('8705-3-3 a server that asks for no certificate has none, though the client would show it', async () => {
    const at = await scene(kind, {}, false);
    await expectUnproven(at, at.issue(boundTo(mine)), mine);
    await expectPassed(at, at.issue({}), mine);
  });

  test('a token that is not bound passes with any certificate and without, unless bound ones are required', async () => {
    const at = await scene(kind);
    for (const shown of [mine, theirs, undefined]) await expectPassed(at, at.issue({}), shown);
    const strict = await scene(kind, { requireBoundTokens: true });
    expectRefusal(await strict.ask(strict.issue({}), mine), invalidToken('The access token is not bound to a key'));
    expect(strict.handled()).toBe(0);
    await expectPassed(strict, strict.issue(boundTo(mine)), mine);
  });
});

describe('introspection (RFC 8705 3.2)', () => {
  test('8705-3.2-1 8705-3-2 8705-3-3 what is remembered of a token that passed lets no other certificate pass', async () => {
    const at = await scene('introspection');
    const token = at.issue(boundTo(mine));
    await expectPassed(at, token, mine);
    await expectUnproven(at, token, theirs);
    await expectUnproven(at, token);
    await expectPassed(at, token, mine);
    expect(at.as.questions).toHaveLength(1);
  });

  test('8705-3.2-1 a thief who comes first does not spoil it for the owner', async () => {
    const at = await scene('introspection');
    const token = at.issue(boundTo(mine));
    await expectUnproven(at, token, theirs);
    await expectPassed(at, token, mine);
    expect(at.as.questions).toHaveLength(1);
  });

  test('8705-3.2-1 the answer of the server binds a JWT as well, whatever the JWT says', async () => {
    const at = await scene('introspection');
    const token = at.as.mint({});
    at.as.onQuestion = (question, res) => {
      expect(question.form.get('token')).toBe(token);
      const now = Math.floor(Date.now() / 1000);
      const times = { iat: now - 1, exp: now + 60 };
      const claims = { iss: at.as.issuer, aud: RESOURCE, client_id: 'c', sub: 's', token_type: 'Bearer', ...times };
      res
        .setHeader('Content-Type', 'application/json')
        .end(JSON.stringify({ active: true, ...claims, ...boundTo(mine) }));
    };
    await expectUnproven(at, token, theirs);
    await expectPassed(at, token, mine);
  });
});

test('8705-3.1-1 8705-3-2 8705-3-3 8705-6.5-1 the certificate and the thumbprint of appendix A, by way of a proxy', async () => {
  const certificate =
    'MIIBBjCBrAIBAjAKBggqhkjOPQQDAjAPMQ0wCwYDVQQDDARtdGxzMB4XDTE4MTAxODEyMzcwOVoXDTIyMDUwMjEyMzcwOVowDzENMAsGA1UEAwwE' +
    'bXRsczBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABNcnyxwqV6hY8QnhxxzFQ03C7HKW9OylMbnQZjjJ/Au08/coZwxS7LfA4vOLS9WuneIXhbGG' +
    'WvsDSb0tH6IxLm8wCgYIKoZIzj0EAwIDSQAwRgIhAP0RC1E+vwJD/D1AGHGzuri+hlV/PpQEKTWUVeORWz83AiEA5x2eXZOVbUlJSGQgjwD5vaUa' +
    'KlLR50Q2DmFfQj1L+SY=';
  const as = closing(await TestAuthorizationServer.start());
  const clientCertificate = { from: rfc9440(), proxies: ['127.0.0.1'] };
  const app = closing(await startApp({ resource: RESOURCE, issuer: as.issuer, clientCertificate }));
  const token = as.mint({ cnf: { 'x5t#S256': 'A4DtL2JmUMhAsvJj5tKyn64SqzmuXbMrJa0n761y5v0' } });
  const other = { 'client-cert': `:${mine.der.toString('base64')}:` };
  expectRefusal(await app.get('/protected', token, other), UNPROVEN);
  expectRefusal(await app.get('/protected', token), UNPROVEN);
  expect(app.handled).toBe(0);
  expect((await app.get('/protected', token, { 'client-cert': `:${certificate}:` })).status).toBe(200);
  expect(app.handled).toBe(1);
});
