import { afterEach, describe, expect, jest, test } from '@jest/globals';
import { inspect } from 'node:util';
import { problemDetails, resourceServer, VerificationUnavailableError } from '../../lib/index.js';
import type { AuthError, OnError } from '../../lib/index.js';
import { leaked, signerOf, textOf, unsigned } from '../support/attack.js';
import { closeAll, expectAccepted, stage } from '../support/stage.js';
import { signingKey, signRaw } from '../support/tokens.js';

const API = 'https://api.example.com';
const SECRET = 'sEcReT-claim-value-4711';

afterEach(closeAll);

describe('what goes out', () => {
  test('no refusal and no error repeats the token, a claim, a key id or a key', async () => {
    const errors: AuthError[] = [];
    const keep: (then: OnError) => OnError = (then) => (error, req, res, next) => {
      errors.push(error);
      then(error, req, res, next);
    };
    const spies = (['log', 'info', 'warn', 'error', 'debug'] as const).map((name) => jest.spyOn(console, name));
    const writes = [jest.spyOn(process.stdout, 'write'), jest.spyOn(process.stderr, 'write')];
    const warn = jest.spyOn(process, 'emitWarning').mockImplementation(() => undefined);
    try {
      for (const onError of [
        keep(problemDetails),
        keep((error, _req, _res, next) => {
          next(error);
        }),
      ]) {
        const { as, app } = await stage({ onError, methods: ['header', 'query'] });
        const header = { kid: SECRET };
        const secretClaims = { secret: SECRET };
        const tokens = [
          ...['iss', 'aud', 'sub', 'client_id', 'jti', 'exp', 'iat', 'nbf', 'cnf'].flatMap((name) =>
            [SECRET, [SECRET], { a: SECRET }, ''].map((value) => as.mint({ ...secretClaims, [name]: value })),
          ),
          ...['typ', 'alg', 'kid', 'crit'].map((name) => as.mint(secretClaims, { header: { [name]: SECRET } })),
          signRaw(unsigned(as, {}, secretClaims), signingKey()),
          as.mint(secretClaims, { header }),
          `${as.mint(secretClaims)}.${SECRET}`,
          `${SECRET}${SECRET}`,
          `${as.mint(secretClaims)},${SECRET}`,
        ];
        const answered = errors.length;
        for (const token of tokens) {
          for (const answer of [
            await app.get('/protected', token),
            await app.get(`/protected?access_token=${token}`),
          ]) {
            if (answer.status === 200) continue; // sub, client_id and jti may be any text
            expect(leaked(textOf(answer), token)).toBeUndefined();
            expect(textOf(answer)).not.toContain(SECRET);
          }
        }
        as.answers.set('/jwks', (_req, res) => void res.writeHead(500, { 'X-Secret': SECRET }).end(SECRET));
        expect(errors.length - answered).toBeGreaterThan(70);
        await expectAccepted(app, as.mint(secretClaims));
        const shown = errors
          .map((error) => inspect(error, { depth: 9, showHidden: true }) + String(error.stack))
          .join('\n');
        for (const token of tokens) expect(leaked(shown, token.slice(0, 400), 24)).toBeUndefined();
        expect(shown).not.toContain(SECRET);
        expect(shown).not.toContain(String(signerOf(as).jwk.x));
        // Hints are warnings: each once, and a constant sentence. The clock stands still, so that tokens get ahead of it.
        const warnings = warn.mock.calls as unknown as [hint: string, options: { code: string }][];
        const codes = warnings.map(([, { code }]) => code);
        expect(codes).toContain('OAUTH2_RS_AUDIENCE');
        expect(['OAUTH2_RS_AUDIENCE', 'OAUTH2_RS_CLOCK']).toEqual(expect.arrayContaining(codes));
        expect(codes).toHaveLength(new Set(codes).size);
        const hints = JSON.stringify(warnings);
        for (const token of tokens) expect(leaked(hints, token.slice(0, 400), 24)).toBeUndefined();
        expect(hints).not.toContain(SECRET);
        expect(hints).not.toContain(as.origin);
        warn.mockClear();
      }
      // Express itself writes unhandled errors to stderr unless it is under test; we write nothing else anywhere.
      const printed = [...spies, ...writes].flatMap((spy) => spy.mock.calls as unknown[]);
      expect(printed).toEqual([]);
      console.debug('the spies see what is printed');
      expect(spies[4]?.mock.calls).toHaveLength(1);
    } finally {
      for (const spy of [...spies, ...writes, warn]) spy.mockRestore();
    }
  });

  test('an outage says nothing of what the authorization server wrote', async () => {
    const errors: AuthError[] = [];
    const { as, app } = await stage({
      onError: (error, _req, res) => {
        errors.push(error);
        res.status(error.status).set(error.headers).json(error.body);
      },
    });
    as.answers.set('/jwks', (_req, res) => void res.writeHead(500, { 'X-Secret': SECRET }).end(SECRET));
    const answer = await app.get('/protected', as.mint({ secret: SECRET }));
    expect(answer.status).toBe(503);
    expect(textOf(answer) + inspect(errors, { depth: 9, showHidden: true })).not.toContain(SECRET);
    expect(textOf(answer)).not.toContain(as.origin);
    expect(errors[0]).toBeInstanceOf(VerificationUnavailableError);
  });

  test('neither password nor secret of the options comes back in the message of a mistake', () => {
    for (const options of [
      { issuer: `https://user:${SECRET}@as.example` },
      { issuer: `http://user:${SECRET}@as.example` },
      { issuer: API, jwksUri: `https://user:${SECRET}@as.example/#x` },
      { issuer: API, jwksUri: `ftp://user:${SECRET}@as.example` },
      { issuer: API, jwks: { keys: [{ kty: 'oct', k: SECRET }] } },
      { issuer: API, clientSecret: SECRET },
    ]) {
      const make = () => resourceServer({ resource: API, ...options });
      expect(make).toThrow(TypeError);
      let message = '';
      try {
        make();
      } catch (error) {
        message = inspect(error);
      }
      expect(message).not.toContain(SECRET);
    }
  });
});
