import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { Answer } from '../support/app.js';
import { leaked, signerOf, textOf, unsigned } from '../support/attack.js';
import { parseChallenges } from '../support/challenge-parser.js';
import { sendRaw } from '../support/raw.js';
import { closeAll, stage } from '../support/stage.js';
import type { Stage } from '../support/stage.js';
import { base64url, signingKey, signRaw, validClaims } from '../support/tokens.js';

// The long run: npm run fuzz
const RUNS = Number(process.env['FUZZ_RUNS'] ?? 300);
// The gate asks the same questions each time; the long run asks new ones.
if (process.env['FUZZ_RUNS'] === undefined) fc.configureGlobal({ seed: 6750 });
const TIMEOUT = 20_000 + RUNS * 50;
const API = 'https://api.example.com';

let staged: Stage;
beforeAll(async () => {
  staged = await stage({ methods: ['header', 'body', 'query'] });
});
afterAll(closeAll);

const attacker = signingKey('ES256', 'first');
const REGISTERED = ['iss', 'sub', 'aud', 'client_id', 'exp', 'nbf', 'iat', 'jti', 'scope', 'cnf'];
const HEADER = ['typ', 'alg', 'kid', 'crit', 'b64', 'jwk', 'jku', 'x5c', 'cty', 'zip', '__proto__', 'constructor'];

const json = fc.jsonValue({ maxDepth: 4 });
/** Text of any kind of character, and of those that mean something here. */
const text = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 60 }),
  fc.string({ unit: fc.constantFrom(...Array.from('Bb=.,;"\\ \t&+%[]/-_~{}:eyJ0\0\r\n\u00e9\u212a')), maxLength: 60 }),
  fc.string({ maxLength: 60 }),
);
/** The good token with something changed in one place. */
const mutation = fc.record({
  at: fc.nat(),
  cut: fc.nat({ max: 3 }),
  put: fc.oneof(text, fc.constantFrom('', '.', 'A', '=')),
});
const latin1 = (value: string) => value.replace(/[\u0100-\uffff]/g, '?');

function mutate(token: string, { at, cut, put }: { at: number; cut: number; put: string }): string {
  const place = at % (token.length + 1);
  return token.slice(0, place) + put + token.slice(place + cut);
}

function expectRefused(answer: Answer, secret?: string): void {
  expect([400, 401]).toContain(answer.status);
  expect(answer.challenges).toHaveLength(1); // the strict parser has read it
  expect(answer.challenges[0]?.params.get('realm')).toBe(API);
  if (secret !== undefined && secret.length >= 32) expect(leaked(textOf(answer), secret)).toBeUndefined();
}

/** How often the handler ran while `check` was tried. */
async function holds<T>(arbitrary: fc.Arbitrary<T>, check: (value: T) => Promise<void>): Promise<number> {
  const before = staged.app.handled;
  await fc.assert(fc.asyncProperty(arbitrary, check), { numRuns: RUNS });
  return staged.app.handled - before;
}

