// The audio thread's side of the mixing desk: carries blocks between Web Audio and the
// WebAssembly module of crates/worklet, whose crate documentation says what its exports
// mean. It decides nothing.
//
// Node: inputs are the strips; output 0 is the monitor, output 1 the programme, both stereo.
//   processorOptions: { module: WebAssembly.Module, strips }
// Messages to it are arrays:
//   ['strip', strip, gainPercent, flags]   flags: 1 muted, 2 on air, 4 solo, 8 own
//   ['clear', strip]                       somebody else gets the strip
//   ['monitor', volumePercent, source]     0 conversation, 1 programme
//   ['reset']                              measures loudness anew
//   ['rate', frames]                       frames between messages of levels; 0: none
//   ['close']                              the node ends
// Messages from it:
//   { type: 'levels', levels }             peak and RMS of each strip, then of the programme
//   { type: 'loudness', values }           what loudness() returns, ten times a second; then how
//                                          often the thread came late, and frames lost by that

const PAIR = [0, 1];
const LOUDNESS_VALUES = 8;

class Desk extends AudioWorkletProcessor {
  constructor({ processorOptions: { module, strips } }) {
    super();
    // At once, not by a promise: the first block needs it. The module imports nothing.
    this.desk = new WebAssembly.Instance(module, {}).exports;
    if (this.desk.prepare(sampleRate, strips) !== 1) throw new RangeError(`no desk for ${strips} strips`);
    this.strips = strips;
    this.open = true;
    this.levelFrames = 800; // 60 times a second at 48 kHz: a picture of a screen each
    this.untilLevels = 0;
    this.untilLoudness = 0;
    this.late = 0;
    this.lostFrames = 0;
    this.port.onmessage = ({ data }) => this.receive(data);
  }

  receive([what, ...values]) {
    if (what === 'strip') this.desk.set_strip(...values);
    else if (what === 'clear') this.desk.clear_strip(...values);
    else if (what === 'monitor') this.desk.set_monitor(...values);
    else if (what === 'reset') this.desk.reset_loudness();
    else if (what === 'rate') [this.levelFrames] = values;
    else if (what === 'close') this.open = false;
  }

  // Views of the module's memory, made once: in every block they would be work for the
  // garbage collector. They die when memory grows, and blocks may come to have another length.
  look(frames) {
    const { buffer } = this.desk.memory;
    if (this.buffer === buffer && this.frames === frames) return;
    this.buffer = buffer;
    this.frames = frames;
    const view = (address, length) => new Float32Array(buffer, address, length);
    const pairs = (count, address) =>
      Array.from({ length: count }, (_, i) => PAIR.map((channel) => view(address(i, channel), frames)));
    this.into = pairs(this.strips, this.desk.input);
    this.from = pairs(2, this.desk.output);
    this.levels = view(this.desk.levels(), 2 * (this.strips + 1));
    this.loudness = view(this.desk.loudness(), LOUDNESS_VALUES);
  }

  process(inputs, outputs) {
    if (!this.open) return false;
    const frames = outputs[0][0].length;
    this.look(frames);
    this.countLate(frames);
    let connected = 0;
    for (let strip = 0; strip < this.strips; strip += 1) {
      // An input without channels has nothing connected to it, or nothing that sounds.
      const [left, right = left] = inputs[strip];
      if (!left) continue;
      this.into[strip][0].set(left);
      this.into[strip][1].set(right);
      connected |= 1 << strip;
    }
    this.desk.process(frames, connected);
    for (const bus of PAIR) {
      for (const channel of PAIR) outputs[bus][channel]?.set(this.from[bus][channel]);
    }
    this.report(frames);
    return true;
  }

  // Time that passed without a call was not played.
  countLate(frames) {
    const lost = currentFrame - (this.nextFrame ?? currentFrame);
    this.nextFrame = currentFrame + frames;
    if (lost > 0) {
      this.late += 1;
      this.lostFrames += lost;
    }
  }

  report(frames) {
    this.untilLevels = Math.max(this.untilLevels - frames, -frames);
    this.untilLoudness -= frames;
    if (this.levelFrames > 0 && this.untilLevels <= 0) {
      this.untilLevels += this.levelFrames;
      this.desk.levels();
      this.port.postMessage({ type: 'levels', levels: this.levels.slice() });
    }
    if (this.untilLoudness <= 0) {
      this.untilLoudness += sampleRate / 10;
      this.desk.loudness();
      const values = Float32Array.of(...this.loudness, this.late, this.lostFrames);
      this.port.postMessage({ type: 'loudness', values });
    }
  }
}

registerProcessor('openstudio-desk', Desk);
