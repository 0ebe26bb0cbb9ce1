import { expect, jest } from '@jest/globals';
import express from 'express';
import type { Express, NextFunction, Request, RequestHandler, Response } from 'express';
import { auth, resourceServer } from '../../lib/index.js';
import type { ResourceServerOptions } from '../../lib/index.js';
import type { ResourceServer } from '../../lib/resource-server.js';
import { closing, expectAccepted } from './faults.js';
import type { App } from './faults.js';
import { listen } from './listen.js';

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
      const body = (await response.json()) as unknown;
      const pass = passes.at(-1) ?? { synchronous: false, nexts: 0, waited: false };
      return { ...pass, status: response.status, challenge: response.headers.get('www-authenticate'), body };
    },
  };
}

const answerSubject: RequestHandler = (req, res) => void res.json({ subject: auth(req).subject });
