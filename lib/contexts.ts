import { sendJson } from './answer.js';
import type { Contexts } from './answer.js';
import type { Binding } from './binding-options.js';
import type { CommonOptions } from './resource-server-options.js';
import type { Seconds } from './types.js';

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
  const { schemes, offered, algs, issueNonce } = binding;
  const common = {
    ...{ resource, realm, errorUri, errorDescription, impliesScope, onError, clockTolerance, ...more },
    algs: algs?.join(' '),
  };
  return {
    none: { ...common, challenged: offered, tried: undefined, issueNonce },
    Bearer: { ...common, challenged: schemes, tried: 'Bearer', issueNonce: undefined },
    DPoP: { ...common, challenged: ['DPoP'], tried: 'DPoP', issueNonce },
  };
}
