// @ts-check
// Takes apart what went over the wire.

/** @typedef {{ name: string, value: string }} Part */

/** The parameters of a query or a form. @param {string} text @returns {Part[]} */
export function parameters(text) {
  return [...new URLSearchParams(text)].map(([name, value]) => ({ name, value }));
}

/**
 * The parameters of one challenge: name="quoted string" or name=token. RFC 9110 section 11.6.1.
 *
 * @param {string} challenge @returns {{ scheme: string, parts: Part[] }}
 */
export function takeChallengeApart(challenge) {
  const [scheme = ''] = challenge.split(' ', 1);
  const found = challenge.slice(scheme.length).matchAll(/([^\s=,"]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))/g);
  const parts = [...found].map(([, name = '', quoted, token]) => ({
    name,
    value: quoted?.replace(/\\(.)/g, '$1') ?? token ?? '',
  }));
  return { scheme, parts };
}

/**
 * Header and claims of a JWT, unverified: only for showing. A client must not look into access tokens (RFC 9068 section 6).
 * Undefined for what is no JWT: an opaque token.
 *
 * @param {string} token @returns {{ header: Part[], claims: Part[] } | undefined}
 */
export function decodeToken(token) {
  const [header, claims, signature] = token.split('.').map(decodePart);
  return header && claims && signature !== undefined ? { header, claims } : undefined;
}

/** The members of a JSON object. @param {object} object @returns {Part[]} */
export function members(object) {
  return Object.entries(object).map(([name, value]) => ({ name, value: show(name, value) }));
}

/** @param {string} part @param {number} index @returns {Part[] | undefined} */
function decodePart(part, index) {
  if (index === 2) return [];
  try {
    const bytes = Uint8Array.from(atob(part.replace(/-/g, '+').replace(/_/g, '/')), (c) => c.charCodeAt(0));
    return members(JSON.parse(new TextDecoder().decode(bytes)));
  } catch {
    return undefined;
  }
}

/** @param {string} name @param {unknown} value */
function show(name, value) {
  if (typeof value !== 'number' || !['exp', 'iat', 'nbf', 'auth_time'].includes(name)) {
    return typeof value === 'string' ? value : JSON.stringify(value);
  }
  return `${value} (${new Date(value * 1000).toLocaleTimeString('en-GB')})`;
}
