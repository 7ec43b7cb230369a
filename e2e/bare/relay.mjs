// The bare page's server: three static files and a WebSocket that relays.

import { createServer } from 'node:http';
import { readFile } from 'node:fs/promises';
import { randomUUID } from 'node:crypto';
import { WebSocketServer } from 'ws';

const TYPES = { '/': ['index.html', 'text/html'], '/mesh.js': ['mesh.js', 'text/javascript'] };

export async function startRelay() {
  const http = createServer(async (request, response) => {
    const [file, type] = TYPES[request.url] ?? [];
    if (!file) return response.writeHead(404).end();
    response.setHeader('content-type', type);
    response.end(await readFile(new URL(file, import.meta.url)));
  });
  const sockets = new Map();
  const tell = (id, message) => sockets.get(id)?.send(JSON.stringify(message));
  new WebSocketServer({ server: http, path: '/ws' }).on('connection', (socket) => {
    const id = randomUUID();
    const peers = [...sockets.keys()];
    sockets.set(id, socket);
    tell(id, { you: id, peers });
    for (const peer of peers) tell(peer, { joined: id });
    socket.on('message', (data) => {
      const { to, ...body } = JSON.parse(data);
      tell(to, { from: id, ...body });
    });
    socket.on('close', () => {
      sockets.delete(id);
      for (const peer of sockets.keys()) tell(peer, { left: id });
    });
  });
  await new Promise((resolve) => http.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${http.address().port}/`,
    async stop() {
      for (const socket of sockets.values()) socket.terminate();
      await new Promise((resolve) => http.close(resolve));
    },
  };
}
