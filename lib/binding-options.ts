import type { Request } from 'express';
import { sendJson } from './answer.js';
import type { Context, Contexts } from './answer.js';
import type { BindingPolicy } from './binding.js';
import { certificateReader } from './client-certificate.js';
import { proofChecker } from './dpop.js';
import { checkedDPoP } from './dpop-options.js';
import { warnOnce } from './hints.js';
import { requestUris } from './request-uri.js';
import type { RequestUris } from './request-uri.js';
import type { CommonOptions } from './resource-server-options.js';
import type { Scheme, Seconds } from './types.js';

/** How bound tokens are checked, and in which schemes refusals are answered. */
export interface Binding {
  /** The schemes that are looked at. */
  readonly schemes: readonly Scheme[];
  readonly policy: BindingPolicy;
  readonly certificateOf: (req: Request) => string | undefined;
  readonly urisOf: RequestUris;
  readonly contexts: Contexts;
}

/** @throws TypeError for mistakes in the options. */
export function bindingOf(options: CommonOptions, clock: () => Seconds, tolerance: Seconds): Binding {
  const { resource, dpop, clientCertificate, requireBoundTokens = false } = options;
  const { publicUrl = new URL(resource).origin } = options;
  if (requireBoundTokens && dpop === undefined && clientCertificate === undefined) {
    throw new TypeError('"requireBoundTokens" refuses every token unless "dpop" or "clientCertificate" is set');
  }
  const proofs = dpop === undefined ? undefined : checkedDPoP(dpop, resource, clock);
  const warn = warnOnce();
  const hint = () => {
    warn('publicUrl');
  };
  return {
    schemes: proofs === undefined ? ['Bearer'] : ['Bearer', 'DPoP'],
    policy: {
      checkProof: proofs && proofChecker(proofs, clock, tolerance, hint),
      hasCertificates: clientCertificate !== undefined,
      requireBoundTokens,
      ignoreUnknown: options.dangerouslyIgnoreUnknownConfirmation ?? false,
    },
    certificateOf: clientCertificate === undefined ? () => undefined : certificateReader(clientCertificate),
    urisOf: requestUris(publicUrl),
    contexts: contextsOf(options, {
      algs: proofs?.algs.join(' '),
      issueNonce: proofs?.nonce === 'required' ? () => proofs.nonces.issue() : undefined,
    }),
  };
}

/** Who tried a scheme is told of its error in that scheme, and of DPoP as well if it came with a bearer token. RFC 9449 section 7.2. */
function contextsOf(options: CommonOptions, dpop: Pick<Context, 'algs' | 'issueNonce'>): Contexts {
  const { resource, realm = resource, errorUri, errorDescription = true, impliesScope, onError = sendJson } = options;
  const { requireBoundTokens = false, clientCertificate } = options;
  const common = { resource, realm, errorUri, errorDescription, impliesScope, onError, algs: dpop.algs };
  const ofDPoP: readonly Scheme[] = dpop.algs === undefined ? [] : ['DPoP'];
  // A token that is bound to a certificate is sent as Bearer.
  const isBearerOfUse = !requireBoundTokens || clientCertificate !== undefined;
  const offered: readonly Scheme[] = isBearerOfUse ? ['Bearer', ...ofDPoP] : ofDPoP;
  const { issueNonce } = dpop;
  return {
    none: { ...common, challenged: offered, tried: undefined, issueNonce },
    Bearer: { ...common, challenged: ['Bearer', ...ofDPoP], tried: 'Bearer', issueNonce: undefined },
    DPoP: { ...common, challenged: ['DPoP'], tried: 'DPoP', issueNonce },
  };
}
