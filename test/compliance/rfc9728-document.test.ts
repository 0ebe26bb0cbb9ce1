import { afterEach, describe, expect, test } from '@jest/globals';
import express from 'express';
import type { RequestHandler } from 'express';
import { createLocalJWKSet, decodeJwt, jwtVerify } from 'jose';
import type { JWK } from 'jose';
import { requireAnyScope, requireAuthorizationDetails, requireScope, resourceServer } from '../../lib/index.js';
import type { MetadataOptions } from '../../lib/index.js';
import { requireToolScope } from '../../lib/mcp.js';
import { warningsOf } from '../support/diagnostics.js';
import { api, documentOf, EXPRESSES, serve, WELL_KNOWN } from '../support/metadata-app.js';
import { RESOURCE } from '../support/refusals.js';
import { closeAll } from '../support/stage.js';
import { signingKey } from '../support/tokens.js';

const ISSUER = 'https://as.example.com';
const PLAIN = { resource: RESOURCE, authorization_servers: [ISSUER], bearer_methods_supported: ['header'] };

afterEach(closeAll);

/** The document of an app that has nothing but this resource server. */
async function published(metadata: true | MetadataOptions, more: Parameters<typeof api>[0] = {}) {
  return documentOf(await serve((app) => app.use(api({ metadata, ...more }))));
}

