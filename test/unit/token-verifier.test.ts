import { describe, expect, test } from '@jest/globals';
import { VerifiedJwts } from '../../lib/verified-jwts.js';
import type { TrustedServer } from '../../lib/authorization-servers.js';
import { clientSecretBasic } from '../../lib/client-authentication.js';
import { InvalidTokenError, VerificationUnavailableError } from '../../lib/errors.js';
import type { Fetch } from '../../lib/fetch-json.js';
import { jwtVerifier } from '../../lib/jwt.js';
import { TokenCache } from '../../lib/token-cache.js';
import { tokenVerifier } from '../../lib/token-verifier.js';
import type { SelectIntrospection } from '../../lib/token-verifier.js';
import { listedServers } from '../../lib/trusted-servers.js';
import { movableClock } from '../support/clock.js';
import { base64url, signingKey, signJwt, signRaw, validClaims } from '../support/tokens.js';
import type { Overrides } from '../support/tokens.js';

const API = 'https://api.example.com';
/** Its tokens are JWTs, and nobody asks it. */
const LOCAL = 'https://local.example';
/** Is asked about its tokens, JWTs included. */
const ASKED = 'https://asked.example';
/** Is asked about its tokens, but for JWTs. */
const BOTH = 'https://both.example';
const STRANGER = 'https://stranger.example';

const key = signingKey('ES256', 'one');
const forger = signingKey('ES256', 'one');
const SAYS = {
  inactive: 'The access token is not active',
  issuer: 'The access token is from an issuer that is not trusted here',
  signature: 'The access token has a wrong signature',
  algorithm: 'The access token is signed with an algorithm that is not accepted here',
  noJwt: 'The access token is not a JSON Web Token',
  audience: 'The access token is not for this resource',
  down: 'The introspection answer of the authorization server came with a status that is not 200',
} as const;

interface Bench {
  /** Which server saw which token, in order. */
  readonly seen: (readonly [server: string, token: string])[];
  /** What each server says of each token; without an entry it is inactive, and `down` is status 500 to everything. */
  readonly says: Map<string, 'down' | ReadonlyMap<string, Overrides>>;
  /** `good, by` its issuer; the refusal; or the reason of a 503. Anything else that is thrown is thrown on. */
  readonly outcome: (token: string) => Promise<string>;
}

/** The three servers, and `introspectAt` as the options have it. */
async function bench(introspectAt: readonly string[] | SelectIntrospection): Promise<Bench> {
  const clock = movableClock();
  const seen: (readonly [string, string])[] = [];
  const says: Bench['says'] = new Map();
  const fetch: Fetch = (input, init) => {
    const { origin } = new URL(input instanceof Request ? input.url : input);
    const token = new URLSearchParams(typeof init?.body === 'string' ? init.body : '').get('token') ?? '';
    seen.push([origin, token]);
    const known = says.get(origin);
    if (known === 'down') return Promise.resolve(new Response(null, { status: 500 }));
    const members = known?.get(token);
    return Promise.resolve(
      Response.json({ active: members !== undefined, client_id: 'editor', token_type: 'Bearer', ...members }),
    );
  };
  const clientAuthentication = clientSecretBasic('rs1', 'secret');
  const jwks = { keys: [key.jwk] };
  const introspection = (issuer: string) => ({ clientAuthentication, endpoint: `${issuer}/introspect` });
  const servers = listedServers(
    [
      { issuer: LOCAL, jwks },
      { issuer: ASKED, introspection: introspection(ASKED) },
      { issuer: BOTH, jwks, introspection: { ...introspection(BOTH), jwtLocally: true } },
    ],
    {
      ...{ fetch, clock, maxAge: 86_400, clockTolerance: 0, tokens: new TokenCache(100, clock) },
      ...{ terms: {}, resource: API },
    },
  );
  const listed = async (issuer: string): Promise<TrustedServer> => {
    const server = await servers.find(issuer);
    if (server === undefined) throw new Error(`no server ${issuer}`);
    return server;
  };
  const at = typeof introspectAt === 'function' ? introspectAt : await Promise.all(introspectAt.map(listed));
  const verifyJwt = jwtVerifier(servers.find, clock, 0, () => undefined);
  const verify = tokenVerifier(verifyJwt, servers.find, at, new VerifiedJwts(0, servers.find, clock, 0));
  const outcome = async (token: string) => {
    try {
      return `good, by ${(await verify(token)).claims.iss}`;
    } catch (error) {
      if (error instanceof InvalidTokenError) return error.message;
      if (error instanceof VerificationUnavailableError) return error.reason;
      throw error;
    }
  };
  return { seen, says, outcome };
}

