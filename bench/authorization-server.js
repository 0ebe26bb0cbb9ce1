// @ts-check
// A child: the documents and the introspection endpoint that the subjects ask, in a process of its own, with a count of what
// was asked.
import { once } from 'node:events';
import http from 'node:http';
import { serve } from './child.js';

/** What is served at each path, after how many milliseconds. @type {Map<string, { body: string, delay: number }>} */
const documents = new Map();
/** @type {Map<string, number>} */
const counts = new Map();

const server = http.createServer(async (req, res) => {
  const path = req.url ?? '/';
  counts.set(path, (counts.get(path) ?? 0) + 1);
  const document = documents.get(path);
  if (document === undefined) {
    res.writeHead(404).end();
    return;
  }
  req.resume(); // the question is not looked at: every token is active
  await once(req, 'end');
  setTimeout(() => {
    res.writeHead(200, { 'content-type': 'application/json', 'cache-control': 'max-age=3600' }).end(document.body);
  }, document.delay);
});

serve({
  start: async () => {
    server.listen({ port: 0, host: '127.0.0.1', backlog: 2048 });
    await once(server, 'listening');
    return `http://127.0.0.1:${/** @type {import('node:net').AddressInfo} */ (server.address()).port}`;
  },
  /** @param {{ path: string, document: object, delay?: number }} args */
  publish: ({ path, document, delay = 0 }) => {
    documents.set(path, { body: JSON.stringify(document), delay });
  },
  /** How often a path was asked for since the last time. @param {{ path: string }} args */
  count: ({ path }) => {
    const count = counts.get(path) ?? 0;
    counts.delete(path);
    return count;
  },
});
