import { hash } from 'node:crypto';
import { expect, jest } from '@jest/globals';
import express from 'express';
import type { Express, NextFunction, Request, RequestHandler, Response } from 'express';
import { auth, resourceServer } from '../../lib/index.js';
import type { ResourceServerOptions } from '../../lib/index.js';
import type { ResourceServer } from '../../lib/resource-server.js';
import { expectAccepted } from './faults.js';
import type { App } from './faults.js';
import { listen } from './listen.js';
import { closing, SAYS } from './stage.js';
import { base64url } from './tokens.js';

/** So often a token is accepted before anything is made of it. */
export const OFTEN = 100;

/** Counts the signatures that are really checked, tokens' and proofs', and can make them wait. */
export interface Signatures {
  /** How many were checked while `run` ran. */
  readonly during: (run: () => Promise<unknown>) => Promise<number>;
  /** From now on those that are to be checked wait. */
  readonly hold: () => Held;
}

export interface Held {
  readonly waiting: () => number;
  /** Those that come from now on do not wait. */
  readonly letOthersPass: () => void;
  readonly release: () => void;
}

/** Watches all of this process. `jest.restoreAllMocks()` ends it. */
export function watchSignatures(): Signatures {
  const verify = crypto.subtle.verify.bind(crypto.subtle);
  let gate: { readonly opened: Promise<void>; waiting: number } | undefined;
  const spy = jest.spyOn(crypto.subtle, 'verify').mockImplementation(async (...args: Parameters<typeof verify>) => {
    const mine = gate;
    if (mine !== undefined) {
      mine.waiting++;
      await mine.opened;
    }
    return verify(...args);
  });
  return {
    during: async (run) => {
      const before = spy.mock.calls.length;
      await run();
      return spy.mock.calls.length - before;
    },
    hold: () => {
      let open: () => void = () => undefined;
      const held = { opened: new Promise<void>((resolve) => (open = resolve)), waiting: 0 };
      gate = held;
      const letOthersPass = () => (gate = undefined);
      return {
        waiting: () => held.waiting,
        letOthersPass,
        release: () => {
          letOthersPass();
          open();
        },
      };
    },
  };
}

/** The token passes a hundred times, and costs one signature at most. */
export async function heat(app: App, signatures: Signatures, token: string): Promise<void> {
  const cost = await signatures.during(async () => {
    for (let i = 0; i < OFTEN; i++) await expectAccepted(app, token);
  });
  expect(cost).toBeLessThanOrEqual(1);
  await expectHot(app, signatures, token);
}

/** The token passes, and costs no signature. */
export async function expectHot(app: App, signatures: Signatures, token: string): Promise<void> {
  expect(await signatures.during(() => expectAccepted(app, token))).toBe(0);
}

/** The token passes with one signature, and is known from then on. */
export async function expectVerifiedAnew(app: App, signatures: Signatures, token: string): Promise<void> {
  expect(await signatures.during(() => expectAccepted(app, token))).toBe(1);
  await expectHot(app, signatures, token);
}

/** How a middleware called `next`: before it returned, how often, and whether it returned a promise. */
interface Calls {
  synchronous: boolean;
  nexts: number;
  waited: boolean;
}

/** What became of one request. */
export interface Pass extends Readonly<Calls> {
  readonly status: number;
  readonly challenge: string | null;
  readonly body: unknown;
}

export interface Watched {
  readonly middleware: ResourceServer;
  readonly send: (token: string) => Promise<Pass>;
}

/** What a middleware returns where it had to wait. */
type Waiting = Promise<void> | undefined;

/** A real app that watches how its middleware calls `next`. What goes wrong is answered with its name, as 500. */
export async function watched(
  options: ResourceServerOptions,
  { create = express, handler = answerSubject }: { create?: () => Express; handler?: RequestHandler } = {},
): Promise<Watched> {
  const middleware = resourceServer(options);
  const passes: Calls[] = [];
  const app = create();
  app.use((req: Request, res: Response, next: NextFunction): Waiting => {
    const pass = { synchronous: false, nexts: 0, waited: false };
    passes.push(pass);
    let isInside = true;
    const returned: unknown = middleware(req, res, (error?: unknown) => {
      pass.nexts++;
      pass.synchronous = isInside;
      next(error);
    });
    isInside = false;
    pass.waited = returned instanceof Promise;
    return returned as Waiting;
  });
  app.use(handler);
  app.use((error: Error, _req: Request, res: Response, next: NextFunction) => {
    if (res.headersSent) next(error);
    else res.status(500).json({ bug: error.message });
  });
  const server = closing(await listen(app));
  return {
    middleware,
    send: async (token) => {
      const response = await fetch(server.url, { headers: { authorization: `Bearer ${token}` } });
      const body: unknown = await response.json();
      const pass = passes.at(-1) ?? { synchronous: false, nexts: 0, waited: false };
      return { ...pass, status: response.status, challenge: response.headers.get('www-authenticate'), body };
    },
  };
}

const answerSubject: RequestHandler = (req, res) => void res.json({ subject: auth(req).subject });

