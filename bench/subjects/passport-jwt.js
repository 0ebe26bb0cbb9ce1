// @ts-check
import jwksRsa from 'jwks-rsa';
import passport from 'passport';
import { ExtractJwt, Strategy } from 'passport-jwt';

/** @type {import('../types.js').Factory} */
export function create({ issuer, jwksUri, audience, algorithms }) {
  const options = {
    secretOrKeyProvider: jwksRsa.passportJwtSecret({ jwksUri, cache: true, rateLimit: true }),
    jwtFromRequest: ExtractJwt.fromAuthHeaderAsBearerToken(),
    issuer,
    audience,
    algorithms,
  };
  const pass = (/** @type {object} */ claims, /** @type {Function} */ done) => done(null, claims);
  passport.use(new Strategy(options, pass));
  return passport.authenticate('jwt', { session: false });
}
