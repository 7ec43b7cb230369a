// Page side: runs the scripts of crates/model/scripts on real peer connections and
// returns their traces. The language is described in the README there; the model's
// interpreter is crates/model/tests/support, and the two have to agree in every line.
(() => {
  const ROUNDS = 3; // round trips in which nothing happened: everything queued has run
  const LIMIT = 40; // messages of one `exchange`: more is an exchange without an end

  const ufragOf = (description) => /a=ice-ufrag:(\S+)/.exec(description?.sdp)?.[1];
  const task = () =>
    new Promise((resolve) => {
      const { port1, port2 } = new MessageChannel();
      port1.onmessage = resolve;
      port2.postMessage(0);
    });

  // Tracks that are never played; audio without a context that would count as playback.
  let audio;
  let video;
  function newTrack(kind) {
    audio ??= new AudioContext().createMediaStreamDestination().stream.getTracks()[0];
    video ??= document.createElement('canvas').captureStream(0).getTracks()[0];
    return (kind === 'audio' ? audio : video).clone();
  }

  // Candidates of the browser's own would start ICE.
  const withoutCandidates = ({ type, sdp }) => ({ type, sdp: sdp.replace(/a=candidate:.*\r\n/g, '') });

  class Peer {
    constructor(name, run, certificate) {
      Object.assign(this, { name, run, trace: [], calls: 0, pending: new Set(), ufrags: [], outbox: [] });
      this.pc = new RTCPeerConnection({ certificates: [certificate] });
      this.pc.onsignalingstatechange = () => this.log(`signalingstatechange ${this.pc.signalingState}`);
      this.pc.ontrack = ({ transceiver, streams }) => {
        const names = streams.map(({ id }) => run.streamName(id));
        this.log(`track ${transceiver.mid} [${names}]`);
      };
      this.pc.onnegotiationneeded = () => {
        this.log('negotiationneeded');
        if (this.polite !== undefined) this.offer();
      };
    }

    log(line) {
      this.trace.push(line);
      this.run.quiet = 0;
    }

    // A method that returns a promise: returns one that never rejects and tells if it was kept.
    invoke(text, method) {
      const id = (this.calls += 1);
      this.log(`call ${id} ${text}`);
      this.pending.add(id);
      const settled = (line) => {
        this.pending.delete(id);
        this.log(line);
      };
      return method().then(
        () => (settled(`resolved ${id}`), true),
        (error) => (settled(`rejected ${id} ${error.name}`), false),
      );
    }

    // A method or attribute that throws.
    attempt(text, method) {
      this.log(text);
      try {
        method();
      } catch (error) {
        this.log(`threw ${error.name}`);
      }
    }

    // ----- perfect negotiation (webrtc-pc, section 10.7)

    async offer() {
      this.making = true;
      const kept = await this.invoke('setLocalDescription', () => this.pc.setLocalDescription());
      if (kept) this.send();
      this.making = false;
    }

    send() {
      this.log(`send ${this.pc.localDescription.type}`);
      this.outbox.push(withoutCandidates(this.pc.localDescription));
    }

    async receive(description) {
      const { type } = description;
      const ready = !this.making && (this.pc.signalingState === 'stable' || this.answering);
      if (type === 'offer' && !ready && !this.polite) return this.log('ignore offer');
      this.answering = type === 'answer';
      const set = () => this.pc.setRemoteDescription(description);
      const kept = await this.invoke(`setRemoteDescription received ${type}`, set);
      this.answering = false;
      if (!kept || type !== 'offer') return undefined;
      if (await this.invoke('setLocalDescription', () => this.pc.setLocalDescription())) this.send();
      return undefined;
    }

    // ----- what can be seen

    describe(description) {
      if (!description) return 'none';
      const sections = description.sdp.split(/\r\n(?=m=)/).slice(1).map((section) => this.section(section));
      return [description.type, this.run.labelOf(ufragOf(description)), ...sections].join(' ');
    }

    section(text) {
      const mid = /a=mid:(\S+)/.exec(text)[1];
      const direction = /a=(sendrecv|sendonly|recvonly|inactive)/.exec(text)[1];
      const streams = [...text.matchAll(/^a=msid:(\S+)/gm)].map(([, id]) => `:${this.run.streamName(id)}`);
      return `${mid}:${direction}${streams.join('')}`;
    }

    look() {
      const { pc } = this;
      const pair = (local, remote) => `${this.describe(local)} / ${this.describe(remote)}`;
      const seen = [
        `= ${pc.signalingState}`,
        `current ${pair(pc.currentLocalDescription, pc.currentRemoteDescription)}`,
        `pending ${pair(pc.pendingLocalDescription, pc.pendingRemoteDescription)}`,
      ];
      if (pc.signalingState !== 'closed') {
        for (const { mid, direction, currentDirection, receiver } of pc.getTransceivers()) {
          seen.push(`${receiver.track.kind} ${mid ?? '-'} ${direction} ${currentDirection ?? '-'}`);
        }
      }
      const text = seen.join(' | ');
      if (text !== this.seen) this.trace.push(text);
      this.seen = text;
    }

    // Numbers the credentials of its local descriptions in the order of appearance.
    note() {
      for (const description of [this.pc.currentLocalDescription, this.pc.pendingLocalDescription]) {
        const ufrag = ufragOf(description);
        if (ufrag && !this.ufrags.includes(ufrag)) this.ufrags.push(ufrag);
      }
    }
  }

  class Run {
    constructor({ peers, polite }, certificate) {
      this.peers = Object.fromEntries(peers.map((name) => [name, new Peer(name, this, certificate)]));
      this.all = Object.values(this.peers);
      if (polite) for (const peer of this.all) peer.polite = peer.name === polite;
      Object.assign(this, { streams: {}, saved: {}, quiet: 0 });
    }

    stream(name) {
      if (name === undefined) return [];
      return [(this.streams[name] ??= new MediaStream())];
    }

    streamName(id) {
      return Object.keys(this.streams).find((name) => this.streams[name].id === id) ?? id;
    }

    labelOf(ufrag) {
      for (const { name, ufrags } of this.all) {
        if (ufrags.includes(ufrag)) return `${name}${ufrags.indexOf(ufrag) + 1}`;
      }
      return '?';
    }

    // "a.local", "a.created", or the name of what was saved.
    description(source) {
      const [owner, which] = source.split('.');
      const found = { local: () => this.peers[owner].pc.localDescription, created: () => this.peers[owner].created };
      const description = which ? found[which]() : this.saved[source];
      if (!description) throw new Error(`there is no ${source}`);
      return withoutCandidates(description);
    }

    // Until nothing is under way and nothing has happened for some round trips to the
    // browser's other threads. What a closed one still owes is not waited for.
    async settle() {
      const busy = ({ pc, pending }) => pc.signalingState !== 'closed' && pending.size > 0;
      this.quiet = 0;
      while (this.quiet < ROUNDS || this.all.some(busy)) {
        this.quiet += 1;
        await Promise.all(this.all.map(({ pc }) => pc.getStats()));
        await task();
      }
      for (const peer of this.all) peer.note();
      for (const peer of this.all) peer.look();
    }

    // Goes on as soon as the last promise is settled.
    async await() {
      await Promise.all(this.promises);
    }

    deliver(from) {
      const to = this.all.find(({ name }) => name !== from);
      const message = this.peers[from].outbox.shift();
      if (!message) throw new Error(`${from} has sent nothing`);
      to.receive(message);
    }

    async exchange() {
      for (let count = 0; this.all.some(({ outbox }) => outbox.length > 0); count += 1) {
        if (count === LIMIT) throw new Error('an exchange without an end');
        for (const { name, outbox } of this.all) {
          if (outbox.length > 0) this.deliver(name);
          await this.settle();
        }
      }
    }

    async step(text) {
      const words = text.split(' ');
      const goesOn = words.at(-1) === '&';
      if (goesOn) words.pop();
      const [first, ...rest] = words;
      if (first === 'await') return this.await();
      if (first === 'exchange') await this.exchange();
      else if (first === 'deliver') this.deliver(rest[0]);
      else if (first === 'save') this.saved[rest[0]] = this.description(rest[1]);
      else if (first !== 'settle') this.perform(this.peers[first], rest);
      if (!goesOn && first !== 'save') await this.settle();
      return undefined;
    }

    perform(peer, [operation, ...args]) {
      const { pc } = peer;
      const text = [operation, ...args].join(' ');
      const synchronous = SYNCHRONOUS[operation];
      if (synchronous) return peer.attempt(text, () => synchronous(pc, args, this));
      const asynchronous = ASYNCHRONOUS[operation];
      if (!asynchronous) throw new Error(`no such operation: ${text}`);
      this.promises = [...(this.promises ?? []), peer.invoke(text, () => asynchronous(pc, args, this, peer))];
      return undefined;
    }
  }

  const SYNCHRONOUS = {
    addTransceiver: (pc, [kind, direction, stream], run) =>
      pc.addTransceiver(kind, { direction, streams: run.stream(stream) }),
    addTrack: (pc, [kind, stream], run) => pc.addTrack(newTrack(kind), ...run.stream(stream)),
    setDirection: (pc, [index, direction]) => (pc.getTransceivers()[index].direction = direction),
    setStreams: (pc, [index, stream], run) => pc.getTransceivers()[index].sender.setStreams(...run.stream(stream)),
    restartIce: (pc) => pc.restartIce(),
    close: (pc) => pc.close(),
  };

  const make = async (peer, made) => (peer.created = await made);

  function candidate(run, [of, mid], peer) {
    const [owner, number] = of.split('.');
    return {
      candidate: `candidate:1 1 udp 2122260223 127.0.0.1 ${10_000 + peer.calls} typ host`,
      sdpMid: mid ?? null,
      sdpMLineIndex: mid === undefined ? 0 : null,
      usernameFragment: number === 'none' ? null : (run.peers[owner].ufrags[number - 1] ?? 'none'),
    };
  }

  const ASYNCHRONOUS = {
    createOffer: (pc, _, run, peer) => make(peer, pc.createOffer()),
    createAnswer: (pc, _, run, peer) => make(peer, pc.createAnswer()),
    setLocalDescription: (pc, [source], run) => {
      if (source === undefined) return pc.setLocalDescription();
      return pc.setLocalDescription(source === 'rollback' ? { type: source } : run.description(source));
    },
    setRemoteDescription: (pc, [source], run) => {
      const given = { rollback: { type: 'rollback' }, garbage: { type: 'offer', sdp: 'garbage' } };
      return pc.setRemoteDescription(given[source] ?? run.description(source));
    },
    addIceCandidate: (pc, args, run, peer) => pc.addIceCandidate(candidate(run, args, peer)),
    replaceTrack: (pc, [index, kind]) =>
      pc.getTransceivers()[index].sender.replaceTrack(kind === 'none' ? null : newTrack(kind)),
  };

  // { a: [...], b: [...] }: what happened at each peer connection.
  window.runPeerScript = async (script, steps) => {
    window.certificate ??= await RTCPeerConnection.generateCertificate({ name: 'ECDSA', namedCurve: 'P-256' });
    const run = new Run(script, window.certificate);
    for (const [index, text] of steps.entries()) {
      try {
        await run.step(text);
      } catch (error) {
        throw new Error(`step ${index} (${text}): ${error.message}`);
      }
    }
    await run.settle();
    for (const { trace, pending } of run.all) {
      if (pending.size > 0) trace.push(`never settled ${[...pending].toSorted((x, y) => x - y).join(' ')}`);
    }
    const traces = Object.fromEntries(run.all.map(({ name, trace }) => [name, trace]));
    for (const { pc } of run.all) pc.close();
    return traces;
  };
})();
