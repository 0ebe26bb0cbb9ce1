import type { IncomingMessage } from 'node:http';
import type { RequestHandler } from 'express';
import { isJsonObject } from './decode.js';
import { InsufficientScopeError } from './errors.js';
import { check, guard, isTrue } from './guard.js';
import type { Demand } from './guard.js';
import { show } from './options.js';
import type { Auth } from './types.js';

/** One entry of `authorization_details`: what the person agreed to, in detail. RFC 9396 section 2. */
export interface AuthorizationDetail {
  readonly [name: string]: unknown;
  readonly type: string;
  /** The resources it is for; all, if there is no such member. RFC 9396 section 2.2. */
  readonly locations?: readonly string[];
}

/** Whether an entry allows this: `true`, and nothing else, lets pass. */
export type DetailTest<Detail extends object = object> = (detail: AuthorizationDetail & Detail, auth: Auth) => boolean;

/**
 * A guard that lets a request pass whose token has authorization details of exactly this type that pass `test`, such as
 * `requireAuthorizationDetails<Payment>('payment', (payment) => payment.amount <= 100)`; one entry of several is enough.
 * One whose `locations` do not name our `resource` counts for nothing. Answers 403 `insufficient_scope` otherwise. That the
 * entries are as `Detail` says is taken on trust. RFC 9396 section 9.
 *
 * @param test Default: that there is such an entry.
 * @throws TypeError at construction, for a type that is no string or a test that is no function.
 */
export function requireAuthorizationDetails<Detail extends object = object>(
  type: string,
  test: DetailTest<Detail> = () => true,
): RequestHandler {
  return guard(detail('requireAuthorizationDetails', type, test));
}

/** `requireAuthorizationDetails` inside a handler, which can compare with what was asked for. Throws as `checkScope` does. */
export function checkAuthorizationDetails<Detail extends object = object>(
  req: IncomingMessage,
  type: string,
  test: DetailTest<Detail> = () => true,
): void {
  check(detail('checkAuthorizationDetails', type, test), req);
}

function detail<Detail extends object>(where: string, type: string, test: DetailTest<Detail>): Demand {
  if (typeof type !== 'string' || type === '' || typeof test !== 'function') {
    const hint = `such as ${where.startsWith('check') ? 'req, ' : ''}'payment', (payment) => payment.currency === 'EUR'`;
    throw new TypeError(`${where} needs a type and a function, ${hint}; got ${show(type)} and ${show(test)}`);
  }
  return {
    needs: { detailsType: type },
    check: (auth, { resource }) => {
      const details = detailsIn(auth.claims['authorization_details']).filter(
        (entry) => entry.type === type && (entry.locations === undefined || entry.locations.includes(resource)),
      );
      if (details.some((entry) => isTrue(test(entry as AuthorizationDetail & Detail, auth)))) return;
      throw new InsufficientScopeError([], 'The access token lacks required authorization details');
    },
  };
}

/** None if one of them is not as RFC 9396 section 2 has it: who wrote it may have meant something else by the others, too. */
function detailsIn(claim: unknown): readonly AuthorizationDetail[] {
  return Array.isArray(claim) && claim.every(isDetail) ? claim : [];
}

function isDetail(entry: unknown): entry is AuthorizationDetail {
  if (!isJsonObject(entry)) return false;
  const { type, locations } = entry;
  if (typeof type !== 'string') return false;
  return locations === undefined || (Array.isArray(locations) && locations.every((item) => typeof item === 'string'));
}
