import type { RequestListener } from 'node:http';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { DiagnosticsEvent } from '../../lib/diagnostics.js';
import type { CommonOptions, IntrospectionOptions } from '../../lib/index.js';
import { TestAuthorizationServer } from '../support/authorization-server.js';
import { runChild } from '../support/child.js';
import { diagnosticsOf } from '../support/diagnostics.js';
import {
  closeAll,
  closing,
  expectAccepted,
  expectUnavailable,
  LONGEST_WAIT,
  SLACK,
  TIMEOUT,
  until,
} from '../support/faults.js';
import {
  ANSWER,
  asked,
  clientAuthentication,
  introspectionStage,
  many,
  tally,
} from '../support/introspection-stage.js';
import type { IntrospectionStage } from '../support/introspection-stage.js';
import { expectLimited, measure, trickle } from '../support/time-limit.js';
import type { Measured } from '../support/time-limit.js';

const JSON_TYPE = { 'Content-Type': 'application/json' };
const NO_ANSWER = `${ANSWER} could not be fetched: no connection, or no answer in time`;
const NO_END = `${ANSWER} broke off, or did not end in time`;
const NO_AUTHENTICATION =
  'We could not authenticate at the authorization server: what "clientAuthentication" calls failed';

/** Ways of the server of not coming to an end. */
const SLOW: readonly [what: string, listener: RequestListener, reason: string][] = [
  ['the server does not answer', () => undefined, NO_ANSWER],
  ['the server stops within the body', (_req, res) => void res.writeHead(200, JSON_TYPE).write('{"active":'), NO_END],
  ['the server sends a byte at a time', trickle, NO_END],
];

/** Ways of the user's own code of not coming to an end, as soon as it is stuck. */
const stuck = { now: false };
const never = () => new Promise<never>(() => undefined);
const OWN: readonly [what: string, Partial<IntrospectionOptions>, Partial<CommonOptions>, reason: string][] = [
  [
    'a fetch of the user ignores the signal',
    {},
    { fetch: (url, init) => (stuck.now ? never() : fetch(url, init)) },
    NO_ANSWER,
  ],
  [
    'clientAuthentication does not return',
    {
      clientAuthentication: {
        authenticate: (issuer, now) => (stuck.now ? never() : clientAuthentication.authenticate(issuer, now)),
      },
    },
    {},
    NO_AUTHENTICATION,
  ],
];
const REASONS = [...SLOW, ...OWN].map((row) => [row[0], row.at(-1) as string] as const);

interface Slow extends IntrospectionStage {
  readonly cached: string;
  readonly token: string;
  /** The request with a token that nobody has asked about. */
  other?: Measured;
  /** Ten with a cached one, meanwhile. */
  meanwhile?: Measured;
}

async function slowStage(
  introspection: Partial<IntrospectionOptions>,
  options: Partial<CommonOptions>,
  listener?: RequestListener,
): Promise<Slow> {
  const staged = await introspectionStage(introspection, options);
  const cached = staged.issue();
  await expectAccepted(staged.app, cached);
  if (listener !== undefined) staged.as.answers.set('/introspect', listener);
  return { ...staged, cached, token: staged.issue() };
}

async function go(slow: Slow): Promise<void> {
  const other = measure(async () => {
    expect(await slow.app.get(slow.token)).toMatchObject({ status: 503, challenge: null, retryAfter: '5' });
  });
  slow.meanwhile = await measure(async () => {
    for (let i = 0; i < 10; i++) await expectAccepted(slow.app, slow.cached);
  });
  slow.other = await other;
  expect(slow.app.handled).toBe(11);
}

interface Crowd {
  /** The tokens that the server was asked about, and those of which it heard that nobody waits any longer. */
  readonly sent: string[];
  readonly given: string[];
  readonly staged: IntrospectionStage;
  readonly tokens: readonly string[];
  counts?: Record<number, number>;
  time?: Measured;
}

