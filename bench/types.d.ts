import type { RequestHandler } from 'express';

/** What a subject is told: whom to trust, and what to expect of a token. */
export interface Settings {
  /** Where the built library is. */
  library: string;
  issuer: string;
  jwksUri: string;
  audience: string;
  algorithms: string[];
  /** In place of `issuer` and `jwksUri`: many trusted servers. */
  issuers?: { issuer: string; jwksUri: string }[];
  /** Most tokens remembered, where a subject remembers any. Default: its own. */
  maxCachedTokens?: number;
  /** Tokens are opaque, and asked about here. */
  introspection?: { endpoint: string; clientId: string; clientSecret: string };
  /** Tokens are bound to the key of this client, and come with a proof. The private JWK, for making proofs. */
  dpopKey?: import('jose').JWK;
}

/** A middleware; undefined: nothing is mounted. */
export type Factory = (settings: Settings) => RequestHandler | undefined | Promise<RequestHandler | undefined>;

/** Microseconds for each request. */
export interface Cost {
  /** By the clock on the wall. */
  wall: number;
  /** Of all threads. */
  cpu: number;
  /** Of the main thread. */
  main: number;
}

/** How the tokens of a slice are chosen: always the first, each new, or round and round. */
export type Mode = 'same' | 'each' | 'cycle';

/** A token that is tried on every subject before anything is measured. */
export interface Trial {
  name: string;
  token: string;
  passes: boolean;
}

/** One slice over HTTP. */
export interface HttpCost {
  /** Requests per second. */
  rate: number;
  /** Microseconds of server CPU for each request, of all threads. */
  cpu: number;
  /** Event-loop delay, 99th percentile, milliseconds. */
  delay: number;
}

/** A number for each round. */
export type Series = number[];

/** A table for the document. */
export interface Table {
  title: string;
  remark?: string;
  head: string[];
  rows: (string | number)[][];
}

/** One line of the table of targets. */
export interface Target {
  text: string;
  /** The most, or the least if `atLeast`. */
  limit: number;
  atLeast?: boolean;
  value: number | undefined;
  unit?: string;
  remark?: string;
}
