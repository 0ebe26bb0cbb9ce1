import { lookup } from 'node:dns/promises';
import { BlockList, isIP } from 'node:net';
import { setTimeout } from 'node:timers/promises';
import { VerificationUnavailableError } from './errors.js';

// Addresses that lead inside, or nowhere that a public server could be: RFC 6890, RFC 4193, RFC 4291, RFC 6598.
const INTERNAL = new BlockList();
for (const [network, prefix] of [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.168.0.0', 16],
  ['198.18.0.0', 15],
  ['240.0.0.0', 4],
] as const) {
  INTERNAL.addSubnet(network, prefix, 'ipv4'); // matches IPv4-mapped IPv6 addresses as well
}
for (const [network, prefix] of [
  ['::', 96], // unspecified, loopback, and IPv4 in an obsolete form
  ['64:ff9b::', 96], // IPv4 behind a translator, any of it (RFC 6052)
  ['2002::', 16], // 6to4, the same
  ['fc00::', 7],
  ['fe80::', 10],
  ['fec0::', 10],
] as const) {
  INTERNAL.addSubnet(network, prefix, 'ipv6');
}

/** Longest wait for the resolver, in milliseconds. */
const TIMEOUT = 5_000;

/**
 * Whether the host of `url` is, or resolves to, an address inside: loopback, private, link-local.
 * A name that does not resolve is not inside: the request to it fails by itself.
 * Not a guard against a name that resolves differently a moment later.
 *
 * @throws VerificationUnavailableError when the resolver does not answer in time.
 */
export async function isInternal(url: URL): Promise<boolean> {
  const host = url.hostname.replace(/^\[|\]$/g, '');
  if (/(^|\.)localhost\.?$/.test(host)) return true; // RFC 6761 section 6.3, whatever the resolver makes of it
  const addresses = isIP(host) === 0 ? await resolve(host) : [{ address: host }];
  return addresses.some(({ address }) => INTERNAL.check(address, isIP(address) === 6 ? 'ipv6' : 'ipv4'));
}

async function resolve(host: string): Promise<readonly { readonly address: string }[]> {
  const inTime = await Promise.race([
    lookup(host, { all: true }).catch(() => []),
    setTimeout(TIMEOUT, undefined, { ref: false }),
  ]);
  if (inTime !== undefined) return inTime;
  throw new VerificationUnavailableError('The name of a host in the metadata could not be resolved in time');
}
