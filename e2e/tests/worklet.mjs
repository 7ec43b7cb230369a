// The mixing desk on a real audio thread, under the page's own security policy: the module
// and its loader as the server gives them out, with known samples in and out.

import assert from 'node:assert/strict';
import { openPage } from '../lib/chromium.mjs';
import { suite } from '../lib/suite.mjs';

const LATENCY = 240;
const RATE = 48_000;

// In the page: renders two seconds of a desk with two strips. Each strip gets its samples on
// one channel; the messages are sent after a first second.
async function render({ strips, messages }) {
  const address = (name) => document.querySelector(`meta[name="openstudio-desk-${name}"]`).content;
  const module = await WebAssembly.compileStreaming(fetch(address('wasm')));
  const context = new OfflineAudioContext(4, 96_000, 48_000);
  await context.audioWorklet.addModule(address('worklet'));
  const desk = new AudioWorkletNode(context, 'openstudio-desk', {
    numberOfInputs: strips.length,
    numberOfOutputs: 2,
    outputChannelCount: [2, 2],
    processorOptions: { module, strips: strips.length },
  });
  const heard = [];
  let told;
  const faults = [];
  desk.port.onmessage = ({ data }) => {
    heard.push(data);
    told?.();
  };
  desk.onprocessorerror = () => faults.push('the processor failed');
  for (const [strip, samples] of strips.entries()) {
    const buffer = context.createBuffer(1, samples.length, 48_000);
    buffer.copyToChannel(Float32Array.from(samples), 0);
    const source = new AudioBufferSourceNode(context, { buffer, loop: true });
    source.connect(desk, 0, strip);
    source.start();
  }
  const merger = new ChannelMergerNode(context, { numberOfInputs: 4 });
  for (const bus of [0, 1]) {
    const splitter = new ChannelSplitterNode(context, { numberOfOutputs: 2 });
    desk.connect(splitter, bus);
    for (const channel of [0, 1]) splitter.connect(merger, channel, 2 * bus + channel);
  }
  merger.connect(context.destination);
  context.suspend(1).then(() => {
    for (const message of messages) desk.port.postMessage(message);
    context.resume();
  });
  const done = context.startRendering();
  const buffer = await done;
  while (!heard.some(({ type }) => type === 'loudness')) await new Promise((resolve) => (told = resolve));
  const channels = [0, 1, 2, 3].map((channel) => [...buffer.getChannelData(channel)]);
  const plain = heard.map(({ type, levels, values }) => ({ type, values: [...(levels ?? values)].map(String) }));
  return { channels, heard: plain, faults };
}

const sine = (frequency, amplitude) =>
  Array.from({ length: RATE }, (_, n) =>
    Math.fround(amplitude * Math.sin((2 * Math.PI * frequency * n) / RATE)));

// Whether a stretch of what was played is these samples, a second's loop, later by the latency.
function assertPlays(played, samples, from, frames, what) {
  for (let n = from; n < from + frames; n += 1) {
    const wanted = samples[(n - LATENCY + RATE) % RATE];
    assert.ok(played[n] === wanted, `${what}: frame ${n} is ${played[n]}, not ${wanted}`);
  }
}

suite((scenario) => {
  scenario('the desk mixes on the audio thread, bit for bit', async ({ browser, studio }) => {
    const { context, page, errors } = await openPage(browser, {});
    await page.goto(studio.url);
    const strips = [sine(440, 0.3), sine(1000, 0.25)];
    const messages = [
      ['strip', 0, 100, 2 | 8],
      ['monitor', 100, 0],
    ];
    const { channels, heard, faults } = await page.evaluate(render, { strips, messages });
    const both = strips[0].map((sample, n) => Math.fround(sample + strips[1][n]));
    const silence = strips[0].map(() => 0);
    const [first, last] = [[LATENCY, 40_000], [80_000, 16_000]];
    for (const channel of [0, 1]) {
      assertPlays(channels[channel], both, ...first, 'at first the monitor has both');
      assertPlays(channels[channel], strips[1], ...last, 'then it lacks the own voice');
      assertPlays(channels[2 + channel], silence, ...first, 'at first nobody is on air');
      assertPlays(channels[2 + channel], strips[0], ...last, 'then the own voice is on air');
    }
    assert.deepEqual(faults, []);
    assert.deepEqual(errors, []);
    const levels = heard.filter(({ type }) => type === 'levels').at(-1).values.map(Number);
    const wanted = [0.3, 0.3 / Math.SQRT2, 0.25, 0.25 / Math.SQRT2, 0.3, 0.3 / Math.SQRT2];
    assert.equal(levels.length, wanted.length);
    levels.forEach((level, n) => assert.ok(Math.abs(level - wanted[n]) < 0.005, `level ${n} is ${level}`));
    const loudness = heard.filter(({ type }) => type === 'loudness').at(-1).values.map(Number);
    assert.equal(loudness.length, 10);
    assert.ok(Math.abs(loudness[0] - 20 * Math.log10(0.3)) < 1, `momentary loudness is ${loudness[0]}`);
    assert.deepEqual(loudness.slice(5), [0, 0, 0, 0, 0], 'clipped, limited, not finite, late, lost');
    await context.close();
  });

  scenario('the desk of a closed page ends, and one without messages is quiet', async ({ browser, studio }) => {
    const { context, page } = await openPage(browser, {});
    await page.goto(studio.url);
    const strips = [sine(440, 0.3)];
    const quiet = await page.evaluate(render, { strips, messages: [['rate', 0]] });
    const counted = quiet.heard.filter(({ type }) => type === 'levels').length;
    assert.ok(counted >= 55 && counted <= 62, `${counted} messages, of the first second`);
    const closed = await page.evaluate(render, { strips, messages: [['close']] });
    assert.ok(closed.channels[0].slice(49_000).every((sample) => sample === 0));
    assert.deepEqual(closed.faults, []);
    await context.close();
  });

  scenario('the module imports nothing', async ({ browser, studio }) => {
    const { context, page } = await openPage(browser, {});
    await page.goto(studio.url);
    const imports = await page.evaluate(async () => {
      const { content } = document.querySelector('meta[name="openstudio-desk-wasm"]');
      return WebAssembly.Module.imports(await WebAssembly.compileStreaming(fetch(content)));
    });
    assert.deepEqual(imports, []);
    await context.close();
  });
});
