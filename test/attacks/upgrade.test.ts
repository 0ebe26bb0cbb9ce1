import tls from 'node:tls';
import { afterEach, describe, expect, test } from '@jest/globals';
import express from 'express';
import type { RequestHandler } from 'express';
import express4 from 'express4';
import { requireScope } from '../../lib/index.js';
import type { OnError } from '../../lib/index.js';
import { clientIdentity } from '../support/client-certificates.js';
import type { ClientIdentity } from '../support/client-certificates.js';
import { DPOP, BEARER, badProof, expectChallenges, failing } from '../support/dpop-refusals.js';
import { dpopHeaders, proofKey, prove } from '../support/proofs.js';
import { expectRefusal, invalidRequest, invalidToken, RESOURCE, unauthorized } from '../support/refusals.js';
import { closeAll } from '../support/stage.js';
import { selfSigned } from '../support/tls.js';
import { echo, SWITCHED, upgradeScene } from '../support/upgrade-stage.js';
import { openWire, upgradeText } from '../support/wire.js';
import type { Upgraded } from '../support/wire.js';

afterEach(closeAll);

function switched({ status, wire }: Upgraded): boolean {
  wire.socket.destroy();
  return status === 101;
}

describe('more on a connection than one upgrade', () => {
  const ORDINARY = 'GET /open HTTP/1.1\r\nHost: a\r\n\r\n';

  test('an upgrade right behind a request that is not answered yet: the connection ends, and the server lives', async () => {
    const scene = await upgradeScene();
    const headers = { Authorization: `Bearer ${scene.as.mint()}` };
    for (const text of [
      ORDINARY + upgradeText(),
      ORDINARY + upgradeText(headers),
      ORDINARY.repeat(3) + upgradeText(),
    ]) {
      const wire = await scene.open();
      wire.write(text);
      expect(await wire.closed).not.toContain(SWITCHED);
    }
    expect(scene.handled).toEqual([]);
    // One after the other they pass.
    const wire = await scene.open();
    wire.write(ORDINARY);
    await wire.until('\r\n\r\nopen');
    wire.write(upgradeText(headers));
    await wire.until(SWITCHED);
    wire.write('ping');
    await wire.until(`${SWITCHED}ping`);
    expect(scene.handled).toHaveLength(1);
  });

  test('a request, a frame or another upgrade behind one that is refused: nobody reads it', async () => {
    const scene = await upgradeScene();
    const good = upgradeText({ Authorization: `Bearer ${scene.as.mint()}` });
    for (const more of [ORDINARY, good, '\x81\x02hi', 'x'.repeat(100_000)]) {
      const wire = await scene.open();
      wire.write(upgradeText() + more);
      const answer = await wire.answer();
      expectRefusal(answer, unauthorized()); // the body is JSON, and nothing follows it
    }
    expect(scene.handled).toEqual([]);
    const wire = await scene.open();
    wire.write(`${good}${ORDINARY}`);
    await wire.until(SWITCHED + ORDINARY); // the handler gets it, as what it is: bytes
    expect(scene.handled).toHaveLength(1);
  });

  test('a guard that goes on twice: the handler runs once', async () => {
    const scene = await upgradeScene({
      upgrade: {
        guards: [
          (_req, _res, next) => {
            next();
            next();
          },
        ],
      },
    });
    expect(switched(await scene.upgrade(scene.as.mint()))).toBe(true);
    expect(scene.handled).toHaveLength(1);
  });

  test('odd requests are refused as any other', async () => {
    const scene = await upgradeScene({ upgrade: { guards: [requireScope('chat')] } });
    const token = scene.as.mint({ scope: 'chat' });
    for (const path of ['/%', '//chat', 'http://other.example/chat', '/chat?access_token=x', '*']) {
      expectRefusal(await scene.upgrade(undefined, {}, path), unauthorized('chat'));
      expect(switched(await scene.upgrade(token, {}, path))).toBe(true);
    }
    for (const protocol of ['h2c', 'TLS/1.2', 'websocket, h2c']) {
      const answer = await scene.upgrade(undefined, { Upgrade: protocol });
      expectRefusal(answer, unauthorized('chat'));
    }
    const wire = await scene.open();
    wire.write(upgradeText().replace('HTTP/1.1', 'HTTP/1.0'));
    expectRefusal(await wire.answer(), unauthorized('chat'));
  });
});

describe('hooks of an upgrade', () => {
  test.each([
    [
      'throws',
      () => {
        throw new Error('a bug');
      },
    ],
    ['rejects', () => Promise.reject(new Error('a bug'))],
    [
      'throws nothing',
      () => {
        throw undefined as unknown;
      },
    ],
    [
      'goes on',
      (...[, , , next]: Parameters<OnError>) => {
        next();
      },
    ],
  ])('an onError that %s: no way in', async (what, onError) => {
    const scene = await upgradeScene({ options: { onError } });
    const answer = await scene.upgrade();
    expect([answer.status, answer.all('connection')]).toEqual([what === 'goes on' ? 401 : 500, ['close']]);
    expect(scene.handled).toEqual([]);
    expect(switched(await scene.upgrade(scene.as.mint()))).toBe(true);
  });

  test('a guard that throws, or that answers itself: no way in', async () => {
    const guards: RequestHandler[] = [
      (req, res, next) => {
        if (req.url === '/throw') throw new Error('a bug');
        if (req.url === '/full') res.status(429).send('full');
        else next();
      },
    ];
    const scene = await upgradeScene({ upgrade: { guards } });
    const token = scene.as.mint();
    for (const [path, status] of [
      ['/throw', 500],
      ['/full', 429],
    ] as const) {
      const answer = await scene.upgrade(token, {}, path);
      expect([answer.status, answer.all('connection')]).toEqual([status, ['close']]);
    }
    expect(scene.handled).toEqual([]);
    expect(switched(await scene.upgrade(token))).toBe(true);
  });
});

