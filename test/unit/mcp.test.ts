import { afterEach, describe, expect, test } from '@jest/globals';
import express from 'express';
import type { RequestHandler } from 'express';
import { requireScope } from '../../lib/index.js';
import { requireToolScope } from '../../lib/mcp.js';
import { call, mcpEndpoint, METADATA } from '../support/mcp-endpoint.js';
import type { Endpoint, Reply } from '../support/mcp-endpoint.js';
import { expectRefused, expectUnlisted, LACKING, MALFORMED } from '../support/mcp-refusals.js';
import { closeAll } from '../support/stage.js';

afterEach(closeAll);

function expectLacking(endpoint: Endpoint, reply: Reply, scope: string) {
  expectRefused(endpoint, reply, ...LACKING, scope);
}

describe('construction', () => {
  test.each<[string, unknown]>([
    ['nothing', undefined],
    ['null', null],
    ['a list', [['a']]],
    ['a text', 'add_note'],
    ['a scope that stands alone', { add_note: 'notes:write' }],
    ['no scopes', { add_note: undefined }],
    ['scopes in one text', { add_note: ['notes:read notes:write'] }],
    ['an empty scope', { add_note: [''] }],
    ['a quote', { add_note: ['a"b'] }],
    ['a number', { add_note: [1] }],
    ['a list in the list', { add_note: [['a']] }],
    ['offline_access', { add_note: ['offline_access'] }],
  ])('%s is refused', (_what, tools) => {
    expect(() => requireToolScope(tools as Record<string, string[]>)).toThrow(TypeError);
    expect(() => requireToolScope(tools as Record<string, string[]>)).toThrow(/requireToolScope/);
    expect(() => requireToolScope({ add_note: ['a'], ping: [] })).not.toThrow();
  });

  test('what is written into the object or its lists later changes nothing', async () => {
    const tools: Record<string, string[]> = { add_note: ['notes:write'] };
    const endpoint = await mcpEndpoint({ guards: [requireToolScope(tools)] });
    tools['ping'] = [];
    tools['add_note']?.splice(0);
    const { post, mint } = endpoint;
    expectLacking(endpoint, await post(mint('a'), call('add_note')), 'notes:write');
    expectUnlisted(endpoint, await post(mint('a'), call('ping')));
    expect((await post(mint('notes:write'), call('add_note'))).status).toBe(200);
  });

  test('without any tool every call is refused, and other messages pass', async () => {
    const endpoint = await mcpEndpoint({ guards: [requireToolScope({})] });
    const { post, mint } = endpoint;
    expectUnlisted(endpoint, await post(mint('a'), call('ping')));
    expect((await post(mint('a'), { jsonrpc: '2.0', id: 1, method: 'tools/list' })).status).toBe(200);
  });
});

