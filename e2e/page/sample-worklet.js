// Audio thread: keeps the samples of both channels until there are enough, then posts them.
class SampleRecorder extends AudioWorkletProcessor {
  constructor({ processorOptions }) {
    super();
    this.channels = [0, 1].map(() => new Float32Array(processorOptions.frames));
    this.filled = 0;
  }

  process([input]) {
    if (!this.channels) return false;
    const room = this.channels[0].length - this.filled;
    const count = Math.min(128, room);
    this.channels.forEach((channel, i) => {
      if (input[i]) channel.set(input[i].subarray(0, count), this.filled);
    });
    this.filled += count;
    if (this.filled < this.channels[0].length) return true;
    this.port.postMessage(this.channels);
    this.channels = undefined;
    return false;
  }
}
registerProcessor('sample-recorder', SampleRecorder);
