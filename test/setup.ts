// jest runs tests in a VM context; the host's structuredClone returns objects of the host's realm, which
// oidc-provider's plain-object check (the jwks of a client) does not take for plain.
globalThis.structuredClone = ((value: unknown) =>
  value === undefined ? undefined : (JSON.parse(JSON.stringify(value)) as unknown)) as typeof structuredClone;
