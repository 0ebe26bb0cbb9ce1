import { createHmac } from 'node:crypto';
import { afterEach, describe, expect, test } from '@jest/globals';
import { startApp } from '../support/app.js';
import { sendJson } from '../support/authorization-server.js';
import {
  closeAll,
  closing,
  expectAccepted,
  expectRefused,
  expectUnavailable,
  PAUSE,
  SAYS,
  stage,
} from '../support/stage.js';
import type { Stage } from '../support/stage.js';
import { base64url, signingKey, validClaims } from '../support/tokens.js';

const API = 'https://api.example.com';
const OPENID = '/.well-known/openid-configuration';

afterEach(closeAll);

/** Metadata at the place of OpenID Connect only. */
async function openIdStage(path: string, place: string): Promise<Stage> {
  const scene = await stage({}, path);
  const oauth = `/.well-known/oauth-authorization-server${path.replace(/\/$/, '')}`;
  scene.as.answers.set(oauth, (_req, res) => void res.writeHead(404).end());
  scene.as.answers.set(place, (_req, res) => {
    sendJson(res, scene.as.document);
  });
  return scene;
}

describe('OpenID Connect Discovery 1.0', () => {
  test('OIDCD-3-1 a symmetric key in a fetched set verifies nothing, and does not spoil the others', async () => {
    const { as, app } = await stage();
    const secret = Buffer.alloc(64, 1);
    const oct = { kty: 'oct', k: secret.toString('base64url'), kid: 'oct' };
    as.jwks = { keys: [oct, { ...oct, alg: 'HS256', use: 'sig' }, ...as.keys.map((key) => key.jwk)] };
    for (const [alg, hash, says] of [
      ['HS256', 'sha256', SAYS.algorithm],
      ['HS512', 'sha512', SAYS.algorithm],
      ['ES256', 'sha256', SAYS.key],
    ] as const) {
      const input = `${base64url({ typ: 'at+jwt', alg, kid: 'oct' })}.${base64url(validClaims(as.issuer, API))}`;
      await expectRefused(app, `${input}.${createHmac(hash, secret).update(input).digest('base64url')}`, says);
    }
    await expectAccepted(app, as.mint());
  });

  test('OIDCD-3-1 a private key in a fetched set verifies nothing', async () => {
    const { as, app } = await stage();
    const leaked = signingKey('ES256', 'leaked');
    const jwk = leaked.privateKey.export({ format: 'jwk' });
    as.jwks = { keys: [{ ...jwk, kid: 'leaked', use: 'sig' }, ...as.keys.map((key) => key.jwk)] };
    await expectRefused(app, as.mint({}, { key: leaked }), SAYS.key);
    await expectAccepted(app, as.mint());
  });

  test('OIDCD-3-1 a jwks_uri with http answers 503', async () => {
    const { as, app, clock } = await openIdStage('', OPENID);
    as.metadata = { jwks_uri: 'http://as.example.com/jwks' };
    await expectUnavailable(app, as.mint());
    as.metadata = {};
    clock.now += PAUSE;
    await expectAccepted(app, as.mint());
  });

  test.each([
    ['', OPENID],
    ['/', OPENID],
    ['/t1', `/t1${OPENID}`],
    ['/t1/', `/t1${OPENID}`],
    ['/realms/a', `/realms/a${OPENID}`],
  ])('OIDCD-4-1 an issuer with the path %p is found at %s', async (path, place) => {
    const { as, app } = await openIdStage(path, place);
    await expectAccepted(app, as.mint());
    expect(as.log.at(-2)).toBe(`GET ${place}`);
    expect(as.log.at(-1)).toBe('GET /jwks');
    expect(as.log.filter((line) => line.includes('//') || line.endsWith('/'))).toEqual([]);
  });

  test.each([
    ['with a slash more', (issuer: string) => `${issuer}/`],
    ['of the parent', (issuer: string) => issuer.replace('/t1', '')],
    ['with a placeholder', (issuer: string) => issuer.replace('t1', '{tenantid}')],
    ['that is absent', () => undefined],
  ])('OIDCD-4.3-1 a document with an issuer %s answers 503, and its keys are not asked for', async (_name, change) => {
    const { as, app, clock } = await openIdStage('/t1', `/t1${OPENID}`);
    as.metadata = { issuer: change(as.issuer) };
    await expectUnavailable(app, as.mint());
    expect(as.keyFetches).toBe(0);
    as.metadata = {};
    clock.now += PAUSE;
    await expectAccepted(app, as.mint());
  });

  test('OIDCD-4.3-1 with a jwksUri of ours no document is asked for, and its issuer does not matter', async () => {
    const { as } = await stage();
    as.metadata = { issuer: 'https://other.example' };
    const app = closing(await startApp({ resource: API, issuer: as.issuer, jwksUri: as.jwksUri }));
    await expectAccepted(app, as.mint());
    expect(as.log).toEqual(['GET /jwks']);
    await expectRefused(app, as.mint({ iss: 'https://other.example' }), SAYS.issuer);
  });
});
