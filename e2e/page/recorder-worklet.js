// Audio thread: the level of each tone in windows of 10 ms, by Goertzel with a
// Hann window; posted in batches of one second, with the context's time at the
// end of the last window.
class ToneRecorder extends AudioWorkletProcessor {
  constructor({ processorOptions }) {
    super();
    this.size = Math.round(sampleRate / 100);
    this.window = new Float32Array(this.size);
    this.hann = Float32Array.from(
      { length: this.size },
      (_, i) => 0.5 - 0.5 * Math.cos((2 * Math.PI * i) / this.size),
    );
    this.factors = processorOptions.frequencies.map(
      (frequency) => 2 * Math.cos((2 * Math.PI * frequency) / sampleRate),
    );
    this.filled = 0;
    this.rows = [];
  }

  level(factor) {
    let before = 0;
    let last = 0;
    for (let i = 0; i < this.size; i += 1) {
      const next = this.window[i] * this.hann[i] + factor * last - before;
      before = last;
      last = next;
    }
    const power = last * last + before * before - factor * last * before;
    return Math.max(-120, 10 * Math.log10((16 * power) / (this.size * this.size) + 1e-12));
  }

  process([input]) {
    const samples = input[0];
    const frames = 128;
    for (let i = 0; i < frames; i += 1) {
      this.window[this.filled] = samples ? samples[i] : 0;
      this.filled += 1;
      if (this.filled < this.size) continue;
      this.filled = 0;
      this.rows.push(this.factors.map((factor) => this.level(factor)));
      if (this.rows.length === 100) {
        this.port.postMessage({ rows: this.rows, end: currentTime + (i + 1) / sampleRate });
        this.rows = [];
      }
    }
    return true;
  }
}
registerProcessor('tone-recorder', ToneRecorder);
