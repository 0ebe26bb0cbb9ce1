import { channel } from 'node:diagnostics_channel';

/**
 * What the operator can listen to, on the channel `express-oauth2-resource-server` of `node:diagnostics_channel`.
 * Every text is one of a few, or comes from the configuration: no token, claim, key, or word of another server.
 */
export type DiagnosticsEvent =
  | {
      /** A request was refused, or could not be decided (503). */
      readonly type: 'refusal';
      readonly status: number;
      /** The `error` code; undefined when nothing was presented, and for 503. */
      readonly code: string | undefined;
      /** What was wrong: a constant sentence. For 503 it names the setting to look at. */
      readonly reason: string;
    }
  | {
      /** Why tokens of this kind are refused is typical, and a change of settings would help. Once for each cause. */
      readonly type: 'hint';
      readonly hint: string;
    }
  | {
      /** A document of an authorization server was fetched anew, could not be, or is served beyond its time. */
      readonly type: 'document';
      readonly document: 'metadata' | 'keys';
      readonly issuer: string;
      readonly event: 'refreshed' | 'failed' | 'stale';
      /** For `failed`: a constant sentence that names the setting to look at. */
      readonly reason: string | undefined;
    }
  | {
      /**
       * A question to an introspection endpoint failed; failures came one after another, so that it is left alone for a while;
       * it answers again.
       */
      readonly type: 'introspection';
      readonly issuer: string;
      readonly event: 'failed' | 'paused' | 'recovered';
      /** For `failed` and `paused`: a constant sentence that names the setting to look at. */
      readonly reason: string | undefined;
    };

const events = channel('express-oauth2-resource-server');

/** Tells whoever listens. Costs nothing when nobody does. */
export function tell(event: () => DiagnosticsEvent): void {
  if (events.hasSubscribers) events.publish(event());
}
