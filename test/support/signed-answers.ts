import { createHmac } from 'node:crypto';
import { expect } from '@jest/globals';
import { CompactEncrypt } from 'jose';
import type { CryptoKey } from 'jose';
import { clientSecretBasic } from '../../lib/index.js';
import type { IntrospectionOptions, SignedAnswers } from '../../lib/index.js';
import { startApp } from './app.js';
import type { Answer } from './app.js';
import { TestAuthorizationServer } from './authorization-server.js';
import { movableClock } from './clock.js';
import { diagnosticsOf } from './diagnostics.js';
import { closing, expectAccepted, expectUnavailable } from './stage.js';
import type { Stage } from './stage.js';
import { base64url, signJwt } from './tokens.js';
import type { Overrides, SigningKey } from './tokens.js';

/** Who we are at the authorization server, and so the `aud` of its answers. */
export const CLIENT = 'rs1';
export const TYPE = 'token-introspection+jwt';
export const MEDIA_TYPE = `application/${TYPE}`;

/** What the operator is told of an answer that cannot be used. */
const WHAT = 'The signed introspection answer';
export const FAULTS = {
  typ: `${WHAT} has another typ`,
  algorithm: `${WHAT} has another algorithm: check "algorithm" of "signedAnswers"`,
  header: `${WHAT} has a strange header`,
  signature: `${WHAT} is no JWT that the authorization server signed`,
  issuer: `${WHAT} is from another issuer`,
  audience: `${WHAT} is for another client: compare its aud with "audience" of "signedAnswers"`,
  time: `${WHAT} has no time of issue`,
  content: `${WHAT} has no token_introspection`,
  decryption: `${WHAT} cannot be decrypted: check "decryption" of "signedAnswers"`,
  active: 'The introspection answer of the authorization server has no "active" that is true or false',
  media: 'The introspection answer of the authorization server came with a media type that is not the one asked for',
} as const;

/** What replaces a part of a right answer; `undefined` takes a member away. */
export interface AnswerParts {
  readonly header?: Overrides;
  /** At the top, beside `token_introspection`. */
  readonly claims?: Overrides;
  /** In `token_introspection`. */
  readonly members?: Overrides;
  readonly key?: SigningKey;
}

/** The answer to a question about `token`, as RFC 9701 section 5 has it. */
export function signedAnswer(as: TestAuthorizationServer, token: string, parts: AnswerParts = {}): string {
  const [first] = as.keys;
  const { header, claims, members, key = first } = parts;
  if (key === undefined) throw new Error('the test authorization server has no key');
  const introspection = { ...as.answerTo(token), ...members };
  const iat = Math.floor(Date.now() / 1000);
  return signJwt(
    { typ: TYPE, alg: key.alg, kid: key.kid, ...header },
    { iss: as.issuer, aud: CLIENT, iat, token_introspection: introspection, ...claims },
    key,
  );
}

/** The body of an answer, made for each question. */
export type Body = (as: TestAuthorizationServer, token: string) => string | Promise<string>;

export const RIGHT: Body = (as, token) => signedAnswer(as, token);

/** The right answer but for these parts. */
export function but(parts: AnswerParts): Body {
  return (as, token) => signedAnswer(as, token, parts);
}

/** The right answer with this header, and without a signature. */
export function unsigned(header: Overrides): Body {
  return (as, token) => `${base64url({ typ: TYPE, kid: 'first', ...header })}.${payloadOf(as, token)}.`;
}

/** The right answer under a symmetric algorithm, by a secret that others know. */
export function authenticatedWith(secretOf: (as: TestAuthorizationServer) => string | Buffer): Body {
  return (as, token) => {
    const input = `${base64url({ typ: TYPE, alg: 'HS256', kid: 'first' })}.${payloadOf(as, token)}`;
    return `${input}.${createHmac('sha256', secretOf(as)).update(input).digest('base64url')}`;
  };
}

