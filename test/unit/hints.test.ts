import { describe, expect, test } from '@jest/globals';
import { hinter } from '../../lib/hints.js';
import { checkedTerms } from '../../lib/token-terms.js';
import type { TokenTerms } from '../../lib/token-terms.js';
import { diagnosticsOf, warningsOf } from '../support/diagnostics.js';

const API = 'https://api.example.com';
const ISSUERS = ['https://as.example.com', 'https://b.example/Tenant/'];
const NOW = 1_000_000;

interface Refused {
  readonly header?: Readonly<Record<string, unknown>>;
  readonly claims?: Readonly<Record<string, unknown>>;
  readonly terms?: TokenTerms;
  /** The issuer is not trusted. */
  readonly stranger?: boolean;
}

/** The codes of the warnings about these refused tokens, each sent twice. A token is good but for what a test says. */
async function codes(...tokens: readonly Refused[]): Promise<string[]> {
  const warnings = await warningsOf(() => {
    const hint = hinter(ISSUERS);
    for (const { header, claims, terms = {}, stranger = false } of [...tokens, ...tokens]) {
      hint(
        { typ: 'at+jwt', ...header },
        { iss: ISSUERS[0], aud: API, iat: NOW - 1, ...claims },
        stranger ? undefined : checkedTerms(terms, API),
        NOW,
      );
    }
    return Promise.resolve();
  });
  expect(new Set(warnings.map(({ type }) => type))).toEqual(new Set(warnings.map(() => 'OAuth2ResourceServerHint')));
  return warnings.map(({ code }) => code);
}

describe('an issuer that is nearly trusted', () => {
  test.each(['https://as.example.com/', 'https://AS.example.com', 'https://b.example/tenant'])('%s', async (iss) => {
    expect(await codes({ stranger: true, claims: { iss } })).toEqual(['OAUTH2_RS_ISSUER']);
  });

  test.each([['https://as.example'], ['https://as.example.com//'], ['http://as.example.com'], [undefined], [5], [[]]])(
    '%j is just another',
    async (iss) => {
      expect(await codes({ stranger: true, claims: { iss } })).toEqual([]);
    },
  );
});

describe('another kind of token', () => {
  test.each([
    ['JWT', {}, ['OAUTH2_RS_TYP']],
    [undefined, {}, ['OAUTH2_RS_TYP']],
    [5, {}, ['OAUTH2_RS_TYP']],
    ['jwt', { nonce: 'n' }, ['OAUTH2_RS_IDTOKEN']],
    ['JWT', { at_hash: 'h' }, ['OAUTH2_RS_IDTOKEN']],
    [undefined, { c_hash: 'h' }, ['OAUTH2_RS_IDTOKEN']],
    ['dpop+jwt', {}, []],
    ['logout+jwt', {}, []],
    ['application/at+jwt', {}, []],
    ['AT+JWT', {}, []],
  ])('typ %j with %j', async (typ, claims, expected) => {
    expect(await codes({ header: { typ }, claims })).toEqual(expected);
  });

  test('none where the typ is accepted', async () => {
    expect(await codes({ header: { typ: 'JWT' }, terms: { typ: ['JWT'] } })).toEqual([]);
    expect(await codes({ header: { typ: undefined }, terms: { typ: [null] } })).toEqual([]);
    // But an ID token is one under any typ that does not say otherwise.
    expect(await codes({ header: { typ: 'JWT' }, claims: { nonce: 'n' }, terms: { typ: ['JWT'] } })).toEqual([
      'OAUTH2_RS_IDTOKEN',
    ]);
  });
});

describe('another audience', () => {
  test.each([['https://other.example'], [undefined], [5], [['https://other.example', 7]], [[]], [{}]])(
    '%j',
    async (aud) => {
      expect(await codes({ claims: { aud } })).toEqual(['OAUTH2_RS_AUDIENCE']);
    },
  );

  test('none where one of the names is ours', async () => {
    expect(await codes({ claims: { aud: ['x', API] } })).toEqual([]);
    expect(await codes({ claims: { aud: 'pictures' }, terms: { audience: ['pictures'] } })).toEqual([]);
  });

  test('none where the substitute names us, and the token was refused for something else', async () => {
    const terms = { audienceSubstitute: { client_id: 'app' } };
    expect(await codes({ claims: { aud: undefined, client_id: 'app' }, terms })).toEqual([]);
    expect(await codes({ claims: { aud: undefined, client_id: 'other' }, terms })).toEqual(['OAUTH2_RS_AUDIENCE']);
  });
});

describe('a clock that differs', () => {
  test.each([
    [{ iat: NOW + 1 }, []], // no token is refused for that
    [{ nbf: NOW + 1 }, ['OAUTH2_RS_CLOCK']],
    [{ iat: NOW, nbf: NOW }, []],
    [{ iat: 'later' }, []],
    [{ iat: null, nbf: [] }, []],
    [{ iat: { toString: 1 } }, []],
    [{ nbf: { valueOf: 1, toString: 1 } }, []],
  ])('%j', async (claims, expected) => {
    expect(await codes({ claims })).toEqual(expected);
  });
});

describe('how often', () => {
  const mistakes: readonly Refused[] = [
    { stranger: true, claims: { iss: `${String(ISSUERS[0])}/` } },
    { header: { typ: 'JWT' }, claims: { nonce: 'n' } },
    { header: { typ: 'JWT' } },
    { claims: { aud: 'x' } },
    { claims: { nbf: NOW + 1 } },
  ];

  test('once for each of five causes', async () => {
    expect(await codes(...mistakes, ...mistakes)).toEqual([
      'OAUTH2_RS_ISSUER',
      'OAUTH2_RS_IDTOKEN',
      'OAUTH2_RS_TYP',
      'OAUTH2_RS_AUDIENCE',
      'OAUTH2_RS_CLOCK',
    ]);
  });

  test('each on the channel, too, with nothing of the token', async () => {
    const events = await diagnosticsOf(async () => {
      expect(await codes({ claims: { aud: 'secret-audience', sub: 'secret-subject' } })).toHaveLength(1);
    });
    expect(events).toMatchObject([{ type: 'hint', hint: expect.stringMatching(/^A refused token .* "audience"/) }]);
    expect(JSON.stringify(events)).not.toContain('secret-');
  });

  test('each middleware tells its own', async () => {
    const [mistake = {}] = mistakes;
    expect([await codes(mistake), await codes(mistake)]).toEqual([['OAUTH2_RS_ISSUER'], ['OAUTH2_RS_ISSUER']]);
  });
});
