import { afterEach, describe, expect, test } from '@jest/globals';
import express from 'express';
import type { RequestHandler } from 'express';
import { requireToolScope } from '../../lib/mcp.js';
import { call, challenge, mcpEndpoint } from '../support/mcp-endpoint.js';
import type { Endpoint } from '../support/mcp-endpoint.js';
import { expectRefused, expectUnlisted, LACKING, MALFORMED } from '../support/mcp-refusals.js';
import { sendRaw } from '../support/raw.js';
import { closeAll } from '../support/stage.js';

afterEach(closeAll);

/** The twin of each attack: an honest call by the same guard. */
async function expectHonest({ post, mint, called }: Endpoint) {
  expect((await post(mint('notes:read notes:write'), call('add_note'))).status).toBe(200);
  expect(called).toEqual(['"add_note"']);
}

describe('names of tools', () => {
  test.each(['constructor', 'toString', 'hasOwnProperty', '__proto__', 'valueOf', 'undefined', 'null', ''])(
    'the tool %j is not listed by accident',
    async (name) => {
      const endpoint = await mcpEndpoint();
      expectUnlisted(endpoint, await endpoint.post(endpoint.mint('notes:read'), call(name)));
      await expectHonest(endpoint);
    },
  );

  test('a tool that is called __proto__ or constructor can be listed', async () => {
    const tools = JSON.parse('{"__proto__":["a"],"constructor":["b"],"add_note":[]}') as Record<string, string[]>;
    const endpoint = await mcpEndpoint({ guards: [requireToolScope(tools)] });
    const { post, mint, called } = endpoint;
    expectRefused(endpoint, await post(mint('b'), call('__proto__')), ...LACKING, 'a');
    expectRefused(endpoint, await post(mint('a'), call('constructor')), ...LACKING, 'b');
    expect((await post(mint('a'), call('__proto__'))).status).toBe(200);
    expect((await post(mint('b'), call('constructor'))).status).toBe(200);
    expect(called).toEqual(['"__proto__"', '"constructor"']);
  });

  test.each(['ADD_NOTE', 'add_note ', ' add_note', 'add_note\u0000', 'add\u005fnote2', 'add_note/../ping', 'ping\n'])(
    'the name %j is compared as it stands',
    async (name) => {
      const endpoint = await mcpEndpoint();
      expectUnlisted(endpoint, await endpoint.post(endpoint.mint('a'), call(name)));
      await expectHonest(endpoint);
    },
  );

  const deep = `${'['.repeat(20_000)}"ping"${']'.repeat(20_000)}`;
  test.each<[string, string]>([
    ['null', 'null'],
    ['a number', '1'],
    ['true', 'true'],
    ['an object', '{}'],
    ['an object that cannot become a text', '{"toString":1,"valueOf":1}'],
    ['an object with a toString', '{"toString":"ping"}'],
    ['a list with a good name', '["ping"]'],
    ['a list in a list', '[["ping"]]'],
    ['lists in lists, 20000 deep', deep],
  ])('a name that is %s calls nothing, and is no bug', async (_what, name) => {
    const endpoint = await mcpEndpoint();
    const { post, mint } = endpoint;
    const message = `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":${name}}}`;
    expectRefused(endpoint, await post(mint('notes:read notes:write'), message), ...MALFORMED);
    await expectHonest(endpoint);
  });
});

