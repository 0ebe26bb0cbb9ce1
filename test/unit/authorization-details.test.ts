import { IncomingMessage } from 'node:http';
import { Socket } from 'node:net';
import { afterEach, describe, expect, test } from '@jest/globals';
import type { RequestHandler } from 'express';
import { checkActor, checkAuthorizationDetails, requireActor, requireAuthorizationDetails } from '../../lib/index.js';
import { errorHandler, requireScope, requireStepUp } from '../../lib/index.js';
import { behind, guardStage, NO_ACTOR, NO_DETAILS, stepUpRefusal } from '../support/guard-stage.js';
import { expectRefusal, insufficientScope, RESOURCE } from '../support/refusals.js';
import { closeAll } from '../support/stage.js';

afterEach(closeAll);

const LACKS = insufficientScope(undefined, NO_DETAILS);
const NO_REQUEST = new IncomingMessage(new Socket());

describe('construction', () => {
  test.each<[string, unknown, unknown]>([
    ['no type', undefined, undefined],
    ['an empty type', '', undefined],
    ['a list of types', ['payment'], undefined],
    ['a function in the place of the type', () => true, undefined],
    ['a test that is an object', 'payment', { amount: 5 }],
    ['a test that is a text', 'payment', 'EUR'],
    ['a test that is null', 'payment', null],
  ])('%s is refused', (_what, type, passes) => {
    const [name, by] = [type as string, passes as () => boolean];
    expect(() => requireAuthorizationDetails(name, by)).toThrow(
      /^requireAuthorizationDetails needs a type and a function/,
    );
    expect(() => {
      checkAuthorizationDetails(NO_REQUEST, name, by);
    }).toThrow(/^checkAuthorizationDetails needs a type and a function, such as req, /);
    expect(() => requireAuthorizationDetails(name, by)).toThrow(TypeError);
    expect(() => requireAuthorizationDetails('payment', () => true)).not.toThrow();
  });

  test.each<[string, unknown]>([
    ['nothing', undefined],
    ['a name', 'support'],
    ['an object', { sub: 'support' }],
  ])('an actor that is %s is refused', (_what, by) => {
    expect(() => requireActor(by as () => boolean)).toThrow(/^requireActor needs a function/);
    expect(() => {
      checkActor(NO_REQUEST, by as () => boolean);
    }).toThrow(/^checkActor needs a function/);
    expect(() => requireActor(() => true)).not.toThrow();
  });
});

describe('the test', () => {
  test('it sees entries of its type that are for us, in their order, up to the first that passes, and the whole auth', async () => {
    const seen: unknown[] = [];
    const wanted = requireAuthorizationDetails<{ n: number }>('payment', ({ n }, { subject, scopes }) => {
      seen.push([n, subject, scopes]);
      return n === 3;
    });
    const { app, mint, ran } = await guardStage('JWT', behind(wanted));
    const entry = (n: number, more = {}) => ({ type: 'payment', n, ...more });
    const others = [entry(1, { type: 'other' }), entry(2, { locations: ['https://b.example.com'] })];
    const scopes = ['read', 'write'];
    expectRefusal(await app.get('/x', mint({ authorization_details: [...others, entry(4)] })), LACKS);
    expect([seen.splice(0), ran]).toEqual([[[4, 'alice', scopes]], []]);
    const ours = [entry(4, { locations: [RESOURCE] }), entry(3), entry(5)];
    expect((await app.get('/x', mint({ authorization_details: [...others, ...ours] }))).status).toBe(200);
    expect(seen).toEqual([
      [4, 'alice', scopes],
      [3, 'alice', scopes],
    ]);
  });

  test('it cannot write into what it sees', async () => {
    const writes = requireAuthorizationDetails<{ amount: number; a: { b: number } }>('payment', (payment) => {
      return Object.isFrozen(payment) && Object.isFrozen(payment.a);
    });
    const { app, mint } = await guardStage('JWT', behind(writes));
    const answer = await app.get('/x', mint({ authorization_details: [{ type: 'payment', amount: 5, a: { b: 1 } }] }));
    expect(answer.status).toBe(200);
    expectRefusal(await app.get('/x', mint()), LACKS);
  });

  test('several guards may be met by different entries', async () => {
    const guards = ['payment', 'account'].map((type) => requireAuthorizationDetails(type));
    const { app, mint, ran } = await guardStage('JWT', behind(...guards));
    for (const types of [['payment'], ['account'], []]) {
      expectRefusal(await app.get('/x', mint({ authorization_details: types.map((type) => ({ type })) })), LACKS);
    }
    expect(ran).toEqual([]);
    const both = [{ type: 'account' }, { type: 'payment' }];
    expect((await app.get('/x', mint({ authorization_details: both }))).status).toBe(200);
  });
});

describe('beside other guards', () => {
  test('lacking details are told by themselves, whatever else the route needs', async () => {
    const guards = [requireAuthorizationDetails('payment'), requireScope('pay'), requireStepUp({ maxAge: 5 })];
    const { app, mint, clock, ran } = await guardStage('JWT', behind(...guards));
    const authorization_details = [{ type: 'payment' }];
    expectRefusal(await app.get('/x', mint()), LACKS);
    expectRefusal(await app.get('/x', mint({ authorization_details })), stepUpRefusal('max_age="5", scope="pay"'));
    const login = { authorization_details, auth_time: clock.now };
    expectRefusal(await app.get('/x', mint(login)), insufficientScope('pay'));
    expect(ran).toEqual([]);
    expect((await app.get('/x', mint({ ...login, scope: 'pay' }))).status).toBe(200);
  });

  test('the document names the types that the guards ask for, each once', async () => {
    const { app, as } = await guardStage(
      'JWT',
      (server, handler) => {
        server.get('/a', requireAuthorizationDetails('payment'), requireAuthorizationDetails('account'), handler);
        server.get('/b', requireAuthorizationDetails('payment'), handler);
      },
      { metadata: true },
    );
    const { status, body } = await app.get('/.well-known/oauth-protected-resource');
    expect([status, body]).toEqual([
      200,
      {
        resource: RESOURCE,
        authorization_servers: [as.issuer],
        bearer_methods_supported: ['header'],
        scopes_supported: ['read'],
        authorization_details_types_supported: ['payment', 'account'],
      },
    ]);
  });

  test('checks in one handler: the first that fails is told', async () => {
    const inner: RequestHandler = (req, _res, next) => {
      checkAuthorizationDetails(req, 'payment');
      checkActor(req, ({ sub }) => sub === 'support');
      next();
    };
    const { app, mint, ran } = await guardStage('JWT', (server, handler) => {
      server.get('/x', inner, handler);
      server.use(errorHandler);
    });
    const authorization_details = [{ type: 'payment' }];
    expectRefusal(await app.get('/x', mint({ act: { sub: 'support' } })), LACKS);
    expectRefusal(await app.get('/x', mint({ authorization_details })), insufficientScope(undefined, NO_ACTOR));
    expect(ran).toEqual([]);
    expect((await app.get('/x', mint({ authorization_details, act: { sub: 'support' } }))).status).toBe(200);
  });
});
