import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import express from 'express';
import type { RequestListener } from 'node:http';
import { runInThisContext } from 'node:vm';
import fc from 'fast-check';
import { requireScope, resourceServer } from '../../lib/index.js';
import type { ResourceServerOptions } from '../../lib/index.js';
import { signerOf, unsigned } from '../support/attack.js';
import { sendJson, TestAuthorizationServer } from '../support/authorization-server.js';
import { parseChallenges } from '../support/challenge-parser.js';
import { listen } from '../support/listen.js';
import { closeAll, closing } from '../support/stage.js';
import { signingKey, signRaw } from '../support/tokens.js';

const RUNS = Number(process.env['FUZZ_RUNS'] ?? 300);
// The gate asks the same questions each time; the long run asks new ones.
if (process.env['FUZZ_RUNS'] === undefined) fc.configureGlobal({ seed: 6750 });
const TIMEOUT = 20_000 + RUNS * 50;
const API = 'https://api.example.com';
const NAMES = [
  ...[
    'resource',
    'issuer',
    'jwksUri',
    'jwks',
    'authorizationServers',
    'audience',
    'algorithms',
    'methods',
    'fetch',
    'clock',
  ],
  ...['allowMissingToken', 'requireTls', 'clockTolerance', 'maxTokenLength', 'acceptToken', 'impliesScope', 'realm'],
  ...['errorUri', 'errorDescription', 'onError', 'keyMaxAge', 'typ', 'issuerAliases', 'audienceSubstitute'],
  ...['scopeClaims', 'clientIdClaim', 'optionalClaims', 'requiredClaims'],
];
const NAMED = new RegExp(`"(?:${NAMES.join('|')})"|has no option |takes an object`);

let as: TestAuthorizationServer;
let current: RequestListener = (_req, res) => void res.end();
let url = '';
beforeAll(async () => {
  as = closing(await TestAuthorizationServer.start());
  const front = closing(
    await listen((req, res) => {
      current(req, res);
    }),
  );
  url = front.url;
});
afterAll(closeAll);

/** Serves one resource server; says status and challenge. */
async function answerOf(options: ResourceServerOptions, token?: string, scopes: readonly string[] = []) {
  const app = express();
  app.use(resourceServer(options));
  if (scopes.length > 0) app.use(requireScope(...scopes));
  app.use((_req, res) => void res.json({}));
  current = app;
  const response = await fetch(url, token === undefined ? {} : { headers: { authorization: `Bearer ${token}` } });
  await response.text();
  const challenge = response.headers.get('www-authenticate');
  return { status: response.status, challenges: challenge === null ? [] : parseChallenges(challenge) };
}

const anything = fc.oneof(
  fc.anything({
    maxDepth: 3,
    withNullPrototype: true,
    withMap: true,
    withSet: true,
    withDate: true,
    withSparseArray: true,
    withObjectString: true,
    withTypedArray: true,
  }),
  fc.webUrl(),
  fc.constantFrom(
    API,
    'http://127.0.0.1:1/',
    'https://u:p@x.example',
    'https://x.example/#',
    'https://x.example?y',
    'ES256',
    'none',
  ),
  fc.func(fc.anything()),
  fc.constant(Symbol('x')),
);

describe('construction', () => {
  test(
    'any options construct, or throw a TypeError that names one',
    async () => {
      const valid: Record<string, unknown> = { resource: API, issuer: 'https://as.example.com' };
      const name = fc.oneof(
        { weight: 9, arbitrary: fc.constantFrom(...NAMES) },
        { weight: 1, arbitrary: fc.string({ maxLength: 12 }) },
      );
      const options = fc.tuple(
        fc.constantFrom(valid, {}),
        fc.dictionary(name, anything, { maxKeys: 3, noNullPrototype: true }),
      );
      let constructed = 0;
      await fc.assert(
        fc.asyncProperty(options, async ([base, members]) => {
          await Promise.resolve();
          try {
            expect(resourceServer({ ...base, ...members } as unknown as ResourceServerOptions)).toHaveLength(3);
            constructed++;
          } catch (error) {
            expect(error).toBeInstanceOf(TypeError);
            expect((error as Error).message).toMatch(NAMED);
          }
        }),
        { numRuns: RUNS },
      );
      expect(constructed).toBeGreaterThan(0);
    },
    TIMEOUT,
  );

  test('anything at all in place of options, servers, scopes throws a TypeError', () => {
    fc.assert(
      fc.property(anything, anything, (value, scope) => {
        for (const make of [
          () => resourceServer(value as ResourceServerOptions),
          () => resourceServer({ resource: API, authorizationServers: [value] } as unknown as ResourceServerOptions),
        ]) {
          expect(make).toThrow(TypeError);
          expect(make).toThrow(NAMED);
        }
        if (typeof scope !== 'string') expect(() => requireScope(scope as string)).toThrow(TypeError);
      }),
      { numRuns: RUNS },
    );
  });

  test('a key set that cannot be copied is refused as "jwks", also by the structuredClone of Node itself', () => {
    const replaced = globalThis.structuredClone;
    globalThis.structuredClone = runInThisContext('structuredClone') as typeof structuredClone;
    try {
      const key = { ...signerOf(as).jwk, vendor: () => 1 };
      const make = (keys: readonly object[]) => () =>
        resourceServer({ resource: API, issuer: API, jwks: { keys } } as unknown as ResourceServerOptions);
      expect(make([signerOf(as).jwk])).not.toThrow();
      expect(make([key])).toThrow(TypeError);
      expect(make([key])).toThrow('"jwks"');
    } finally {
      globalThis.structuredClone = replaced;
    }
  });

  test(
    'any realm, error page and scope that construct come back exactly as they were',
    async () => {
      const printable = fc.string({
        unit: fc.constantFrom(...Array.from({ length: 95 }, (_, i) => String.fromCharCode(32 + i))),
        maxLength: 30,
      });
      const text = fc.oneof(printable, fc.string({ unit: 'binary', maxLength: 20 }), fc.string({ maxLength: 20 }));
      let constructed = 0;
      await fc.assert(
        fc.asyncProperty(
          text,
          fc.oneof(fc.constant(undefined), fc.webUrl({ withQueryParameters: true })),
          fc.array(text, { minLength: 1, maxLength: 3 }),
          async (realm, errorUri, scopes) => {
            const options = {
              resource: API,
              issuer: as.issuer,
              realm,
              allowMissingToken: true,
              ...(errorUri !== undefined && { errorUri }),
            };
            try {
              resourceServer(options);
              requireScope(...scopes);
            } catch (error) {
              expect(error).toBeInstanceOf(TypeError);
              return;
            }
            constructed++;
            const [anonymous, bad] = [await answerOf(options, undefined, scopes), await answerOf(options, 'bad')];
            expect([anonymous.status, Object.fromEntries(anonymous.challenges[0]?.params ?? [])]).toEqual([
              401,
              { realm, scope: [...new Set(scopes)].join(' ') },
            ]);
            expect([bad.status, Object.fromEntries(bad.challenges[0]?.params ?? [])]).toEqual([
              401,
              {
                realm,
                error: 'invalid_token',
                error_description: 'The access token is not a JSON Web Token',
                ...(errorUri !== undefined && { error_uri: errorUri }),
              },
            ]);
          },
        ),
        { numRuns: RUNS },
      );
      expect(constructed).toBeGreaterThan(0);
    },
    TIMEOUT,
  );
});

