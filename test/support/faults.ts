import { expect } from '@jest/globals';
import createApp from 'express';
import type { ErrorRequestHandler } from 'express';
import { auth, resourceServer } from '../../lib/index.js';
import type { CommonOptions, ResourceServerOptions } from '../../lib/index.js';
import type { ResourceServer } from '../../lib/resource-server.js';
import { TestAuthorizationServer } from './authorization-server.js';
import { movableClock } from './clock.js';
import type { Clock } from './clock.js';
import { listen } from './listen.js';
import type { Listening } from './listen.js';
import { closing, SAYS } from './stage.js';
import { base64url, validClaims } from './tokens.js';
import type { Overrides } from './tokens.js';

export { closeAll, closing, SAYS } from './stage.js';

/** What the code says of time, in seconds. `docs/outages.md` says the same. */
export const FRESH = 600;
export const COOLDOWN = 30;
export const LONGEST_WAIT = 30;
export const KEY_MAX_AGE = 86_400;
/** For one document, in milliseconds, and what a busy machine may add. */
export const TIMEOUT = 5_000;
export const SLACK = 4_000;

export const METADATA = '/.well-known/oauth-authorization-server';
export const OPENID = '/.well-known/openid-configuration';
export const GET_METADATA = `GET ${METADATA}`;
export const GET_KEYS = 'GET /jwks';

/** What the caller saw. */
export interface Seen {
  readonly status: number;
  readonly challenge: string | null;
  readonly retryAfter: string | null;
  readonly cacheControl: string | null;
  readonly body: unknown;
}

export interface App extends Listening {
  /** The middleware itself, for what an operator does with it. */
  readonly middleware: ResourceServer;
  /** How often the handler behind it ran. */
  handled: number;
  readonly get: (token: string) => Promise<Seen>;
}

/** A real app with the middleware in front of one handler. What goes wrong otherwise is answered with its name, as 500. */
export async function serve(options: ResourceServerOptions): Promise<App> {
  const middleware = resourceServer(options);
  const express = createApp();
  express.use(middleware, (req, res) => {
    running.handled++;
    res.json({ issuer: auth(req).issuer });
  });
  const showBug: ErrorRequestHandler = (error: Error, _req, res, next) => {
    if (res.headersSent) next(error);
    else res.status(500).json({ bug: error.message });
  };
  express.use(showBug);
  const server = await listen(express);
  const running: App = {
    ...server,
    middleware,
    handled: 0,
    get: async (token) => {
      const response = await fetch(server.url, { headers: { authorization: `Bearer ${token}` } });
      const header = (name: string) => response.headers.get(name);
      return {
        status: response.status,
        challenge: header('www-authenticate'),
        retryAfter: header('retry-after'),
        cacheControl: header('cache-control'),
        body: await response.json(),
      };
    },
  };
  return closing(running);
}

export interface Stage {
  readonly as: TestAuthorizationServer;
  readonly app: App;
  readonly clock: Clock;
  /** A token whose times fit the moved clock. */
  readonly mint: (claims?: Overrides, header?: Overrides) => string;
}

/** A scripted authorization server, and an app that finds it by discovery. Nothing has been fetched yet. */
export async function stage(options: Partial<CommonOptions> = {}): Promise<Stage> {
  const clock = movableClock();
  const as = closing(await TestAuthorizationServer.start());
  const app = await serve({ resource: as.resource, issuer: as.issuer, clock, ...options });
  return { as, app, clock, mint: (claims, header = {}) => as.mint(claims, { header, now: clock.now }) };
}

/** The same after the first token: metadata and keys are kept, and the log of the server is empty. */
export async function warmStage(options: Partial<CommonOptions> = {}): Promise<Stage> {
  const staged = await stage(options);
  await expectAccepted(staged.app, staged.mint());
  expect(staged.as.log.splice(0)).toEqual([GET_METADATA, GET_KEYS]);
  return staged;
}

/** The token passes, and the handler runs once. */
export async function expectAccepted(app: App, token: string): Promise<void> {
  const before = app.handled;
  const { status, challenge } = await app.get(token);
  expect({ status, challenge, handled: app.handled }).toEqual({ status: 200, challenge: null, handled: before + 1 });
}

/** 401 with this very challenge and body, and the handler does not run. */
export async function expectRefused(app: App, token: string, description: string): Promise<void> {
  const before = app.handled;
  expect(await app.get(token)).toEqual({
    status: 401,
    challenge: `Bearer realm="https://api.example.com", error="invalid_token", error_description="${description}"`,
    retryAfter: null,
    cacheControl: 'no-store',
    body: { error: 'invalid_token', error_description: description },
  });
  expect(app.handled).toBe(before);
}

/** 503 without a challenge, and the handler does not run. Gives `Retry-After`, a whole number of seconds from 1 to 30. */
export async function expectUnavailable(app: App, token: string): Promise<number> {
  const before = app.handled;
  const { retryAfter, ...seen } = await app.get(token);
  expect(seen).toEqual({
    status: 503,
    challenge: null,
    cacheControl: 'no-store',
    body: { error: 'temporarily_unavailable', error_description: 'The access token cannot be verified at the moment' },
  });
  expect(retryAfter).toMatch(/^([1-9]|[12]\d|30)$/);
  expect(app.handled).toBe(before);
  return Number(retryAfter);
}

/** A token that nobody signed: cheap, for floods. Names a key that does not exist unless `header` says otherwise. */
export function unsigned(as: TestAuthorizationServer, now: number, header: Overrides, claims: Overrides = {}): string {
  const payload = { ...validClaims(as.issuer, as.resource, now), ...claims };
  const signature = Buffer.alloc(64, 1).toString('base64url');
  return `${base64url({ typ: 'at+jwt', alg: 'ES256', ...header })}.${base64url(payload)}.${signature}`;
}

/** What can be refused without a key, whatever becomes of the authorization server. */
export const KEYLESS: readonly [what: string, claims: Overrides, header: Overrides, says: string][] = [
  ['an expired token', { exp: 1 }, {}, SAYS.expired],
  ['a token without exp', { exp: undefined }, {}, SAYS.times],
  ['a token for somebody else', { aud: 'https://other.example' }, {}, SAYS.audience],
  ['a token of another issuer', { iss: 'https://other.example' }, {}, SAYS.issuer],
  ['an ID token', {}, { typ: 'JWT' }, SAYS.type],
  ['a token without a client', { client_id: undefined }, {}, SAYS.missing('client_id')],
  ['an unsigned token', {}, { alg: 'none' }, SAYS.algorithm],
];

/** Resolves when `happened` says so; fails after four seconds, or as many as are given. */
export async function until(happened: () => boolean, what: string, seconds = 4): Promise<void> {
  for (let i = 0; i < seconds * 100; i++) {
    if (happened()) return;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  throw new Error(`it never happened: ${what}`);
}
