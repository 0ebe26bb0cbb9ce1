import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { afterEach, describe, expect, jest, test } from '@jest/globals';
import { fetchJson } from '../../lib/fetch-json.js';
import { hinter } from '../../lib/hints.js';
import { isInternal } from '../../lib/internal-address.js';
import { jwtVerifier } from '../../lib/jwt.js';
import { namedKeys } from '../../lib/keys.js';
import { checkedTerms } from '../../lib/token-terms.js';
import { expectForgeryRefused, signerOf, unsigned, withMember } from '../support/attack.js';
import { closeAll, expectAccepted, SAYS, stage } from '../support/stage.js';
import { base64url, signRaw, validClaims } from '../support/tokens.js';

const API = 'https://api.example.com';

afterEach(closeAll);

describe('deep and large', () => {
  const deep = (depth: number, [left, right]: readonly [string, string]) => left.repeat(depth) + right.repeat(depth);

  test.each([
    ['lists', ['[', ']'] as const, '1'],
    ['objects', ['{"a":', '}'] as const, '1'],
  ])('10,000 levels of %s break nothing, unsigned or validly signed', async (_name, brackets, core) => {
    const { as, app } = await stage({ methods: ['header', 'body'], maxTokenLength: 200_000 });
    const nested = deep(10_000, brackets).replace(brackets[0] + brackets[1], brackets[0] + core + brackets[1]);
    const { alg, kid } = signerOf(as);
    const send = async (input: string, signed: boolean) => {
      const token = signed ? signRaw(input, signerOf(as)) : `${input}.AAAA`;
      return app.request('/quiet', { method: 'POST', body: new URLSearchParams({ access_token: token }) });
    };
    const header = base64url({ typ: 'at+jwt', alg, kid });
    const payload = base64url(withMember(validClaims(as.issuer, API), `"deep":${nested}`));
    expect((await send(`${header}.${payload}`, false)).status).toBe(401);
    expect((await send(`${header}.${base64url(nested)}`, true)).status).toBe(401);
    const plain = base64url(validClaims(as.issuer, API));
    expect((await send(`${base64url(nested)}.${plain}`, true)).status).toBe(401);
    expect((await send(`${base64url(`{"typ":"at+jwt","alg":"${alg}","kid":${nested}}`)}.${plain}`, true)).status).toBe(
      401,
    );
    expect(app.handled).toBe(0);
    // Past the middleware: nobody answers at /quiet.
    expect((await send(`${header}.${payload}`, true)).status).toBe(404);
    expect(app.handled).toBe(1);
  });

  test('a token of 90 kB is looked at only where that is allowed, and one that fits no header is not', async () => {
    const { as, app } = await stage({ methods: ['header', 'body'] });
    const wide = await stage({ methods: ['header', 'body'], maxTokenLength: 100_000 });
    const send = (to: typeof app, token: string) =>
      to.request('/protected', { method: 'POST', body: new URLSearchParams({ access_token: token }) });
    const large = (from: typeof as) => from.mint({ pad: 'x'.repeat(67_000) });
    const answer = await send(app, large(as));
    expect([answer.status, answer.challenge, app.handled]).toEqual([
      400,
      `Bearer realm="${API}", error="invalid_request", error_description="The access token is too long"`,
      0,
    ]);
    expect((await send(wide.app, large(wide.as))).status).toBe(200);
    expect((await send(wide.app, large(as))).status).toBe(401);
    expect((await app.get('/protected', 'a'.repeat(17_000))).status).toBe(431);
    await expectForgeryRefused(app, 'a'.repeat(15_000), SAYS.noJwt);
    await expectAccepted(app, as.mint({ pad: 'x'.repeat(8000) }));
  });
});

