// @ts-check
// A child: the clients. `load` is autocannon; `burst` is for many requests that begin in the same instant.
import { readFileSync } from 'node:fs';
import autocannon from 'autocannon';
import { burst } from './burst.js';
import { serve } from './child.js';

/** @type {Map<string, string[]>} */
const pools = new Map();
/** How far each pool is used up, for each server. @type {Map<string, number>} */
const positions = new Map();

serve({
  /** @param {{ name: string, path: string }} args */
  pool: ({ name, path }) => {
    pools.set(name, readFileSync(path, 'latin1').trimEnd().split('\n'));
  },

  /**
   * Sends `amount` requests over `connections`. Gives requests per second.
   *
   * @param {{ url: string, pool: string, mode: import('./types.js').Mode, amount: number, connections: number, passes: boolean }} args
   */
  load: async ({ url, pool, mode, amount, connections, passes }) => {
    const tokens = take(url, pool, mode, amount);
    let client = 0;
    const running = /** @type {any} */ (autocannon)({
      url,
      amount,
      connections,
      sampleInt: 10, // how often autocannon looks whether it is done
      // Each connection has its own share of the tokens.
      setupClient: (/** @type {autocannon.Client} */ connection) => {
        const first = client++;
        const share = tokens.filter((_token, index) => index % connections === first);
        connection.setRequests(share.map((token) => ({ headers: { authorization: `Bearer ${token}` } })));
      },
    });
    // What it prepares is done by now; that it is over it sees a little late.
    const started = process.hrtime.bigint();
    let ended = started;
    running.on('response', () => (ended = process.hrtime.bigint()));
    const result = await running;
    const seconds = Number(ended - started) / 1e9;
    const good = passes ? result['2xx'] : result['4xx'];
    if (good !== amount) throw new Error(`${good} of ${amount} requests to ${url} with ${pool} went as they should`);
    return amount / seconds;
  },

  /**
   * Requests with these tokens, in turn, over `connections` that are open already. Gives milliseconds.
   *
   * @param {{ url: string, tokens: string[], amount: number, connections: number }} args
   */
  burst: ({ url, tokens, amount, connections }) => burst(url, tokens, amount, connections),
});

/** @param {string} url @param {string} name @param {import('./types.js').Mode} mode @param {number} amount */
function take(url, name, mode, amount) {
  const pool = pools.get(name);
  if (pool === undefined) throw new Error(`there is no pool ${name}`);
  if (mode === 'same') return Array.from({ length: 100 }, () => String(pool[0]));
  const key = `${url} ${name}`;
  const start = positions.get(key) ?? 0;
  if (mode === 'each' && start + amount > pool.length)
    throw new Error(`all tokens of ${name} are used: make more of them`);
  positions.set(key, start + amount);
  return Array.from({ length: amount }, (_, index) => String(pool[(start + index) % pool.length]));
}
