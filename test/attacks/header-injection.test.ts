import { afterEach, describe, expect, test } from '@jest/globals';
import { errorHandler, OAuthError, requireScope, resourceServer } from '../../lib/index.js';
import { startApp } from '../support/app.js';
import { TestAuthorizationServer } from '../support/authorization-server.js';
import { closeAll, closing, stage } from '../support/stage.js';

const API = 'https://api.example.com';

afterEach(closeAll);

const POISON = [
  'x\r\nX-Injected: 1',
  'x\nX-Injected: 1',
  'x\rX',
  'x\0',
  'x\u0085y',
  'x\u2028y',
  'caf\u00e9',
  '\u{1f600}',
  'x\ty',
  '\u010d\u010a',
  'x\x7f',
];

describe('header injection by what is configured', () => {
  const base = { resource: API, issuer: 'https://as.example.com' };

  test.each(POISON)('%j is refused at construction, wherever it stands', (text) => {
    const options: [name: string, value: object][] = [
      ['realm', { realm: text }],
      ['resource', { resource: `${API}/${text}` }],
      ['errorUri', { errorUri: `${API}/${text}` }],
      ['issuer', { issuer: `${API}/${text}` }],
      ['jwksUri', { jwksUri: `${API}/${text}` }],
    ];
    for (const [name, value] of options) {
      expect(() => resourceServer({ ...base, ...value })).toThrow(`"${name}" must be`);
    }
    expect(() => requireScope(text)).toThrow('is not a scope of RFC 6749 section 3.3');
    expect(() => new Custom(text)).toThrow('an error_description must be printable ASCII');
    expect(() => requireScope('x')).not.toThrow();
  });

  test.each([
    'a"b',
    'a\\b',
    '\\',
    '"',
    '\\"',
    'a", error="x',
    'a\\", error=\\"x',
    "a', b=c",
    'a, Basic realm="b"',
    ' ',
    '=',
    ',',
  ])('a realm of %j comes back as it is, and makes no second parameter', async (realm) => {
    const { app } = await stage({ realm, errorDescription: false });
    const { challenges } = await app.get('/protected', 'bad');
    expect(challenges.map(({ scheme, params }) => [scheme, Object.fromEntries(params)])).toEqual([
      ['Bearer', { realm, error: 'invalid_token' }],
    ]);
  });

  test("an error of one's own cannot be changed into what splits a response", async () => {
    const as = closing(await TestAuthorizationServer.start());
    let error: OAuthError = new Custom('fine');
    const app = closing(
      await startApp(
        {
          ...base,
          issuer: as.issuer,
          acceptToken: () => {
            throw error;
          },
        },
        (routes) => routes.use(errorHandler),
      ),
    );
    expect((await app.get('/protected', as.mint())).challenge).toBe(
      `Bearer realm="${API}", error="custom", error_description="fine", hint="none"`,
    );
    for (const text of POISON) {
      for (const poisoned of [
        Object.assign(new Custom('fine'), { message: text }),
        Object.assign(new Custom('fine'), { code: text }),
        Object.assign(new Custom('fine'), { hint: { hint: text } }),
        Object.assign(new Custom('fine'), { hint: { [text]: 'x' } }),
        Object.assign(new Custom('fine'), { hint: { Realm: 'other' } }),
        Object.assign(new Custom('fine'), { hint: { '': 'x' } }),
      ]) {
        error = poisoned;
        const answer = await app.get('/protected', as.mint());
        expect([answer.status, answer.challenge, answer.headers.get('x-injected')]).toEqual([500, undefined, null]);
      }
    }
    error = Object.assign(new Custom('fine'), { hint: { hint: 'a", error="x\\' } });
    expect((await app.get('/protected', as.mint())).challenges[0]?.params.get('hint')).toBe('a", error="x\\');
    expect(app.handled).toBe(0);
  });
});

class Custom extends OAuthError {
  readonly status = 403;
  override readonly code: string = 'custom';
  hint: Record<string, string> = { hint: 'none' };

  override get params() {
    return this.hint;
  }
}
