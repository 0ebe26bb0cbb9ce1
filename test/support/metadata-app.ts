import { expect } from '@jest/globals';
import express from 'express';
import type { Express, RequestHandler } from 'express';
import express4 from 'express4';
import { errorHandler, resourceServer } from '../../lib/index.js';
import type { CommonOptions, ResourceServer } from '../../lib/index.js';
import type { Answer } from './app.js';
import { parseChallenges } from './challenge-parser.js';
import { listen } from './listen.js';
import type { Listening } from './listen.js';
import { RESOURCE } from './refusals.js';
import { closing } from './stage.js';

export const WELL_KNOWN = '/.well-known/oauth-protected-resource';

/** Both versions of Express that are supported, for `test.each`. */
export const EXPRESSES: readonly (readonly [name: string, create: typeof express])[] = [
  ['Express 5', express],
  ['Express 4', express4 as unknown as typeof express],
];

export interface MetadataApp extends Listening {
  /** The handlers that ran, by the path that was asked for. */
  readonly ran: readonly string[];
  get(path: string, token?: string, headers?: Readonly<Record<string, string>>): Promise<Answer>;
  request(path: string, init?: RequestInit): Promise<Answer>;
}

/** An app that `build` makes; `handler` answers 200, and notes that it ran. Closed by `afterEach(closeAll)`. */
export async function serve(
  build: (app: Express, handler: RequestHandler) => void,
  create: typeof express = express,
): Promise<MetadataApp> {
  const ran: string[] = [];
  const app = create();
  build(app, (req, res) => {
    ran.push(req.originalUrl);
    res.json({ ran: true });
  });
  app.use(errorHandler);
  const server = closing(await listen(app));
  const request = async (path: string, init: RequestInit = {}) => read(await fetch(`${server.url}${path}`, init));
  return {
    ...server,
    ran,
    request,
    get: (path, token, headers = {}) =>
      request(path, { headers: { ...(token !== undefined && { authorization: `Bearer ${token}` }), ...headers } }),
  };
}

/** A resource server for `RESOURCE`, of an issuer that is never asked unless `options` name it. */
export function api(options: Partial<CommonOptions> & { readonly issuer?: string } = {}): ResourceServer {
  return resourceServer({ resource: RESOURCE, issuer: 'https://as.example.com', metadata: true, ...options });
}

/** The document, which comes with 200, as JSON, and to everybody. */
export async function documentOf(app: MetadataApp, path = WELL_KNOWN): Promise<Readonly<Record<string, unknown>>> {
  const { status, headers, body, challenge } = await app.request(path);
  expect([status, headers.get('content-type'), challenge]).toEqual([200, 'application/json; charset=utf-8', undefined]);
  expect(headers.get('access-control-allow-origin')).toBe('*');
  expect(body).toEqual(expect.objectContaining({ resource: expect.any(String) as unknown }));
  return body as Readonly<Record<string, unknown>>;
}

async function read(response: Response): Promise<Answer> {
  const text = await response.text();
  const challenge = response.headers.get('www-authenticate') ?? undefined;
  const isJson = response.headers.get('content-type')?.includes('json') === true && text !== '';
  return {
    status: response.status,
    headers: response.headers,
    body: isJson ? (JSON.parse(text) as unknown) : text,
    challenge,
    challenges: challenge === undefined ? [] : parseChallenges(challenge),
  };
}
