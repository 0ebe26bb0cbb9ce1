// @ts-check
// Starts the three servers of the story on this machine: storage, authorization server, photo editor.
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { realpathSync } from 'node:fs';
import http from 'node:http';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { createAuthorizationServer } from './authorization-server.js';
import { createEditor } from './editor.js';
import { createNightlyJob } from './nightly-job.js';
import { createStorage } from './storage.js';
import { recordingQuestions } from './wire.js';

/**
 * @param {{ port?: number, opaque?: boolean }} [options] `port` of the page; the other two take what is free. `opaque`: the
 *   access tokens are no JWTs, and the storage asks the authorization server about them
 */
export async function start({ port = 0, opaque = false } = {}) {
  // Everybody must know the others' addresses, so all listen first and get something to do afterwards.
  const [page, api, authorization] = [await listen(port), await listen(0), await listen(0)];
  const [url, resource, issuer] = [addressOf(page), addressOf(api), addressOf(authorization)];

  const editor = { id: 'photo-editor', secret: newSecret(), redirectUri: `${url}/callback` };
  const nightly = { id: 'nightly-job', secret: newSecret() };
  const storage = opaque ? { id: 'storage', secret: newSecret() } : undefined;
  /** @type {import('./wire.js').Log} */
  const backstage = [];
  const fetch = recordingQuestions(backstage, { step: 'pictures', from: 'storage', to: 'authorization server' });

  const job = createNightlyJob({ issuer, resource, credentials: nightly, backstage });
  page.on('request', createEditor({ url, issuer, resource, credentials: editor, job, backstage, opaque }));
  api.on('request', createStorage({ resource, issuer, credentials: storage, fetch }));
  authorization.on('request', await createAuthorizationServer({ issuer, resource, editor, job: nightly, storage }));

  return {
    url,
    api: resource,
    issuer,
    close: async () => {
      await Promise.all([page, api, authorization].map(close));
    },
  };
}

/** @param {number} port */
async function listen(port) {
  const server = http.createServer();
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  return server;
}

/** @param {http.Server} server */
function addressOf(server) {
  return `http://127.0.0.1:${/** @type {import('node:net').AddressInfo} */ (server.address()).port}`;
}

/** @param {http.Server} server */
async function close(server) {
  const closed = once(server, 'close');
  server.close();
  server.closeAllConnections();
  await closed;
}

const newSecret = () => randomBytes(32).toString('base64url');

/** With the options of the command line. */
async function startAsTold() {
  const { values } = parseArgs({
    options: {
      port: { type: 'string', default: process.env['PORT'] ?? '0' },
      opaque: { type: 'boolean', default: false },
    },
  });
  const { port, opaque } = values;
  return { opaque, ...(await start({ port: Number(port), opaque })) };
}

if (process.argv[1] !== undefined && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  const { url, api, issuer, opaque, close } = await startAsTold().catch((error) => {
    console.error(`The example cannot start: ${error.message}`);
    process.exit(1);
  });
  console.log(`
  The photo editor          ${url}   <- open this in a browser
  The storage               ${api}
  The authorization server  ${issuer}
${opaque ? '\n  The tokens are opaque: the storage asks the authorization server about them.\n' : ''}
  Stop with Ctrl+C.`);
  for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => void close());
}
