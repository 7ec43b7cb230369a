// What was recorded, read again by ffmpeg, and its levels.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { longestGap } from './tones.mjs';

export const RATE = 48000;

// The samples of one channel, at 48 kHz, and what the decoder had to say.
export function decode(file, options = []) {
  const { status, stdout, stderr } = spawnSync(
    'ffmpeg', ['-v', 'warning', '-guess_layout_max', '0', '-i', file, ...options, '-ac', '1', '-f', 'f32le', '-'],
    { maxBuffer: 1 << 28 });
  assert.equal(status, 0, stderr.toString());
  const said = stderr.toString();
  const bytes = new Uint8Array(stdout);
  return { samples: new Float32Array(bytes.buffer, 0, bytes.length >> 2), said };
}

// The level of a tone in dBFS over a stretch of seconds (Goertzel's algorithm, Hann window).
export function level(samples, frequency, from, to) {
  const part = samples.subarray(Math.round(from * RATE), Math.round(to * RATE));
  let [re, im] = [0, 0];
  part.forEach((sample, i) => {
    const weighted = sample * (1 - Math.cos((2 * Math.PI * i) / part.length));
    const angle = (2 * Math.PI * frequency * i) / RATE;
    re += weighted * Math.cos(angle);
    im += weighted * Math.sin(angle);
  });
  return 20 * Math.log10(Math.max((2 * Math.hypot(re, im)) / part.length, 1e-6));
}

// The longest stretch in ms over which a tone is more than 15 dB below its median.
export function longestSilence(samples, frequency, from) {
  const WINDOW_S = 0.02; // two steps of those that `longestGap` counts in
  const levels = [];
  for (let at = from; at + WINDOW_S < samples.length / RATE; at += WINDOW_S / 2) {
    levels.push(level(samples, frequency, at, at + WINDOW_S));
  }
  return longestGap(levels.map((one) => [one]), 0);
}

// Listens to a stream like a player until `stopped` resolves; returns what was heard.
export async function listen(url, stopped) {
  const control = new AbortController();
  const answer = await fetch(url, { signal: control.signal });
  assert.equal(answer.status, 200);
  const chunks = [];
  const reading = (async () => {
    for await (const chunk of answer.body) chunks.push(chunk);
  })().catch((error) => {
    if (error.name !== 'AbortError') throw error;
  });
  await stopped();
  control.abort();
  await reading;
  const folder = await mkdtemp(join(tmpdir(), 'openstudio-listener-'));
  try {
    const file = join(folder, 'heard.ogg');
    await writeFile(file, Buffer.concat(chunks));
    return decode(file);
  } finally {
    await rm(folder, { recursive: true });
  }
}
