// @ts-check
// What the words on the wire mean, in one sentence each.

/** @type {Record<string, string>} Parameters of requests and answers of the authorization server. */
export const PARAMETERS = {
  response_type: 'The editor wants a code, not a token: tokens do not travel through the browser.',
  client_id: 'Who asks.',
  redirect_uri: 'Where the answer goes. Registered beforehand, compared to the letter.',
  scope: 'What the token may be used for.',
  resource: 'The API that the token is for (RFC 8707).',
  state: 'Comes back unchanged: the answer belongs to this browser.',
  nonce: 'Comes back in the ID token: it was made for this sign-in.',
  prompt: 'Show the login and the consent page, even if you have been here before.',
  code_challenge: 'SHA-256 of the code_verifier (PKCE, RFC 7636).',
  code_challenge_method: 'How it was hashed.',
  code: 'Good for one use, by this client, within a minute.',
  iss: 'Who answers: the editor would notice an answer of another server (RFC 9207).',
  grant_type: 'What the client offers in exchange for a token.',
  code_verifier: 'The secret behind the code_challenge. A stolen code is worth nothing without it.',
  refresh_token: 'For the next access token. Works once.',
  access_token: 'What the storage wants to see. More about it below.',
  id_token: 'For the editor: who signed in. Decoded below.',
  token_type: 'Who has it may use it (RFC 6750): so it must not leak.',
  expires_in: 'Lifetime in seconds.',
  error: 'What went wrong, as a code for programs.',
  error_description: 'The same for people.',
  token: 'The token that this is about.',
  token_type_hint: 'What kind of token it is: where the server looks first.',
};

/** @type {Record<string, string>} Members of tokens. */
export const CLAIMS = {
  typ: 'An access token in the format of RFC 9068, so that no other JWT passes for one.',
  alg: 'How it is signed.',
  kid: 'With which key of the authorization server.',
  iss: 'Who issued it. The storage trusts one issuer.',
  sub: 'Who it is about: whose pictures these are, or which program asks.',
  aud: 'Whom it is for. Anybody else must refuse it.',
  client_id: 'Who uses it.',
  scope: 'What it may be used for.',
  exp: 'When it ends.',
  iat: 'When it was issued.',
  jti: 'Its serial number.',
  nonce: 'The one of the authorization request.',
  auth_time: 'When you typed your password.',
  name: 'Your name.',
};

/** @type {Record<string, string>} Members of the answer to an introspection request. RFC 7662 section 2.2. */
export const INTROSPECTED = {
  ...CLAIMS,
  active: 'Whether the token is good now. Only true lets a request pass.',
  token_type: 'An access token. A refresh token has none here, and is refused.',
};

/** Introspection in words. */
export const INTROSPECTION = {
  opaque: 'The token is opaque: a random string. What it stands for, only the authorization server knows.',
  question:
    'The storage cannot read the token, so it asks the server that issued it. It says who it is (Authorization): not everybody may ask.',
  active:
    'The authorization server calls the token good. Whom it is for, until when and for what, the storage checks itself. It uses this answer for three seconds: further requests with this token ask nobody.',
  noAccessToken:
    'Active, but there is no token_type: this is a refresh token. It is for the authorization server alone, so the storage refuses it.',
  inactive:
    'The token is expired, revoked, or was never issued. The authorization server does not say which. The storage refuses it, and uses this answer for five seconds.',
  asked:
    'The storage asked the authorization server about the token before it answered: see the message above this one.',
  remembered: 'The storage asked nobody: it had asked about this token a moment ago, and uses the answer again.',
};

/** @type {Record<string, string>} Parameters of a challenge. */
export const CHALLENGE = {
  realm: 'What is protected.',
  error: 'What was wrong, as a code for programs.',
  error_description: 'The same for developers.',
  scope: 'What the token must be good for.',
};

/** @type {Record<string, string>} What a client does next. RFC 6750 section 3.1. */
export const ADVICE = {
  '': 'There is no error code, for nothing was wrong yet. What to do: get a token, and come again.',
  invalid_request: 'What to do: mend the request. Another token would not help.',
  invalid_token: 'What to do: throw this token away. Use the refresh token, or ask the person to sign in.',
  insufficient_scope: 'What to do: keep the token, it is good for other things. Ask the person for more.',
};
