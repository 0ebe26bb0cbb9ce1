import { describe, expect, test } from '@jest/globals';
import express from 'express';
import type { Request, RequestHandler } from 'express';
import { requireAnyScope, requireScope, requireStepUp } from '../../lib/index.js';
import { marked, neededScopes, needsAhead, needsWithin } from '../../lib/needs.js';
import type { Needs } from '../../lib/needs.js';
import { EXPRESSES } from '../support/metadata-app.js';

const handler: RequestHandler = (_req, res) => void res.end();

describe('the scopes that a challenge names', () => {
  test.each<[needs: readonly Needs[], held: readonly string[], scopes: readonly string[]]>([
    [[], [], []],
    [[{}, { scopes: [] }, { scopes: [], anyOf: true }], [], []],
    [[{ scopes: ['b', 'a'] }, { scopes: ['a', 'c'] }], [], ['b', 'a', 'c']],
    [[{ scopes: ['a', 'b'], anyOf: true }], [], ['a']],
    [[{ scopes: ['a', 'b'], anyOf: true }], ['b', 'x'], ['b']],
    [[{ scopes: ['a', 'b'], anyOf: true }], ['b', 'a'], ['a']],
    [[{ scopes: ['a', 'b'] }], ['b', 'x'], ['a', 'b']],
    [[{ sometimes: ['a'] }, { detailsType: 'payment' }, { isResourceServer: true }], ['a'], []],
  ])('of %j with %j granted: %j', (needs, held, scopes) => {
    expect(neededScopes(needs, held)).toEqual(scopes);
  });
});

test('a guard is marked, and stays the function that it was', () => {
  const guard: RequestHandler = (_req, _res, next) => {
    next();
  };
  expect(marked(guard, { scopes: ['a'] })).toBe(guard);
  expect([Object.keys(guard), guard.name, guard.length]).toEqual([[], 'guard', 3]);
  expect(needsWithin(express.Router().use(guard))).toEqual([{ scopes: ['a'] }]);
});

describe.each(EXPRESSES)('the guards of an application, %s', (_, create) => {
  const request = (app: unknown, url: string, more: Partial<Request> = {}) => {
    const path = url.split('?', 1)[0];
    return { app, url, path, baseUrl: '', method: 'GET', ...more } as unknown as Request;
  };

  test('ahead of a request, up to the route that answers', () => {
    const app = create();
    app.use('/a', requireScope('a'), create.Router().get('/x', requireStepUp({ maxAge: 5 }), handler));
    app.use(requireAnyScope('b', 'c'));
    const [a, step, any] = [{ scopes: ['a'] }, { stepUp: { maxAge: 5 } }, { scopes: ['b', 'c'], anyOf: true }];
    expect(needsAhead(request(app, '/a/x?y'))).toEqual([a, step]);
    expect(needsAhead(request(app, '/x', { baseUrl: '/a' }))).toEqual([a, step]);
    expect(needsAhead(request(app, '/a/y'))).toEqual([a, any]);
    expect(needsAhead(request(app, '/'))).toEqual([any]);
    expect(needsAhead(request(app, '/a/x', { method: 'HEAD' }))).toEqual([a, step]);
    expect(needsAhead(request(app, '/a/x', { method: 'post' }))).toEqual([a, any]);
  });

  test('looking changes nothing: the same question has the same answer, and requests go on as before', () => {
    const app = create().get(/^\/(?<id>\d+)$/, requireScope('a'), handler);
    for (let times = 0; times < 3; times++) expect(needsAhead(request(app, '/5'))).toEqual([{ scopes: ['a'] }]);
    expect(needsAhead(request(app, '/x'))).toEqual([]);
  });

  test('where there is no application, no router, or nothing that can be read, there are none', () => {
    for (const app of [undefined, null, {}, 'app', handler, create()]) {
      expect(needsAhead(request(app, '/x'))).toEqual([]);
    }
    const app = create().get('/:id', requireScope('a'), handler);
    expect(needsAhead(request(app, '/%zz'))).toEqual([]);
    expect(needsAhead(request(app, '/ok'))).toEqual([{ scopes: ['a'] }]);
  });

  test('all of them, whatever the path', () => {
    const router = create.Router().post('/', requireScope('b'), [requireScope('c')], handler);
    const app = create().use(requireScope('a'), router).use('/n', create.Router().use(router));
    const scopes = needsWithin(app).flatMap((needs) => needs.scopes ?? []);
    expect([...new Set(scopes)]).toEqual(['a', 'b', 'c']);
    for (const nothing of [undefined, null, {}, 'app', handler, create.Router()])
      expect(needsWithin(nothing)).toEqual([]);
  });

  test('an application without routes, and a router that is mounted in itself, end', () => {
    expect(needsWithin(create())).toEqual([]);
    const tree = create.Router().get('/leaf', requireScope('leaf'), handler);
    tree.use('/:branch', tree);
    expect(needsWithin(create().use(tree))).toEqual([{ scopes: ['leaf'] }]);
    expect(needsAhead(request(create().use(tree), '/a/b/leaf'))).toEqual([{ scopes: ['leaf'] }]);
    expect(needsAhead(request(create().use(tree), '/a'.repeat(2000)))).toEqual([]);
  });
});
