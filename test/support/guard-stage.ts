import type { Express, RequestHandler } from 'express';
import { clientSecretBasic } from '../../lib/index.js';
import type { CommonOptions } from '../../lib/index.js';
import { startApp } from './app.js';
import type { TestApp } from './app.js';
import { TestAuthorizationServer } from './authorization-server.js';
import { movableClock } from './clock.js';
import type { Clock } from './clock.js';
import { RESOURCE } from './refusals.js';
import type { Refusal } from './refusals.js';
import { closing } from './stage.js';
import type { Overrides } from './tokens.js';

/** How the app learns what a token says. */
export type Kind = 'JWT' | 'introspection';
export const KINDS: readonly Kind[] = ['JWT', 'introspection'];

export interface GuardStage {
  readonly as: TestAuthorizationServer;
  readonly app: TestApp;
  readonly clock: Clock;
  /** A good token with these claims beside the usual ones, whose times fit the moved clock. */
  readonly mint: (claims?: Overrides) => string;
  /** The paths whose handler ran, oldest first. */
  readonly ran: string[];
}

/** Adds routes. `handler` notes that it ran. */
export type Routes = (app: Express, handler: RequestHandler) => void;

export interface GuardOptions extends Partial<CommonOptions> {
  readonly before?: readonly RequestHandler[];
  readonly create?: () => Express;
}

/** An app with guarded routes, whose tokens are JWTs, or are looked up. `clientSecretBasic` is what it shows there. */
export async function guardStage(kind: Kind, routes: Routes, given: GuardOptions = {}): Promise<GuardStage> {
  const { before = [], create, ...options } = given;
  const clock = movableClock();
  const as = closing(await TestAuthorizationServer.start());
  const ran: string[] = [];
  const endpoint = as.introspectionEndpoint;
  const introspection = { clientAuthentication: clientSecretBasic('rs', 'secret'), endpoint };
  const common = { resource: RESOURCE, issuer: as.issuer, clock, ...options };
  const app = closing(
    await startApp(
      kind === 'JWT' ? common : { ...common, introspection },
      (server) => {
        server.set('env', 'test');
        routes(server, (req, res) => {
          ran.push(req.path);
          res.json({ ran: ran.length });
        });
      },
      { before, ...(create !== undefined && { create }) },
    ),
  );
  const mint = (claims: Overrides = {}) =>
    kind === 'JWT' ? as.mint(claims, { now: clock.now }) : as.issue(claims, clock.now);
  return { as, app, clock, mint, ran };
}

/** `/x` behind these guards. */
export function behind(...guards: readonly RequestHandler[]): Routes {
  return (app, handler) => {
    app.all('/x', ...guards, handler);
  };
}

export const WEAK_LOGIN = 'The operation needs a stronger or a more recent log-in';

/** The middle of a challenge that asks for another log-in. */
export function weakLogin(params: string): string {
  return `, error="insufficient_user_authentication", error_description="${WEAK_LOGIN}", ${params}`;
}

/** 401 that asks for another log-in. `params` as on the wire, such as `max_age="5"`. */
export function stepUpRefusal(params: string): Refusal {
  return {
    status: 401,
    challenge: `Bearer realm="${RESOURCE}"${weakLogin(params)}`,
    body: { error: 'insufficient_user_authentication', error_description: WEAK_LOGIN },
  };
}

/** 401 for a bad token, on a route that needs scope. */
export function invalidTokenFor(scope: string, description: string): Refusal {
  const error = { error: 'invalid_token', error_description: description };
  const said = `error="invalid_token", error_description="${description}", scope="${scope}"`;
  return { status: 401, challenge: `Bearer realm="${RESOURCE}", ${said}`, body: error };
}

export const NO_DETAILS = 'The access token lacks required authorization details';
export const NO_ACTOR = 'The access token names no acting party that is allowed here';
