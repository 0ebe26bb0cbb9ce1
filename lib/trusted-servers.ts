import { isDeepStrictEqual } from 'node:util';
import { LRUCache } from 'lru-cache';
import { trustedServer } from './authorization-servers.js';
import type { AuthorizationServer, Defaults, GivenServer, TrustedServer } from './authorization-servers.js';
import type { ServerFinder } from './jwt.js';
import { show } from './options.js';
import type { Seconds } from './types.js';

/**
 * Finds the authorization server of a tenant by the `iss` of a token, or undefined when there is no such tenant.
 * `issuer` is unverified text from a token: look it up, and never make a trusted server out of it.
 */
export type FindAuthorizationServer = (
  issuer: string,
) => AuthorizationServer | undefined | Promise<AuthorizationServer | undefined>;

/** The servers whose tokens are accepted, and what can be done with all of them. */
export interface TrustedServers {
  /** The server that an `iss` names, or undefined. Throws what the user's function throws. */
  readonly find: ServerFinder<TrustedServer>;
  /** Those known now, by issuer. */
  readonly known: () => Iterable<readonly [issuer: string, TrustedServer]>;
  /** Every spelling of an issuer that is listed. */
  readonly issuers: readonly string[];
  /** Forgets what a function has found. */
  readonly purge: () => void;
}

/** How long the answer of the function is believed: that there is such a server, and that there is none. */
const TENANT_FOR: Seconds = 300;
const NO_TENANT_FOR: Seconds = 30;
/** Most servers remembered: nobody can invent one. Most issuers remembered that are none: anybody can. */
const MAX_TENANTS = 10_000;
const MAX_STRANGERS = 1000;
/** No issuer is longer; what is need not be looked up. */
const MAX_ISSUER_LENGTH = 512;

/** A list that does not change. @throws TypeError for an issuer that is listed twice. */
export function listedServers(servers: readonly GivenServer[], defaults: Defaults): TrustedServers {
  const trusted = new Map<string, TrustedServer>();
  const byIssuer = new Map<string, TrustedServer>();
  for (const given of servers) {
    const server = trustedServer(given, defaults);
    for (const issuer of server.issuers) {
      if (trusted.has(issuer))
        throw new TypeError(`the issuer ${show(issuer)} is named twice, by "issuer" or "issuerAliases"`);
      trusted.set(issuer, server);
    }
    byIssuer.set(server.issuers[0], server);
  }
  return {
    find: (issuer) => (typeof issuer === 'string' ? trusted.get(issuer) : undefined),
    known: () => byIssuer,
    issuers: [...trusted.keys()],
    purge: () => undefined,
  };
}

/**
 * Servers that a function of the user's finds. Its answers are remembered within bounds, the negative ones apart and for a
 * shorter time, so that invented issuers cost neither memory nor the servers of tenants that exist.
 */
export function foundServers(find: FindAuthorizationServer, defaults: Defaults): TrustedServers {
  const { clock } = defaults;
  const tenants = new LRUCache<string, Tenant>({ max: MAX_TENANTS });
  const strangers = new LRUCache<string, Seconds>({ max: MAX_STRANGERS });
  const pending = new Map<string, Promise<TrustedServer | undefined>>();

  let generation = 0;

  async function ask(issuer: string): Promise<TrustedServer | undefined> {
    const asked = generation;
    // Databases say null for what they do not have.
    const given = ((await find(issuer)) as AuthorizationServer | null | undefined) ?? undefined;
    if (asked !== generation) return ask(issuer); // purged meanwhile
    const tenant = given === undefined ? undefined : describe(issuer, given);
    // A look-up that takes another spelling for the same is a database's habit; here it is another issuer.
    if (tenant?.server.issuers.includes(issuer) !== true) {
      tenants.delete(issuer);
      strangers.set(issuer, clock());
      return undefined;
    }
    tenants.set(issuer, tenant);
    return tenant.server;
  }

  /** A server that is described as before keeps the keys that it has. */
  function describe(issuer: string, given: AuthorizationServer): Tenant {
    const before = tenants.get(issuer);
    if (before !== undefined && isDeepStrictEqual(before.given, given)) return { ...before, since: clock() };
    const server = trustedServer(given, defaults);
    return { given: copyOf(given), server, since: clock() };
  }

  return {
    find: (issuer) => {
      if (typeof issuer !== 'string' || issuer.length > MAX_ISSUER_LENGTH) return undefined;
      const tenant = tenants.get(issuer);
      if (tenant !== undefined && isWithin(clock() - tenant.since, TENANT_FOR)) return tenant.server;
      const stranger = strangers.get(issuer);
      if (stranger !== undefined && isWithin(clock() - stranger, NO_TENANT_FOR)) return undefined;
      let asked = pending.get(issuer);
      if (asked === undefined) {
        asked = ask(issuer).finally(() => {
          if (pending.get(issuer) === asked) pending.delete(issuer);
        });
        pending.set(issuer, asked);
      }
      return asked;
    },
    known: function* () {
      for (const [issuer, { server }] of tenants.entries()) yield [issuer, server] as const;
    },
    issuers: [],
    purge: () => {
      generation++;
      tenants.clear();
      strangers.clear();
      pending.clear(); // an answer that never came is not waited for any longer
    },
  };
}

interface Tenant {
  readonly given: AuthorizationServer;
  readonly server: TrustedServer;
  readonly since: Seconds;
}

/** A copy, because theirs may change in its place. The functions of `introspection` stay what they are, and differ if others come. */
function copyOf({ introspection, ...rest }: AuthorizationServer): AuthorizationServer {
  const copy = structuredClone(rest);
  return introspection === undefined ? copy : { ...copy, introspection: { ...introspection } };
}

/** A clock that was put back makes an age negative; then nothing is believed. */
function isWithin(age: Seconds, life: Seconds): boolean {
  return age >= 0 && age < life;
}