/** The right answer, with one of its three parts out of an answer about another token. */
export function mixed(part: 0 | 1 | 2): Body {
  return (as, token) => {
    const other = signedAnswer(as, 'another token').split('.');
    const right = signedAnswer(as, token).split('.');
    return right.map((text, i) => (i === part ? (other[i] ?? '') : text)).join('.');
  };
}

function payloadOf(as: TestAuthorizationServer, token: string): string {
  return signedAnswer(as, token).split('.')[1] ?? '';
}

/** How a text is encrypted, and for whom. */
export interface Seal {
  readonly alg: string;
  /** Default: `A128CBC-HS256`, as in RFC 9701 section 6. */
  readonly enc?: string;
  readonly key: CryptoKey | Uint8Array;
  readonly header?: Overrides;
}

/** What `body` says, encrypted. */
export function sealed({ alg, enc = 'A128CBC-HS256', key, header }: Seal, body: Body = RIGHT): Body {
  return async (as, token) => {
    const protectedHeader = { alg, enc, cty: 'JWT', ...header };
    return new CompactEncrypt(Buffer.from(await body(as, token))).setProtectedHeader(protectedHeader).encrypt(key);
  };
}

/** What `body` says in compact form, with other members in its header. */
export function reheaded(body: Body, members: Overrides): Body {
  return async (as, token) => {
    const [header = '', ...rest] = (await body(as, token)).split('.');
    const given = JSON.parse(Buffer.from(header, 'base64url').toString()) as Overrides;
    return [base64url({ ...given, ...members }), ...rest].join('.');
  };
}

/** From now on the server answers so. */
export function answerWith(as: TestAuthorizationServer, body: Body, type = MEDIA_TYPE): void {
  as.onQuestion = async ({ form }, res) => {
    const text = await body(as, form.get('token') ?? '');
    res.writeHead(200, { 'Content-Type': type }).end(text);
  };
}

export interface SignedOptions extends Omit<Partial<IntrospectionOptions>, 'signedAnswers'> {
  /** `undefined`: plain answers are asked for. */
  readonly signedAnswers?: SignedAnswers | undefined;
}

/** A scripted server that answers as RFC 9701 has it, under ES256, and an app that demands such answers. */
export async function signedStage(
  { signedAnswers, ...introspection }: SignedOptions = { signedAnswers: { algorithm: 'ES256' } },
  options: (as: TestAuthorizationServer) => object = () => ({}),
): Promise<Stage> {
  const clock = movableClock();
  const as = closing(await TestAuthorizationServer.start());
  answerWith(as, RIGHT);
  const asked = {
    clientAuthentication: clientSecretBasic(CLIENT, 'the secret'),
    ...introspection,
    ...(signedAnswers !== undefined && { signedAnswers }),
  };
  const all = { resource: as.resource, issuer: as.issuer, introspection: asked, clock, ...options(as) };
  return { as, clock, app: closing(await startApp(all)) };
}

/** The answer is used: the request passes. */
export async function expectUsable({ as, app }: Stage, body: Body, type?: string): Promise<Answer> {
  answerWith(as, body, type);
  return expectAccepted(app, as.issue());
}

/**
 * The answer is of no use: 503 without a challenge, the operator is told this very reason, and nothing is remembered: the
 * next answer about the same token, a right one, lets it pass.
 */
export async function expectUnusable({ as, app }: Stage, body: Body, says: string, rest: Rest = {}): Promise<void> {
  const { type, right = RIGHT } = rest;
  const token = as.issue();
  const before = as.questions.length;
  answerWith(as, body, type);
  const events = await diagnosticsOf(() => expectUnavailable(app, token));
  const refusals = events.filter((event) => event.type === 'refusal');
  expect(refusals).toEqual([{ type: 'refusal', status: 503, code: undefined, reason: says }]);
  answerWith(as, right);
  await expectAccepted(app, token);
  expect(as.questions.length).toBe(before + 2);
}

interface Rest {
  readonly type?: string;
  /** Default: signed, and not encrypted. */
  readonly right?: Body;
}
