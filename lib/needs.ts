import type { Request } from 'express';
import type { StepUp } from './errors.js';

/** What a guard asks for, as far as a challenge or the metadata can name it; or that something is no guard but a resource server. */
export interface Needs {
  /** Scopes that are all needed or, with `anyOf`, of which one is enough. */
  readonly scopes?: readonly string[];
  readonly anyOf?: boolean;
  /** Scopes that some requests need, and which of them a request needs, as far as that can be told yet. */
  readonly sometimes?: readonly string[];
  readonly scopesOf?: (req: Request) => readonly string[];
  readonly stepUp?: StepUp;
  /** A type of authorization details (RFC 9396). */
  readonly detailsType?: string;
  readonly isResourceServer?: boolean;
}

const NEEDS = Symbol('needs');

/** Marks a guard with what it asks for, so that others can tell before it runs. */
export function marked<T extends object>(guard: T, needs: Needs): T {
  return Object.assign(guard, { [NEEDS]: needs });
}

/** A layer of Express's router, 4 or 5, as far as it is looked at. */
interface Layer {
  /** A middleware, or a router, which has layers of its own. */
  readonly handle?: unknown;
  readonly method?: string;
  readonly route?: { readonly methods: Readonly<Record<string, boolean>>; readonly stack: readonly Layer[] };
  /** The part of the path that fitted, where `match` does not tell it. */
  readonly path?: string;
  readonly match: (path: string) => boolean | { readonly path: string };
}

/**
 * What the guards ask for that this request meets on its way, up to the end of the route that answers it. Express's router
 * is asked which those are, so that one declaration on a route serves the guard, the first 401 and the 403 alike.
 * For challenges only: nothing is let pass for it. What stands behind a function of the user's own is not found.
 */
export function needsAhead(req: Request): readonly Needs[] {
  const found: Needs[] = [];
  try {
    // Typed as it is in an Express application; a router of Express can be used without one.
    const app = req.app as Request['app'] | undefined;
    // As the router reads it: a client may send the whole address.
    const path = below(req.baseUrl + req.path, depthOf(app));
    walk(layersOf(app), { path, method: req.method.toLowerCase() }, found);
  } catch {
    // A path that cannot be decoded leads to no route.
  }
  return found;
}

/** What all guards in an application ask for, whatever the path. A router can be mounted in itself, for trees. */
export function needsWithin(app: unknown, seen = new Set<unknown>()): readonly Needs[] {
  if (seen.has(app)) return [];
  seen.add(app);
  return layersOf(app).flatMap(({ handle, route }) => [
    ...needsIn(handle),
    ...(route?.stack ?? []).flatMap((layer) => needsIn(layer.handle)),
    ...needsWithin(handle, seen),
  ]);
}

/** The scopes that a challenge names: all that are needed; of alternatives one that the token has, else the first. */
export function neededScopes(needs: readonly Needs[], held: readonly string[] = []): readonly string[] {
  const scopes = needs.flatMap(({ scopes = [], anyOf = false }) =>
    anyOf ? [scopes.find((scope) => held.includes(scope)) ?? scopes[0] ?? []].flat() : scopes,
  );
  return [...new Set(scopes)];
}

interface Way {
  readonly path: string;
  readonly method: string;
}

/** Whether the route was found that answers. */
function walk(layers: readonly Layer[], way: Way, found: Needs[]): boolean {
  for (const layer of layers) {
    const { route, handle } = layer;
    const method = route === undefined ? undefined : methodOf(route.methods, way.method);
    if (route !== undefined && method === undefined) continue;
    const prefix = matched(layer, way.path);
    if (prefix === undefined) continue;
    if (route !== undefined) {
      const steps = route.stack.filter((step) => step.method === undefined || step.method === method);
      const needs = steps.map((step) => needsIn(step.handle));
      found.push(...needs.flat());
      if (needs.some((own) => own.length === 0)) return true;
      continue; // nothing but guards, as in app.all('/admin/*', …): the answer comes from further on
    }
    found.push(...needsIn(handle));
    if (walk(layersOf(handle), { ...way, path: way.path.slice(prefix.length) || '/' }, found)) return true;
  }
  return false;
}

/** The method by which a route answers, if it does: HEAD by GET, unless it has its own. */
function methodOf(methods: Readonly<Record<string, boolean>>, method: string): string | undefined {
  const own = method === 'head' && methods['head'] !== true ? 'get' : method;
  return methods['_all'] === true || methods[own] === true ? own : undefined;
}

/** Express goes into a layer only if it fits the beginning of the path, up to a slash. */
function matched(layer: Layer, path: string): string | undefined {
  const match = layer.match(path);
  if (match === false) return undefined;
  const prefix = match === true ? (layer.path ?? '') : match.path;
  if (layer.route !== undefined || prefix === '') return prefix;
  return path.startsWith(prefix) && /^(?:\/|$)/.test(path.slice(prefix.length)) ? prefix : undefined;
}

/** How many segments of the path led to an application that is mounted in another; they may be parameters. */
function depthOf(app: Partial<Request['app']> | undefined): number {
  const { parent, mountpath } = (app ?? {}) as { parent?: Request['app']; mountpath?: unknown };
  if (parent === undefined) return 0;
  const path = String([mountpath].flat()[0]);
  return depthOf(parent) + path.split('/').filter((segment) => segment !== '').length;
}

function below(path: string, depth: number): string {
  const rest = path.split('/').slice(depth + 1);
  return `/${rest.join('/')}`;
}

/** Of an application the router is a member: `_router` in Express 4, where the other name throws. */
function layersOf(router: unknown): readonly Layer[] {
  if (typeof router !== 'function') return [];
  const { _router, stack } = router as { _router?: unknown; stack?: unknown };
  if (Array.isArray(stack)) return stack as Layer[];
  if (!('mountpath' in router)) return [];
  try {
    return layersOf(_router ?? (router as { router?: unknown }).router);
  } catch {
    return []; // of Express 4, and still empty
  }
}

function needsIn(handle: unknown): readonly Needs[] {
  const needs = typeof handle === 'function' ? (handle as { [NEEDS]?: Needs })[NEEDS] : undefined;
  return needs === undefined ? [] : [needs];
}