/** So many at once, with a token of their own each. The server takes their questions, and does not answer. */
async function crowdOf(count: number, introspection: Partial<IntrospectionOptions> = {}): Promise<Crowd> {
  const staged = await introspectionStage(introspection);
  const [sent, given] = [[], []] as [string[], string[]];
  staged.as.onQuestion = ({ form }, res) => {
    const token = form.get('token') ?? '';
    sent.push(token);
    res.on('close', () => given.push(token));
  };
  return { staged, sent, given, tokens: many(count, () => staged.issue()) };
}

function trialsOf({ tokens }: Crowd, asked: readonly string[]): string[] {
  return asked.filter((token) => !tokens.includes(token));
}

async function goAll(crowd: Crowd): Promise<void> {
  crowd.time = await measure(async () => {
    crowd.counts = await tally(crowd.staged.app, crowd.tokens);
  });
  // The trial takes as long.
  await until(() => trialsOf(crowd, crowd.given).length > 0, 'the end of the trial', 20);
}

// They take five seconds each, so they run side by side before the tests that look at them.
const stages = new Map<string, Slow>();
let events: readonly DiagnosticsEvent[];
let crowd: Crowd;
let line: Crowd;

beforeAll(async () => {
  for (const [what, listener] of SLOW) stages.set(what, await slowStage({}, {}, listener));
  for (const [what, introspection, options] of OWN) stages.set(what, await slowStage(introspection, options));
  crowd = await crowdOf(50);
  line = await crowdOf(20, { maxConcurrent: 1 });
  stuck.now = true;
  events = await diagnosticsOf(async () => {
    await Promise.all([...[...stages.values()].map(go), goAll(crowd), goAll(line)]);
  });
  stuck.now = false;
}, 60_000);

afterAll(closeAll);

function staged(what: string): Slow {
  const found = stages.get(what);
  if (found === undefined) throw new Error(`there is no stage ${what}`);
  return found;
}

/** What the operator heard of introspection at this server. */
function told({ issuer }: TestAuthorizationServer) {
  return events
    .filter((event) => event.type === 'introspection')
    .filter((event) => event.issuer === issuer)
    .map(({ event, reason }) => [event, reason]);
}

describe.each(REASONS)('7662-2.3-1 %s', (what, reason) => {
  test('503 after five seconds, and the operator hears why', () => {
    const { as, other } = staged(what);
    expectLimited(other);
    expect(told(as)).toEqual([['failed', reason]]);
  });

  test('a cached token does not wait', () => {
    const { meanwhile } = staged(what);
    expect(meanwhile?.failure).toBeUndefined();
    expect(meanwhile?.milliseconds).toBeLessThan(TIMEOUT - 100);
  });

  test('afterwards the same token passes at once: that there was no answer is no verdict, and makes no pause', async () => {
    const { as, app, token } = staged(what);
    as.answers.clear();
    const { milliseconds, failure } = await measure(() => expectAccepted(app, token));
    expect(failure).toBeUndefined();
    expect(milliseconds).toBeLessThan(TIMEOUT / 2);
  });
});

describe('a server that does not answer', () => {
  test('fifty at once: 503 for all after five seconds, one trial, one pause, and after it the first succeeds', async () => {
    expectLimited(crowd.time);
    expect(crowd.counts).toEqual({ 503: 50 });
    const { as, app, clock, issue } = crowd.staged;
    expect(trialsOf(crowd, crowd.sent)).toHaveLength(1);
    expect(new Set(crowd.sent).size).toBe(50 + 1);
    expect(told(as).filter(([event]) => event === 'paused')).toEqual([['paused', NO_ANSWER]]);
    const before = asked(as);
    expect(await expectUnavailable(app, issue())).toBe(1);
    expect(asked(as)).toBe(before);
    as.onQuestion = undefined;
    clock.now += LONGEST_WAIT;
    await expectAccepted(app, crowd.tokens[0] ?? '');
  });

  test('twenty in a line: 503 for all after five seconds, none is sent twice, one trial, one pause', async () => {
    expectLimited(line.time);
    expect(line.counts).toEqual({ 503: 20 });
    const { as, app, clock } = line.staged;
    expect(trialsOf(line, line.sent)).toHaveLength(1);
    expect(new Set(line.sent).size).toBe(line.sent.length);
    expect(told(as).filter(([event]) => event === 'paused')).toEqual([['paused', NO_ANSWER]]);
    as.onQuestion = undefined;
    clock.now += LONGEST_WAIT;
    for (const token of line.tokens) await expectAccepted(app, token);
  });
});

