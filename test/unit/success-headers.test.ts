import { afterEach, describe, expect, test } from '@jest/globals';
import type { ServerResponse } from 'node:http';
import { keepPrivate } from '../../lib/success-headers.js';
import { listen } from '../support/listen.js';
import type { Listening } from '../support/listen.js';

const servers: Listening[] = [];
afterEach(async () => {
  await Promise.all(servers.splice(0).map((server) => server.close()));
});

/** The Cache-Control of an answer that `keepPrivate` looks after. */
async function sent(answer: (res: ServerResponse) => void): Promise<string | null> {
  const server = await listen((_req, res) => {
    keepPrivate(res);
    answer(res);
  });
  servers.push(server);
  return (await fetch(server.url)).headers.get('cache-control');
}

describe('keepPrivate', () => {
  test.each<[given: string | string[], expected: string]>([
    ['', 'private'],
    ['public', 'private'],
    ['Public, max-age=60', 'private, max-age=60'],
    ['max-age=60', 'private, max-age=60'],
    ['private', 'private'],
    ['private, max-age=60', 'private, max-age=60'],
    ['s-maxage=600, must-revalidate', 'private, must-revalidate'],
    ['no-cache="Set-Cookie, X"', 'private, no-cache="Set-Cookie, X"'],
    ['no-store', 'no-store'],
    ['NO-STORE, max-age=0', 'NO-STORE, max-age=0'],
    [['public', 'max-age=60'], 'private, max-age=60'],
  ])('6750-2.3-2 %j goes out as %j', async (given, expected) => {
    expect(await sent((res) => res.setHeader('Cache-Control', given).end())).toBe(expected);
  });

  test('6750-2.3-2 private with field names, which lets caches store the rest, becomes private for all', async () => {
    const value = await sent((res) => res.setHeader('Cache-Control', 'private="X-A, X-B", max-age=5').end());
    expect(value).toBe('private, max-age=5');
  });

  test('6750-2.3-2 headers given to writeHead count as well', async () => {
    expect(await sent((res) => res.writeHead(200, { 'Cache-Control': 'public, max-age=1' }).end())).toBe(
      'private, max-age=1',
    );
    expect(await sent((res) => res.writeHead(206, 'Some', ['Cache-Control', 'public']).end())).toBe('private');
  });

  test.each([304, 301, 400, 503])('6750-2.3-2 an answer of %i is left alone', async (status) => {
    expect(await sent((res) => res.writeHead(status, { 'Cache-Control': 'public' }).end())).toBe('public');
  });
});
