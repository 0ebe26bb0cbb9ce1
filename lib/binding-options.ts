import type { Request } from 'express';
import type { BindingPolicy } from './binding.js';
import { certificateReader } from './client-certificate.js';
import { proofChecker } from './dpop.js';
import { checkedDPoP } from './dpop-options.js';
import { warnOnce } from './hints.js';
import { requestUris } from './request-uri.js';
import type { RequestUris } from './request-uri.js';
import type { CommonOptions } from './resource-server-options.js';
import type { Scheme, Seconds } from './types.js';

/** How bound tokens are checked. */
export interface Binding {
  /** The schemes that are looked at. */
  readonly schemes: readonly Scheme[];
  /** The schemes in which a client may send a token here, the one to try first in front. */
  readonly offered: readonly Scheme[];
  readonly policy: BindingPolicy;
  readonly certificateOf: (req: Request) => string | undefined;
  readonly urisOf: RequestUris;
  /** The algorithms of DPoP proofs; undefined: DPoP is not supported. */
  readonly algs: readonly string[] | undefined;
  /** A new DPoP nonce, where proofs must have one. */
  readonly issueNonce: (() => string) | undefined;
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
  const schemes: readonly Scheme[] = proofs === undefined ? ['Bearer'] : ['Bearer', 'DPoP'];
  // A token that is bound to a certificate is sent as Bearer.
  const isBearerOfUse = !requireBoundTokens || clientCertificate !== undefined;
  return {
    schemes,
    offered: isBearerOfUse ? schemes : ['DPoP'],
    policy: {
      checkProof: proofs && proofChecker(proofs, clock, tolerance, hint),
      hasCertificates: clientCertificate !== undefined,
      requireBoundTokens,
      ignoreUnknown: options.dangerouslyIgnoreUnknownConfirmation ?? false,
    },
    certificateOf: clientCertificate === undefined ? () => undefined : certificateReader(clientCertificate),
    urisOf: requestUris(publicUrl),
    algs: proofs?.algs,
    issueNonce: proofs?.nonce === 'required' ? () => proofs.nonces.issue() : undefined,
  };
}
