import { describe, expect, jest, test } from '@jest/globals';
import { DpopSession } from '@modelcontextprotocol/client';
import { decodeJwt } from 'jose';
import type { Auth } from '../../lib/index.js';
import { movableClock } from '../support/clock.js';
import { DPOP_ALGS } from '../support/dpop-refusals.js';
import { message } from '../support/mcp-app.js';
import type { NotesApp } from '../support/mcp-app.js';
import { Person } from '../support/mcp-person.js';
import { mcpProvider, mcpStage } from '../support/mcp-stage.js';
import { version2 } from '../support/mcp-v2.js';

jest.setTimeout(30_000); // a login takes a dozen requests

const WHOAMI = message('tools/call', { name: 'whoami' });
const READ = ', scope="notes:read"';
/** Seconds for which a nonce of ours serves. */
const NONCE_LIFE = 120;

/** A person whose client has a key. */
class PersonWithKey extends Person {
  readonly session = DpopSession.create();
  readonly dpop = () => this.session;
}

const provider = mcpProvider({ nonces: true });

const algs = `, algs="${DPOP_ALGS}"`;
const says = (error: string, description: string) => `, error="${error}", error_description="${description}"`;
const NONCE = says('use_dpop_nonce', 'The DPoP proof must have a current nonce of this resource');
const AS_BEARER = says('invalid_token', 'The access token is bound to a key: send it as DPoP, with a proof');
const UNBOUND = says('invalid_token', 'The access token is not bound to a key');
const LACKS = says('insufficient_scope', 'The access token lacks a required scope');

describe.each(['auto', 'legacy'] as const)('DPoP with nonces of both servers, protocol negotiation %s', (era) => {
  const line = version2(era);
  const { start, connect } = mcpStage(line, provider, { dpop: { nonce: 'required' } });
  const both = (app: NotesApp, ofBearer: string, ofDPoP: string) =>
    `${app.challenge(ofBearer)}, ${app.challenge(`${algs}${ofDPoP}`, 'DPoP')}`;

  test('MCP-A3-1 9449-9-1 from the first refusal to a tool call, with a key that is proven to both servers', async () => {
    const app = await start();
    const person = new PersonWithKey();
    const { client } = await connect(app, person);
    const told = person.told();
    const [contact] = told;
    expect([contact?.summary, contact?.challenge]).toEqual(['POST /mcp 401', both(app, READ, READ)]);
    expect(contact?.nonce).toMatch(/^.{8,}$/); // of use for the first proof already
    expect(told.map(({ summary }) => summary).slice(1, 8)).toEqual([
      'GET /.well-known/oauth-protected-resource/mcp 200',
      'GET /.well-known/oauth-authorization-server 200',
      'POST /reg 201',
      'GET /auth 303',
      'POST /token 400', // the nonce of the authorization server
      'POST /token 200',
      'POST /mcp 200',
    ]);
    expect(await client.call('whoami')).toMatch(/^alice /);
    const { thumbprint } = await person.session;
    expect(decodeJwt(person.token)).toMatchObject({ aud: app.resource, cnf: { jkt: thumbprint } });
    expect((app.notes.seen[0] as Auth).scheme).toBe('DPoP');
    expect(person.told().map(({ summary }) => summary)).toEqual(['POST /mcp 200']);
  });

  test('MCP-D2-1 the document says which proofs are taken', async () => {
    const app = await start({ requireBoundTokens: true });
    const { text } = await app.ask({ method: 'GET', path: '/.well-known/oauth-protected-resource/mcp' });
    expect(JSON.parse(text)).toEqual({
      resource: app.resource,
      authorization_servers: [provider().issuer],
      scopes_supported: ['notes:read', 'notes:write'],
      dpop_signing_alg_values_supported: DPOP_ALGS.split(' '),
      dpop_bound_access_tokens_required: true,
      bearer_methods_supported: [],
    });
  });

  test('MCP-A11.1-1 MCP-A11.1-2 more scope under DPoP: the refusal is in that scheme, and the client steps up', async () => {
    const app = await start();
    const { person, client } = await connect(app, new PersonWithKey());
    person.told();
    expect(await client.call('add_note', { text: 'milk' })).toBe('1');
    const [refused] = person.told();
    const all = ', scope="notes:read notes:write"';
    const challenge = app.challenge(`${algs}${LACKS}${all}`, 'DPoP');
    expect([refused?.summary, refused?.challenge]).toEqual(['POST /mcp 403', challenge]);
    expect(app.notes.written).toEqual(['milk']);
  });

  test('MCP-A9.2-1 9449-7.2-1 the same token as a bearer token is refused, and with it a thief', async () => {
    const app = await start();
    const { person, client } = await connect(app, new PersonWithKey());
    const { token } = person;
    const stolen = await app.ask({ token, body: WHOAMI });
    expect([stolen.status, stolen.challenge]).toEqual([401, both(app, `${AS_BEARER}${READ}`, '')]);
    expect(app.passed('asked')).toBe(0);
    expect(app.notes.seen).toEqual([]);
    expect(await client.call('whoami')).toMatch(/^alice /);
    expect(person.token).toBe(token);
  });

  test('MCP-A9.2-1 9449-8.2-1 the nonce runs out in the middle, and the client goes on', async () => {
    const clock = movableClock();
    const app = await start({ clock });
    const { person, client } = await connect(app, new PersonWithKey());
    clock.now += NONCE_LIFE;
    person.told();
    expect(await client.call('whoami')).toMatch(/^alice /);
    const [refused, passed] = person.told();
    expect([refused?.summary, refused?.challenge]).toEqual(['POST /mcp 401', app.challenge(`${algs}${NONCE}`, 'DPoP')]);
    expect(passed?.summary).toBe('POST /mcp 200');
  });

  test('MCP-A9.2-3 9449-7.1-4 where every token must be bound, a client without a key does not get in', async () => {
    const app = await start({ requireBoundTokens: true });
    const plain = new Person();
    await expect(line.connect(app.endpoint, plain)).rejects.toThrow();
    const told = plain.told().filter(({ url }) => url.pathname === '/mcp');
    const [first, last] = [told[0], told.at(-1)];
    expect([first?.summary, first?.challenge]).toEqual(['POST /mcp 401', app.challenge(`${algs}${READ}`, 'DPoP')]);
    const refusal = both(app, `${UNBOUND}${READ}`, '');
    expect([last?.summary, last?.challenge]).toEqual(['POST /mcp 401', refusal]);
    expect(app.passed('all')).toBe(0);
    const { client } = await connect(app, new PersonWithKey());
    expect(await client.call('whoami')).toMatch(/^alice /);
  });

  test('MCP-A9.1-2 a session and a stolen token are worth nothing without the key', async () => {
    const app = await start({ kind: 'sessions' });
    const { person, client } = await connect(app, new PersonWithKey());
    const headers = { 'mcp-session-id': client.sessionId ?? '' };
    const { token } = person;
    const stolen = await app.ask({ headers, token, body: WHOAMI });
    expect([stolen.status, stolen.challenge]).toEqual([401, both(app, `${AS_BEARER}${READ}`, '')]);
    expect(app.passed('asked')).toBe(0);
    expect(client.sessionId).toMatch(/^[\da-f-]{36}$/);
    expect(await client.call('whoami')).toMatch(/^alice /);
  });
});
