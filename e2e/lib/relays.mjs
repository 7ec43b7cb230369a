// Pages that reach each other by relays alone.

import { routes } from './routes.mjs';

// Runs in the page, before the client: peer connections know relays by one transport alone,
// which is `udp`, `tcp` or `tls`.
export function onlyRelay(transport) {
  const Native = window.RTCPeerConnection;
  const transportOf = (url) => {
    if (url.startsWith('turns:')) return 'tls';
    if (!url.startsWith('turn:')) return undefined;
    return url.includes('transport=tcp') ? 'tcp' : 'udp';
  };
  const Relayed = function RTCPeerConnection(configuration) {
    const iceServers = configuration.iceServers
      .map((server) => ({ ...server, urls: [server.urls].flat().filter((url) => transportOf(url) === transport) }))
      .filter(({ urls }) => urls.length > 0);
    return new Native({ ...configuration, iceServers, iceTransportPolicy: 'relay' });
  };
  Relayed.prototype = Native.prototype;
  Relayed.generateCertificate = Native.generateCertificate;
  window.RTCPeerConnection = Relayed;
}

// How each connection of a page goes: the types of both candidates in use, and the transport to
// the relay.
export const ways = async (page) => (await routes(page)).map(({ local, remote }) =>
  [local.candidateType, remote.candidateType, local.relayProtocol]);