describe('bad tokens are never let in, and break nothing', () => {
  test(
    'any Authorization line',
    async () => {
      const value = fc.oneof(
        text,
        text.map((rest) => `Bearer ${rest}`),
        mutation.map((change) => `Bearer ${mutate(staged.as.mint(), change)}`),
      );
      const lines = fc.array(fc.tuple(fc.constantFrom('Authorization', 'authorization', 'X-Other'), value), {
        minLength: 1,
        maxLength: 3,
      });
      const good = staged.as.mint();
      const handled = await holds(fc.tuple(lines, mutation), async ([fields, change]) => {
        const changed = mutate(good, change);
        fc.pre(changed.trim() !== good);
        const sent = [
          ...fields.map(([name, content]) => `${name}: ${latin1(content)}`),
          `Authorization: Bearer ${latin1(changed)}`,
        ];
        const answer = await sendRaw(staged.app.port, ['GET /protected HTTP/1.1', 'Host: x', ...sent]);
        expect([400, 401, 431]).toContain(answer.status);
        for (const challenge of answer.all('www-authenticate')) expect(parseChallenges(challenge)).toHaveLength(1);
        if (answer.status === 401) expect(answer.all('www-authenticate')).toHaveLength(1);
      });
      expect(handled).toBe(0);
    },
    TIMEOUT,
  );

  test(
    'any change of a good token',
    async () => {
      const good = staged.as.mint();
      const handled = await holds(mutation, async (change) => {
        const token = mutate(good, change);
        fc.pre(token !== good);
        expectRefused(
          await staged.app.request(`/protected?access_token=${encodeURIComponent(wellFormed(token))}`),
          token,
        );
      });
      expect(handled).toBe(0);
    },
    TIMEOUT,
  );

  test(
    'any query',
    async () => {
      const handled = await holds(fc.tuple(text, text), async ([first, second]) => {
        const query = wellFormed(`${first}&access_token=${second}`).replace(/#/g, '');
        const answer = await staged.app.request(`/protected?${query}`);
        expectRefused(answer);
      });
      expect(handled).toBe(0);
    },
    TIMEOUT,
  );

  test(
    'any body of any type',
    async () => {
      const type = fc.oneof(
        fc.constantFrom(
          'application/x-www-form-urlencoded',
          'Application/X-WWW-Form-Urlencoded ; charset=utf-8',
          'application/json',
        ),
        fc.constantFrom(
          'application/x-www-form-urlencoded; charset=latin1',
          'multipart/form-data; boundary=x',
          'text/plain',
          '',
        ),
        fc.string({ maxLength: 30 }).map((rest) => `application/x-www-form-urlencoded;${rest}`),
      );
      const body = fc.oneof(
        fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes)),
        fc
          .tuple(text, text)
          .map(([name, value]) => Buffer.from(`${name}&access_token=${value}&access_token[${name}]=x`)),
      );
      const encoding = fc.constantFrom('identity', 'identity', 'gzip', 'br', 'x');
      const handled = await holds(fc.tuple(type, body, encoding), async ([contentType, content, contentEncoding]) => {
        const headers = { 'Content-Type': contentType.trim(), 'Content-Encoding': contentEncoding };
        expectRefused(await staged.app.request('/protected', { method: 'POST', headers, body: content }));
      });
      expect(handled).toBe(0);
    },
    TIMEOUT,
  );

  test(
    'any claims and any header, not signed by the server',
    async () => {
      const members = (names: string[]) =>
        fc.dictionary(fc.oneof(fc.constantFrom(...names), fc.string({ maxLength: 8 })), json, { maxKeys: 4 });
      const signature = fc.oneof(
        fc.constant(undefined),
        fc.uint8Array({ maxLength: 80 }),
        fc.constant(new Uint8Array(64)),
      );
      const handled = await holds(
        fc.tuple(members(HEADER), members(REGISTERED), signature),
        async ([header, claims, bytes]) => {
          const input = unsigned(staged.as, header, claims);
          const token =
            bytes === undefined ? signRaw(input, attacker) : `${input}.${Buffer.from(bytes).toString('base64url')}`;
          fc.pre(token.length < 12_000);
          expectRefused(await staged.app.get('/protected', token), token);
        },
      );
      expect(handled).toBe(0);
    },
    TIMEOUT,
  );

  test(
    'any segments, signed by the server itself',
    async () => {
      const segment = fc.oneof(
        text,
        json.map((value) => JSON.stringify(value)),
      );
      const handled = await holds(fc.tuple(segment, segment), async ([header, payload]) => {
        const input = `${base64url(wellFormed(header))}.${base64url(wellFormed(payload))}`;
        expectRefused(await staged.app.get('/protected', signRaw(input, signerOf(staged.as))));
      });
      expect(handled).toBe(0);
    },
    TIMEOUT,
  );
});

