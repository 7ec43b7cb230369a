// The relay inside the studio: pages that may use nothing else hear each other through it.

import assert from 'node:assert/strict';
import { Participant } from '../lib/participant.mjs';
import { assertNoErrors, gather, hearAll } from '../lib/rooms.mjs';
import { routes } from '../lib/routes.mjs';
import { freePort } from '../lib/server.mjs';
import { suite } from '../lib/suite.mjs';

const port = await freePort();

// Runs in the page, before the client: peer connections know relays by one transport alone.
function onlyRelay(transport) {
  const Native = window.RTCPeerConnection;
  const isWanted = (url) => url.startsWith('turn') && url.includes('transport=tcp') === (transport === 'tcp');
  const Relayed = function RTCPeerConnection(configuration) {
    const iceServers = configuration.iceServers
      .map((server) => ({ ...server, urls: [server.urls].flat().filter(isWanted) }))
      .filter(({ urls }) => urls.length > 0);
    return new Native({ ...configuration, iceServers, iceTransportPolicy: 'relay' });
  };
  Relayed.prototype = Native.prototype;
  Relayed.generateCertificate = Native.generateCertificate;
  window.RTCPeerConnection = Relayed;
}

// How each connection of a page goes: the types of both candidates in use, and the transport to
// the relay.
const ways = async (page) => (await routes(page)).map(({ local, remote }) =>
  [local.candidateType, remote.candidateType, local.relayProtocol]);

suite((scenario) => {
  for (const transport of ['udp', 'tcp']) {
    scenario(`three pages hear each other through the relay alone, by ${transport}`, async (room) => {
      const { people, studio, browser } = room;
      for (const index of [0, 1, 2]) {
        const person = await Participant.open(browser, index);
        await person.page.addInitScript(onlyRelay, transport);
        people.push(person);
      }
      const link = await people[0].start(studio.url);
      const joining = Date.now();
      for (const person of people.slice(1)) await person.join(link);
      await hearAll(people);
      console.log(`  heard after ${Date.now() - joining} ms`);
      for (const { page } of people) {
        assert.deepEqual(await ways(page), Array(people.length - 1).fill(['relay', 'relay', transport]));
      }
      assertNoErrors(people);
    });
  }

  scenario('pages that need no relay do not use it, though there is one', async (room) => {
    await gather(room, { callers: 2 });
    await hearAll(room.people);
    for (const { page } of room.people) {
      for (const way of await ways(page)) assert.ok(!way.includes('relay'), `${way}`);
    }
    assertNoErrors(room.people);
  });
}, { studioOptions: { args: ['--turn-listen', `127.0.0.1:${port}`] } });
