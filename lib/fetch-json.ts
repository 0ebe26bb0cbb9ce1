import { VerificationUnavailableError } from './errors.js';
import type { Seconds } from './types.js';

/** Most bytes of a document that are read, after decompression: a set of 1,000 RSA keys is half of it. */
export const MAX_BYTES = 1024 * 1024;
/** Longest wait for a document, headers and body together, in milliseconds. */
const TIMEOUT = 5_000;

const utf8 = new TextDecoder('utf-8', { fatal: true });

/** The `fetch` of Node, or one of the user's for proxies and private authorities. */
export type Fetch = typeof globalThis.fetch;

/** The server answered, but not with the document asked for: another address may still have it. */
export class UnusableAnswerError extends VerificationUnavailableError {
  /**
   * @param wait For how long the server asks not to be asked again: its `Retry-After`.
   * @param answeredWith The status of the answer.
   */
  constructor(
    reason: string,
    readonly wait: Seconds = 0,
    readonly answeredWith = 200,
  ) {
    super(reason, Math.min(Math.max(wait, 5), 30)); // not less than the default, not more than the longest pause
    this.name = 'VerificationUnavailableError'; // what it is to everybody outside
  }
}

/** There was no connection, or it broke off; not for want of time. */
export class ConnectionError extends VerificationUnavailableError {
  constructor(reason: string) {
    super(reason);
    this.name = 'VerificationUnavailableError'; // what it is to everybody outside
  }
}

/** What is asked for. */
export interface Wanted {
  readonly url: URL;
  /** What comes back, for the operator's message. */
  readonly what: string;
  /** The accepted ones, lower case. */
  readonly mediaTypes: readonly string[];
}

/** A body that came in time, whole, with status 200 and an accepted media type. */
interface Answer {
  readonly body: Buffer;
  readonly headers: Headers;
}

/** A document, and for how long its `Cache-Control` lets it count as fresh; undefined when it does not say. */
export interface FetchedJson {
  readonly document: Readonly<Record<string, unknown>>;
  readonly maxAge: Seconds | undefined;
}

/** A time that is over at some point, unless it is ended before. */
interface TimeLimit {
  readonly signal: AbortSignal;
  /** What it is for is done. Otherwise the signal, and all that listens to it, would be kept until the time is over. */
  readonly end: () => void;
}

/** The time for one document, headers and body together. */
export function timeLimit(): TimeLimit {
  const controller = new AbortController();
  const timer = setTimeout(() => {
    controller.abort();
  }, TIMEOUT).unref();
  const end = () => {
    clearTimeout(timer);
  };
  return { signal: controller.signal, end };
}

/**
 * The JSON object at a URL, by GET.
 *
 * @throws UnusableAnswerError for any status but 200, another media type, too many bytes, or what is no JSON object.
 * @throws VerificationUnavailableError when there was no answer in time.
 */
export async function fetchJson(
  url: URL,
  what: string,
  mediaTypes: readonly string[],
  fetch: Fetch,
): Promise<FetchedJson> {
  const { signal, end } = timeLimit();
  const { body, headers } = await exchange({ url, what, mediaTypes }, fetch, signal).finally(end);
  return { document: parseObject(body, what), maxAge: maxAge(headers) };
}

/**
 * One request, and its answer. The one way in which anything enters: no redirect is followed, time and size are bounded.
 *
 * @throws UnusableAnswerError for any status but 200, another media type, or too many bytes.
 * @throws ConnectionError when there was no connection, or it broke off.
 * @throws VerificationUnavailableError when there was no answer in time.
 */
export async function exchange(
  { url, what, mediaTypes }: Wanted,
  fetch: Fetch,
  signal: AbortSignal,
  { headers, ...init }: { method?: string; headers?: Readonly<Record<string, string>>; body?: string } = {},
): Promise<Answer> {
  const response = await inTime(signal, `${what} could not be fetched: no connection, or no answer in time`, () =>
    fetch(url, { ...init, signal, redirect: 'manual', headers: { ...headers, accept: mediaTypes.join(', ') } }),
  );
  const mediaType = response.headers.get('content-type')?.split(';', 1)[0]?.trim().toLowerCase() ?? '';
  if (response.status !== 200 || !mediaTypes.includes(mediaType)) {
    response.body?.cancel().catch(() => undefined); // frees the connection; why it was refused is known already
    throw new UnusableAnswerError(
      response.status === 200
        ? `${what} came with a media type that is not ${mediaTypes.includes('application/json') ? 'JSON' : 'the one asked for'}`
        : `${what} came with a status that is not 200`,
      retryAfter(response.headers),
      response.status,
    );
  }
  const body = await inTime(signal, `${what} broke off, or did not end in time`, () => readBody(response));
  if (body === undefined) throw new UnusableAnswerError(`${what} is larger than ${MAX_BYTES} bytes`);
  return { body, headers: response.headers };
}

/** What `work` gives, unless the signal ends its time before. */
export async function unlessLate<T>(signal: AbortSignal, failure: string, work: Promise<T>): Promise<T> {
  const late = new Promise<never>((_resolve, reject) => {
    const fail = () => {
      reject(new VerificationUnavailableError(failure));
    };
    if (signal.aborted) fail();
    else signal.addEventListener('abort', fail, { once: true });
  });
  return Promise.race([work, late]);
}

/** What `step` gives in time, also where a `fetch` of the user's does not heed the signal. */
async function inTime<T>(signal: AbortSignal, failure: string, step: () => Promise<T>): Promise<T> {
  try {
    signal.throwIfAborted();
    return await unlessLate(signal, failure, step());
  } catch {
    throw signal.aborted ? new VerificationUnavailableError(failure) : new ConnectionError(failure);
  }
}

async function readBody(response: Response): Promise<Buffer | undefined> {
  const body: AsyncIterable<Uint8Array> | null = response.body;
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of body ?? []) {
    chunks.push(chunk);
    size += chunk.byteLength;
    if (size > MAX_BYTES) return undefined; // leaving the loop cancels the rest
  }
  return Buffer.concat(chunks);
}

/** RFC 9111 section 5.2.2.1; an answer that must not be reused is fresh for no time. */
function maxAge(headers: Headers): Seconds | undefined {
  const cacheControl = headers.get('cache-control') ?? '';
  if (/\bno-(store|cache)\b/i.test(cacheControl)) return 0;
  const seconds = /\bmax-age="?(\d{1,9})/i.exec(cacheControl)?.[1];
  const age = /^\d{1,9}$/.exec(headers.get('age') ?? '')?.[0] ?? 0; // spent in a cache on the way, section 5.1
  return seconds === undefined ? undefined : Math.max(Number(seconds) - Number(age), 0);
}

/** RFC 9110 section 10.2.3, in its form with seconds; of a date we do not know how its clock stands to ours. */
function retryAfter(headers: Headers): Seconds {
  const seconds = /^\d{1,9}$/.exec(headers.get('retry-after') ?? '')?.[0];
  return seconds === undefined ? 0 : Number(seconds);
}

/** @throws UnusableAnswerError when it is none. */
export function parseObject(body: Uint8Array, what: string): Readonly<Record<string, unknown>> {
  let document: unknown;
  try {
    document = JSON.parse(utf8.decode(body));
  } catch {
    throw new UnusableAnswerError(`${what} is not JSON`);
  }
  if (typeof document !== 'object' || document === null || Array.isArray(document)) {
    throw new UnusableAnswerError(`${what} is not a JSON object`);
  }
  return document as Readonly<Record<string, unknown>>;
}
