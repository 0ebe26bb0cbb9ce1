import { describe, expect, test } from '@jest/globals';
import { discover, metadataUrls } from '../../lib/discovery.js';
import { VerificationUnavailableError } from '../../lib/errors.js';

const ISSUER = 'https://example.com/issuer1';

/** A fetch that knows these documents, and what was asked of it. */
function world(documents: Readonly<Record<string, object | 'down'>>) {
  const asked: string[] = [];
  const fetch: typeof globalThis.fetch = (input) => {
    const url = String(input instanceof Request ? input.url : input);
    asked.push(url);
    const document = documents[url];
    if (document === 'down') return Promise.reject(new TypeError('fetch failed'));
    return Promise.resolve(document === undefined ? new Response(null, { status: 404 }) : Response.json(document));
  };
  return { fetch, asked };
}

describe('metadataUrls', () => {
  test.each([
    ['https://example.com', ['/.well-known/oauth-authorization-server', '/.well-known/openid-configuration']],
    ['https://example.com/', ['/.well-known/oauth-authorization-server', '/.well-known/openid-configuration']],
    [
      ISSUER, // printed in RFC 8414 sections 3.1 and 5
      [
        '/.well-known/oauth-authorization-server/issuer1',
        '/.well-known/openid-configuration/issuer1',
        '/issuer1/.well-known/openid-configuration',
      ],
    ],
    [
      'https://example.com/a/b/',
      [
        '/.well-known/oauth-authorization-server/a/b',
        '/.well-known/openid-configuration/a/b',
        '/a/b/.well-known/openid-configuration',
      ],
    ],
  ])('8414-5-1 the metadata of %s is looked for in this order', (issuer, paths) => {
    expect(metadataUrls(issuer).map(String)).toEqual(paths.map((path) => `https://example.com${path}`));
  });
});

describe('discover', () => {
  const [first = '', second = '', third = ''] = metadataUrls(ISSUER).map(String);
  const jwks_uri = 'https://example.com/keys';

  test('8414-5-1 the first document decides, and the later places are not asked', async () => {
    const { fetch, asked } = world({ [first]: { issuer: ISSUER, jwks_uri }, [second]: { issuer: 'x' } });
    await expect(discover(ISSUER, ['jwks_uri'], fetch)).resolves.toEqual({ value: { jwks_uri: new URL(jwks_uri) } });
    expect(asked).toEqual([first]);
  });

  test('8414-5-1 the last place is asked when the others have nothing', async () => {
    const { fetch, asked } = world({ [third]: { issuer: ISSUER, jwks_uri } });
    await expect(discover(ISSUER, ['jwks_uri'], fetch)).resolves.toEqual({ value: { jwks_uri: new URL(jwks_uri) } });
    expect(asked).toEqual([first, second, third]);
  });

  test('8414-3.3-1 a document of another issuer ends the search', async () => {
    const { fetch, asked } = world({
      [first]: { issuer: `${ISSUER}/`, jwks_uri },
      [second]: { issuer: ISSUER, jwks_uri },
    });
    await expect(discover(ISSUER, ['jwks_uri'], fetch)).rejects.toThrow(VerificationUnavailableError);
    expect(asked).toEqual([first]);
  });

  test('a host that does not answer is asked once, not three times', async () => {
    const { fetch, asked } = world({ [first]: 'down' });
    await expect(discover(ISSUER, ['jwks_uri'], fetch)).rejects.toThrow(VerificationUnavailableError);
    expect(asked).toEqual([first]);
  });

  test('8414-2-2 what the operator reads says what to do, and nothing of what the server said', async () => {
    const { fetch } = world({ [first]: { issuer: ISSUER, jwks_uri: 'http://evil.example/secret' } });
    const error: unknown = await discover(ISSUER, ['jwks_uri'], fetch).catch((thrown: unknown) => thrown);
    expect(error).toHaveProperty(
      'reason',
      'The metadata of the authorization server has no "jwks_uri" with https: name yours as "jwksUri"',
    );
    expect(String((error as Error).stack)).not.toContain('evil');
  });
});
