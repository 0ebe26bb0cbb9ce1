import { afterAll, afterEach, beforeAll, jest } from '@jest/globals';
import { startNotes } from './mcp-app.js';
import type { NotesApp, NotesOptions } from './mcp-app.js';
import type { Connection, McpLine } from './mcp-line.js';
import { Person } from './mcp-person.js';
import { startMcpProvider } from './mcp-provider.js';
import type { McpProvider } from './mcp-provider.js';
import { closeAll, closing } from './stage.js';

/** One authorization server for the tests beside it, whose warnings nobody sees. What a test opens is closed after it. */
export function mcpProvider(...options: Parameters<typeof startMcpProvider>): () => McpProvider {
  let provider: McpProvider;
  beforeAll(async () => {
    for (const method of ['warn', 'info'] as const) jest.spyOn(console, method).mockImplementation(() => undefined);
    provider = await startMcpProvider(...options);
  });
  afterEach(closeAll);
  afterAll(async () => {
    await provider.close();
    jest.restoreAllMocks();
  });
  return () => provider;
}

export interface McpStage {
  /** The notes, behind `resourceServer` with these options. */
  readonly start: (options?: NotesOptions) => Promise<NotesApp>;
  /** A client that got in, and whose it is: somebody new, unless a person is named. */
  readonly connect: (
    app: Pick<NotesApp, 'endpoint'>,
    person?: Person,
  ) => Promise<{ person: Person; client: Connection }>;
}

/** Servers and clients of `line`. The servers trust `provider`, and `always` are options of each. */
export function mcpStage(line: McpLine, provider: () => McpProvider, always: NotesOptions = {}): McpStage {
  return {
    start: async (options) => closing(await startNotes(line, provider(), { ...always, ...options })),
    connect: async ({ endpoint }, person = new Person()) => ({
      person,
      client: closing(await line.connect(endpoint, person)),
    }),
  };
}
