import { expect } from '@jest/globals';
import type { CommonOptions } from '../../lib/index.js';
import { startApp } from './app.js';
import type { Answer, TestApp } from './app.js';
import { TestAuthorizationServer } from './authorization-server.js';
import { movableClock } from './clock.js';
import type { Clock } from './clock.js';

/** The sentences of `error_description`. */
export const SAYS = {
  noJwt: 'The access token is not a JSON Web Token',
  type: 'The token is not an access token by its type',
  crit: 'The access token has critical extensions',
  algorithm: 'The access token is signed with an algorithm that is not accepted here',
  issuer: 'The access token is from an issuer that is not trusted here',
  times: 'The access token has no valid times',
  expired: 'The access token expired',
  early: 'The access token is not valid yet',
  audience: 'The access token is not for this resource',
  key: 'The access token is signed with a key that its issuer does not have',
  signature: 'The access token has a wrong signature',
  hook: 'The access token is not accepted here',
  missing: (claim: string) => `The access token has no ${claim === 'client_id' ? 'client identifier' : claim}`,
} as const;

/** Seconds, longer than any pause that the middleware makes after a failed fetch. */
export const PAUSE = 60;

interface Closable {
  readonly close: () => Promise<void>;
}

const open: Closable[] = [];

/** Closes `server` after the test that opened it, by way of `afterEach(closeAll)`. */
export function closing<T extends Closable>(server: T): T {
  open.push(server);
  return server;
}

export async function closeAll(): Promise<void> {
  await Promise.all(open.splice(0).map((server) => server.close()));
}

export interface Stage {
  readonly as: TestAuthorizationServer;
  readonly app: TestApp;
  readonly clock: Clock;
}

/** A scripted authorization server, and an app that finds it by discovery. `path` is that of the issuer. */
export async function stage(options: Partial<CommonOptions> = {}, path = ''): Promise<Stage> {
  const clock = movableClock();
  const as = closing(await TestAuthorizationServer.start(path));
  const app = closing(await startApp({ resource: as.resource, issuer: as.issuer, clock, ...options }));
  return { as, app, clock };
}

/** The token passes, and the handler runs once. */
export async function expectAccepted(app: TestApp, token: string, path?: string): Promise<Answer> {
  return expectPassed(app, { authorization: `Bearer ${token}` }, path);
}

/** A request with these headers passes, and the handler runs once. */
export async function expectPassed(
  app: TestApp,
  headers: Readonly<Record<string, string>>,
  path = '/protected',
): Promise<Answer> {
  const before = app.handled;
  const answer = await app.request(path, { headers });
  expect({ status: answer.status, challenge: answer.challenge }).toEqual({ status: 200, challenge: undefined });
  expect(app.handled).toBe(before + 1);
  return answer;
}

/** The token is refused with 401, this very challenge and body, and the handler does not run. */
export async function expectRefused(app: TestApp, token: string, description: string): Promise<void> {
  const before = app.handled;
  expectInvalidToken(await app.get('/protected', token), description);
  expect(app.handled).toBe(before);
}

export function expectInvalidToken(answer: Answer, description: string): void {
  const challenge = `Bearer realm="https://api.example.com", error="invalid_token", error_description="${description}"`;
  expect({ status: answer.status, challenge: answer.challenge }).toEqual({ status: 401, challenge });
  expect(answer.body).toEqual({ error: 'invalid_token', error_description: description });
}

/** 503 without a challenge: we could not find out. The handler does not run. */
export async function expectUnavailable(app: TestApp, token: string): Promise<void> {
  const before = app.handled;
  const answer = await app.get('/protected', token);
  expect({ status: answer.status, challenge: answer.challenge }).toEqual({ status: 503, challenge: undefined });
  // When it may be asked again: never before the next attempt at a failed fetch is due, and that is 30 s away at most.
  expect(answer.headers.get('retry-after')).toMatch(/^([1-9]|[12]\d|30)$/);
  expect(answer.body).toEqual({
    error: 'temporarily_unavailable',
    error_description: 'The access token cannot be verified at the moment',
  });
  expect(app.handled).toBe(before);
}
