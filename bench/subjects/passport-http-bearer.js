// @ts-check
// The strategy leaves the check of the token to the user: jose for JWTs, one question for each request for opaque tokens.
import passport from 'passport';
import { Strategy } from 'passport-http-bearer';
import { introspect } from './introspect.js';
import { joseVerifier } from './jose.js';

/** @type {import('../types.js').Factory} */
export function create(settings) {
  const { introspection } = settings;
  const verify = introspection === undefined ? joseVerifier(settings) : introspect(settings);
  const check = (/** @type {string} */ token, /** @type {Function} */ done) => {
    verify(token).then(
      (claims) => done(null, claims),
      () => done(null, false),
    );
  };
  passport.use(new Strategy(check));
  return passport.authenticate('bearer', { session: false });
}
