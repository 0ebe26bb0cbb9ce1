import { jest } from '@jest/globals';
import type { Express } from 'express';
import express4 from 'express4';
import { bodyTests } from '../support/body-tests.js';

// What `import express from 'express'` finds in an application that has Express 4 installed.
jest.unstable_mockModule('express', () => ({ default: express4 }));
const { startApp } = await import('../support/app.js');

bodyTests('Express 4', {
  create: express4 as unknown as () => Express,
  urlencoded: (options) => express4.urlencoded(options),
  text: (options) => express4.text(options),
  raw: (options) => express4.raw(options),
  json: () => express4.json(),
  startApp,
});
