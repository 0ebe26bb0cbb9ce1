import { expect } from '@jest/globals';
import { challenge, NO_JSON_RPC } from './mcp-endpoint.js';
import type { Endpoint, Reply } from './mcp-endpoint.js';

/** Status, code and description for what is no message. */
export const MALFORMED = [400, 'invalid_request', NO_JSON_RPC] as const;
/** The same for a token without the scope of a tool. */
export const LACKING = [403, 'insufficient_scope', 'The access token lacks a required scope'] as const;

/** This very challenge and body, and no tool was called. */
export function expectRefused(
  { called }: Endpoint,
  reply: Reply,
  status: number,
  code: string,
  says: string,
  scope?: string,
): void {
  const said = `, error="${code}", error_description="${says}"${scope === undefined ? '' : `, scope="${scope}"`}`;
  expect(reply).toEqual({ status, challenge: challenge(said), body: { error: code, error_description: says } });
  expect(called).toEqual([]);
}

/** 403 without a code: no scope would open it. */
export function expectUnlisted({ called }: Endpoint, reply: Reply): void {
  expect(reply).toEqual({ status: 403, challenge: challenge(), body: {} });
  expect(called).toEqual([]);
}
