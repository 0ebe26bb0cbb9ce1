// @ts-check
// What a careful person writes with fetch.

/** Asks about one token. @param {import('../types.js').Settings} settings */
export function introspect({ issuer, audience, introspection }) {
  if (introspection === undefined) throw new Error('nobody to ask');
  const { endpoint, clientId, clientSecret } = introspection;
  const authorization = `Basic ${Buffer.from(`${clientId}:${clientSecret}`).toString('base64')}`;
  return async (/** @type {string} */ token) => {
    const answer = await fetch(endpoint, {
      method: 'POST',
      headers: { authorization, accept: 'application/json' },
      body: new URLSearchParams({ token, token_type_hint: 'access_token' }),
      redirect: 'error',
    });
    if (!answer.ok) throw new Error('no answer');
    const claims = /** @type {any} */ (await answer.json());
    const isGood =
      claims.active === true && claims.iss === issuer && claims.aud === audience && claims.exp > Date.now() / 1000;
    if (!isGood) throw new Error('not active');
    return claims;
  };
}