describe('what the server signed', () => {
  test(
    'passes only with claims that are those of an access token for us',
    async () => {
      const claims = fc.dictionary(
        fc.oneof(fc.constantFrom(...REGISTERED), fc.string({ maxLength: 8 })),
        fc.oneof(json, fc.double(), fc.constant(API)),
        { maxKeys: 4 },
      );
      await holds(claims, async (overrides) => {
        const sent = JSON.parse(JSON.stringify({ ...validClaims(staged.as.issuer, API), ...overrides })) as Record<
          string,
          unknown
        >;
        const answer = await staged.app.get('/protected', staged.as.mint(overrides));
        const times = [sent['exp'], sent['iat'], sent['nbf'] ?? 0];
        const good =
          sent['iss'] === staged.as.issuer &&
          [sent['aud']].flat().includes(API) &&
          [sent['aud']].flat().every((aud) => typeof aud === 'string') &&
          ['sub', 'client_id', 'jti'].every((name) => typeof sent[name] === 'string' && sent[name] !== '') &&
          times.every((time) => typeof time === 'number') &&
          !(Object.hasOwn(sent, 'nbf') && typeof sent['nbf'] !== 'number') &&
          Number(sent['exp']) > staged.clock.now &&
          Number(sent['nbf'] ?? 0) <= staged.clock.now &&
          !Object.hasOwn(sent, 'cnf');
        if (good) expect(answer.status).toBe(200);
        else expectRefused(answer);
      });
    },
    TIMEOUT,
  );

  test(
    'passes whatever harmless things come with it',
    async () => {
      const name = fc.string({ unit: fc.constantFrom(...Array.from('abcXYZ019-_')), minLength: 1, maxLength: 12 });
      const visible = fc.string({ maxLength: 40 }).map((value) => value.trim());
      const extra = {
        claims: fc.dictionary(
          fc.string({ maxLength: 8 }).map((rest) => `x_${rest}`),
          json,
          { maxKeys: 4 },
        ),
        header: fc.dictionary(
          name.map((rest) => `x-${rest}`),
          json,
          { maxKeys: 3 },
        ),
        fields: fc.dictionary(
          name.map((rest) => `x-${rest}`),
          visible,
          { maxKeys: 4 },
        ),
        query: fc.dictionary(
          fc.string({ maxLength: 8 }).map((rest) => `q${rest}`),
          text,
          { maxKeys: 4 },
        ),
        form: fc.dictionary(
          fc.string({ maxLength: 8 }).map((rest) => `f${rest}`),
          text,
          { maxKeys: 4 },
        ),
        place: fc.constantFrom('header', 'query', 'body'),
        scheme: fc.constantFrom('Bearer ', 'bearer ', 'BEARER   '),
      };
      const handled = await holds(fc.record(extra), async ({ claims, header, fields, query, form, place, scheme }) => {
        const token = staged.as.mint(claims, { header });
        fc.pre(token.length < 8000);
        const search = new URLSearchParams({
          ...wellFormedAll(query),
          ...(place === 'query' && { access_token: token }),
        });
        // A form that carries a token must be ASCII (RFC 6750 section 2.2).
        const rest = place === 'body' ? { access_token: token } : wellFormedAll(form);
        const answer = await staged.app.request(`/protected?${search.toString()}`, {
          method: 'POST',
          headers: { ...fields, ...(place === 'header' && { authorization: scheme + token }) },
          body: new URLSearchParams(rest),
        });
        expect([answer.status, answer.challenge]).toEqual([200, undefined]);
        expect(answer.body).toMatchObject({
          auth: { subject: 'alice', claims: JSON.parse(JSON.stringify(claims)) as object },
        });
      });
      expect(handled).toBeGreaterThanOrEqual(RUNS);
    },
    TIMEOUT,
  );
});

/** Text as it survives UTF-8: half of a surrogate pair becomes U+FFFD. */
function wellFormed(value: string): string {
  return Buffer.from(value).toString();
}

function wellFormedAll(record: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(record).map(([name, value]) => [wellFormed(name), wellFormed(value)]));
}
