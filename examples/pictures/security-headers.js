// @ts-check

/**
 * What every page of this example answers with: no script, style or picture but our own, in no frame of others.
 *
 * @param {{ formAction?: string }} [options] where forms may lead
 * @returns {import('express').RequestHandler}
 */
export function securityHeaders({ formAction = "'self'" } = {}) {
  const policy = [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self'",
    "connect-src 'self'",
    `form-action ${formAction}`,
    "base-uri 'none'",
    "frame-ancestors 'none'",
  ].join('; ');
  return (_req, res, next) => {
    res.set({
      'Content-Security-Policy': policy,
      'X-Content-Type-Options': 'nosniff',
      'Referrer-Policy': 'same-origin', // "no-referrer" would make the Origin of our own forms "null"
      'Cache-Control': 'no-store',
    });
    next();
  };
}

/**
 * Refuses requests that change something unless a page of ours made them: cross-site request forgery. Browsers always
 * send `Origin` with a POST. Cookies with SameSite are not enough here: ports of one host are the same site.
 *
 * @param {string} origin
 * @returns {import('express').RequestHandler}
 */
export function sameOriginOnly(origin) {
  return (req, res, next) => {
    if (req.method === 'GET' || req.method === 'HEAD' || req.get('origin') === origin) next();
    else res.status(403).type('text').send('This request must come from a page of this server.');
  };
}