const part = (token: string, i: number) => token.split('.')[i] ?? '';
const withHeader = (token: string, change: object, more: object = {}) => {
  const header = JSON.parse(Buffer.from(part(token, 0), 'base64url').toString()) as object;
  return [
    base64url({ ...JSON.parse(JSON.stringify({ ...header, ...change })), ...more }),
    part(token, 1),
    part(token, 2),
  ].join('.');
};
const withClaims = (token: string, change: object) => {
  const claims = JSON.parse(Buffer.from(part(token, 1), 'base64url').toString()) as object;
  return [part(token, 0), base64url({ ...claims, ...change }), part(token, 2)].join('.');
};
/** The same bytes to a reader that ignores the unused bits of the last character. */
const withUnusedBits = (token: string) =>
  token.replace(/[AQgw]$/, (last) => String.fromCharCode(last.charCodeAt(0) + 1));
/** The first letter from `at` on in the other case. */
const otherCase = (token: string, at: number) => {
  const letter = at + token.slice(at).search(/[A-Za-z]/);
  const found = token.charAt(letter);
  const other = found === found.toLowerCase() ? found.toUpperCase() : found.toLowerCase();
  return token.slice(0, letter) + other + token.slice(letter + 1);
};
const payloadAt = (token: string) => token.indexOf('.') + 1;
const signatureAt = (token: string) => token.lastIndexOf('.') + 1;

/** What can be made of a known token without its key, and how it is refused; '' where it is no token by its grammar. */
export const FORGERIES: readonly [what: string, forge: (token: string) => string, says: string][] = [
  ['its header says one thing more', (token) => withHeader(token, { x: 1 }), SAYS.signature],
  [
    'its header is in another order',
    (token) => withHeader(token, { typ: undefined }, { typ: 'at+jwt' }),
    SAYS.signature,
  ],
  ['its typ is gone', (token) => withHeader(token, { typ: undefined }), SAYS.type],
  ['its alg is none', (token) => withHeader(token, { alg: 'none' }), SAYS.algorithm],
  ['its alg is in lower case', (token) => withHeader(token, { alg: 'es256' }), SAYS.algorithm],
  ['its alg is symmetric', (token) => withHeader(token, { alg: 'HS256' }), SAYS.algorithm],
  ['its alg is for another key', (token) => withHeader(token, { alg: 'ES384' }), SAYS.key],
  ['its kid is another one', (token) => withHeader(token, { kid: 'second' }), SAYS.key],
  ['its kid is gone', (token) => withHeader(token, { kid: undefined }), SAYS.signature],
  ['its typ is another one', (token) => withHeader(token, { typ: 'JWT' }), SAYS.type],
  ['its subject is another one', (token) => withClaims(token, { sub: 'mallory' }), SAYS.signature],
  ['its scope is wider', (token) => withClaims(token, { scope: 'read write admin' }), SAYS.signature],
  ['its exp is later', (token) => withClaims(token, { exp: Math.floor(Date.now() / 1000) + 3600 }), SAYS.signature],
  ['its claims are the same with one more', (token) => withClaims(token, { x: 1 }), SAYS.signature],
  ['its header has a letter in another case', (token) => otherCase(token, 0), SAYS.noJwt],
  ['its payload has a letter in another case', (token) => otherCase(token, payloadAt(token)), SAYS.noJwt],
  ['its signature has a letter in another case', (token) => otherCase(token, signatureAt(token)), SAYS.signature],
  ['its last character has other unused bits', withUnusedBits, SAYS.noJwt],
  ['it is in lower case', (token) => token.toLowerCase(), SAYS.noJwt],
  ['it is padded', (token) => `${token}=`, SAYS.noJwt],
  ['it is padded twice', (token) => `${token}==`, SAYS.noJwt],
  ['its parts are padded', (token) => `${part(token, 0)}=.${part(token, 1)}.${part(token, 2)}`, ''],
  ['one character follows', (token) => `${token}A`, SAYS.signature],
  ['a full stop follows', (token) => `${token}.`, SAYS.noJwt],
  ['a full stop precedes', (token) => `.${token}`, SAYS.noJwt],
  ['it stands twice', (token) => token + token, SAYS.noJwt],
  ['it stands twice, with a full stop', (token) => `${token}.${token}`, SAYS.noJwt],
  ['its last character is missing', (token) => token.slice(0, -1), SAYS.noJwt],
  ['its first character is missing', (token) => token.slice(1), SAYS.noJwt],
  ['its signature is missing', (token) => token.slice(0, signatureAt(token)), SAYS.signature],
  ['its signature and its full stop are missing', (token) => token.slice(0, signatureAt(token) - 1), SAYS.noJwt],
  ['its signature is zero', (token) => token.slice(0, signatureAt(token)) + 'A'.repeat(86), SAYS.signature],
  ['half of it is missing', (token) => token.slice(0, token.length / 2), SAYS.noJwt],
  ['it is the digest by which it is known', (token) => hash('sha256', token, 'base64'), SAYS.noJwt],
  ['it is that digest in base64url', (token) => hash('sha256', token, 'base64url'), SAYS.noJwt],
];
