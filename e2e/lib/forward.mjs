// Started inside a network namespace: `node forward.mjs PORT SOCKET` passes
// connections to 127.0.0.1:PORT on to a UNIX socket outside.

import { connect, createServer } from 'node:net';
import { pipe } from './namespace.mjs';

const [port, socket] = process.argv.slice(2);
createServer((from) => pipe(from, connect(socket))).listen(Number(port), '127.0.0.1', () => {
  console.log('ready');
});