function jwt(iss: unknown, { header = {}, by = key }: { header?: Overrides; by?: typeof key } = {}): string {
  return signJwt({ typ: 'at+jwt', alg: 'ES256', kid: 'one', ...header }, { ...validClaims('', API), iss }, by);
}

/** The same signature, written in another way: the unused bits of the last character. */
function respelled(token: string): string {
  const last = 'AQgw'.indexOf(token.slice(-1));
  return token.slice(0, -1) + 'BRhx'.charAt(last);
}

describe('who sees a token: a list', () => {
  const nobody: string[] = [];
  test.each<[what: string, token: string, seenBy: readonly string[], outcome: string]>([
    ['a JWT of a server with keys', jwt(LOCAL), nobody, `good, by ${LOCAL}`],
    ['one that is forged', jwt(LOCAL, { by: forger }), nobody, SAYS.signature],
    ['one without a signature', jwt(LOCAL, { header: { alg: 'none' } }), nobody, SAYS.algorithm],
    ['a JWT of a server that is asked', jwt(ASKED), [ASKED], SAYS.inactive],
    ['one that is forged', jwt(ASKED, { by: forger }), [ASKED], SAYS.inactive],
    ['a JWT of a server with jwtLocally', jwt(BOTH), nobody, `good, by ${BOTH}`],
    ['one that is forged', jwt(BOTH, { by: forger }), nobody, SAYS.signature],
    ['a JWT of a stranger', jwt(STRANGER), nobody, SAYS.issuer],
    ['a JWT whose issuer is like a trusted one', jwt(`${ASKED}/`), nobody, SAYS.issuer],
    ['a JWT whose issuer is nothing', jwt(''), nobody, SAYS.issuer],
    ['a JWT without issuer', jwt(undefined), [ASKED, BOTH], SAYS.inactive],
    ['an opaque token', 'opaque', [ASKED, BOTH], SAYS.inactive],
    ['an opaque token with two dots', 'ory.at.opaque', [ASKED, BOTH], SAYS.inactive],
    ['an opaque token that begins as a JWT', 'eyJhbGciOiJFUzI1NiJ9', [ASKED, BOTH], SAYS.inactive],
    ['JSON with two dots, that is no JWT', `${base64url({ id: 1 })}.x.y`, [ASKED, BOTH], SAYS.inactive],
    ['an encrypted token', `${base64url({ alg: 'dir', enc: 'A128GCM' })}..iv.text.tag`, [ASKED, BOTH], SAYS.inactive],
  ])('%s', async (_what, token, seenBy, expected) => {
    const { seen, outcome } = await bench([ASKED, BOTH]);
    expect(await outcome(token)).toBe(expected);
    expect(seen).toEqual(seenBy.map((server) => [server, token]));
  });

  // Whose it is cannot be read any more, but it is somebody's: whoever gets it can write it rightly, and use it.
  test.each<[what: string, token: string, says: string]>([
    ['a JWT with padding at its end', `${jwt(LOCAL)}=`, SAYS.noJwt],
    ['a JWT whose signature is spelled in another way', respelled(jwt(LOCAL)), SAYS.noJwt],
    ['a JWT with a character too many', `${jwt(LOCAL)}~`, SAYS.noJwt],
    ['a JWS of what is no object', signRaw(`${base64url({ alg: 'ES256' })}.${base64url('text')}`, key), SAYS.noJwt],
    ['a JWT whose issuer is a list', jwt([LOCAL]), SAYS.issuer],
    ['a JWT whose issuer is a number', jwt(5), SAYS.issuer],
    ['a JWT whose issuer is an object', jwt({ [LOCAL]: LOCAL }), SAYS.issuer],
  ])('%s is shown to nobody', async (_what, token, says) => {
    const { seen, outcome } = await bench([ASKED, BOTH]);
    const before = await outcome(token);
    expect({ outcome: before, seen }).toEqual({ outcome: says, seen: [] });
    expect(await outcome(jwt(LOCAL))).toBe(`good, by ${LOCAL}`);
  });

  test('without anybody to ask an opaque token is refused', async () => {
    const { seen, outcome } = await bench([]);
    expect(await outcome('opaque')).toBe(SAYS.noJwt);
    expect(await outcome(jwt(LOCAL))).toBe(`good, by ${LOCAL}`);
    expect(seen).toEqual([]);
  });
});

