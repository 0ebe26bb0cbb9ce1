import { afterAll, expect, test } from '@jest/globals';
import type { Express } from 'express';
import express4 from 'express4';
import { startApp } from '../support/app.js';
import type { TestApp } from '../support/app.js';
import { TestAuthorizationServer } from '../support/authorization-server.js';

// A monorepo can give the library another Express than the application has.
const as = await TestAuthorizationServer.start();
const apps: TestApp[] = [];

afterAll(() => Promise.all([...apps, as].map((server) => server.close())));

test.each(['header', 'body'] as const)(
  'a form read with Express 5 is not read again by a parser of Express 4, token in the %s',
  async (place) => {
    const app = await startApp(
      { resource: as.resource, issuer: as.issuer, methods: ['header', 'body'] },
      (express) => {
        express.use(express4.urlencoded({ extended: false }));
        express.post('/late', (req, res) => void res.json(req.body));
      },
      { create: express4 as unknown as () => Express },
    );
    apps.push(app);
    const token = as.mint();
    const answer = await app.request('/late', {
      method: 'POST',
      headers: place === 'header' ? { authorization: `Bearer ${token}` } : {},
      body: new URLSearchParams({ title: 'sea', ...(place === 'body' && { access_token: token }) }),
    });
    expect(answer.status).toBe(200);
    expect(answer.body).toMatchObject({ title: 'sea' });
  },
);
