import { sendJson } from './answer.js';
import type { Contexts } from './answer.js';
import type { Binding } from './binding-options.js';
import type { CommonOptions } from './resource-server-options.js';
import type { Scheme, Seconds } from './types.js';

/** The schemes in which a client may send a token here, the one to try first in front. */
export function offeredSchemes(
  { requireBoundTokens = false, clientCertificate }: CommonOptions,
  { algs }: Binding,
): readonly Scheme[] {
  const ofDPoP: readonly Scheme[] = algs === undefined ? [] : ['DPoP'];
  // A token that is bound to a certificate is sent as Bearer.
  const isBearerOfUse = !requireBoundTokens || clientCertificate !== undefined;
  return isBearerOfUse ? ['Bearer', ...ofDPoP] : ofDPoP;
}

/**
 * What refusals are answered with. Who tried a scheme is told of its error in that scheme, and of DPoP as well if it came with
 * a bearer token. RFC 9449 section 7.2.
 */
export function contextsOf(
  options: CommonOptions,
  binding: Binding,
  more: { readonly clock: () => Seconds; readonly resourceMetadata: string | undefined },
): Contexts {
  const { resource, realm = resource, errorUri, errorDescription = true, impliesScope, onError = sendJson } = options;
  const { clockTolerance = 0 } = options;
  const { algs, issueNonce } = binding;
  const common = {
    ...{ resource, realm, errorUri, errorDescription, impliesScope, onError, clockTolerance, ...more },
    algs: algs?.join(' '),
  };
  const ofDPoP: readonly Scheme[] = algs === undefined ? [] : ['DPoP'];
  return {
    none: { ...common, challenged: offeredSchemes(options, binding), tried: undefined, issueNonce },
    Bearer: { ...common, challenged: ['Bearer', ...ofDPoP], tried: 'Bearer', issueNonce: undefined },
    DPoP: { ...common, challenged: ['DPoP'], tried: 'DPoP', issueNonce },
  };
}
