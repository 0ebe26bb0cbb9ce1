import { clientSecretBasic } from '../../lib/index.js';
import type { CommonOptions, IntrospectionOptions } from '../../lib/index.js';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import type { RequestListener, ServerResponse } from 'node:http';
import type { DiagnosticsEvent } from '../../lib/diagnostics.js';
import { sendJson, TestAuthorizationServer } from './authorization-server.js';
import type { Question } from './authorization-server.js';
import { movableClock } from './clock.js';
import type { Clock } from './clock.js';
import { CHANNEL, diagnosticsOf } from './diagnostics.js';
import { closing, LONGEST_WAIT, serve, until } from './faults.js';
import type { App } from './faults.js';
import type { Overrides } from './tokens.js';

/** What the code says of time, in seconds. `docs/introspection.md` says the same. */
export const TTL = 30;
export const INACTIVE_TTL = 5;
/** So many failures in a row, and a trial decides whether the server is left alone. */
export const IN_A_ROW = 5;

export const INACTIVE = 'The access token is not active';
export const clientAuthentication = clientSecretBasic('rs1', 'the secret of rs1');

export interface IntrospectionStage {
  readonly as: TestAuthorizationServer;
  readonly app: App;
  readonly clock: Clock;
  /** A new opaque token that is active, and whose times fit the moved clock. */
  readonly issue: (members?: Overrides) => string;
}

/** A scripted authorization server, and an app that asks it about its tokens. Nothing has been asked yet. */
export async function introspectionStage(
  introspection: Partial<IntrospectionOptions> = {},
  options: Partial<CommonOptions> = {},
): Promise<IntrospectionStage> {
  const clock = movableClock();
  const as = closing(await TestAuthorizationServer.start());
  const app = await serve({
    ...{ resource: as.resource, issuer: as.issuer, clock },
    introspection: { clientAuthentication, endpoint: as.introspectionEndpoint, ...introspection },
    ...options,
  });
  return { as, app, clock, issue: (members) => as.issue(members, clock.now) };
}

/** How many questions reached the server, however they were answered. */
export function asked(as: TestAuthorizationServer): number {
  return as.log.filter((line) => line === 'POST /introspect').length;
}

export interface Held {
  /** The questions that wait for their answer. */
  readonly questions: readonly Question[];
  /** Answers all of them, in the ordinary way unless `answer` says how, and the later ones in the ordinary way. */
  readonly release: (answer?: (res: ServerResponse) => unknown) => void;
}

/** From now on the server takes questions, and does not answer. */
export function hold(as: TestAuthorizationServer): Held {
  const open: { readonly question: Question; readonly res: ServerResponse }[] = [];
  const questions: Question[] = [];
  as.onQuestion = (question, res) => {
    questions.push(question);
    open.push({ question, res });
  };
  return {
    questions,
    release: (answer) => {
      as.onQuestion = undefined;
      for (const { question, res } of open.splice(0)) {
        if (answer === undefined) sendJson(res, as.answerTo(question.form.get('token')));
        else answer(res);
      }
    },
  };
}

/** How often each status came, for a request with each token, all at once. */
export async function tally(app: App, tokens: readonly string[]): Promise<Record<number, number>> {
  const counts: Record<number, number> = {};
  await Promise.all(
    tokens.map(async (token) => {
      const { status } = await app.get(token);
      counts[status] = (counts[status] ?? 0) + 1;
    }),
  );
  return counts;
}

export function many(count: number, make: (i: number) => string): string[] {
  return Array.from({ length: count }, (_, i) => make(i));
}

export type Told = readonly [event: string, reason: string | undefined];

/** What the operator hears of introspection at this server while `run` runs, and of the requests that got 503. */
export async function toldOf(as: TestAuthorizationServer, run: () => Promise<void>): Promise<Told[]> {
  const told: Told[] = [];
  for (const event of await diagnosticsOf(run)) {
    if (event.type === 'introspection' && event.issuer === as.issuer) told.push([event.event, event.reason]);
    if (event.type === 'refusal' && event.status === 503) told.push(['503', event.reason]);
  }
  return told;
}

/** Runs `run`, and waits until the server is left alone for it: the trial that decides it goes on in the background. */
export async function untilPaused(as: TestAuthorizationServer, run: () => Promise<unknown>): Promise<void> {
  let isPaused = false;
  const listener = (message: unknown) => {
    const event = message as DiagnosticsEvent;
    isPaused ||= event.type === 'introspection' && event.issuer === as.issuer && event.event === 'paused';
  };
  subscribe(CHANNEL, listener);
  try {
    await run();
    await until(() => isPaused, 'the pause', 10);
  } finally {
    unsubscribe(CHANNEL, listener);
  }
}