describe('stolen tokens', () => {
  test('DPoP: the proof is for the https address, has a nonce of ours, and works once', async () => {
    const key = await proofKey();
    const scene = await upgradeScene({ options: { dpop: { nonce: 'required' } } });
    const token = scene.as.mint({ cnf: { jkt: key.jkt } });
    const upgrade = (nonce: string | undefined, uri = `${RESOURCE}/chat`, signer = key) => {
      const proof = prove(signer, uri, { token, ...(nonce !== undefined && { nonce }) });
      const { authorization = '', dpop = '' } = dpopHeaders(token, proof);
      return { send: () => scene.upgrade(undefined, { Authorization: authorization, DPoP: dpop }) };
    };
    await expectChallenges(await scene.upgrade(), 401, BEARER, DPOP);
    const says = 'The access token is bound to a key: send it as DPoP, with a proof';
    await expectChallenges(await scene.upgrade(token), 401, failing(BEARER, 'invalid_token', says), DPOP);

    const first = await upgrade(undefined).send();
    const needsNonce = 'The DPoP proof must have a current nonce of this resource';
    await expectChallenges(first, 401, failing(DPOP, 'use_dpop_nonce', needsNonce));
    const [nonce] = first.all('dpop-nonce');
    const elsewhere = await upgrade(nonce, 'wss://api.example.com/chat').send();
    expectRefusal(elsewhere, badProof('is for another address'));
    const other = await upgrade(nonce, undefined, await proofKey()).send();
    const otherKey = 'The access token is bound to another key';
    await expectChallenges(other, 401, failing(DPOP, 'invalid_token', otherKey));
    expect(scene.handled).toEqual([]);

    const good = upgrade(nonce);
    expect(switched(await good.send())).toBe(true);
    expectRefusal(await good.send(), badProof('was used before'));
    expect(scene.handled).toHaveLength(1);
  });

  test('client certificates: the one of the TLS connection that is upgraded', async () => {
    const [server, mine, theirs] = [selfSigned(), clientIdentity(), clientIdentity()];
    const scene = await upgradeScene({
      options: { clientCertificate: 'tls', requireTls: true },
      tls: { ...server, requestCert: true, rejectUnauthorized: false },
    });
    const token = scene.as.mint({ cnf: { 'x5t#S256': mine.thumbprint } });
    const upgrade = async (shown?: ClientIdentity, given = token) => {
      const { port } = scene;
      const socket = tls.connect({ host: '127.0.0.1', port, ca: server.cert, ...(shown && { ...shown }) });
      const wire = await openWire(socket);
      wire.write(upgradeText({ Authorization: `Bearer ${given}` }));
      return wire.answer();
    };
    const unproven = invalidToken('The access token is bound to a key that was not proven');
    expectRefusal(await upgrade(), unproven);
    expectRefusal(await upgrade(theirs), unproven);
    expect(scene.handled).toEqual([]);
    const answer = await upgrade(mine);
    answer.wire.write('ping');
    expect(await answer.wire.until('ping')).toBe(`${SWITCHED}ping`);
    answer.wire.socket.destroy();
    expect(switched(await upgrade(undefined, scene.as.mint()))).toBe(true); // an unbound token needs none
  });
});

describe('what a proxy says', () => {
  const HTTPS = { 'X-Forwarded-Proto': 'https' };
  const NO_TLS = invalidRequest('An access token must be sent over TLS');

  test.each([
    ['Express 5', express],
    ['Express 4', express4 as unknown as typeof express],
  ])('it is believed as far as the application trusts it, of %s', async (_name, create) => {
    const options = { requireTls: true };
    const app = create();
    const scene = await upgradeScene({ app, options, upgrade: { app } });
    const token = scene.as.mint();
    expectRefusal(await scene.upgrade(token, HTTPS), NO_TLS);
    app.set('trust proxy', '10.0.0.1');
    expectRefusal(await scene.upgrade(token, HTTPS), NO_TLS);
    app.set('trust proxy', 'loopback'); // whenever it is set, as over HTTP
    expectRefusal(await scene.upgrade(token), NO_TLS);
    expect(scene.handled).toEqual([]);
    expect(switched(await scene.upgrade(token, HTTPS))).toBe(true);

    const alone = await upgradeScene({ app: create().set('trust proxy', 'loopback'), options, as: scene.as });
    expectRefusal(await alone.upgrade(token, HTTPS), NO_TLS); // the upgrade was not told of the application
    expect((await alone.get(token, HTTPS)).status).toBe(200);
  });

  test('a request that the handler is given has the address that Express finds', async () => {
    const app = express().set('trust proxy', 'loopback');
    const scene = await upgradeScene({ app, upgrade: { app }, handler: echo });
    const headers = { 'X-Forwarded-For': '203.0.113.7' };
    expect(switched(await scene.upgrade(scene.as.mint(), headers))).toBe(true);
    expect(scene.handled.map(({ req }) => (req as express.Request).ip)).toEqual(['203.0.113.7']);
  });
});
