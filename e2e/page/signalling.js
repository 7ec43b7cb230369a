// Page side: reads along on the page's socket, and asks a counterpart for a new
// peer connection in the page's name. For pages opened with `signalling: true`.
(() => {
  const e2e = window.__e2e;
  // The impolite side follows one request of a counterpart in 900 ms.
  const REQUEST_INTERVAL_MS = 900;
  const pairs = new Map(); // peer id -> { generation, since, answered, ufrag }
  let socket;

  e2e.received = {}; // messages by type
  e2e.seats = new Map(); // peer id -> whether its socket is there, as the server said
  e2e.outages = []; // { lostMs, backMs }: without the server, since 1970
  e2e.peerId = undefined;

  const noteDescription = ({ from, to, generation, sdp }) => {
    const outgoing = from === e2e.peerId;
    const peer = outgoing ? to : from;
    const pair = pairs.get(peer) ?? { generation: 0 };
    pairs.set(peer, pair);
    if (generation > pair.generation) Object.assign(pair, { generation, since: performance.now() });
    if (!outgoing) Object.assign(pair, { described: generation, ufrag: /a=ice-ufrag:(\S+)/.exec(sdp)[1] });
  };
  const noteSeats = ({ type, participants, peerId, present }) => {
    if (participants) e2e.seats = new Map(participants.map((one) => [one.peerId, one.present]));
    if (type === 'peer-joined' || type === 'peer-updated') e2e.seats.set(peerId, present);
    if (type === 'peer-left') e2e.seats.delete(peerId);
  };
  const note = (message) => {
    if (message.type === 'registered' || message.type === 'resumed') e2e.peerId = message.peerId;
    noteSeats(message);
    if (message.type === 'offer' || message.type === 'answer') noteDescription(message);
  };

  const noteLoss = () => {
    const [latest] = e2e.outages.slice(-1);
    if (e2e.peerId && (!latest || latest.backMs)) e2e.outages.push({ lostMs: Date.now() });
  };
  const noteReturn = () => {
    const [latest] = e2e.outages.slice(-1);
    if (latest) latest.backMs ??= Date.now();
  };

  const Native = window.WebSocket;
  const Followed = function WebSocket(...args) {
    socket = new Native(...args);
    socket.addEventListener('message', ({ data }) => {
      const message = JSON.parse(data);
      e2e.received[message.type] = (e2e.received[message.type] ?? 0) + 1;
      note(message);
      if (message.type === 'snapshot') noteReturn();
    });
    socket.addEventListener('close', noteLoss);
    return socket;
  };
  Followed.prototype = Native.prototype;
  window.WebSocket = Followed;
  const { send } = Native.prototype;
  Native.prototype.send = function (text) {
    note(JSON.parse(text));
    return send.call(this, text);
  };

  // Asks `peer`, the impolite one, for a peer connection of the next generation, as
  // soon as it follows such a request again. Returns that generation.
  e2e.renew = async (peer) => {
    const pair = pairs.get(peer);
    const early = pair.since + REQUEST_INTERVAL_MS - performance.now();
    if (early > 0) await new Promise((resolve) => setTimeout(resolve, early));
    const generation = pair.generation + 1;
    const request = { type: 'request-offer', from: e2e.peerId, to: peer, generation, kind: 'offer' };
    send.call(socket, JSON.stringify(request));
    return generation;
  };

  // The state of the peer connection of `generation` to `peer`, if there is one.
  e2e.stateOf = (peer, generation) => {
    const pair = pairs.get(peer);
    if (pair?.described !== generation) return undefined;
    const mark = `a=ice-ufrag:${pair.ufrag}\r\n`;
    return [...e2e.connections].find((one) => one.remoteDescription?.sdp.includes(mark))?.connectionState;
  };
})();