/** The questions about tokens that were never issued, which the middleware asks of its own accord. */
export function trials(as: TestAuthorizationServer, issued: readonly string[]): string[] {
  return as.questions.map(({ form }) => form.get('token') ?? '').filter((token) => !issued.includes(token));
}

/** How the reasons begin. */
export const ANSWER = 'The introspection answer of the authorization server';
const NO_CONNECTION = `${ANSWER} could not be fetched: no connection, or no answer in time`;
export const NO_200 = `${ANSWER} came with a status that is not 200`;
const NO_ACTIVE = `${ANSWER} has no "active" that is true or false`;
export const CREDENTIALS = 'The introspection endpoint refused our own credentials (401): check "clientAuthentication"';
/** Answers with this status, and nothing else. */
export function status(code: number, headers: Record<string, string> = {}): RequestListener {
  return (_req, res) => void res.writeHead(code, headers).end();
}

export function ok(body: string, type = 'application/json'): RequestListener {
  return (_req, res) => void res.writeHead(200, { 'Content-Type': type }).end(body);
}

/** Most bytes of an answer. */
export const MAX_BYTES = 65_536;

/** An answer that is right, and has so many bytes. */
export function paddedTo(bytes: number): string {
  const [before, after] = ['{"active":true,"client_id":"editor","token_type":"Bearer","pad":"', '"}'];
  return before + 'x'.repeat(bytes - before.length - after.length) + after;
}

type Fault = readonly [what: string, listener: RequestListener | undefined, reason: string, retryAfter?: number];

/** Answers with 200 and of the right type that say nothing of the token, and what the operator hears of them. */
export const ODD_ANSWERS: readonly Fault[] = [
  ['"active" as a text', ok('{"active":"true","client_id":"editor"}'), NO_ACTIVE],
  ['"active" as a number', ok('{"active":1,"client_id":"editor"}'), NO_ACTIVE],
  ['no "active"', ok('{"client_id":"editor"}'), NO_ACTIVE],
  ['a list', ok('[{"active":true,"client_id":"editor"}]'), `${ANSWER} is not a JSON object`],
  ['JSON that breaks off', ok('{"active":true,"client_id":"edi'), `${ANSWER} is not JSON`],
  ['nothing with 200', ok(''), `${ANSWER} is not JSON`],
];

/** It refuses us, or says so of tokens that it does not know: it is well. */
export const REFUSES_US: Fault = ['401', status(401, { 'WWW-Authenticate': 'Basic' }), CREDENTIALS];

/** What the server does, and what the operator hears of it. Without a listener nobody listens. */
export const FAULTS: readonly Fault[] = [
  ['nobody listens', undefined, NO_CONNECTION],
  ['the connection is reset', (req) => void req.socket.resetAndDestroy(), NO_CONNECTION],
  ['the connection is closed', (req) => void req.socket.destroy(), NO_CONNECTION],
  [
    'the connection breaks within the answer',
    (req, res) => {
      res.writeHead(200, { 'Content-Type': 'application/json', 'Content-Length': '100' }).write('{"active":');
      setTimeout(() => req.socket.destroy(), 20);
    },
    `${ANSWER} broke off, or did not end in time`,
  ],
  ['HTML with 200', ok('<html>', 'text/html'), `${ANSWER} came with a media type that is not JSON`],
  ['10 MB', ok(`{"active":true,"pad":"${'x'.repeat(10 * 1024 * 1024)}"}`), `${ANSWER} is larger than 1048576 bytes`],
  ['more than 64 kB', ok(paddedTo(MAX_BYTES + 1)), `${ANSWER} is larger than 65536 bytes`],
  [
    '403',
    status(403),
    'The introspection endpoint does not let us ask (403): allow this client to introspect, or check "clientAuthentication"',
  ],
  ['404', status(404), 'The introspection endpoint is not there (404): check "endpoint" of "introspection"'],
  ['429 with Retry-After', status(429, { 'Retry-After': '12' }), NO_200, 12],
  ['500', status(500), NO_200],
  ['503', status(503), NO_200],
  ['503 with Retry-After', status(503, { 'Retry-After': '3600' }), NO_200, LONGEST_WAIT],
  ['204', status(204), NO_200],
];

/** From now on the server fails so. */
export async function fail(as: TestAuthorizationServer, listener: RequestListener | undefined): Promise<void> {
  if (listener === undefined) await as.close();
  else as.answers.set('/introspect', listener);
}

/** From now on it is well. */
export async function heal(as: TestAuthorizationServer, listener: RequestListener | undefined): Promise<void> {
  if (listener === undefined) await as.reopen();
  as.answers.clear();
}