describe('documents of the authorization server', () => {
  const json = fc.jsonValue({ maxDepth: 3 });
  const attacker = signingKey('ES256', 'first');
  const members = () => {
    const real = signerOf(as).jwk;
    const value = (...known: unknown[]) =>
      fc.oneof({ weight: 3, arbitrary: fc.constantFrom(...known) }, { weight: 1, arbitrary: json });
    const number = fc.uint8Array({ maxLength: 70 }).map((bytes) => Buffer.from(bytes).toString('base64url'));
    return fc.record(
      {
        kty: value('EC', 'EC', 'RSA', 'OKP', 'oct', 'AKP'),
        crv: value('P-256', 'P-384', 'Ed25519', 'X25519'),
        x: fc.oneof(value(real.x), number),
        y: fc.oneof(value(real.y), number),
        n: fc.oneof(
          json,
          fc.uint8Array({ minLength: 250, maxLength: 300 }).map((bytes) => Buffer.from(bytes).toString('base64url')),
        ),
        e: fc.oneof(value('AQAB', 'AQ', 'Aw', 'AA', ''), number),
        kid: value('first', 'second', undefined),
        alg: value('ES256', 'RS256', 'EdDSA', undefined),
        use: value('sig', 'enc', undefined),
        key_ops: value(['verify'], ['sign'], undefined),
        k: value(undefined, undefined, 'AAAA'),
        d: value(undefined, undefined, 'AAAA'),
      },
      { requiredKeys: ['kty', 'kid'] },
    );
  };

  test(
    'any metadata and any key set let no token in that the server did not sign',
    async () => {
      const keys = fc.array(
        fc.oneof(
          { weight: 6, arbitrary: members() },
          { weight: 1, arbitrary: json },
          { weight: 1, arbitrary: fc.constant(signerOf(as).jwk) },
        ),
        { maxLength: 4 },
      );
      const jwks = fc.oneof(
        { weight: 5, arbitrary: keys.map((list) => ({ keys: list })) },
        { weight: 1, arbitrary: json },
      );
      const metadata = fc.oneof(
        { weight: 8, arbitrary: fc.constant({}) },
        { weight: 1, arbitrary: fc.dictionary(fc.constantFrom('issuer', 'jwks_uri'), json) },
      );
      const type = fc.oneof(
        { weight: 8, arbitrary: fc.constant('application/json') },
        { weight: 1, arbitrary: fc.constantFrom('text/html', 'application/jwk-set+json', 'x') },
      );
      const forged = fc.record({
        alg: fc.constantFrom('ES256', 'RS256', 'PS256', 'EdDSA', 'Ed25519'),
        kid: fc.constantFrom('first', 'second', undefined),
        signature: fc.oneof(
          fc.constant(undefined),
          fc.uint8Array({ maxLength: 300 }),
          fc.constantFrom(new Uint8Array(64), new Uint8Array(256)),
        ),
      });
      const seen = new Set<number>();
      await fc.assert(
        fc.asyncProperty(
          metadata,
          jwks,
          type,
          forged,
          async (overrides, document, mediaType, { alg, kid, signature }) => {
            as.metadata = overrides;
            as.answers.set('/jwks', (_req, res) => {
              sendJson(res, document, 200, mediaType);
            });
            const options = { resource: API, issuer: as.issuer };
            const input = unsigned(as, { alg, kid });
            const token =
              signature === undefined
                ? signRaw(input, attacker)
                : `${input}.${Buffer.from(signature).toString('base64url')}`;
            expect([401, 503]).toContain((await answerOf(options, token)).status);
            const { status } = await answerOf(options, as.mint());
            expect([200, 401, 503]).toContain(status);
            seen.add(status);
          },
        ),
        { numRuns: RUNS },
      );
      expect(seen.has(200)).toBe(true);
    },
    TIMEOUT,
  );
});
