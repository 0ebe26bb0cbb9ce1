// @ts-check
/** @type {import('../types.js').Factory} */
export async function create({
  library,
  issuer,
  jwksUri,
  audience,
  algorithms,
  issuers,
  introspection,
  dpopKey,
  maxCachedTokens,
}) {
  const { clientSecretBasic, resourceServer } = await import(library);
  if (introspection !== undefined) {
    const { endpoint, clientId, clientSecret } = introspection;
    const clientAuthentication = clientSecretBasic(clientId, clientSecret);
    return resourceServer({ resource: audience, issuer, introspection: { endpoint, clientAuthentication } });
  }
  const trusted = issuers === undefined ? { issuer, jwksUri } : { authorizationServers: issuers };
  // A proof is made a while before it is sent here: all of a batch are made first.
  const dpop = dpopKey === undefined ? {} : { dpop: { maxAge: 300 } };
  const bound = maxCachedTokens === undefined ? {} : { maxCachedTokens };
  return resourceServer({ resource: audience, algorithms, ...trusted, ...dpop, ...bound });
}