describe('messages', () => {
  test.each<[string, unknown]>([
    ['a request', { jsonrpc: '2.0', id: 1, method: 'tools/list' }],
    ['another method that has a name among its parameters', call('add_note', { method: 'prompts/get' })],
    ['a notification', { jsonrpc: '2.0', method: 'notifications/initialized' }],
    ['a result', { jsonrpc: '2.0', id: 1, result: { name: 'add_note' } }],
    ['an error', { jsonrpc: '2.0', id: 1, error: { code: -1, message: 'x' } }],
    [
      'a batch of those',
      [
        { jsonrpc: '2.0', id: 1, method: 'ping' },
        { jsonrpc: '2.0', id: 1, result: {} },
      ],
    ],
    ['an empty batch', []],
    ['a call of a tool that needs nothing', call('ping')],
    ['a call that wants no answer', call('ping', { id: undefined })],
  ])('%s passes with any token', async (_what, message) => {
    const { post, mint } = await mcpEndpoint();
    expect((await post(mint('a'), message)).status).toBe(200);
  });

  test('a call passes with all the scope of the tool, and is refused with less', async () => {
    const endpoint = await mcpEndpoint();
    const { post, mint, called } = endpoint;
    for (const scope of ['a', 'notes:read', 'notes:write', 'notes:read,notes:write', undefined]) {
      expectLacking(endpoint, await post(mint(scope), call('add_note')), 'notes:read notes:write');
      expectLacking(endpoint, await post(mint(scope), call('add_note', { id: undefined })), 'notes:read notes:write');
    }
    expect((await post(mint('notes:write a notes:read'), call('add_note'))).status).toBe(200);
    expect(called).toEqual(['"add_note"']);
  });

  test('a batch needs what all its calls need, each scope named once', async () => {
    const endpoint = await mcpEndpoint();
    const { post, mint, called } = endpoint;
    const batch = [call('ping'), call('read_note'), call('add_note')];
    for (const scope of ['a', 'notes:read', 'notes:write']) {
      expectLacking(endpoint, await post(mint(scope), batch), 'notes:read notes:write');
    }
    expectUnlisted(endpoint, await post(mint('notes:read notes:write'), [...batch, call('drop')]));
    expect((await post(mint('notes:read notes:write'), batch)).status).toBe(200);
    expect(called).toEqual(['"ping"', '"read_note"', '"add_note"']);
  });

  test.each(['GET', 'DELETE'])('%s carries no message, and passes', async (method) => {
    const { send, mint } = await mcpEndpoint();
    expect((await send('/mcp', { method, headers: { authorization: `Bearer ${mint('a')}` } })).status).toBe(200);
    expect((await send('/mcp', { method })).status).toBe(401);
  });

  test.each<[string, unknown]>([
    ['JSON-RPC 1.0', { id: 1, method: 'tools/call', params: { name: 'ping' } }],
    ['another version', call('ping', { jsonrpc: '1.0' })],
    ['a version that is a number', call('ping', { jsonrpc: 2 })],
    ['a version in a list', call('ping', { jsonrpc: ['2.0'] })],
    ['a batch in a batch', [[call('ping')]]],
    ['null in a batch', [call('ping'), null]],
    ['a text in a batch', [call('ping'), 'ping']],
    ['no member at all', {}],
  ])('%s is 400', async (_what, message) => {
    const endpoint = await mcpEndpoint();
    const { post, mint } = endpoint;
    expectRefused(endpoint, await post(mint('notes:read'), message), ...MALFORMED);
    expect((await post(mint('notes:read'), call('ping'))).status).toBe(200);
  });
});

describe('beside other guards', () => {
  test('the document lists the scopes of the tools as well', async () => {
    const guards = [requireToolScope({ a: ['x', 'y'], b: ['y', 'z'], c: [] }), requireScope('mcp')];
    const { send } = await mcpEndpoint({ guards });
    const { body } = await send(new URL(METADATA).pathname);
    expect(body).toMatchObject({ scopes_supported: ['x', 'y', 'z', 'mcp'] });
  });

  test('an anonymous request is 401, before its message is looked at', async () => {
    const endpoint = await mcpEndpoint({ allowMissingToken: true });
    for (const message of [call('add_note'), call('drop'), {}]) {
      const reply = await endpoint.post(undefined, message);
      expect([reply.status, reply.body, endpoint.called]).toEqual([401, {}, []]);
      expect(reply.challenge).toMatch(
        /^Bearer realm="https:\/\/mcp\.example\.com\/mcp"(, scope="[a-z: ]+")?, resource_/,
      );
    }
    expect((await endpoint.post(endpoint.mint('a'), call('ping'))).status).toBe(200);
  });

  test('a body that a parser read as text, or as bytes, is 400; by express.json() it passes', async () => {
    const parsers: RequestHandler[] = [express.text({ type: '*/*' }), express.raw({ type: '*/*' })];
    for (const parser of parsers) {
      const endpoint = await mcpEndpoint({ parsers: [parser] });
      expectRefused(endpoint, await endpoint.post(endpoint.mint('a'), call('ping')), ...MALFORMED);
    }
    const { post, mint } = await mcpEndpoint();
    expect((await post(mint('a'), call('ping'))).status).toBe(200);
  });

  test('impliesScope is asked for the scope of tools, too', async () => {
    const impliesScope = (granted: string, required: string) => required.startsWith(`${granted}:`);
    const endpoint = await mcpEndpoint({ impliesScope });
    const { post, mint } = endpoint;
    expectLacking(endpoint, await post(mint('note notes:write'), call('add_note')), 'notes:read notes:write');
    expect((await post(mint('notes'), call('add_note'))).status).toBe(200);
  });
});
