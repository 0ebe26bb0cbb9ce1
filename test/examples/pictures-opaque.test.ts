import { createServer } from 'node:http';
import type { RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { startProgram } from './pictures-program.js';
import type { Program } from './pictures-program.js';
import { Visitor, accessToken, last, lines } from './pictures-visitor.js';
import type { Exchange, Story } from './pictures-visitor.js';

jest.setTimeout(30_000);

const INTROSPECTION = 'POST /token/introspection HTTP/1.1';
let program: Program;
let ada: Visitor;

beforeAll(async () => {
  program = await startProgram('--opaque');
  ada = new Visitor(program.editor);
  await ada.signIn('ada', 'mountain lake');
});

afterAll(async () => {
  await program.stop('SIGKILL');
});

const isQuestion = ({ request }: Exchange) => request.line === INTROSPECTION;
const said = (question?: Exchange) => JSON.parse(question?.response.body ?? '{}') as Record<string, unknown>;
const tokenOf = (question?: Exchange) => new URLSearchParams(question?.request.body).get('token') ?? '';

function questionsAbout(token: string, { exchanges }: Story): Exchange[] {
  return exchanges.filter((exchange) => isQuestion(exchange) && tokenOf(exchange) === token);
}

/** What was recorded while `act` ran. */
async function recorded(visitor: Visitor, act: () => Promise<Story>): Promise<[Story, readonly Exchange[]]> {
  const { number } = last(await visitor.ask('/story'));
  const story = await act();
  return [story, story.exchanges.filter((exchange) => exchange.number > number)];
}

async function storage(token: string): Promise<Response> {
  return fetch(`${program.storage}/pictures`, { headers: { authorization: `Bearer ${token}` } });
}

describe('the token', () => {
  test('is nothing that could be read, while the ID token is still a JWT', async () => {
    const story = await ada.ask('/story');
    expect(story.tokenFormat).toBe('opaque');
    expect(accessToken(story)).toMatch(/^[\w-]{43}$/);
    const answer = story.exchanges.find(({ request }) => request.line === 'POST /token HTTP/1.1');
    expect(answer?.response.body).toMatch(/"id_token":"[\w-]+\.[\w-]+\.[\w-]+"/);
  });

  test('makes the storage ask once, and a second request asks nobody', async () => {
    const token = accessToken(await ada.ask('/refresh', 'POST')); // a new one: nobody has asked about it
    const [first, calls] = await recorded(ada, () => ada.ask('/pictures'));
    expect(first.pictures).toHaveLength(6);
    const [question, call] = calls.slice(-2);
    expect([call?.request.line, call?.response.status, call?.questions]).toEqual(['GET /pictures HTTP/1.1', 200, 1]);

    const [second, [again, ...more]] = await recorded(ada, () => ada.ask('/pictures'));
    expect([again?.request.line, again?.response.status, again?.questions, more]).toEqual([
      ...['GET /pictures HTTP/1.1', 200, 0],
      [],
    ]);
    expect(lines(again?.request, 'authorization')).toEqual([`Bearer ${token}`]);
    expect(questionsAbout(token, second)).toEqual([question]);
  });

  test('is asked about with its hint, by the storage in its own name, and the answer says all', async () => {
    const story = await ada.ask('/story');
    const question = story.exchanges.find(isQuestion);
    expect(question).toMatchObject({ step: 'pictures', from: 'storage', to: 'authorization server' });
    expect(question?.request.body).toBe(`token=${tokenOf(question)}&token_type_hint=access_token`);
    expect(lines(question?.request, 'authorization')).toEqual(['Basic (client id and secret, masked)']);
    expect(said(question)).toEqual({
      ...{ active: true, sub: 'ada', client_id: 'photo-editor', token_type: 'Bearer' },
      ...{ iss: program.authorizationServer, aud: program.storage, scope: 'pictures:read pictures:write' },
      ...{ exp: expect.any(Number), iat: expect.any(Number) },
    });
  });

  test('of a program names no person, and the job counts all the same', async () => {
    const [story, calls] = await recorded(ada, () => ada.ask('/nightly-job', 'POST'));
    expect(story.count).toEqual({ people: 1, pictures: 6, edited: 0 });
    const answer = calls.find(isQuestion);
    expect(answer?.step).toBe('job');
    expect(said(answer)).toMatchObject({ active: true, client_id: 'nightly-job', scope: 'pictures:count' });
    expect(said(answer)).not.toHaveProperty('sub');
  });
});

describe('refusals', () => {
  const invalidToken = { status: 401, error: 'invalid_token' };
  const notActive = (scope: string) => ({
    ...invalidToken,
    error_description: 'The access token is not active',
    scope,
  });
  const GET = 'GET /pictures';
  const COUNT = 'GET /count';
  const [ACTIVE, INACTIVE] = ['active', 'inactive'];

  // What went over the wire, in order; of a question the answer.
  test.each([
    ['no-token', { status: 401, scope: 'pictures:read' }, [`${GET} 401`]],
    ['expired', notActive('pictures:count'), ['POST /token 200', ACTIVE, `${COUNT} 200`, INACTIVE, `${COUNT} 401`]],
    [
      'wrong-scope',
      {
        ...{ status: 403, error: 'insufficient_scope', scope: 'pictures:write' },
        error_description: 'The access token lacks a required scope',
      },
      ['POST /token 200', ACTIVE, `${GET} 200`, 'PUT /pictures/:id 403'],
    ],
    [
      'two-tokens',
      { status: 400, error: 'invalid_request', error_description: 'The Authorization header must be sent once' },
      [`${GET} 400`],
    ],
    ['guessed', notActive('pictures:read'), [INACTIVE, `${GET} 401`]],
    [
      'revoked',
      notActive('pictures:count'),
      [
        ...['POST /token 200', ACTIVE, `${COUNT} 200`, 'POST /token/revocation 200'],
        ...[`${COUNT} 200`, INACTIVE, `${COUNT} 401`],
      ],
    ],
    [
      'refresh-token',
      { ...invalidToken, error_description: 'The token is not an access token by its type', scope: 'pictures:read' },
      [ACTIVE, `${GET} 401`],
    ],
  ] as const)('%s: the whole challenge, and every exchange before it', async (name, refusal, expected) => {
    const [story, calls] = await recorded(ada, () => ada.ask(`/refusals/${name}`, 'POST'));
    const { response } = last(story);
    const { status, ...parameters } = refusal;
    expect([story.status, response.status]).toEqual([status, status]);
    const { scope, ...body } = { scope: undefined, ...parameters };
    const words = Object.entries({ realm: program.storage, ...body, ...(scope !== undefined && { scope }) });
    const challenge = `Bearer ${words.map(([key, value]) => `${key}="${value}"`).join(', ')}`;
    expect(lines(response, 'www-authenticate')).toEqual([challenge]);
    expect(JSON.parse(response.body)).toEqual(body);
    expect(calls.map(short)).toEqual(expected);
    expect(new Set(calls.map(({ step }) => step))).toEqual(new Set(['refusals']));
  });

  function short(exchange: Exchange): string {
    if (isQuestion(exchange)) return said(exchange)['active'] === true ? ACTIVE : INACTIVE;
    const [method = '', path = ''] = exchange.request.line.split(' ');
    return `${method} ${path.replace(/(?<=^\/pictures\/).*/, ':id')} ${exchange.response.status}`;
  }

  test('the refresh token would have passed for an access token but for its kind', async () => {
    const story = await ada.ask('/refusals/refresh-token', 'POST');
    const [sent = ''] = lines(last(story).request, 'authorization');
    const token = sent.slice('Bearer '.length);
    const issued = story.exchanges.filter(({ response }) => response.body.includes(`"refresh_token":"${token}"`));
    expect(issued).toHaveLength(1);
    const [answer] = questionsAbout(token, story).map(said);
    expect(answer).toMatchObject({
      active: true,
      sub: 'ada',
      client_id: 'photo-editor',
      iss: program.authorizationServer,
    });
    expect(String(answer?.['scope']).split(' ')).toEqual(expect.arrayContaining(['pictures:read', 'pictures:write']));
    expect(answer).not.toHaveProperty('token_type');
    expect(answer).not.toHaveProperty('aud');
  });

  test('what needs a JWT is not offered', async () => {
    const answer = await ada.send(`${program.editor}/refusals/tampered`, { method: 'POST' });
    expect(answer.status).toBe(404);
  });
});

describe('who may know', () => {
  test('what is asked about a token is shown to its owner and to nobody else', async () => {
    const ben = new Visitor(program.editor);
    await ben.signIn('ben', 'harbour moon');
    await ben.ask('/pictures');
    await ada.ask('/pictures');
    const [hers, his] = [await ada.ask('/story'), await ben.ask('/story')];
    expect(questionsAbout(accessToken(hers), hers)).not.toEqual([]);
    expect(questionsAbout(accessToken(his), his)).toHaveLength(1);
    expect(JSON.stringify(his)).not.toContain(accessToken(hers));
    expect(JSON.stringify(hers)).not.toContain(accessToken(his));
  });

  test('a token that came from elsewhere is asked about, and recorded for nobody', async () => {
    const stranger = 'a-token-of-nobody';
    expect((await storage(stranger)).status).toBe(401);
    expect(JSON.stringify(await ada.ask('/story'))).not.toContain(stranger);
  });

  test('no secret of a client is in the record', async () => {
    const text = JSON.stringify(await ada.ask('/story'));
    expect(text).toContain('Basic (client id and secret, masked)');
    expect(text).not.toMatch(/Basic [A-Za-z0-9+/]{8}/);
  });

  test('the authorization server tells the storage about a token, and nobody else', async () => {
    // oidc-provider warns that its memory is for development.
    for (const method of ['warn', 'info'] as const) jest.spyOn(console, method).mockImplementation(() => undefined);
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    server.unref();
    const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const resource = 'http://127.0.0.1:1';
    const client = (id: string) => ({ id, secret: `the secret of ${id}, long enough` });
    const path = '../../examples/pictures/authorization-server.js';
    const { createAuthorizationServer } = (await import(path)) as {
      createAuthorizationServer: (options: object) => Promise<RequestListener>;
    };
    const editor = { ...client('editor'), redirectUri: `${resource}/callback` };
    server.on(
      'request',
      await createAuthorizationServer({ issuer, resource, editor, job: client('job'), storage: client('storage') }),
    );
    const post = async (endpoint: string, { id, secret }: ReturnType<typeof client>, form: Record<string, string>) => {
      const authorization = `Basic ${Buffer.from(`${id}:${secret.replaceAll(' ', '+').replaceAll(',', '%2C')}`).toString('base64')}`;
      const init = { method: 'POST', headers: { authorization }, body: new URLSearchParams(form) };
      const answer = await fetch(issuer + endpoint, init);
      return [answer.status, await answer.json()] as [number, { access_token?: string; active?: boolean }];
    };
    const form = { grant_type: 'client_credentials', scope: 'pictures:count', resource };
    const [, { access_token: token = '' }] = await post('/token', client('job'), form);
    expect(token).not.toBe('');
    const ask = (by: ReturnType<typeof client>) => post('/token/introspection', by, { token });
    expect(await ask(client('storage'))).toMatchObject([200, { active: true, client_id: 'job', aud: resource }]);
    for (const id of ['job', 'editor']) expect(await ask(client(id))).toEqual([200, { active: false }]);
    expect(await ask({ ...client('storage'), secret: 'guessed' })).toMatchObject([401, { error: 'invalid_client' }]);
    expect(await post('/token', client('storage'), form)).toMatchObject([
      400,
      { error_description: 'requested grant type is not allowed for this client' },
    ]);
    server.close();
    server.closeAllConnections();
  });
});

describe('the end', () => {
  test('signing out ends the access token, too, as soon as the storage asks again', async () => {
    const visitor = new Visitor(program.editor);
    await visitor.signIn('ben', 'harbour moon');
    const token = accessToken(await visitor.ask('/story'));
    expect((await storage(token)).status).toBe(200);
    await visitor.ask('/sign-out', 'POST');
    let answer = await storage(token);
    for (let tries = 0; answer.status === 200 && tries < 50; tries++) {
      await setTimeout(200);
      answer = await storage(token);
    }
    expect([answer.status, await answer.json()]).toEqual([
      401,
      { error: 'invalid_token', error_description: 'The access token is not active' },
    ]);
  });

  test('the program says on the terminal how it was started', () => {
    expect(program.printed()).toContain('The tokens are opaque: the storage asks the authorization server about them.');
  });
});
