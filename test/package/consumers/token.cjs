// A key of its own, a token signed with it, and what an API answers to it: what both JavaScript consumers do.
const { generateKeyPairSync, randomUUID, sign } = require('node:crypto');
const { once } = require('node:events');

const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const encode = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');

exports.options = {
  resource: 'https://api.example.com',
  issuer: 'https://as.example.com',
  jwks: { keys: [{ ...publicKey.export({ format: 'jwk' }), kid: 'k1', alg: 'ES256', use: 'sig' }] },
};

exports.mint = function mint(claims = {}) {
  const iat = Math.floor(Date.now() / 1000);
  const header = encode({ typ: 'at+jwt', alg: 'ES256', kid: 'k1' });
  const payload = encode({
    ...{ iss: 'https://as.example.com', aud: 'https://api.example.com', sub: 'alice', client_id: 'editor' },
    ...{ scope: 'pictures:read', iat, exp: iat + 60, jti: randomUUID() },
    ...claims,
  });
  const signature = sign('sha256', Buffer.from(`${header}.${payload}`), { key: privateKey, dsaEncoding: 'ieee-p1363' });
  return `${header}.${payload}.${signature.toString('base64url')}`;
};

/** Asks `/pictures` of `app` with a good token, with none, with an expired one, and with one of too little scope. */
exports.ask = async function ask(app) {
  const server = app.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const tokens = {
    good: exports.mint(),
    none: '',
    expired: exports.mint({ exp: 1 }),
    other: exports.mint({ scope: '' }),
  };
  const answers = {};
  for (const [name, token] of Object.entries(tokens)) {
    const headers = token === '' ? {} : { authorization: `Bearer ${token}` };
    const response = await fetch(`http://127.0.0.1:${server.address().port}/pictures`, { headers });
    answers[name] = {
      status: response.status,
      challenge: response.headers.get('www-authenticate'),
      body: await response.json(),
    };
  }
  server.close();
  server.closeAllConnections();
  return answers;
};
