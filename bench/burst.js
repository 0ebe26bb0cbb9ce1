// @ts-check
// Many requests in the same instant: connections are opened first, and the client is as thin as can be, so that it is the
// server that is measured.
import { once } from 'node:events';
import net from 'node:net';

/**
 * @param {string} url
 * @param {string[]} tokens used in turn
 * @param {number} amount
 * @param {number} connections
 * @returns {Promise<number>} milliseconds from the first request to the last answer
 */
export async function burst(url, tokens, amount, connections) {
  const { hostname, port } = new URL(url);
  const sockets = Array.from({ length: connections }, () => net.connect(Number(port), hostname).setNoDelay());
  await Promise.all(sockets.map((socket) => once(socket, 'connect')));
  const requests = tokens.map(
    (token) => `GET / HTTP/1.1\r\nHost: ${hostname}\r\nAuthorization: Bearer ${token}\r\n\r\n`,
  );
  let sent = 0;
  const start = process.hrtime.bigint();
  await Promise.all(
    sockets.map(async (socket) => {
      while (sent < amount) await exchange(socket, String(requests[sent++ % requests.length]));
    }),
  );
  const ms = Number(process.hrtime.bigint() - start) / 1e6;
  for (const socket of sockets) socket.destroy();
  return ms;
}

/** One request, one answer. @param {net.Socket} socket @param {string} request @returns {Promise<void>} */
function exchange(socket, request) {
  return new Promise((resolve, reject) => {
    let answer = '';
    const onData = (/** @type {Buffer} */ chunk) => {
      answer += chunk.toString('latin1');
      const end = answer.indexOf('\r\n\r\n');
      const length = /\r\ncontent-length: (\d+)/i.exec(answer)?.[1];
      if (end < 0 || answer.length < end + 4 + Number(length)) return;
      socket.off('data', onData).off('close', onClose);
      if (answer.startsWith('HTTP/1.1 200')) resolve();
      else reject(new Error(`a request was answered ${answer.slice(0, end)}`));
    };
    const onClose = () => reject(new Error('the server closed the connection'));
    socket.on('data', onData);
    socket.once('close', onClose);
    socket.write(request);
  });
}
