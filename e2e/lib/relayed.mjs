// Pages that may use nothing but relays.

import assert from 'node:assert/strict';
import { Participant } from './participant.mjs';
import { until } from './poll.mjs';
import { assertNoErrors, hearAll } from './rooms.mjs';
import { routes } from './routes.mjs';

// Runs in the page, before the client: its peer connections use relays alone, and know them by
// these transports alone, which are `udp`, `tcp` and `tls`.
export function onlyRelay(transports) {
  const Native = window.RTCPeerConnection;
  const transportOf = (url) => {
    if (url.startsWith('turns:')) return 'tls';
    if (!url.startsWith('turn:')) return undefined;
    return url.endsWith('transport=tcp') ? 'tcp' : 'udp';
  };
  const isWanted = (url) => transports.includes(transportOf(url));
  const relayed = (configuration) => ({
    ...configuration,
    iceServers: configuration.iceServers
      .map((server) => ({ ...server, urls: [server.urls].flat().filter(isWanted) }))
      .filter(({ urls }) => urls.length > 0),
    iceTransportPolicy: 'relay',
  });
  const Relayed = function RTCPeerConnection(configuration) {
    return new Native(relayed(configuration));
  };
  Relayed.prototype = Native.prototype;
  Relayed.generateCertificate = Native.generateCertificate;
  window.RTCPeerConnection = Relayed;
  const { setConfiguration } = Native.prototype;
  Native.prototype.setConfiguration = function (configuration) {
    return setConfiguration.call(this, relayed(configuration));
  };
}

// The relays that a page's connections are made with, one list a connection.
export const relaysOf = (page) => page.evaluate(() =>
  [...window.__e2e.connections].map((connection) => connection.getConfiguration().iceServers));

// When the credentials of a page's first connection run out, seconds since 1970.
export async function expiryAt(page) {
  const [[{ username }]] = await relaysOf(page);
  return Number(username.split(':')[0]);
}

// How many relayed addresses each connection of a page has.
export const allocations = (page) => page.evaluate(() =>
  Promise.all([...window.__e2e.connections].map(async (connection) => {
    const stats = [...(await connection.getStats()).values()];
    return stats.filter(({ type, candidateType }) =>
      type === 'local-candidate' && candidateType === 'relay').length;
  })));

// Whether a relay gives a page an address for these credentials.
export const areGood = (page, iceServers) => page.evaluate(async (servers) => {
  const connection = new RTCPeerConnection({ iceServers: servers, iceTransportPolicy: 'relay' });
  try {
    let found = false;
    const gathered = new Promise((resolve) => {
      connection.onicecandidate = ({ candidate }) => (candidate ? (found = true) : resolve());
    });
    connection.createDataChannel('');
    await connection.setLocalDescription();
    await gathered;
    return found;
  } finally {
    connection.close();
  }
}, iceServers);

// Waits until a moment, seconds since 1970, is some seconds past.
export const past = (expiry, seconds) => until(
  `${seconds} s after ${expiry}`,
  async () => Date.now() / 1000 > expiry + seconds,
  { timeout: 30_000 },
);

// How each connection of a page goes: the types of both candidates in use, and the transport to
// the relay.
export const ways = async (page) => (await routes(page)).map(({ local, remote }) =>
  [local.candidateType, remote.candidateType, local.relayProtocol]);

// Three pages that know the relay by one transport alone enter a room, and hear each other by it.
export async function hearByRelay({ people, studio, browser }, transport, options = {}) {
  for (const index of [0, 1, 2]) {
    const person = await Participant.open(browser, index, options);
    await person.page.addInitScript(onlyRelay, [transport]);
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
}
