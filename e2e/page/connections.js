// Page side: counts what the page does with RTCPeerConnection, whatever
// library or language it is written in.
(() => {
  const e2e = window.__e2e;
  const counts = {
    connections: 0,
    closed: 0,
    localOffers: 0,
    localAnswers: 0,
    remoteOffers: 0,
    remoteAnswers: 0,
    rollbacks: 0,
    candidates: 0,
    iceRestarts: 0,
    rejected: 0,
  };
  e2e.counts = counts;
  e2e.connections = new Set();

  const Native = window.RTCPeerConnection;
  const Counted = function RTCPeerConnection(...args) {
    let connection;
    try {
      connection = new Native(...args);
    } catch (error) {
      counts.rejected += 1;
      throw error;
    }
    counts.connections += 1;
    e2e.connections.add(connection);
    return connection;
  };
  Counted.prototype = Native.prototype;
  Counted.generateCertificate = Native.generateCertificate;
  window.RTCPeerConnection = Counted;

  const wrap = (name, before) => {
    const native = Native.prototype[name];
    Native.prototype[name] = function (...args) {
      before(this, args[0]);
      const result = native.apply(this, args);
      if (result instanceof Promise) result.catch(() => (counts.rejected += 1));
      return result;
    };
  };

  wrap('setLocalDescription', (connection, description) => {
    const implicit = connection.signalingState === 'have-remote-offer' ? 'answer' : 'offer';
    const type = description?.type ?? implicit;
    if (type === 'offer') counts.localOffers += 1;
    else if (type === 'rollback') counts.rollbacks += 1;
    else counts.localAnswers += 1;
  });
  wrap('setRemoteDescription', (_, description) => {
    if (description?.type === 'offer') counts.remoteOffers += 1;
    else counts.remoteAnswers += 1;
  });
  wrap('addIceCandidate', () => (counts.candidates += 1));
  wrap('restartIce', () => (counts.iceRestarts += 1));
  wrap('close', (connection) => {
    if (e2e.connections.delete(connection)) counts.closed += 1;
  });
})();
