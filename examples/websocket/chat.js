// @ts-check
// A chat room: who has a good token with the scope "chat" is in it, for as long as the token lives.
import http from 'node:http';
import express from 'express';
import { auth, requireScope, resourceServer } from 'express-oauth2-resource-server';
import { WebSocketServer } from 'ws';

/** @param {{ resource: string, issuer: string }} options */
export function createChat({ resource, issuer }) {
  const app = express();
  const api = resourceServer({ resource, issuer });
  app.use(api); // for the requests that are none for an upgrade
  app.get('/members', requireScope('chat'), (_req, res) => {
    res.json({ members: room.clients.size });
  });

  const room = new WebSocketServer({ noServer: true, maxPayload: 4096 });
  /** Who has which connection. @type {WeakMap<import('node:stream').Duplex, import('ws').WebSocket>} */
  const members = new WeakMap();

  const enter = api.upgrade(
    (req, socket, head) => {
      const { clientId } = auth(req);
      room.handleUpgrade(req, socket, head, (member) => {
        members.set(socket, member);
        member.on('error', () => member.terminate()); // a message that is too long, say
        member.on('message', (message) => {
          for (const other of room.clients) other.send(`${clientId}: ${message}`);
        });
        member.send(`welcome, ${clientId}`);
      });
    },
    {
      app, // the same proxies are trusted
      guards: [requireScope('chat')],
      // Without this the connection is cut off. 3000 is the code for "Unauthorized": come back with a new token.
      whenExpired: (socket) => {
        const member = members.get(socket);
        if (member === undefined) socket.destroy();
        else member.close(3000, 'The access token expired');
      },
    },
  );
  return http.createServer(app).on('upgrade', enter);
}
