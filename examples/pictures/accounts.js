// @ts-check
// Who can sign in at the authorization server. Passwords are kept as scrypt hashes, as anywhere else.
import { randomBytes, scryptSync, timingSafeEqual } from 'node:crypto';

/** @typedef {{ name: string, salt: Buffer, hash: Buffer }} Account */

/** Shown on the login page, because this is an example. */
export const EXAMPLE_PEOPLE = [
  { id: 'ada', name: 'Ada', password: 'mountain lake' },
  { id: 'ben', name: 'Ben', password: 'harbour moon' },
];

/** @type {ReadonlyMap<string, Account>} */
const accounts = new Map(
  EXAMPLE_PEOPLE.map(({ id, name, password }) => {
    const salt = randomBytes(16);
    return [id, { name, salt, hash: scryptSync(password, salt, 32) }];
  }),
);
const nobody = { name: '', salt: randomBytes(16), hash: randomBytes(32) };

/** @param {string} id */
export function findAccount(id) {
  return accounts.get(id);
}

/** @param {unknown} id @param {unknown} password */
export function passwordIsRight(id, password) {
  if (typeof id !== 'string' || typeof password !== 'string') return false;
  // An unknown name takes as long as a known one, so that nobody can find out by the clock who has an account.
  const { salt, hash } = accounts.get(id) ?? nobody;
  return timingSafeEqual(scryptSync(password, salt, 32), hash);
}