describe('what the document says (RFC 9728 2)', () => {
  test('9728-1.2-1 the identifier is https without fragment; a query is warned of, and served', async () => {
    const made = (resource: string) => () => api({ resource });
    expect(made('http://api.example.com')).toThrow('"resource" must be an https URL');
    expect(made('https://api.example.com/#a')).toThrow('"resource" must be an https URL');
    expect(made('https://api.example.com/#')).toThrow('"resource" must be an https URL');
    expect(made('api.example.com')).toThrow('"resource" must be an https URL');
    expect(await warningsOf(() => Promise.resolve(void made(RESOURCE)()))).toEqual([]);
    const [warning, ...more] = await warningsOf(() => Promise.resolve(void made(`${RESOURCE}/a?b=c`)()));
    expect([warning?.code, more]).toEqual(['OAUTH2_RS_QUERY', []]);
    expect(warning?.message).toContain('RFC 9728 section 1.2');
  });

  test.each(['https://api.example.com', 'https://API.example.com:443/A/%7Eb/', 'https://api.example.com/a?b=c'])(
    '9728-2-1 resource is the identifier to the last character: %s',
    async (resource) => {
      const { pathname, search } = new URL(resource);
      const app = await serve((routes) => routes.use(api({ resource })));
      const document = await documentOf(app, `${WELL_KNOWN}${pathname === '/' ? '' : pathname}${search}`);
      expect(document).toEqual({ ...PLAIN, resource });
    },
  );

  test('9728-2-2 authorization_servers are the issuers of the options, without their aliases, or those that are named', async () => {
    const servers = [{ issuer: `${ISSUER}/a/`, issuerAliases: [`${ISSUER}/A`] }, { issuer: `${ISSUER}/b` }];
    const several = (metadata: true | MetadataOptions) =>
      resourceServer({ resource: RESOURCE, authorizationServers: servers, metadata });
    const found = (metadata: MetadataOptions) =>
      resourceServer({ resource: RESOURCE, authorizationServers: () => undefined, metadata });
    const said = async (handler: RequestHandler) =>
      (await documentOf(await serve((app) => app.use(handler))))['authorization_servers'];
    expect(await said(api())).toEqual([ISSUER]);
    expect(await said(several(true))).toEqual([`${ISSUER}/a/`, `${ISSUER}/b`]);
    expect(await said(several({ authorization_servers: [`${ISSUER}/b`] }))).toEqual([`${ISSUER}/b`]);
    expect(await said(found({ authorization_servers: [ISSUER] }))).toEqual([ISSUER]);
    expect(await said(found({ authorization_servers: [] }))).toBeUndefined();
  });

  test('9728-6-1 issuers are published code point by code point, and not made alike', async () => {
    const issuers = [ISSUER, `${ISSUER}/`, 'https://AS.example.com', `${ISSUER}/caf\u00e9`, `${ISSUER}/cafe\u0301`];
    const document = await published({ authorization_servers: issuers });
    expect(document['authorization_servers']).toEqual(issuers);
  });

  test('9728-2-3 jwks_uri is https', async () => {
    const jwks_uri = `${RESOURCE}/jwks`;
    expect(await published({ jwks_uri })).toEqual({ ...PLAIN, jwks_uri });
    expect(() => api({ metadata: { jwks_uri: 'http://api.example.com/jwks' } })).toThrow(
      '"jwks_uri" must be an https URL',
    );
  });

  test('9728-2-5 bearer_methods_supported are those of the options; none where only DPoP is taken', async () => {
    expect((await published(true))['bearer_methods_supported']).toEqual(['header']);
    const all = ['header', 'query', 'body'] as const;
    expect((await published(true, { methods: all }))['bearer_methods_supported']).toEqual(all);
    const onlyDPoP = await published(true, { dpop: true, requireBoundTokens: true, methods: all });
    expect(onlyDPoP['bearer_methods_supported']).toEqual([]);
    const certificates = await published(true, { clientCertificate: 'tls', requireBoundTokens: true });
    expect(certificates['bearer_methods_supported']).toEqual(['header']);
  });

  test('9728-2-6 resource_signing_alg_values_supported never has none', async () => {
    const resource_signing_alg_values_supported = ['ES256', 'PS256'];
    const document = await published({ resource_signing_alg_values_supported });
    expect(document).toEqual({ ...PLAIN, resource_signing_alg_values_supported });
    const made = () => api({ metadata: { resource_signing_alg_values_supported: ['ES256', 'none'] } });
    expect(made).toThrow('"resource_signing_alg_values_supported" must not have "none"');
  });

  test('9728-2-7 texts for people, in several languages', async () => {
    const texts = {
      resource_name: 'Pictures',
      'resource_name#it': 'Immagini',
      'resource_name#ja-Jpan-JP': '\u5199\u771f',
      resource_documentation: `${RESOURCE}/docs`,
      'resource_documentation#it': `${RESOURCE}/it/docs`,
      resource_policy_uri: `${RESOURCE}/policy`,
      resource_tos_uri: `${RESOURCE}/terms`,
    };
    expect(await published(texts)).toEqual({ ...PLAIN, ...texts });
    expect(() => api({ metadata: { 'resource_name#it': 'Immagini' } })).toThrow('needs "resource_name" as well');
  });

  test.each([
    ['neither', {}, {}],
    ['DPoP', { dpop: { algs: ['ES256'] } }, { dpop_signing_alg_values_supported: ['ES256'] }],
    [
      'DPoP for all',
      { dpop: { algs: ['ES256', 'PS256'] }, requireBoundTokens: true },
      {
        dpop_signing_alg_values_supported: ['ES256', 'PS256'],
        dpop_bound_access_tokens_required: true,
        bearer_methods_supported: [],
      },
    ],
    ['certificates', { clientCertificate: 'tls' as const }, { tls_client_certificate_bound_access_tokens: true }],
    [
      'both, one of them for all',
      { dpop: { algs: ['ES256'] }, clientCertificate: 'tls' as const, requireBoundTokens: true },
      { dpop_signing_alg_values_supported: ['ES256'], tls_client_certificate_bound_access_tokens: true },
    ],
  ])('9728-2-8 bound tokens, %s: as the options have it', async (_, options, members) => {
    expect(await published(true, options)).toEqual({ ...PLAIN, ...members });
  });

  test('9728-3.2-2 what has no value is left out', async () => {
    expect(await published(true)).toEqual(PLAIN);
    const empty = { scopes_supported: [], authorization_details_types_supported: [], authorization_servers: [] };
    const document = await published({ ...empty, resource_signing_alg_values_supported: [] });
    expect(document).toEqual({ resource: RESOURCE, bearer_methods_supported: ['header'] });
  });
});

