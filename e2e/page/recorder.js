// Page side: a continuous record of each tone's level in the played mix, made
// in an AudioWorklet so that a busy page cannot leave holes in it. Switched on
// by `__e2e.record(source, frequencies)`; read with `__e2e.recorded()`. A
// worklet is outside of what playwright can serve, so its source becomes a
// blob: pages with a security policy must be opened with `recording: true`.
(() => {
  const e2e = window.__e2e;
  let frequencies;
  const WINDOW_S = 0.01;
  let rows = []; // one array of levels (dB) per window
  let clock; // what tells when a row was: { context, end }, `end` being that of the last row

  const attach = (context, bus) => {
    const node = new AudioWorkletNode(context, 'tone-recorder', {
      numberOfOutputs: 0,
      channelCount: 1,
      channelCountMode: 'explicit',
      processorOptions: { frequencies },
    });
    node.port.onmessage = ({ data }) => {
      rows.push(...data.rows);
      clock = { context, end: data.end };
    };
    bus.connect(node);
  };

  e2e.record = async (source, tones) => {
    const url = URL.createObjectURL(new Blob([source], { type: 'text/javascript' }));
    frequencies = tones;
    rows = [];
    for (const [context, { bus }] of e2e.buses) {
      if (context === e2e.measuringContext()) continue;
      await context.audioWorklet.addModule(url);
      attach(context, bus);
    }
  };
  e2e.recorded = () => rows;
  e2e.mark = () => rows.length;
  // Rows from a moment (epoch ms) on, once a later moment is in them; undefined before.
  e2e.recordedBetween = (from, to) => {
    if (!clock) return undefined;
    const ago = (Date.now() - to) / 1000 - (clock.context.currentTime - clock.end);
    if (ago < 0) return undefined;
    const end = rows.length - Math.round(ago / WINDOW_S);
    return rows.slice(Math.max(0, end - Math.round((to - from) / 1000 / WINDOW_S)), end);
  };
})();
