import { connect } from 'node:net';

export interface RawResponse {
  readonly status: number;
  /** Field lines as they came, names in lower case. */
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly body: string;
  /** Every value of one field. */
  all(name: string): string[];
}

/** Sends exactly these lines over a socket: repeated fields and odd bytes arrive as they are written (Latin-1). */
export async function sendRaw(port: number, lines: readonly string[], body = ''): Promise<RawResponse> {
  const text = await new Promise<string>((resolve, reject) => {
    const chunks: Buffer[] = [];
    const socket = connect(port, '127.0.0.1');
    socket.setTimeout(10_000, () => socket.destroy(new Error('no answer')));
    socket.on('data', (chunk) => chunks.push(chunk));
    socket.on('error', reject);
    socket.on('close', () => {
      resolve(Buffer.concat(chunks).toString('latin1'));
    });
    socket.write(Buffer.from([...lines, 'Connection: close', '', body].join('\r\n'), 'latin1'));
  });
  const [head = '', ...rest] = text.split('\r\n\r\n');
  const [statusLine = '', ...fields] = head.split('\r\n');
  const headers = fields.map((line) => {
    const colon = line.indexOf(':');
    return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()] as const;
  });
  return {
    status: Number(statusLine.split(' ')[1]),
    headers,
    body: rest.join('\r\n\r\n'),
    all: (name) => headers.filter(([field]) => field === name).map(([, value]) => value),
  };
}