describe('signed metadata (RFC 9728 2.2)', () => {
  const key = signingKey('ES256', 'ours');

  test('9728-2.2-1 a JWT with iss, the same members, and nothing of itself', async () => {
    const signed = { key: key.privateKey, algorithm: 'ES256', keyId: 'ours' };
    const { signed_metadata, ...document } = await published({
      signed,
      jwks_uri: `${RESOURCE}/jwks`,
      scopes_supported: ['a'],
    });
    const keys = createLocalJWKSet({ keys: [key.jwk] });
    const { payload, protectedHeader } = await jwtVerify(String(signed_metadata), keys, { issuer: RESOURCE });
    expect(protectedHeader).toEqual({ alg: 'ES256', kid: 'ours' });
    expect(payload).toEqual({ ...document, iss: RESOURCE });
    expect(document).toEqual({ ...PLAIN, jwks_uri: `${RESOURCE}/jwks`, scopes_supported: ['a'] });
  });

  test('9728-2.2-1 somebody else can vouch for it', async () => {
    const signer = { ...key.privateKey.export({ format: 'jwk' }), alg: 'ES256' };
    const { signed_metadata } = await published({ signed: { key: signer, issuer: 'https://registry.example' } });
    expect(decodeJwt(String(signed_metadata)).iss).toBe('https://registry.example');
    const verify = (publicKey: JWK) => jwtVerify(String(signed_metadata), createLocalJWKSet({ keys: [publicKey] }));
    expect((await verify(key.jwk)).protectedHeader).toEqual({ alg: 'ES256' });
    await expect(verify(signingKey().jwk)).rejects.toThrow('signature verification failed');
  });
});

describe.each(EXPRESSES)('scopes out of the guards (RFC 9728 2), %s', (_, create) => {
  const collected = async (build: Parameters<typeof serve>[0]) => {
    const document = await documentOf(await serve(build, create));
    return [document['scopes_supported'], document['authorization_details_types_supported']];
  };

  test('9728-2-4 9728-2-8 of the application, its routers and their routes, each once', async () => {
    const found = await collected((app, handler) => {
      const nested = create.Router().post('/', requireScope('e'), requireAuthorizationDetails('payment'), handler);
      const router = create
        .Router()
        .use(requireScope('c'))
        .get('/', requireAnyScope('d', 'a'), handler)
        .use('/n', nested);
      app.use(api());
      app.use('/a', requireScope('a'));
      app.get('/b', [requireScope('b', 'a')], handler);
      app.use('/r', router);
      app.route('/chain').get(requireScope('f'), handler).delete(requireScope('g'), handler);
      app.post('/tools', requireToolScope({ add: ['h'], list: [] }), requireAuthorizationDetails('payment'), handler);
      app.all('/all', requireScope('i'), handler);
    });
    expect(found).toEqual([['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i'], ['payment']]);
  });

  test('9728-2-4 of an application with two resource servers nobody can tell; what is listed counts', async () => {
    const other = api({ resource: `${RESOURCE}/b`, metadata: { scopes_supported: ['b'] } });
    const build = (metadata: true | MetadataOptions): Parameters<typeof serve>[0] => {
      return (app, handler) => {
        app.use('/b', other);
        app.use(api({ metadata }));
        app.get('/x', requireScope('x'), requireAuthorizationDetails('y'), handler);
      };
    };
    expect(await collected(build(true))).toEqual([undefined, undefined]);
    const listed = { scopes_supported: ['z'], authorization_details_types_supported: ['w'] };
    expect(await collected(build(listed))).toEqual([['z'], ['w']]);
  });

  test('9728-2-4 one resource server mounted twice is one; what is listed, and [], stand in place of the guards', async () => {
    const build = (metadata: true | MetadataOptions): Parameters<typeof serve>[0] => {
      return (app, handler) => {
        const one = api({ metadata });
        app.use(one);
        app.get('/x', one, requireScope('x'), handler);
      };
    };
    expect(await collected(build(true))).toEqual([['x'], undefined]);
    expect(await collected(build({ scopes_supported: ['a', 'a'] }))).toEqual([['a'], undefined]);
    expect(await collected(build({ scopes_supported: [] }))).toEqual([undefined, undefined]);
  });

  test('9728-2-4 routes that are added later are in it; a router in itself, and an empty application, do no harm', async () => {
    let late: () => void = () => undefined;
    const app = await serve((routes, handler) => {
      const tree = create.Router().get('/leaf', requireScope('leaf'), handler);
      tree.use('/:branch', tree);
      routes.use(api()).use(tree).use(create.Router().use('/e', create()));
      late = () => routes.get('/late', requireScope('late'), handler);
    }, create);
    expect((await documentOf(app))['scopes_supported']).toEqual(['leaf']);
    late();
    expect((await documentOf(app))['scopes_supported']).toEqual(['leaf', 'late']);
  });
});

test('MCP-A10-1 offline_access is in no document', () => {
  expect(() => api({ metadata: { scopes_supported: ['offline_access'] } })).toThrow('leave it out');
  expect(() => express().get('/', requireScope('offline_access'))).toThrow('leave it out');
});