describe('shapes of messages', () => {
  test.each<[string, string]>([
    ['no params', '{"jsonrpc":"2.0","id":1,"method":"tools/call"}'],
    ['params that are null', '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":null}'],
    ['params that are a list', '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":["ping"]}'],
    ['params that are a text', '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":"ping"}'],
    ['params without a name', '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{}}'],
    ['a name beside params', '{"jsonrpc":"2.0","id":1,"method":"tools/call","name":"ping","params":{}}'],
    ['a name under __proto__', '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"__proto__":{"name":"ping"}}}'],
  ])('a call with %s calls nothing, and is no bug', async (_what, message) => {
    const endpoint = await mcpEndpoint();
    const reply = await endpoint.post(endpoint.mint('notes:read notes:write'), message);
    expectRefused(endpoint, reply, ...MALFORMED);
    await expectHonest(endpoint);
  });

  test.each([
    '{"jsonrpc":"2.0","id":1,"method":"tools/list","method":"tools/call","params":{"name":"add_note"}}',
    '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"ping"},"params":{"name":"add_note"}}',
    '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"ping","name":"add_note"}}',
    '{"jsonrpc":"2.0","id":1,"method":"tools\\u002fcall","params":{"name":"add\\u005fnote"}}',
    '[{"jsonrpc":"2.0","id":1,"method":"ping"},{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"add_note"}}]',
  ])('what reaches the transport is what was looked at: %s', async (message) => {
    const endpoint = await mcpEndpoint();
    const reply = await endpoint.post(endpoint.mint('a'), message);
    expectRefused(endpoint, reply, ...LACKING, 'notes:read notes:write');
    await expectHonest(endpoint);
  });

  test('one call in the middle of a long batch is found', async () => {
    const endpoint = await mcpEndpoint();
    const batch = Array.from({ length: 500 }, () => call('ping'));
    const { post, mint } = endpoint;
    expectRefused(
      endpoint,
      await post(mint('a'), batch.with(250, call('add_note'))),
      ...LACKING,
      'notes:read notes:write',
    );
    expectUnlisted(endpoint, await post(mint('a'), batch.with(250, call('drop'))));
    expect((await post(mint('a'), batch)).status).toBe(200);
  });
});

describe('bodies that our parser does not read, and a careless transport would', () => {
  const TYPES = [
    'text/plain',
    'application/json;',
    'application/json; x',
    'application/jsonrequest',
    'application/vnd.api+json',
    'application/x-www-form-urlencoded',
    'multipart/form-data; boundary=a',
    'application/octet-stream',
    'APPLICATION/JSON2',
    '',
  ];

  test.each(TYPES)('the Content-Type %j', async (type) => {
    const endpoint = await mcpEndpoint();
    const { post, mint } = endpoint;
    const reply = await post(mint('a'), call('add_note'), { 'content-type': type });
    // What express.json() reads after all is looked at as any other.
    expect([400, 403]).toContain(reply.status);
    expect(endpoint.called).toEqual([]);
    await expectHonest(endpoint);
  });

  test('the twin of those: without the guard the careless transport does call the tool', async () => {
    const { post, mint, called } = await mcpEndpoint({ guards: [] });
    expect((await post(mint('a'), call('add_note'), { 'content-type': 'text/plain' })).status).toBe(200);
    expect(called).toEqual(['"add_note"']);
  });

  test('no parser at all: 400, for good calls as well', async () => {
    const endpoint = await mcpEndpoint({ parsers: [] });
    const { post, mint } = endpoint;
    expectRefused(endpoint, await post(mint('notes:read notes:write'), call('add_note')), ...MALFORMED);
  });

  test('a form that spells out a message is looked at like one', async () => {
    const parsers: RequestHandler[] = [express.json(), express.urlencoded({ extended: true })];
    const endpoint = await mcpEndpoint({ parsers });
    const form = 'jsonrpc=2.0&method=tools/call&params[name]=add_note';
    const type = { 'content-type': 'application/x-www-form-urlencoded' };
    const { post, mint } = endpoint;
    expectRefused(endpoint, await post(mint('a'), form, type), ...LACKING, 'notes:read notes:write');
    await expectHonest(endpoint);
  });

  test.each(['GET', 'DELETE', 'PUT', 'PATCH', 'QUERY', 'HEAD', 'OPTIONS'])(
    'a call in the body of %s reaches no tool',
    async (method) => {
      const endpoint = await mcpEndpoint();
      const body = JSON.stringify(call('add_note'));
      const answer = await sendRaw(
        Number(new URL(endpoint.url).port),
        [
          `${method} /mcp HTTP/1.1`,
          'Host: mcp.example.com',
          `Authorization: Bearer ${endpoint.mint('a')}`,
          'Content-Type: application/json',
          `Content-Length: ${String(body.length)}`,
        ],
        body,
      );
      expect({ called: endpoint.called, status: answer.status }).toEqual({ called: [], status: 403 });
      expect(answer.all('www-authenticate')).toEqual([
        challenge(`, error="insufficient_scope", error_description="${LACKING[2]}", scope="notes:read notes:write"`),
      ]);
      await expectHonest(endpoint);
    },
  );

  test('a method that stands in a header makes no other one', async () => {
    const endpoint = await mcpEndpoint();
    const { post, mint } = endpoint;
    const reply = await post(mint('a'), call('add_note'), { 'x-http-method-override': 'GET' });
    expectRefused(endpoint, reply, ...LACKING, 'notes:read notes:write');
    await expectHonest(endpoint);
  });
});
