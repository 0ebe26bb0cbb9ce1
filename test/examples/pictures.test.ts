import { connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import * as oauth from 'oauth4webapi';
import { startProgram } from './pictures-program.js';
import type { Program } from './pictures-program.js';
import { Visitor, accessToken, last, lines } from './pictures-visitor.js';

jest.setTimeout(30_000);

// eslint-disable-next-line @typescript-eslint/no-deprecated -- marked so that nobody uses it beyond loopback
const INSECURE = { [oauth.allowInsecureRequests]: true };
let program: Program;
let ada: Visitor;

beforeAll(async () => {
  program = await startProgram();
  ada = new Visitor(program.editor);
});

afterAll(async () => {
  await program.stop('SIGKILL');
});

function bearer(rest: string): string {
  return `Bearer realm="${program.storage}"${rest}`;
}

describe('sign-in and consent', () => {
  test('a wrong password is told, and nobody is signed in', async () => {
    const visitor = new Visitor(program.editor);
    const login = await visitor.visit(`${program.editor}/sign-in`);
    const again = await visitor.submit(login, 'login', { name: 'ada', password: '"><script>' });
    expect(again.status).toBe(401);
    expect(again.html).toContain('do not belong together');
    expect(again.html).not.toContain('<script');
    expect((await visitor.ask('/story')).access).toBeUndefined();
  });

  test('the person comes back to the pictures, and every step has been recorded', async () => {
    const end = await ada.signIn('ada', 'mountain lake');
    expect(end.url.href).toBe(`${program.editor}/#pictures`);
    expect(end.status).toBe(200);
    const story = await ada.ask('/story');
    expect(story.person).toBe('Ada');
    expect(story.access?.scope).toBe('pictures:read pictures:write');
    expect(
      story.exchanges.map(({ step, from, to, request, response }) => [
        step,
        from,
        to,
        request.line.split(/[ ?]/)[1],
        response.status,
      ]),
    ).toEqual([
      ['request', 'editor', 'authorization server', '/.well-known/openid-configuration', 200],
      ['request', 'browser', 'editor', '/sign-in', 303],
      ['tokens', 'editor', 'authorization server', '/token', 200],
      ['consent', 'browser', 'editor', '/callback', 303],
    ]);
  });

  test('the authorization request has PKCE, state, nonce and the resource', async () => {
    const { exchanges } = await ada.ask('/story');
    const [location = ''] = lines(exchanges[1]?.response, 'location');
    const asked = Object.fromEntries(new URL(location).searchParams);
    expect(asked).toMatchObject({
      response_type: 'code',
      client_id: 'photo-editor',
      redirect_uri: `${program.editor}/callback`,
      scope: 'openid profile offline_access pictures:read pictures:write',
      resource: program.storage,
      code_challenge_method: 'S256',
    });
    const { code_challenge, state, nonce } = asked;
    expect([code_challenge, state, nonce].every((value) => value !== undefined && value.length >= 43)).toBe(true);
  });

  test('who refuses gives no token away', async () => {
    const visitor = new Visitor(program.editor);
    const login = await visitor.visit(`${program.editor}/sign-in`);
    const consent = await visitor.submit(login, 'login', { name: 'ben', password: 'harbour moon' });
    await visitor.submit(consent, 'refuse');
    const story = await visitor.ask('/story');
    expect(story.notice).toBe('refused');
    expect(story.access).toBeUndefined();
    expect(last(story).request.line).toContain('error=access_denied');
  });

  test('who lets see but not change gives a token without pictures:write', async () => {
    const ben = new Visitor(program.editor);
    await ben.signIn('ben', 'harbour moon', {});
    expect((await ben.ask('/story')).access?.scope).toBe('pictures:read');
    const { pictures = [] } = await ben.ask('/pictures');
    const story = await ben.ask(`/pictures/${pictures[0]?.id ?? ''}`, 'PUT', { look: 'sepia', mirrored: false });
    expect(story.status).toBe(403);
    expect((await ben.ask('/pictures')).pictures?.[0]?.look).toBe('original');
  });
});

describe('the access token', () => {
  test('is one of RFC 9068, as another author reads it, and opens the storage', async () => {
    const issuer = new URL(program.authorizationServer);
    const discovered = await oauth.discoveryRequest(issuer, { ...INSECURE, algorithm: 'oauth2' });
    const server = await oauth.processDiscoveryResponse(issuer, discovered);
    const token = accessToken(await ada.ask('/story'));
    const request = new Request(`${program.storage}/pictures`, { headers: { authorization: `Bearer ${token}` } });
    const claims = await oauth.validateJwtAccessToken(server, request, program.storage, INSECURE);
    expect(claims).toMatchObject({ sub: 'ada', client_id: 'photo-editor', scope: 'pictures:read pictures:write' });
    const url = new URL(`${program.storage}/pictures`);
    const answer = await oauth.protectedResourceRequest(token, 'GET', url, undefined, undefined, INSECURE);
    expect(answer.status).toBe(200);
    expect(await answer.json()).toHaveLength(6);
  });

  test('reads as a challenge to another author when it is missing a character', async () => {
    const token = accessToken(await ada.ask('/story'));
    const url = new URL(`${program.storage}/pictures`);
    const answer = oauth.protectedResourceRequest(token.slice(0, -4), 'GET', url, undefined, undefined, INSECURE);
    await expect(answer).rejects.toMatchObject({
      status: 401,
      cause: [{ scheme: 'bearer', parameters: { realm: program.storage, error: 'invalid_token' } }],
    });
  });
});

describe('the pictures', () => {
  test('are SVG that runs nothing, and come once from the storage', async () => {
    const { pictures = [], exchanges } = await ada.ask('/pictures');
    expect(pictures.map(({ title }) => title)).toContain('Northern lights');
    // The middleware has asked for the metadata and the keys, once.
    const backstage = exchanges.filter(({ from }) => from === 'storage').map(({ request }) => request.line);
    expect(backstage).toEqual(['GET /.well-known/oauth-authorization-server HTTP/1.1', 'GET /jwks HTTP/1.1']);
    const answer = await ada.send(`${program.editor}/pictures/${pictures[0]?.id ?? ''}`);
    expect(answer.headers.get('content-type')).toContain('image/svg+xml');
    expect(await answer.text()).toMatch(/^<svg /);
  });

  test('are edited in the storage', async () => {
    const { pictures = [] } = await ada.ask('/pictures');
    const path = `/pictures/${pictures[0]?.id ?? ''}`;
    const before = await (await ada.send(program.editor + path)).text();
    const story = await ada.ask(path, 'PUT', { look: 'sepia', mirrored: true });
    expect(story.status).toBe(200);
    expect(last(story).request.body).toBe('{"look":"sepia","mirrored":true}');
    const after = await (await ada.send(program.editor + path)).text();
    expect(after).not.toBe(before);
    expect(await (await ada.send(`${program.editor}${path}?original`)).text()).toBe(before);
    expect((await ada.ask('/pictures')).pictures?.[0]?.look).toBe('sepia');
  });

  test('take no look that is not offered', async () => {
    const { pictures = [] } = await ada.ask('/pictures');
    const path = `/pictures/${pictures[0]?.id ?? ''}`;
    for (const look of ['constructor', 'url(#x)', ['sepia'], 7, null]) {
      expect((await ada.ask(path, 'PUT', { look, mirrored: false })).status).toBe(422);
    }
  });

  test('of somebody else are not there', async () => {
    const { pictures = [] } = await ada.ask('/pictures');
    const ben = new Visitor(program.editor);
    await ben.signIn('ben', 'harbour moon');
    const answer = await ben.send(`${program.editor}/pictures/${pictures[0]?.id ?? ''}`);
    expect(answer.status).toBe(404);
  });
});

describe('refusals', () => {
  test.each([
    ['no-token', 401, ', scope="pictures:read"', {}],
    ...(
      [
        ['expired', 401, 'invalid_token', 'The access token expired', ', scope="pictures:count"'],
        [
          'wrong-scope',
          403,
          'insufficient_scope',
          'The access token lacks a required scope',
          ', scope="pictures:write"',
        ],
        ['two-tokens', 400, 'invalid_request', 'The Authorization header must be sent once', ''],
        ['tampered', 401, 'invalid_token', 'The access token has a wrong signature', ', scope="pictures:read"'],
      ] as const
    ).map(
      ([name, status, error, error_description, scope]) =>
        [
          name,
          status,
          `, error="${error}", error_description="${error_description}"${scope}`,
          { error, error_description },
        ] as const,
    ),
  ])('%s: %i with the whole challenge', async (name, status, challenge, body) => {
    const story = await ada.ask(`/refusals/${name}`, 'POST');
    const { response } = last(story);
    expect([story.status, response.status]).toEqual([status, status]);
    expect(lines(response, 'www-authenticate')).toEqual([bearer(challenge)]);
    expect(lines(response, 'access-control-expose-headers')).toEqual(['WWW-Authenticate']);
    expect(lines(response, 'cache-control')).toEqual(['no-store']);
    expect(JSON.parse(response.body)).toEqual(body);
  });

  test('the expired token was good before, and the narrow one may read', async () => {
    const { exchanges } = await ada.ask('/story');
    const calls = exchanges.filter(({ step, to }) => step === 'refusals' && to === 'storage');
    const outcomes = calls.map(({ request, response }) => `${request.line.split(' ')[0] ?? ''} ${response.status}`);
    expect(outcomes).toEqual(['GET 401', 'GET 200', 'GET 401', 'GET 200', 'PUT 403', 'GET 400', 'GET 401']);
    expect(lines(calls[1]?.request, 'authorization')).toEqual(lines(calls[2]?.request, 'authorization'));
    expect(lines(calls[5]?.request, 'authorization')).toHaveLength(2);
  });

  test('what is not offered is not found', async () => {
    const opaqueOnly = ['guessed', 'revoked', 'refresh-token'];
    for (const name of ['constructor', '__proto__', 'other', ...opaqueOnly]) {
      const answer = await ada.send(`${program.editor}/refusals/${name}`, { method: 'POST' });
      expect(answer.status).toBe(404);
    }
  });
});

describe('later', () => {
  test('a refresh token brings new tokens, many times, from many tabs at once', async () => {
    const before = accessToken(await ada.ask('/story'));
    await Promise.all([1, 2, 3].map(() => ada.ask('/refresh', 'POST')));
    const story = await ada.ask('/refresh', 'POST');
    expect(accessToken(story)).not.toBe(before);
    const sent = story.exchanges
      .filter(({ step }) => step === 'refresh')
      .map(({ request }) => new URLSearchParams(request.body).get('refresh_token'));
    expect(new Set(sent).size).toBe(4);
    expect((await ada.ask('/pictures')).pictures).toHaveLength(6);
  });

  test('the nightly job counts in its own name', async () => {
    const { count, exchanges } = await ada.ask('/nightly-job', 'POST');
    expect(count).toEqual({ people: 2, pictures: 12, edited: 1 });
    const [, claims = ''] = lines(exchanges.at(-1)?.request, 'authorization')[0]?.split('.') ?? [];
    expect(JSON.parse(Buffer.from(claims, 'base64url').toString())).toMatchObject({
      sub: 'nightly-job',
      scope: 'pictures:count',
    });
  });
});

describe('what must not happen', () => {
  test('no client secret and no cookie is in the record', async () => {
    const text = JSON.stringify(await ada.ask('/story'));
    expect(ada.cookies.length).toBeGreaterThan(0);
    for (const cookie of ada.cookies) expect(text).not.toContain(cookie);
    expect(text).toContain('Basic (client id and secret, masked)');
    expect(text).not.toMatch(/Basic [A-Za-z0-9+/]{8}/);
    expect(text).not.toContain('mountain lake');
  });

  test.each(['', 'http://127.0.0.1:1', 'null'])('a page of another origin (%p) can do nothing', async (origin) => {
    const [login, init] = [new Visitor(program.editor), { method: 'POST', headers: { origin } }];
    const page = await login.visit(`${program.editor}/sign-in`);
    for (const url of [`${program.editor}/sign-out`, `${program.editor}/refresh`, `${page.url.href}/login`]) {
      expect((await ada.send(url, init)).status).toBe(403);
    }
  });

  test('a code that nobody asked for is not taken', async () => {
    const visitor = new Visitor(program.editor);
    await visitor.visit(`${program.editor}/callback?code=stolen&state=guessed&iss=${program.authorizationServer}`);
    const story = await visitor.ask('/story');
    expect([story.notice, story.access]).toEqual(['failed', undefined]);
  });

  test('an address of the login that belongs to nobody is a page, not a failure', async () => {
    const answer = await fetch(`${program.authorizationServer}/interaction/unknown`);
    expect(answer.status).toBe(400);
    expect(await answer.text()).toContain('This page is too old');
  });

  test('the storage asks nobody about a JWT', async () => {
    const { tokenFormat, exchanges } = await ada.ask('/story');
    expect(tokenFormat).toBe('jwt');
    expect(exchanges.filter(({ from, request }) => from === 'storage' && request.body !== '')).toEqual([]);
    expect(new Set(exchanges.map(({ questions }) => questions))).toEqual(new Set([undefined, 0]));
  });

  test('after signing out nothing works until the next time', async () => {
    await ada.ask('/sign-out', 'POST');
    expect((await ada.send(`${program.editor}/pictures`)).status).toBe(401);
    expect((await ada.send(`${program.editor}/refresh`, { method: 'POST' })).status).toBe(401);
  });

  test('nothing but the addresses is printed', () => {
    const own = program
      .printed()
      .split('\n')
      .filter((line) => !line.startsWith('oidc-provider'));
    expect(own.join('\n').trim()).toBe(
      [
        `The photo editor          ${program.editor}   <- open this in a browser`,
        `  The storage               ${program.storage}`,
        `  The authorization server  ${program.authorizationServer}`,
        '',
        '  Stop with Ctrl+C.',
      ].join('\n'),
    );
  });
});

describe('start and stop', () => {
  test.each(['SIGTERM', 'SIGINT'] as const)(
    '%s ends all three servers, kept-alive connections or not',
    async (signal) => {
      const other = await startProgram();
      await Promise.all([other.editor, other.storage, other.authorizationServer].map((url) => fetch(url)));
      expect(await other.stop(signal)).toBe(0);
      for (const url of [other.editor, other.storage, other.authorizationServer]) {
        await expect(connects(Number(new URL(url).port))).resolves.toBe(false);
      }
    },
  );

  test('an option that does not exist is told in one line', async () => {
    await expect(startProgram('--opak')).rejects.toThrow("\nThe example cannot start: Unknown option '--opak'\n");
  });

  test('a port that is taken is told in one line', async () => {
    const { port } = new URL(program.editor);
    await expect(startProgram('--port', port)).rejects.toThrow(
      `The example cannot start: listen EADDRINUSE: address already in use 127.0.0.1:${port}`,
    );
  });
});

function connects(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.on('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.on('error', () => {
      resolve(false);
    });
  });
}
