// @ts-check
// What a careful person writes around a function that verifies tokens.

/** Takes the token from the `Authorization` header. @param {(token: string) => Promise<unknown>} verify @returns {import('express').RequestHandler} */
export function bearer(verify) {
  return async (req, res, next) => {
    const { authorization } = req.headers;
    try {
      if (authorization === undefined || !authorization.startsWith('Bearer ')) throw new Error('no token');
      /** @type {any} */ (req).auth = await verify(authorization.slice(7));
    } catch {
      res.status(401).set('WWW-Authenticate', 'Bearer error="invalid_token"').json({ error: 'invalid_token' });
      return;
    }
    next();
  };
}