describe('memory', () => {
  test('50,000 different bad tokens leave nothing behind: less than 4 MB', async () => {
    const { as, clock } = await stage();
    const keys = namedKeys(as.issuer, new URL(as.jwksUri), { fetch: globalThis.fetch, clock, maxAge: 86_400 });
    const server = { issuers: [as.issuer] as const, terms: checkedTerms({}, API), keys };
    const trusted = new Map<unknown, typeof server>([[as.issuer, server]]);
    const verify = jwtVerifier((issuer) => trusted.get(issuer), clock, 0, hinter([as.issuer]));
    const warn = jest.spyOn(process, 'emitWarning').mockImplementation(() => undefined);
    const refused = async (token: string) => {
      try {
        await verify(token);
        return 0;
      } catch {
        return 1;
      }
    };
    const flood = async (from: number, to: number) => {
      let count = 0;
      for (let i = from; i < to; i++) {
        const header = [{ kid: `k${i}` }, { kid: undefined, alg: 'RS256' }, { x: i }, { typ: `t${i}` }][i % 4];
        count += await refused(
          i % 5 === 0 ? `garbage${i}` : `${unsigned(as, header, { pad: `p${i}` })}.${'A'.repeat(86)}`,
        );
      }
      return count;
    };
    expect(await flood(0, 5000)).toBe(5000); // what is built once is built now
    const before = heapUsed();
    expect(await flood(5000, 55_000)).toBe(50_000);
    expect(heapUsed() - before).toBeLessThan(4 * 2 ** 20);
    expect(as.keyFetches).toBe(1);
    expect(warn.mock.calls.length).toBeLessThanOrEqual(1); // the clock stands still: tokens get ahead of it
    warn.mockRestore();
    expect(await refused(as.mint())).toBe(0);
  }, 60_000);
});

function heapUsed(): number {
  setFlagsFromString('--expose-gc');
  const gc = runInNewContext('gc') as () => void;
  for (let i = 0; i < 4; i++) gc();
  return process.memoryUsage().heapUsed;
}

describe('calls inwards', () => {
  test.each([
    ...[
      '127.0.0.1',
      '127.255.255.255',
      '0.0.0.0',
      '10.1.2.3',
      '172.16.0.1',
      '172.31.255.255',
      '192.168.1.1',
      '169.254.169.254',
    ],
    ...[
      '100.64.0.1',
      '2130706433',
      '0x7f000001',
      '0177.0.0.1',
      '127.1',
      '[::1]',
      '[::]',
      '[::ffff:127.0.0.1]',
      '[::ffff:a00:1]',
    ],
    ...[
      '[fc00::1]',
      '[fdff::1]',
      '[fe80::1]',
      '[fec0::1]',
      '[64:ff9b::7f00:1]',
      '[64:ff9b::a9fe:a9fe]',
      '[::127.0.0.1]',
      '[2002:7f00:1::]',
    ],
    ...['198.18.0.1', '240.0.0.1', '192.0.0.1', 'localhost', 'LOCALHOST.'],
  ])('%s is inside', async (host) => {
    expect(await isInternal(new URL(`https://${host}/`))).toBe(true);
  });

  test.each(['8.8.8.8', '172.32.0.1', '172.15.0.1', '11.0.0.1', '[2606:4700::1]', '[::ffff:8.8.8.8]', '100.128.0.1'])(
    '%s is outside',
    async (host) => {
      expect(await isInternal(new URL(`https://${host}/`))).toBe(false);
    },
  );

  test('a document that never ends is given up', async () => {
    const { as } = await stage();
    let sent = 0;
    as.answers.set('/endless', (req, res) => {
      res.writeHead(200, { 'Content-Type': 'application/json' });
      const timer = setInterval(() => void res.write(' '.repeat(2 ** 18), () => sent++), 1).unref();
      req.on('close', () => {
        clearInterval(timer);
      });
    });
    await expect(fetchJson(new URL(`${as.origin}/endless`), 'It', ['application/json'], fetch)).rejects.toMatchObject({
      reason: expect.stringContaining('larger than') as unknown,
    });
    expect(sent).toBeLessThan(64);
  });
});
