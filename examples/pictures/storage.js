// @ts-check
// The cloud storage: the resource server of RFC 6749, an API that keeps people's pictures and lets in who has a token.
import express from 'express';
import { auth, clientSecretBasic, requireScope, resourceServer } from 'express-oauth2-resource-server';
import { LOOKS, drawPicture, newAlbum } from './pictures.js';

/**
 * For how long the answer about an opaque token is used again, in seconds: so long a revoked one still passes. Three, so that
 * you can watch both; the default is 30. Shorter means more questions, 0 one for every request.
 */
export const INTROSPECTION_TTL = 3;

/**
 * @param {object} options
 * @param {string} options.resource the address of this API, and what its tokens carry as audience
 * @param {string} options.issuer the authorization server whose tokens are accepted
 * @param {{ id: string, secret: string } | undefined} [options.credentials] who this API is at the authorization server; only
 *   needed for opaque tokens, about which it must ask
 * @param {typeof globalThis.fetch} [options.fetch] records what the middleware asks the authorization server
 */
export function createStorage({ resource, issuer, credentials, fetch = globalThis.fetch }) {
  /** @type {Map<string, ReturnType<typeof newAlbum>>} */
  const albums = new Map();
  const app = express();
  app.disable('x-powered-by');

  // This is all it takes: from here on a request has a good access token, or has been answered.
  if (credentials === undefined) {
    // Tokens are JWTs: the storage checks them itself, with the public keys of the issuer.
    app.use(resourceServer({ resource, issuer, fetch }));
  } else {
    // Tokens are opaque: the storage asks the issuer about each, and says who it is. RFC 7662.
    const clientAuthentication = clientSecretBasic(credentials.id, credentials.secret);
    app.use(
      resourceServer({
        resource,
        issuer,
        fetch,
        introspection: { clientAuthentication, ttl: INTROSPECTION_TTL },
      }),
    );
  }

  // Whose pictures? Those of the person in the token, never of a name in the request.
  app.get('/pictures', requireScope('pictures:read'), (req, res) => {
    res.json(album(auth(req).subject).map(describe));
  });

  app.get('/pictures/:id', requireScope('pictures:read'), (req, res) => {
    const picture = find(req);
    if (picture === undefined) return notFound(res);
    res.type('svg').send(drawPicture({ ...picture, ...('original' in req.query && ORIGINAL) }));
  });

  app.put('/pictures/:id', requireScope('pictures:write'), express.json({ limit: '1kb' }), (req, res) => {
    const picture = find(req);
    if (picture === undefined) return notFound(res);
    const { look, mirrored } = req.body ?? {};
    if (typeof look === 'string' && Object.hasOwn(LOOKS, look) && typeof mirrored === 'boolean') {
      res.json(describe(Object.assign(picture, { look, mirrored })));
    } else {
      res.status(422).json({ error: 'unknown_look' });
    }
  });

  // For programs: no person takes part, so this tells how many there are, and shows none.
  app.get('/count', requireScope('pictures:count'), (_req, res) => {
    const pictures = [...albums.values()].flat();
    res.json({ people: albums.size, pictures: pictures.length, edited: pictures.filter(isEdited).length });
  });

  /** @param {string} owner */
  function album(owner) {
    const pictures = albums.get(owner) ?? newAlbum(owner);
    albums.set(owner, pictures);
    return pictures;
  }

  /** @param {express.Request} req */
  const find = (req) => album(auth(req).subject).find(({ id }) => id === req.params['id']);

  return app;
}

/** @param {express.Response} res */
const notFound = (res) => void res.status(404).json({ error: 'not_found' });

const ORIGINAL = { look: 'original', mirrored: false };

/** @param {ReturnType<typeof newAlbum>[number]} picture */
const describe = ({ id, title, look, mirrored }) => ({ id, title, look, mirrored });

/** @param {ReturnType<typeof newAlbum>[number]} picture */
const isEdited = ({ look, mirrored }) => look !== 'original' || mirrored;
