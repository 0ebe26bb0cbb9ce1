import { afterEach, describe, expect, test } from '@jest/globals';
import { requireScope, resourceServer } from '../../lib/index.js';
import { behind, guardStage, invalidTokenFor, KINDS } from '../support/guard-stage.js';
import { proofKey, dpopHeaders, prove } from '../support/proofs.js';
import {
  expectRefusal,
  insufficientScope,
  invalidRequest,
  invalidToken,
  MALFORMED_HEADER,
} from '../support/refusals.js';
import { RESOURCE, unauthorized } from '../support/refusals.js';
import { closeAll, SAYS } from '../support/stage.js';

afterEach(closeAll);

describe.each(KINDS)('OAuth 2.1, tokens by %s', (kind) => {
  test('OA21-5.1-1 a token in the query is ignored, by itself and beside one in the header', async () => {
    const { app, mint, ran } = await guardStage(kind, behind());
    for (const query of [`?access_token=${mint()}`, `?access_token=${mint()}&access_token=${mint()}`]) {
      expectRefusal(await app.get(`/x${query}`), unauthorized());
    }
    expect(ran).toEqual([]);
    for (const query of [
      `?access_token=${mint()}`,
      '?access_token=',
      '?access_token=rubbish',
      '?access_token=a&access_token=b',
    ]) {
      expect((await app.get(`/x${query}`, mint())).status).toBe(200);
    }
    expectRefusal(await app.get(`/x?access_token=${mint()}`, mint({ exp: 1 })), invalidToken(SAYS.expired));
    expect(ran).toHaveLength(4);
  });

  test('OA21-5.1.1-1 the header works, whatever the case of its scheme', async () => {
    const { app, mint, ran } = await guardStage(kind, behind());
    const ask = (authorization: string) => app.request('/x', { headers: { authorization } });
    for (const scheme of ['Bearer', 'bearer', 'BEARER', 'bEaReR']) {
      expect((await ask(`${scheme} ${mint()}`)).status).toBe(200);
      expectRefusal(await ask(scheme), MALFORMED_HEADER);
    }
    expectRefusal(await ask(`Bearers ${mint()}`), unauthorized());
    expect(ran).toHaveLength(4);
  });

  test('OA21-5.1.2-1 a token in a form body counts where that is switched on, and nowhere else', async () => {
    const [off, on] = [
      await guardStage(kind, behind()),
      await guardStage(kind, behind(), { methods: ['header', 'body'] }),
    ];
    const form = (token: string) => ({ method: 'POST', body: new URLSearchParams({ access_token: token }) });
    expectRefusal(await off.app.request('/x', form(off.mint())), unauthorized());
    expectRefusal(await on.app.request('/x', form(on.mint({ exp: 1 }))), invalidToken(SAYS.expired));
    expect([off.ran, on.ran]).toEqual([[], []]);
    expect((await on.app.request('/x', form(on.mint()))).status).toBe(200);
  });

  test('OA21-5.2-1 expired, for somebody else, without the scope, against the policy: each is refused', async () => {
    const acceptToken = ({ sub }: { readonly sub?: string }) => sub !== 'blocked';
    const { app, mint, clock, ran } = await guardStage(kind, behind(requireScope('a')), { acceptToken });
    const good = { scope: 'a' };
    expectRefusal(await app.get('/x', mint({ ...good, exp: clock.now })), invalidTokenFor('a', SAYS.expired));
    expectRefusal(
      await app.get('/x', mint({ ...good, aud: 'https://b.example' })),
      invalidTokenFor('a', SAYS.audience),
    );
    expectRefusal(await app.get('/x', mint({ ...good, sub: 'blocked' })), invalidTokenFor('a', SAYS.hook));
    expectRefusal(await app.get('/x', mint({ scope: 'A' })), insufficientScope('a'));
    expect(ran).toEqual([]);
    expect((await app.get('/x', mint({ ...good, exp: clock.now + 1 }))).status).toBe(200);
  });

  test('OA21-5.3-1 the client is told what is wrong, and nothing if it showed nothing', async () => {
    const { app, mint, ran } = await guardStage(kind, behind(requireScope('a')));
    expectRefusal(await app.get('/x'), unauthorized('a'));
    expectRefusal(await app.request('/x', { headers: { authorization: 'Basic YTpi' } }), unauthorized('a'));
    const twice = { headers: { authorization: 'Bearer a b' } };
    expectRefusal(await app.request('/x', twice), MALFORMED_HEADER);
    expectRefusal(await app.get('/x', mint({ exp: 1 })), invalidTokenFor('a', SAYS.expired));
    expectRefusal(await app.get('/x', mint()), insufficientScope('a'));
    expect(ran).toEqual([]);
    expect((await app.get('/x', mint({ scope: 'a' }))).status).toBe(200);
  });

  test('OA21-7.1.4-1 at every request it is asked whom the token is for, after a good one as well', async () => {
    const { app, mint, ran } = await guardStage(kind, behind());
    const [own, foreign] = [mint(), mint({ aud: 'https://b.example.com' })];
    for (let i = 0; i < 3; i++) {
      expect((await app.get('/x', own)).status).toBe(200);
      expectRefusal(await app.get('/x', foreign), invalidToken(SAYS.audience));
    }
    expect(ran).toHaveLength(3);
  });

  test('OA21-1.4.3-1 a token that is bound to its sender is worth nothing without the key', async () => {
    const [key, thief] = [await proofKey(), await proofKey()];
    const { app, mint, clock, ran } = await guardStage(kind, behind(), { dpop: { algs: ['ES256'] } });
    const token = mint({ cnf: { jkt: key.jkt }, ...(kind === 'introspection' && { token_type: 'DPoP' }) });
    const dpop = `DPoP realm="${RESOURCE}", algs="ES256"`;
    const { challenge, ...rest } = invalidToken('The access token is bound to a key: send it as DPoP, with a proof');
    expectRefusal(await app.get('/x', token), { ...rest, challenge: `${challenge}, ${dpop}` });
    const proofBy = (by: typeof key) => dpopHeaders(token, prove(by, `${RESOURCE}/x`, { token, now: clock.now }));
    const stolen = await app.request('/x', { headers: proofBy(thief) });
    const unproven = invalidToken('The access token is bound to another key');
    expectRefusal(stolen, { ...unproven, challenge: unproven.challenge.replace(`Bearer realm="${RESOURCE}"`, dpop) });
    expect(ran).toEqual([]);
    expect((await app.request('/x', { headers: proofBy(key) })).status).toBe(200);
  });

  test('OA21-1.5-1 a token that comes in the clear is refused before anybody looks at it', async () => {
    const { as, app, mint, ran } = await guardStage(
      kind,
      (server, handler) => {
        server.set('trust proxy', 'loopback').get('/x', handler);
      },
      { requireTls: true },
    );
    expectRefusal(await app.get('/x', mint()), invalidRequest('An access token must be sent over TLS'));
    expect([ran, as.log]).toEqual([[], []]);
    expect((await app.get('/x', mint(), { 'x-forwarded-proto': 'https' })).status).toBe(200);
  });
});

test('OA21-1.5-1 the address of this API is https', () => {
  const issuer = 'https://as.example.com';
  expect(() => resourceServer({ resource: 'http://api.example.com', issuer })).toThrow(/must be an https URL/);
  expect(() => resourceServer({ resource: RESOURCE, issuer: 'http://as.example.com' })).toThrow(/must be an https URL/);
  expect(() => resourceServer({ resource: RESOURCE, issuer })).not.toThrow();
});
