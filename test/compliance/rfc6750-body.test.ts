import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import express from 'express';
import { startApp } from '../support/app.js';
import { TestAuthorizationServer } from '../support/authorization-server.js';
import { bodyTests, FORM } from '../support/body-tests.js';
import { expectRefusal, RESOURCE, unauthorized } from '../support/refusals.js';

// 6750-2.2-2, 6750-2.2-3, 6750-2.2-4, 6750-2.2-5 and 6750-2.2-6, the same for either Express.
bodyTests('Express 5', {
  create: express,
  urlencoded: (options) => express.urlencoded(options),
  text: (options) => express.text(options),
  raw: (options) => express.raw(options),
  json: () => express.json(),
  startApp,
});

describe('RFC 6750 2.2 form body, not enabled', () => {
  let as: TestAuthorizationServer;
  beforeAll(async () => {
    as = await TestAuthorizationServer.start();
  });
  afterAll(() => as.close());

  test.each([undefined, ['header'], ['header', 'query']] as const)(
    '6750-2.2-1 methods %j: a valid token in the form is not looked at',
    async (methods) => {
      const app = await startApp({ resource: RESOURCE, issuer: as.issuer, ...(methods && { methods }) }, undefined, {
        before: [express.urlencoded()],
      });
      try {
        const post = (body: string, headers = {}) =>
          app.request('/protected', { method: 'POST', body, headers: { 'content-type': FORM, ...headers } });
        expectRefusal(await post(`access_token=${as.mint()}`), unauthorized());
        expectRefusal(await post(`access_token=a&access_token=%C3%A9`), unauthorized());
        expect(app.handled).toBe(0);
        // Nor does it count as a second method.
        expect((await post('access_token=a', { authorization: `Bearer ${as.mint()}` })).status).toBe(200);
      } finally {
        await app.close();
      }
    },
  );

  test('6750-2.2-1 with the body method off, the body is left unread for the application', async () => {
    const app = await startApp({ resource: RESOURCE, issuer: as.issuer }, (express) => {
      express.post('/size', (req, res) => {
        let size = 0;
        req.on('data', (chunk: Buffer) => (size += chunk.length));
        req.on('end', () => res.json({ size, parsed: req.body !== undefined }));
      });
    });
    try {
      const headers = { 'content-type': FORM, authorization: `Bearer ${as.mint()}` };
      const answer = await app.request('/size', { method: 'POST', body: 'a=1&b=2', headers });
      expect([answer.status, answer.body]).toEqual([200, { size: 7, parsed: false }]);
    } finally {
      await app.close();
    }
  });
});
