// Page side: a microphone that plays one steady tone, so that a listener can
// be judged by frequency. Replaces getUserMedia before the page's own scripts
// run. `options.microphone` is `granted`, `held` (until `__e2e.grant()`) or
// `refused`. `options.devices` are the ids of microphones; `__e2e.unplug(id)`
// and `__e2e.plug(id)` take them away and bring them. Who asks for two channels
// gets another tone, `options.right`, on the right one. `options.level` is its
// amplitude; with `options.swell` it rises and falls three times a second, so that
// meters move; `options.noise` makes it noise up to so many Hz; with `options.echo`
// it hears what the page plays.
(() => {
  const e2e = window.__e2e;
  const AMPLITUDE = 0.1; // twelve tones stay below full scale
  let context;
  const sources = new Map(); // frequency -> node

  // Eight pages of sound fill two cores. A context that plays to nobody, in larger pieces, leaves
  // more of them to the page.
  e2e.measuringContext = () =>
    (context ??= new AudioContext({ sampleRate: 48000, latencyHint: 0.04, sinkId: { type: 'none' } }));

  const noiseUpTo = (measuring, cutoff) => {
    const buffer = new AudioBuffer({ length: 48000, sampleRate: 48000 });
    const samples = buffer.getChannelData(0);
    let state = 1; // the same noise in every run (Numerical Recipes' generator)
    for (let i = 0; i < samples.length; i += 1) {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      samples[i] = state / 2 ** 31 - 1;
    }
    let node = new AudioBufferSourceNode(measuring, { buffer, loop: true });
    node.start();
    for (let stage = 0; stage < 8; stage += 1) {
      const filter = new BiquadFilterNode(measuring, { type: 'lowpass', frequency: cutoff, Q: 0 });
      node = node.connect(filter);
    }
    return node;
  };
  // Between a quarter of the level and all of it.
  const swell = (measuring, gain) => {
    const level = gain.value;
    gain.value = (5 / 8) * level;
    const slow = new OscillatorNode(measuring, { frequency: 3 });
    slow.connect(new GainNode(measuring, { gain: (3 / 8) * level })).connect(gain);
    slow.start();
  };
  const toneOf = (frequency) => {
    let source = sources.get(frequency);
    if (!source) {
      const measuring = e2e.measuringContext();
      const oscillator = new OscillatorNode(measuring, { frequency });
      source = new GainNode(measuring, { gain: e2e.options.level ?? AMPLITUDE });
      (e2e.options.noise ? noiseUpTo(measuring, e2e.options.noise) : oscillator).connect(source);
      oscillator.start();
      if (e2e.options.swell) swell(measuring, source.gain);
      sources.set(frequency, source);
    }
    return source;
  };
  const toneStream = (channelCount) => {
    const measuring = e2e.measuringContext();
    const out = new MediaStreamAudioDestinationNode(measuring, { channelCount });
    if (channelCount === 2) {
      const sides = new ChannelMergerNode(measuring, { numberOfInputs: 2 });
      toneOf(e2e.options.tone).connect(sides, 0, 0);
      toneOf(e2e.options.right ?? e2e.options.tone).connect(sides, 0, 1);
      sides.connect(out);
    } else {
      toneOf(e2e.options.tone).connect(out);
    }
    if (e2e.options.echo) echoInto(out);
    void measuring.resume();
    return out.stream;
  };

  // The loudspeaker stands in front of the microphone.
  const echoInto = (out) => {
    const hear = (context, bus) => {
      const taken = new MediaStreamAudioDestinationNode(context);
      bus.connect(taken);
      new MediaStreamAudioSourceNode(out.context, { mediaStream: taken.stream }).connect(out);
    };
    for (const [played, { bus }] of e2e.buses) if (played !== out.context) hear(played, bus);
    e2e.onBus = hear;
  };

  const ids = new Set(e2e.options.devices ?? ['only']);
  const open = new Map(); // track -> id
  let permission = e2e.options.microphone ?? 'granted';
  let release;
  const released = new Promise((resolve) => (release = resolve));
  e2e.grant = () => {
    permission = 'granted';
    release();
  };
  e2e.microphoneRequests = 0;

  const devices = navigator.mediaDevices;
  if (!devices) return;
  devices.getUserMedia = async (constraints) => {
    if (!constraints?.audio) throw new TypeError('only audio is offered by this microphone');
    e2e.microphoneRequests += 1;
    if (permission === 'held') await released;
    if (permission === 'refused') throw new DOMException('Permission denied', 'NotAllowedError');
    const wished = constraints.audio.deviceId;
    const id = ids.has(wished) ? wished : [...ids][0];
    if (!id) throw new DOMException('Requested device not found', 'NotFoundError');
    e2e.constraints = constraints.audio;
    const stream = toneStream(constraints.audio.channelCount ?? 1);
    const [track] = stream.getAudioTracks();
    track.getSettings = () => ({ deviceId: id });
    open.set(track, id);
    return stream;
  };

  const enumerate = devices.enumerateDevices.bind(devices);
  devices.enumerateDevices = async () => [
    ...[...ids].map((deviceId) => ({ kind: 'audioinput', deviceId, label: `Microphone ${deviceId}` })),
    ...(await enumerate()).filter(({ kind }) => kind === 'audiooutput'),
  ];
  e2e.liveTracks = () => [...open.keys()].filter(({ readyState }) => readyState === 'live').length;
  const changed = () => devices.dispatchEvent(new Event('devicechange'));
  e2e.plug = (id) => {
    ids.add(id);
    changed();
  };
  e2e.unplug = (id) => {
    ids.delete(id);
    for (const [track, device] of open) {
      if (device !== id || track.readyState === 'ended') continue;
      track.stop();
      track.dispatchEvent(new Event('ended'));
    }
    changed();
  };
})();
