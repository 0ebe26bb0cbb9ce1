import express from 'express';
import type { Express, RequestHandler } from 'express';
import { auth, requireScope, resourceServer } from '../../lib/index.js';
import type { ResourceServerOptions } from '../../lib/index.js';
import { parseChallenges } from './challenge-parser.js';
import type { Challenge } from './challenge-parser.js';
import { listen } from './listen.js';
import type { Listening } from './listen.js';

/** What came back, and whether the handler behind the middleware ran. */
export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly body: unknown;
  /** The `WWW-Authenticate` line as it came, or undefined. */
  readonly challenge: string | undefined;
  readonly challenges: readonly Challenge[];
}

export interface TestApp extends Listening {
  /** How often a handler behind the middleware ran. */
  handled: number;
  get(path: string, token?: string, headers?: Readonly<Record<string, string>>): Promise<Answer>;
  request(path: string, init?: RequestInit): Promise<Answer>;
}

/**
 * An Express app on loopback: `/open`, then `resourceServer(options)`, then `/protected` (any method), `/scoped` (needs
 * `read`) and what `routes` adds. Handlers answer with what the token says and with the body they see.
 */
export async function startApp(
  options: ResourceServerOptions,
  routes: (app: Express) => void = () => undefined,
  { before = [], create = express }: { before?: readonly RequestHandler[]; create?: () => Express } = {},
): Promise<TestApp> {
  const app = create();
  app.get('/open', (_req, res) => void res.json({ open: true }));
  for (const middleware of before) app.use(middleware);
  app.use(resourceServer(options));
  app.use((_req, _res, next) => {
    running.handled++;
    next();
  });
  app.all(
    '/protected',
    (req, res) => void res.json({ auth: auth.optional(req), body: req.body as unknown, query: req.query }),
  );
  app.get('/scoped', requireScope('read'), (req, res) => void res.json({ auth: auth(req) }));
  routes(app);
  const server = await listen(app);
  const request = async (path: string, init: RequestInit = {}): Promise<Answer> => {
    return readAnswer(await fetch(`${server.url}${path}`, init));
  };
  const running: TestApp = {
    ...server,
    handled: 0,
    request,
    get: (path, token, headers = {}) =>
      request(path, { headers: { ...(token !== undefined && { authorization: `Bearer ${token}` }), ...headers } }),
  };
  return running;
}

async function readAnswer(response: Response): Promise<Answer> {
  const text = await response.text();
  const challenge = response.headers.get('www-authenticate') ?? undefined;
  return {
    status: response.status,
    headers: response.headers,
    body: response.headers.get('content-type')?.includes('json') === true && text !== '' ? JSON.parse(text) : text,
    challenge,
    challenges: challenge === undefined ? [] : parseChallenges(challenge),
  };
}