describe('who sees a token: a function', () => {
  test('it is asked about what names nobody trusted, and about nothing else', async () => {
    const asked: string[] = [];
    const { seen, outcome } = await bench((token) => {
      asked.push(token);
      return [BOTH];
    });
    const named = [jwt(LOCAL), jwt(LOCAL, { by: forger }), jwt(ASKED), jwt(BOTH)];
    for (const token of named) await outcome(token);
    expect(asked).toEqual([]);
    const unnamed = ['opaque', jwt(STRANGER), jwt(undefined)];
    for (const token of unnamed) expect(await outcome(token)).toBe(SAYS.inactive);
    expect(await outcome(`${jwt(LOCAL)}=`)).toBe(SAYS.noJwt); // a JWT, and none: nobody's business
    expect(asked).toEqual(unnamed);
    expect(seen).toEqual([[ASKED, named[2]], ...unnamed.map((token) => [BOTH, token])]);
  });

  test('what one server said of a token is not said by another', async () => {
    let at = ASKED;
    const { seen, says, outcome } = await bench(() => Promise.resolve([at]));
    says.set(ASKED, new Map([['opaque', {}]]));
    for (let i = 0; i < 3; i++) expect(await outcome('opaque')).toBe(`good, by ${ASKED}`);
    at = BOTH;
    for (let i = 0; i < 3; i++) expect(await outcome('opaque')).toBe(SAYS.inactive);
    expect(seen).toEqual([
      [ASKED, 'opaque'],
      [BOTH, 'opaque'],
    ]);
  });

  test.each<[what: string, issuers: unknown[]]>([
    ['a stranger', [STRANGER]],
    ['a trusted server that is not asked', [LOCAL]],
    ['both that can be asked and another', [ASKED, BOTH, LOCAL]],
    ['what is no text', [{ toString: () => ASKED }]],
    ['nothing in a list', [undefined]],
  ])('one that names %s is a bug, and nobody sees the token', async (_what, issuers) => {
    let named: unknown = issuers;
    const { seen, outcome } = await bench(() => named as string[]);
    await expect(outcome('opaque')).rejects.toThrow(
      '"introspectAt" returned an issuer that is not trusted, or has no "introspection"',
    );
    expect(seen).toEqual([]);
    named = [ASKED];
    expect(await outcome('opaque')).toBe(SAYS.inactive);
  });
});

describe('several servers are asked', () => {
  const active = new Map([['opaque', {}]]);
  test.each<[what: string, first: 'down' | typeof active, second: 'down' | typeof active, outcome: string]>([
    ['7662-2.2-2 none knows it', new Map(), new Map(), SAYS.inactive],
    ['the second knows it', new Map(), active, `good, by ${BOTH}`],
    ['7662-2.3-1 the first is down, the second knows it', 'down', active, `good, by ${BOTH}`],
    ['7662-2.3-1 the first is down, the second does not know it', 'down', new Map(), SAYS.down],
    ['7662-2.3-1 the second is down, the first does not know it', new Map(), 'down', SAYS.down],
    ['7662-2.3-1 both are down', 'down', 'down', SAYS.down],
  ])('%s', async (_what, first, second, expected) => {
    const { seen, says, outcome } = await bench([ASKED, BOTH]);
    says.set(ASKED, first).set(BOTH, second);
    expect(await outcome('opaque')).toBe(expected);
    expect(seen.map(([server]) => server)).toEqual([ASKED, BOTH]);
  });

  test.each<[what: string, members: Overrides, outcome: string]>([
    ['active at the first', {}, `good, by ${ASKED}`],
    ['7662-2.2-5 active at the first, and for somebody else', { aud: 'https://other.example' }, SAYS.audience],
    ['7662-2.2-6 active at the first, which says that the second issued it', { iss: BOTH }, SAYS.issuer],
  ])('%s: the second does not see it', async (_what, members, expected) => {
    const { seen, says, outcome } = await bench([ASKED, BOTH]);
    says.set(ASKED, new Map([['opaque', members]])).set(BOTH, active);
    expect(await outcome('opaque')).toBe(expected);
    expect(seen).toEqual([[ASKED, 'opaque']]);
  });
});
