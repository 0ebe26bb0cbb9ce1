import { describe, expect, test } from '@jest/globals';
import { checkBinding, isBound } from '../../lib/binding.js';
import type { BindingPolicy, Presented } from '../../lib/binding.js';
import type { ProofFacts } from '../../lib/dpop.js';
import { InvalidDPoPProofError, OAuthError } from '../../lib/errors.js';
import type { TokenClaims } from '../../lib/types.js';

const X5T = 'A4DtL2JmUMhAsvJj5tKyn64SqzmuXbMrJa0n761y5v0';
const UNPROVEN = 'The access token is bound to a key that was not proven';
const UNBOUND = 'The access token is not bound to a key';

const claims = (cnf?: unknown): TokenClaims => ({ iss: 'https://as.example.com', ...(cnf !== undefined && { cnf }) });

interface Attempt {
  readonly cnf?: unknown;
  readonly scheme?: Presented['scheme'];
  readonly certificate?: string;
  readonly policy?: Partial<BindingPolicy>;
}

/** What comes of it, and what was looked at on the way. */
async function attempt({ cnf, scheme = 'Bearer', certificate, policy = {} }: Attempt) {
  const asked: string[] = [];
  const facts: ProofFacts[] = [];
  const look = <T>(what: string, value: T) => {
    return () => {
      asked.push(what);
      return value;
    };
  };
  const presented: Presented = {
    ...{ scheme, token: 'token', claims: claims(cnf), method: 'GET' },
    proofs: look('proofs', ['proof']),
    uris: look('uris', ['https://api.example.com/']),
    certificate: look('certificate', certificate),
  };
  const checkProof: BindingPolicy['checkProof'] = (given) => {
    facts.push(given);
    return given.jkt === 'good' ? Promise.resolve('nonce') : Promise.reject(new InvalidDPoPProofError('bad'));
  };
  const defaults = { checkProof, hasCertificates: true, requireBoundTokens: false, ignoreUnknown: false };
  let result: string | undefined;
  let says: string | undefined;
  try {
    result = await checkBinding(presented, { ...defaults, ...policy });
  } catch (error) {
    expect(error).toBeInstanceOf(OAuthError);
    says = (error as OAuthError).message;
  }
  return { result, says, asked, facts };
}

describe('isBound', () => {
  test.each<[cnf: unknown, bound: boolean]>([
    [undefined, false],
    [null, false],
    ['jkt', false],
    [[], false],
    [{}, false],
    [{ jwk: {} }, false],
    [{ jkt: undefined }, false],
    [{ jkt: 'a' }, true],
    [{ jkt: null }, true],
    [{ 'x5t#S256': 'a' }, true],
    [{ 'x5t#S256': 5 }, true],
  ])('cnf %j: %j', (cnf, bound) => {
    expect(isBound(claims(cnf))).toBe(bound);
  });
});

