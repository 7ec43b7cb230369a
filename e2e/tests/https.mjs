// The studio over https, with the certificate that it signs itself: the page and its socket, and
// the relay by TLS.

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { Participant } from '../lib/participant.mjs';
import { hearByRelay } from '../lib/relayed.mjs';
import { assertNoErrors, hearAll } from '../lib/rooms.mjs';
import { freePort } from '../lib/server.mjs';
import { suite } from '../lib/suite.mjs';
import { trusting } from '../lib/trust.mjs';

const [port, tlsPort] = [await freePort(), await freePort()];
const args = [
  '--tls', 'self-signed',
  '--turn-listen', `127.0.0.1:${port}`,
  '--turn-tls-listen', `127.0.0.1:${tlsPort}`,
];
const launchOptions = async (studio) =>
  ({ args: [await trusting(join(studio.data, 'tls/self-signed.pem'))] });

suite((scenario) => {
  scenario('two people hear each other over https', async (room) => {
    const { people, studio, browser } = room;
    const sockets = [];
    for (const index of [0, 1]) {
      const person = await Participant.open(browser, index);
      person.page.on('websocket', (socket) => sockets.push(socket.url()));
      people.push(person);
    }
    await people[1].join(await people[0].start(studio.url));
    await hearAll(people);
    assert.deepEqual(sockets, Array(2).fill(`${studio.url.replace('https:', 'wss:')}ws`));
    assertNoErrors(people);
  });

  scenario('three pages hear each other through the relay alone, by tls', (room) => hearByRelay(room, 'tls'));
}, { launchOptions, studioOptions: { args, scheme: 'https' } });
