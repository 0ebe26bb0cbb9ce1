import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { RequestHandler } from 'express';
import { auth } from '../../lib/index.js';
import { caller } from '../../lib/mcp.js';
import type { Auth } from '../../lib/index.js';
import type { Person } from './mcp-person.js';

/** What both lines of the SDK call `AuthInfo`, as far as the tools look at it. */
export type AuthInfo = Pick<Auth, 'token' | 'clientId' | 'scopes' | 'expiresAt'> & { readonly resource?: URL };

/** What the tools do, whichever SDK calls them, and what reached them. */
export class Notes {
  /** What the SDK handed to the tools, oldest first. */
  readonly seen: (AuthInfo | undefined)[] = [];
  readonly written: string[] = [];
  /** What `whoami` does in between. */
  during: () => Promise<unknown> = () => Promise.resolve();

  /** `whoami`: the caller. */
  readonly whoami = async (authInfo: AuthInfo | undefined) => {
    this.seen.push(authInfo);
    await this.during();
    return text(`${caller(authInfo).subject} by ${caller(authInfo).clientId}`);
  };

  /** `add_note`: writes, and says how many there are. */
  readonly addNote = (authInfo: AuthInfo | undefined, note: string) => {
    this.seen.push(authInfo);
    this.written.push(note);
    return text(String(this.written.length));
  };
}

function text(value: string): { content: { type: 'text'; text: string }[] } {
  return { content: [{ type: 'text', text: value }] };
}

export interface Connection {
  readonly sessionId: string | undefined;
  /** Calls a tool. Where the person has to agree to more, it does, and the client tries once more. */
  call(tool: string, args?: Record<string, unknown>): Promise<string>;
  /** Reads a resource, in the same way. */
  read(uri: string): Promise<string>;
  close(): Promise<void>;
}

/** Server and client of one line of the SDK. */
export interface McpLine {
  /** The endpoint: a new server for each request, or for each session. */
  handler(notes: Notes, kind: 'requests' | 'sessions'): RequestHandler;
  /** The client, unmodified, from nothing but the address. */
  connect(url: URL, person: Person): Promise<Connection>;
}

/** Does what is to be done; where that needs the person, once more after it has agreed. */
export async function authorized<T>(
  action: () => Promise<T>,
  asksForPerson: (error: unknown) => boolean,
  finish: () => Promise<void>,
): Promise<T> {
  try {
    return await action();
  } catch (error) {
    if (!asksForPerson(error)) throw error;
    await finish();
    return action();
  }
}

interface SessionTransport {
  readonly sessionId?: string | undefined;
  handleRequest(req: IncomingMessage, res: ServerResponse, body?: unknown): Promise<void>;
}

/** Sessions as an MCP server keeps them: an id names one, and only the person who began it may go on with it. */
export function sessions(
  begin: (idGenerator: () => string, begun: (id: string) => void) => Promise<SessionTransport>,
): RequestHandler {
  const known = new Map<string, { transport: SessionTransport; subject: string }>();
  return async (req, res) => {
    const { subject } = auth(req);
    const id = req.get('mcp-session-id');
    const session = id === undefined ? undefined : known.get(id);
    if (id !== undefined && session?.subject !== subject) {
      res.sendStatus(404); // somebody else's session is none
      return;
    }
    const transport =
      session?.transport ??
      (await begin(randomUUID, (begun) => {
        known.set(begun, { transport, subject });
      }));
    await transport.handleRequest(req, res, req.body);
  };
}
