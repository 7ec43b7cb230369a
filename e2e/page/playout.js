// Page side: taps what the page really plays, which is everything connected
// to an AudioContext's destination plus every unmuted media element, and tells
// how strong each tone is in it. Nothing the page says of itself is used.
(() => {
  const e2e = window.__e2e;
  const FFT_SIZE = 4096; // 85 ms at 48 kHz, 11.7 Hz a bin; tones are 350 Hz apart
  const NOISE_BAND_HZ = [300, 8000];
  const FLOOR_DB = -120;
  const AUDIBLE_DB = 25; // above the median of the band
  const POLL_MS = 50;

  const buses = new Map(); // AudioContext -> { bus, analyser }
  const { connect, disconnect } = AudioNode.prototype;

  const tap = (context) => {
    let entry = buses.get(context);
    if (!entry) {
      const bus = new GainNode(context);
      const analyser = new AnalyserNode(context, { fftSize: FFT_SIZE, smoothingTimeConstant: 0 });
      entry = { bus, analyser, data: new Float32Array(analyser.frequencyBinCount) };
      buses.set(context, entry);
      if (!e2e.paused) connect.call(bus, analyser);
      e2e.onBus?.(context, bus);
    }
    return entry;
  };
  e2e.buses = buses;

  AudioNode.prototype.connect = function (target, ...rest) {
    const result = connect.call(this, target, ...rest);
    if (target instanceof AudioDestinationNode && this.context instanceof AudioContext) {
      connect.call(this, tap(this.context).bus);
    }
    return result;
  };
  AudioNode.prototype.disconnect = function (...args) {
    disconnect.apply(this, args);
    const entry = buses.get(this.context);
    if (entry && args[0] instanceof AudioDestinationNode) {
      try {
        disconnect.call(this, entry.bus);
      } catch {
        // It was never connected to the destination.
      }
    }
  };

  // Media elements: those that are unmuted and playing a stream are heard too.
  const elements = new Map(); // element -> { stream, source }
  const play = HTMLMediaElement.prototype.play;
  HTMLMediaElement.prototype.play = function () {
    if (!elements.has(this)) elements.set(this, {});
    return play.call(this);
  };
  const followElements = () => {
    for (const [element, tapped] of elements) {
      const stream = element.srcObject;
      const audible = stream && !element.muted && !element.paused && element.volume > 0;
      // Nothing here may keep alive what the page has done with; `play` brings it back.
      if (!stream && !tapped.stream) elements.delete(element);
      if (tapped.stream === (audible ? stream : undefined)) continue;
      if (tapped.source) disconnect.call(tapped.source);
      tapped.source = undefined;
      tapped.stream = audible ? stream : undefined;
      if (audible) {
        const context = e2e.measuringContext();
        tapped.source = new MediaStreamAudioSourceNode(context, { mediaStream: stream });
        connect.call(tapped.source, tap(context).bus);
      }
    }
  };

  // Levels in dB of the given frequencies in the played mix, and its noise.
  e2e.hear = (frequencies) => {
    followElements();
    const spectra = [];
    for (const [context, { analyser, data }] of buses) {
      if (context.state !== 'running') continue;
      analyser.getFloatFrequencyData(data);
      spectra.push({ data, hertz: context.sampleRate / FFT_SIZE });
    }
    const power = (decibel) => 10 ** (Math.max(decibel, FLOOR_DB) / 10);
    const decibel = (value) => Math.max(10 * Math.log10(value), FLOOR_DB);
    const levels = frequencies.map((frequency) => {
      let sum = 0;
      for (const { data, hertz } of spectra) {
        const centre = Math.round(frequency / hertz);
        sum += power(Math.max(...data.subarray(centre - 1, centre + 2)));
      }
      return decibel(sum);
    });
    let noise = FLOOR_DB;
    for (const { data, hertz } of spectra) {
      const [low, high] = NOISE_BAND_HZ.map((f) => Math.round(f / hertz));
      const band = Array.from(data.subarray(low, high)).sort((a, b) => a - b);
      noise = Math.max(noise, band[band.length >> 1]);
    }
    return { levels, noise };
  };

  // Notes when each tone is first heard, in `firstHeard` (epoch ms by frequency).
  e2e.watch = (frequencies) => {
    e2e.firstHeard = {};
    clearInterval(e2e.watching);
    let missing = frequencies;
    e2e.watching = setInterval(() => {
      const { levels, noise } = e2e.hear(missing);
      const now = Date.now();
      missing = missing.filter((frequency, i) => {
        if (levels[i] < noise + AUDIBLE_DB) return true;
        e2e.firstHeard[frequency] = now;
        return false;
      });
      if (missing.length === 0) clearInterval(e2e.watching);
    }, POLL_MS);
  };

  // Takes the measuring out of the audio graph, for CPU measurements.
  e2e.pause = (paused) => {
    e2e.paused = paused;
    clearInterval(e2e.watching);
    for (const { bus, analyser } of buses.values()) {
      if (paused) disconnect.call(bus);
      else connect.call(bus, analyser);
    }
  };
})();
