import { jest } from '@jest/globals';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import type { DiagnosticsEvent } from '../../lib/diagnostics.js';

export const CHANNEL = 'express-oauth2-resource-server';

/** All that is told while `run` runs, but not of other issuers: the channel is the one of the whole process. */
export async function diagnosticsOf(run: () => Promise<void>, issuer?: string): Promise<DiagnosticsEvent[]> {
  const events: DiagnosticsEvent[] = [];
  const listener = (event: unknown) => void events.push(event as DiagnosticsEvent);
  subscribe(CHANNEL, listener);
  try {
    await run();
  } finally {
    unsubscribe(CHANNEL, listener);
  }
  return events.filter((event) => event.type !== 'document' || event.issuer === issuer);
}

export interface Warning {
  readonly message: string;
  readonly type: string;
  readonly code: string;
}

/** The warnings that the library has the process emit while `run` runs. The process object of jest emits no event. */
export async function warningsOf(run: () => Promise<void>): Promise<Warning[]> {
  const spy = jest.spyOn(process, 'emitWarning').mockImplementation(() => undefined);
  try {
    await run();
    const calls = spy.mock.calls as unknown as [message: string, options: { type: string; code: string }][];
    return calls.map(([message, { type, code }]) => ({ message, type, code }));
  } finally {
    spy.mockRestore();
  }
}
