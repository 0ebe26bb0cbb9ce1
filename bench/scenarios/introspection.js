// @ts-check
// Opaque tokens, many requests at once, an authorization server that takes 20 ms: how often is it asked, and for how long do
// the clients wait, against a server that asks nobody?
import { randomBytes } from 'node:crypto';
import { rounds } from '../bench.js';
import { OURS } from '../subjects/index.js';

const DELAY = 20;
const PATH = '/opaque/introspect';

/** @param {import('../bench.js').Bench} bench @param {import('../results.js').Results} results */
export async function introspection(bench, results) {
  const issuer = `${bench.origin}/opaque`;
  const server = bench.settings({ issuer, jwksUri: `${issuer}/jwks` }, 'RS256');
  const now = Math.floor(Date.now() / 1000);
  const common = { client_id: 'photo-editor', scope: 'pictures:read', iat: now, exp: now + 10_800 };
  const document = { active: true, iss: issuer, aud: server.audience, token_type: 'Bearer', sub: 'user-1', ...common };
  await bench.server.call('publish', { path: PATH, document, delay: DELAY });
  const asked = { endpoint: bench.origin + PATH, clientId: 'api', clientSecret: 'secret' };
  const settings = { ...server, introspection: asked };
  const clients = bench.clients();

  /** @type {{ subject: string, child: import('../child.js').Child, url: string }[]} */
  const servers = [];
  // In a hurry without them: each of their requests is a question
  const peers = bench.either([], ['passport-http-bearer with jose', 'MCP SDK guard with jose']);
  for (const subject of ['bare', OURS, ...peers]) {
    const { child, started: url } = await bench.subject('server.js', subject, settings);
    servers.push({ subject, child, url });
    await clients.call('burst', { url, tokens: opaque(100), amount: bench.either(1000, 3000), connections: 100 });
  }
  await bench.server.call('count', { path: PATH });
  await rounds(bench.either(3, 7), servers, async ({ subject, url }, round) => {
    for (const [scenario, tokens, amount] of /** @type {const} */ ([
      ['1,000 with one opaque token', 1, 1000],
      ['10,000 with 100 opaque tokens', 100, 10_000],
    ])) {
      if (bench.quick && amount > 1000 && round > 0) continue;
      const ms = await clients.call('burst', { url, tokens: opaque(tokens), amount, connections: 1000 });
      results.add(scenario, subject, { ms, calls: await bench.server.call('count', { path: PATH }) });
    }
  });
  await bench.stop([clients, ...servers.map(({ child }) => child)]);
}

/** Opaque tokens, as many as wanted, each new. @param {number} count */
function opaque(count) {
  return Array.from({ length: count }, () => randomBytes(32).toString('base64url'));
}