describe('checkBinding', () => {
  test('a bearer token passes without a look at proof, address or certificate', async () => {
    expect(await attempt({})).toEqual({ result: undefined, says: undefined, asked: [], facts: [] });
  });

  test('the proof is given all it is checked against, and the nonce of its check comes out', async () => {
    const { result, facts } = await attempt({ cnf: { jkt: 'good' }, scheme: 'DPoP' });
    const uris = ['https://api.example.com/'];
    expect(facts).toEqual([{ token: 'token', jkt: 'good', method: 'GET', proofs: ['proof'], uris }]);
    expect(result).toBe('nonce');
  });

  test.each<[what: string, given: Attempt]>([
    ['bound to the certificate that is shown', { cnf: { 'x5t#S256': X5T }, certificate: X5T }],
    ['bound to both, which are shown', { cnf: { jkt: 'good', 'x5t#S256': X5T }, certificate: X5T, scheme: 'DPoP' }],
    ['bound to something unknown that is to be ignored', { cnf: { foo: 1 }, policy: { ignoreUnknown: true } }],
    ['bound, where it must be', { cnf: { jkt: 'good' }, scheme: 'DPoP', policy: { requireBoundTokens: true } }],
    [
      'bound to a certificate, where it must be',
      { cnf: { 'x5t#S256': X5T }, certificate: X5T, policy: { requireBoundTokens: true } },
    ],
  ])('a token %s passes', async (_what, given) => {
    expect((await attempt(given)).says).toBeUndefined();
  });

  const DPOP = { scheme: 'DPoP' } as const;
  const OFF = { policy: { checkProof: undefined } };
  const BOTH = { jkt: 'good', 'x5t#S256': X5T };
  test.each<[what: string, given: Attempt, says: string]>([
    ['unbound under DPoP', DPOP, `${UNBOUND}: send it as Bearer`],
    ['unbound, where it must be bound', { policy: { requireBoundTokens: true } }, UNBOUND],
    ['unbound under DPoP, where it must be bound', { ...DPOP, policy: { requireBoundTokens: true } }, UNBOUND],
    ['with cnf null', { cnf: null }, UNPROVEN],
    ['with a list for cnf', { cnf: [{ jkt: 'good' }], ...DPOP }, UNPROVEN],
    ['with a text for cnf, unknown ones ignored', { cnf: 'good', policy: { ignoreUnknown: true } }, UNPROVEN],
    ['with an empty cnf', { cnf: {} }, UNPROVEN],
    ['bound to something unknown', { cnf: { foo: 1 } }, UNPROVEN],
    [
      'bound to something ignored, where it must be bound',
      { cnf: { foo: 1 }, policy: { ignoreUnknown: true, requireBoundTokens: true } },
      UNPROVEN,
    ],
    [
      'bound to something ignored, under DPoP',
      { cnf: { foo: 1 }, ...DPOP, policy: { ignoreUnknown: true } },
      'The access token is not bound to a DPoP key',
    ],
    [
      'bound to a key, as Bearer',
      { cnf: { jkt: 'good' } },
      'The access token is bound to a key: send it as DPoP, with a proof',
    ],
    ['bound to a key, as Bearer, without DPoP', { cnf: { jkt: 'good' }, ...OFF }, UNPROVEN],
    ['bound to a key, under DPoP, without DPoP', { cnf: { jkt: 'good' }, ...DPOP, ...OFF }, UNPROVEN],
    ['bound to a number', { cnf: { jkt: 5 }, ...DPOP }, UNPROVEN],
    ['with a bad proof', { cnf: { jkt: 'bad' }, ...DPOP }, 'bad'],
    ['bound to a certificate that is not shown', { cnf: { 'x5t#S256': X5T } }, UNPROVEN],
    ['bound to another certificate', { cnf: { 'x5t#S256': X5T }, certificate: 'other' }, UNPROVEN],
    ['bound to a certificate in a list', { cnf: { 'x5t#S256': [X5T] }, certificate: X5T }, UNPROVEN],
    [
      'bound to a certificate, which is not looked at',
      { cnf: { 'x5t#S256': X5T }, certificate: X5T, policy: { hasCertificates: false } },
      UNPROVEN,
    ],
    [
      'bound to a certificate, under DPoP',
      { cnf: { 'x5t#S256': X5T }, certificate: X5T, ...DPOP },
      'The access token is not bound to a DPoP key',
    ],
    ['bound to both, without the certificate', { cnf: BOTH, ...DPOP }, UNPROVEN],
    ['bound to both, with a bad proof', { cnf: { ...BOTH, jkt: 'bad' }, certificate: X5T, ...DPOP }, 'bad'],
  ])('a token %s is refused', async (_what, given, says) => {
    expect((await attempt(given)).says).toBe(says);
  });

  test('the proof is checked last, so that a request that fails anyway does not use it up', async () => {
    const { facts, says } = await attempt({ cnf: BOTH, scheme: 'DPoP', certificate: 'other' });
    expect([facts, says]).toEqual([[], UNPROVEN]);
  });
});
