// @ts-check
// The photo editor: the client of RFC 6749, a web application with a server. The tokens never leave this server; the
// browser has a session cookie. (It is shown the tokens only because this page wants to teach.)
import { fileURLToPath } from 'node:url';
import express from 'express';
import { oauthClient } from './oauth-client.js';
import { SignInFirst, personTokens, tokensOf } from './person-tokens.js';
import { createRefusals } from './refusals.js';
import { sameOriginOnly, securityHeaders } from './security-headers.js';
import { createSessions } from './sessions.js';
import { recordIncoming, recordingFetch } from './wire.js';

const SCOPE = 'openid profile offline_access pictures:read pictures:write';
const PUBLIC = fileURLToPath(new URL('public', import.meta.url));

/**
 * @param {object} options
 * @param {string} options.url the address of this server
 * @param {string} options.issuer
 * @param {string} options.resource the address of the storage
 * @param {{ id: string, secret: string, redirectUri: string }} options.credentials
 * @param {ReturnType<typeof import('./nightly-job.js').createNightlyJob>} options.job
 * @param {import('./wire.js').Log} options.backstage what the servers asked each other, not for one person
 * @param {boolean} options.opaque whether access tokens are opaque; only the page and its refusals care, a client does not
 */
export function createEditor({ url, issuer, resource, credentials, job, backstage, opaque }) {
  const discovery = recordingFetch(backstage, { step: 'request', from: 'editor', to: 'authorization server' });
  const client = oauthClient({ issuer, resource, credentials, fetch: discovery });
  const tokens = personTokens(client);
  const refusals = createRefusals({ resource, tokens, job, opaque });
  const sessions = createSessions();
  const app = express();
  app.disable('x-powered-by');
  app.use(securityHeaders(), sameOriginOnly(url));

  app.get('/sign-in', async (req, res) => {
    const session = sessions.of(req, res);
    recordIncoming(session.log, { step: 'request', from: 'browser', to: 'editor' }, req, res);
    const fetch = recordingFetch(session.log, { step: 'request', from: 'editor', to: 'authorization server' });
    const request = await client.authorizationRequest(fetch, { redirectUri: credentials.redirectUri, scope: SCOPE });
    session.pending = request.checks;
    session.notice = undefined;
    res.redirect(303, request.url.href);
  });

  app.get(new URL(credentials.redirectUri).pathname, async (req, res) => {
    const session = sessions.of(req, res);
    recordIncoming(session.log, { step: 'consent', from: 'browser', to: 'editor' }, req, res);
    const fetch = recordingFetch(session.log, { step: 'tokens', from: 'editor', to: 'authorization server' });
    const { pending } = session;
    session.pending = undefined; // one answer for one request
    try {
      if (pending === undefined) throw new Error('no sign-in is going on');
      const answer = await client.redeemCode(fetch, new URL(req.originalUrl, url), pending);
      const claims = answer.claims();
      session.tokens = tokensOf(answer);
      session.person = String(claims?.['name'] ?? claims?.sub);
      sessions.renew(req, res, session);
      res.redirect(303, '/#pictures');
    } catch (error) {
      session.notice = /** @type {{ error?: string }} */ (error).error === 'access_denied' ? 'refused' : 'failed';
      res.redirect(303, '/');
    }
  });

  app.post('/sign-out', async (req, res) => {
    const { log, tokens: held } = sessions.of(req, res);
    const fetch = recordingFetch(log, { step: 'refresh', from: 'editor', to: 'authorization server' });
    sessions.end(req, res);
    if (held !== undefined) await client.revoke(fetch, held.refresh); // a JWT ends by itself, soon; opaque tokens end too
    res.json({});
  });

  app.get('/story', (req, res) => {
    res.json(story(sessions.of(req, res), req));
  });

  app.get('/pictures', async (req, res) => {
    const session = sessions.of(req, res);
    const answer = await storage(session, '/pictures');
    res.status(answer.status).json({ pictures: await answer.json(), ...story(session, req) });
  });

  app.get('/pictures/:id', async (req, res) => {
    const path = `/pictures/${encodeURIComponent(req.params.id)}${'original' in req.query ? '?original' : ''}`;
    const answer = await storage(sessions.of(req, res), path);
    // Pictures are loaded once: the page asks for another address when one has changed.
    if (answer.ok) res.set('Cache-Control', 'private, max-age=3600').type('svg');
    res.status(answer.status).send(await answer.text());
  });

  app.put('/pictures/:id', express.json({ limit: '1kb' }), async (req, res) => {
    const session = sessions.of(req, res);
    const init = { method: 'PUT', headers: { 'content-type': 'application/json' }, body: JSON.stringify(req.body) };
    const answer = await storage(session, `/pictures/${encodeURIComponent(String(req.params['id']))}`, init);
    res.json({ status: answer.status, ...story(session, req) });
  });

  app.post('/refusals/:name', async (req, res, next) => {
    const session = sessions.of(req, res);
    const provoke = Object.hasOwn(refusals, req.params.name) ? refusals[req.params.name] : undefined;
    if (provoke === undefined) return next();
    const { status } = await provoke(session);
    res.json({ status, ...story(session, req) });
  });

  app.post('/refresh', async (req, res) => {
    const session = sessions.of(req, res);
    await tokens.renew(session);
    res.json(story(session, req));
  });

  app.post('/nightly-job', async (req, res) => {
    const session = sessions.of(req, res);
    const count = await job.run(session.log);
    res.json({ count, ...story(session, req) });
  });

  app.use(express.static(PUBLIC, { cacheControl: false }));

  app.use(
    /** @type {express.ErrorRequestHandler} */ (
      (error, _req, res, next) => {
        if (error instanceof SignInFirst) res.status(401).json({ error: 'sign_in_first' });
        else next(error);
      }
    ),
  );

  /** The API call of a client: the token goes along in the header. RFC 6750 section 2.1.
   * @param {import('./sessions.js').Session} session @param {string} path
   * @param {{ method?: string, headers?: Record<string, string>, body?: string }} [init] */
  async function storage(session, path, init = {}) {
    const token = await tokens.fresh(session);
    const fetch = recordingFetch(session.log, { step: 'pictures', from: 'editor', to: 'storage' });
    return fetch(resource + path, { ...init, headers: { ...init.headers, authorization: `Bearer ${token}` } });
  }

  /** What the page shows: who is signed in, and every exchange after number `since`.
   * @param {import('./sessions.js').Session} session @param {express.Request} req */
  function story({ log, person, tokens: held, notice }, req) {
    const since = Number(req.query['since'] ?? 0);
    const exchanges = [...backstage, ...log].filter(({ number }) => number > since).sort((a, b) => a.number - b.number);
    const access = held && { scope: held.scope, expiresAt: held.expiresAt };
    const tokenFormat = opaque ? 'opaque' : 'jwt';
    return {
      person,
      access,
      notice,
      tokenFormat,
      addresses: { editor: url, storage: resource, authorization: issuer },
      exchanges,
    };
  }

  return app;
}