/**
 * An app of its own that goes through the plan, and then closes its server. It says what its callers saw, three for each
 * token, and how long it lived after that. A rejection that nobody handles ends it with an error.
 */
const MAIN = `
import { performance } from 'node:perf_hooks';
import express from 'express';
import { clientSecretBasic, resourceServer } from './lib/index.js';

const [issuer, resource, plan] = process.argv.slice(2);
let now = Date.now() / 1000;
const introspection = { clientAuthentication: clientSecretBasic('rs1', 'secret'), staleWhileRevalidate: 30 };
const app = express();
const middleware = resourceServer({ resource, issuer, clock: () => now, introspection });
app.use(middleware, (req, res) => { res.json({}); });
const server = app.listen(0, '127.0.0.1', async () => {
  const statuses = [];
  const get = async (token) => {
    const { port } = server.address();
    const headers = { authorization: 'Bearer ' + token, connection: 'close' };
    return (await fetch('http://127.0.0.1:' + port, { headers })).status;
  };
  for (const { tell, move = 0, token, ready } of JSON.parse(plan)) {
    if (tell !== undefined) {
      await new Promise((resolve) => setTimeout(resolve, 400)); // what runs in the background comes to its end
      await fetch(new URL(tell, issuer));
    }
    now += move;
    if (ready) statuses.push(await middleware.ready().then(() => 'ready', (error) => error.name));
    if (token === undefined) continue;
    statuses.push(...new Set(await Promise.all([token, token, token + (ready ? '2' : '')].map(get))));
  }
  const closing = performance.now();
  server.close();
  server.closeAllConnections();
  process.on('exit', () => { console.log(JSON.stringify({ statuses, milliseconds: performance.now() - closing })); });
});
`;

/** What the child has the authorization server do. */
const SWITCHES: Readonly<Record<string, RequestListener>> = {
  '/error': (_req, res) => void res.writeHead(500).end(),
  '/half': (_req, res) => {
    res.writeHead(200, { ...JSON_TYPE, 'Content-Length': '100' }).write('{');
    setTimeout(() => res.destroy(), 20);
  },
  '/hangup': (req) => void req.socket.destroy(),
  '/hang': () => undefined,
};

test('through an outage nothing is left unhandled, and the process ends by itself when its server closes', async () => {
  const as = closing(await TestAuthorizationServer.start());
  for (const [path, listener] of Object.entries(SWITCHES)) {
    as.answers.set(path, (_req, res) => {
      as.answers.set('/introspect', listener);
      res.end();
    });
  }
  as.answers.set('/well', (_req, res) => {
    as.answers.delete('/introspect');
    res.end();
  });
  const token = as.issue({ exp: Math.floor(Date.now() / 1000) + 100_000 });
  const plan = [
    { ready: true, token },
    { tell: '/error', move: 30, token }, // fails in the background
    { tell: '/hangup', token },
    { tell: '/half', token },
    { move: 30, token }, // and now for all to see
    { token: 'other' },
    { token: 'third' }, // five in a row
    { token: 'fourth' },
    { ready: true },
    { tell: '/well', move: 30, token },
    { token: 'fifth' },
    { tell: '/hang', move: 30, token }, // asks in the background until it closes
  ];
  const args = [as.issuer, as.resource, JSON.stringify(plan)];
  const { code, stdout, stderr } = await runChild(MAIN, ['--unhandled-rejections=strict'], args);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  const { statuses, milliseconds } = JSON.parse(stdout) as { statuses: unknown[]; milliseconds: number };
  const failed = 'VerificationUnavailableError';
  expect(statuses).toEqual(['ready', 200, 401, 200, 200, 200, 503, 503, 503, 503, failed, 200, 401, 200]);
  expect(milliseconds).toBeLessThan(TIMEOUT + SLACK);
}, 60_000);
