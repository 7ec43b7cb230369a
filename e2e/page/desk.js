// Page side: measures what is listened to, and the programme, which is the second output of the
// desk on the audio thread of those who mix. Levels come from long windows, so that they are
// good to a tenth of a decibel when compared with each other; samples come from a worklet, for
// measuring outside of the browser.
(() => {
  const e2e = window.__e2e;
  const LONG = 16384; // 341 ms at 48 kHz
  const SHORT = 1024; // 21 ms
  const HOLE_MS = 150;
  const PROGRAMME = 1;
  const { connect } = AudioNode.prototype;

  const Native = window.AudioWorkletNode;
  window.AudioWorkletNode = class AudioWorkletNode extends Native {
    constructor(context, name, options) {
      super(context, name, options);
      if (name !== 'openstudio-desk') return;
      e2e.desk = this;
      this.port.addEventListener('message', ({ data }) => {
        if (data.type === 'loudness') e2e.loudness = Array.from(data.values);
      });
    }
  };

  const analyserOf = (context, fftSize) =>
    new AnalyserNode(context, { fftSize, smoothingTimeConstant: 0 });

  // Begins to measure the programme, which costs something; returns whether there is a desk.
  e2e.tapDesk = () => {
    if (!e2e.desk) return false;
    if (!e2e.programmeTap) {
      e2e.programmeTap = analyserOf(e2e.desk.context, LONG);
      connect.call(e2e.desk, e2e.programmeTap, PROGRAMME);
    }
    return true;
  };

  // Everything that the page plays, which `playout.js` has in one node a context.
  const playing = () => {
    if (e2e.buses.size !== 1) throw new Error('more than one context plays');
    return [...e2e.buses][0];
  };
  const playedTaps = new Map(); // fftSize -> analyser
  const played = (fftSize) => {
    let analyser = playedTaps.get(fftSize);
    if (!analyser) {
      const [context, { bus }] = playing();
      analyser = analyserOf(context, fftSize);
      connect.call(bus, analyser);
      playedTaps.set(fftSize, analyser);
    }
    return analyser;
  };
  e2e.tapPlayed = () => {
    played(LONG);
    played(SHORT);
  };

  const levelsOf = (analyser, frequencies) => {
    const data = new Float32Array(analyser.frequencyBinCount);
    analyser.getFloatFrequencyData(data);
    const hertz = analyser.context.sampleRate / analyser.fftSize;
    return frequencies.map((frequency) => {
      const centre = Math.round(frequency / hertz);
      return Math.max(...data.subarray(centre - 1, centre + 2));
    });
  };
  e2e.programmeLevels = (frequencies) => levelsOf(e2e.programmeTap, frequencies);
  e2e.monitorLevels = (frequencies) => levelsOf(played(LONG), frequencies);

  // Levels of tones on the left and on the right of what is listened to.
  e2e.sideLevels = (frequencies) => {
    if (!e2e.sides) {
      const [context, { bus }] = playing();
      const splitter = new ChannelSplitterNode(context, { numberOfOutputs: 2 });
      connect.call(bus, splitter);
      e2e.sides = [0, 1].map((side) => {
        const analyser = analyserOf(context, LONG);
        connect.call(splitter, analyser, side);
        return analyser;
      });
    }
    return e2e.sides.map((analyser) => levelsOf(analyser, frequencies));
  };

  // Epoch ms from which a tone is below `level` dBFS in what is listened to, and stays there for
  // as long as a hole in the sound lasts.
  e2e.untilSilent = (frequency, level, limit) => new Promise((resolve) => {
    const began = Date.now();
    let since;
    const timer = setInterval(() => {
      const [now] = levelsOf(played(SHORT), [frequency]);
      since = now < level ? since ?? Date.now() : undefined;
      const silent = since && Date.now() - since >= HOLE_MS;
      if (!silent && Date.now() - began < limit) return;
      clearInterval(timer);
      resolve(silent ? since : undefined);
    }, 4);
  });

  // The source of the page's own microphone, as it goes to the desk.
  AudioNode.prototype.connect = ((patched) => function (target, ...rest) {
    if (target === e2e.desk && rest[1] === 0) e2e.ownSource = this;
    return patched.call(this, target, ...rest);
  })(AudioNode.prototype.connect);

  // Takes `seconds` of the programme, and of the own microphone before the desk; gives both
  // channels of the first and one of the second, as base64 of 32-bit floats.
  e2e.takeProgramme = async (source, seconds) => {
    const { context } = e2e.desk;
    const url = URL.createObjectURL(new Blob([source], { type: 'text/javascript' }));
    await context.audioWorklet.addModule(url);
    const record = (from, output) => {
      const node = new Native(context, 'sample-recorder', {
        numberOfOutputs: 0,
        channelCount: 2,
        channelCountMode: 'explicit',
        processorOptions: { frames: Math.round(seconds * context.sampleRate) },
      });
      const taken = new Promise((resolve) => { node.port.onmessage = ({ data }) => resolve(data); });
      connect.call(from, node, output);
      return taken.then((channels) => {
        from.disconnect(node);
        return channels;
      });
    };
    const [programme, [own]] = await Promise.all([record(e2e.desk, PROGRAMME), record(e2e.ownSource, 0)]);
    return [...programme, own].map((channel) => {
      const bytes = new Uint8Array(channel.buffer);
      let text = '';
      for (let i = 0; i < bytes.length; i += 32768) {
        text += String.fromCharCode(...bytes.subarray(i, i + 32768));
      }
      return btoa(text);
    });
  };
})();
