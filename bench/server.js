// @ts-check
// A child: one subject in a real Express server.
import { once } from 'node:events';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import express from 'express';
import { serve } from './child.js';
import { createSubject } from './subjects/index.js';

const delays = monitorEventLoopDelay({ resolution: 1 });
let cpu = process.cpuUsage();

serve({
  /** @param {{ subject: string, settings: import('./types.js').Settings }} args */
  start: async ({ subject, settings }) => {
    const app = express();
    const middleware = await createSubject(subject, settings);
    if (middleware !== undefined) app.use(middleware);
    app.get('/', (_req, res) => {
      res.json({ ok: true });
    });
    // What others leave to the application.
    app.use(answerError);
    const server = app.listen({ port: 0, host: '127.0.0.1', backlog: 2048 });
    await once(server, 'listening');
    return `http://127.0.0.1:${/** @type {import('node:net').AddressInfo} */ (server.address()).port}`;
  },
  begin: () => {
    delays.enable();
    delays.reset();
    cpu = process.cpuUsage();
  },
  /** CPU of all threads in microseconds, and the delay of the event loop in milliseconds, since `begin`. */
  end: () => {
    const { user, system } = process.cpuUsage(cpu);
    delays.disable();
    return { cpu: user + system, delay: delays.percentile(99) / 1e6 };
  },
});

/**
 * Express knows it by its four parameters.
 *
 * @param {any} error @param {import('express').Request} _req @param {import('express').Response} res @param {Function} next
 */
function answerError(error, _req, res, next) {
  if (res.headersSent) next(error);
  else res.status(error.status ?? 500).json({ error: 'refused' });
}
