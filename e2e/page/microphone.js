// Page side: a microphone that plays one steady tone, so that a listener can
// be judged by frequency. Replaces getUserMedia before the page's own scripts
// run. `options.microphone` is `granted`, `held` (until `__e2e.grant()`) or
// `refused`.
(() => {
  const e2e = window.__e2e;
  const AMPLITUDE = 0.1; // twelve tones stay below full scale
  let context;
  let source;

  e2e.measuringContext = () => (context ??= new AudioContext({ sampleRate: 48000 }));

  const toneTrack = () => {
    const measuring = e2e.measuringContext();
    if (!source) {
      const oscillator = new OscillatorNode(measuring, { frequency: e2e.options.tone });
      source = new GainNode(measuring, { gain: AMPLITUDE });
      oscillator.connect(source);
      oscillator.start();
    }
    const out = new MediaStreamAudioDestinationNode(measuring, { channelCount: 1 });
    source.connect(out);
    void measuring.resume();
    return out.stream;
  };

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
    return toneTrack();
  };
})();
