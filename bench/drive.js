// @ts-check
// Runs exchanges through a middleware, as Express would, and tells how many passed.
import { ON_END } from './exchanges.js';

/** @typedef {import('./exchanges.js').Exchange} Exchange */

/**
 * Some at a time, the next as soon as one is done, with no promise and no turn of the event loop of our own in between.
 *
 * @param {Function} middleware
 * @param {Exchange[]} exchanges
 * @param {{ answering: boolean, inFlight: number }} options
 *   `answering`: the handler behind the middleware answers, and an error handler does; else a pass is the end
 * @returns {Promise<number>} how many passed
 */
export function drive(middleware, exchanges, { answering, inFlight }) {
  return new Promise((resolve) => {
    let [index, open, passed, isInside] = [0, 0, 0, false];

    /** @param {boolean} pass */
    function settle(pass) {
      open--;
      if (pass) passed++;
      if (!isInside) proceed();
    }

    function proceed() {
      isInside = true;
      while (open < inFlight && index < exchanges.length) {
        open++;
        pass(middleware, /** @type {Exchange} */ (exchanges[index++]), answering, settle);
      }
      isInside = false;
      if (open === 0) resolve(passed);
    }

    proceed();
  });
}

/**
 * All at once. Gives which passed, and how many milliseconds it took each of them, in their order.
 *
 * @param {Function} middleware
 * @param {Exchange[]} exchanges
 * @returns {Promise<{ passed: boolean, ms: number }[]>}
 */
export function driveTogether(middleware, exchanges) {
  const start = process.hrtime.bigint();
  const results = exchanges.map(
    (exchange) =>
      /** @type {Promise<{ passed: boolean, ms: number }>} */ (
        new Promise((resolve) => {
          pass(middleware, exchange, false, (passed) => {
            resolve({ passed, ms: Number(process.hrtime.bigint() - start) / 1e6 });
          });
        })
      ),
  );
  return Promise.all(results);
}

/** One exchange, as Express's router hands it on. @param {Function} middleware @param {Exchange} exchange @param {boolean} answering @param {(passed: boolean) => void} settle */
function pass(middleware, { req, res }, answering, settle) {
  res[ON_END] = settle;
  const next = (/** @type {any} */ error) => {
    if (!answering) settle(error === undefined);
    else if (error === undefined) res.json({ ok: true });
    else res.status(error.status ?? error.statusCode ?? 500).json({ error: 'refused' });
  };
  const result = middleware(req, res, next);
  if (result instanceof Promise) result.then(null, (error) => next(error ?? new Error('rejected')));
}
