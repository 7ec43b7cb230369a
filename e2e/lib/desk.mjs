// A person at the desk: moves what a host moves, and measures what comes of it.

import { spawnSync } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { workletSource } from './chromium.mjs';
import { until } from './poll.mjs';

// A desk begins late where a machine has more to do than it can: that is no fault of the desk.
const DESK_LIMIT_MS = 60_000;

export const fader = (person, name) => person.page.getByRole('slider', { name: `Gain for ${name}`, exact: true });
export const muteKey = (person, name) => person.page.getByRole('button', { name: `Mute ${name}`, exact: true });
export const soloKey = (person, name) => person.page.getByRole('button', { name: `Solo ${name}`, exact: true });
export const onAirBox = (person, name) => person.page.getByRole('checkbox', { name: `On air: ${name}`, exact: true });

export const setGain = (person, name, percent) => fader(person, name).fill(String(percent));

// Levels in dBFS of each member's tone in the programme of one who mixes, or in what anybody
// listens to.
export const programme = (person, members) =>
  person.page.evaluate((tones) => window.__e2e.programmeLevels(tones), members.map(({ tone }) => tone));
export const monitor = (person, members) =>
  person.page.evaluate((tones) => window.__e2e.monitorLevels(tones), members.map(({ tone }) => tone));

// Waits until those who mix have the desk on their audio thread, and begins to measure what all
// of `people` play and the programme of `mixers`.
export async function tapAll(people, mixers) {
  for (const { name, page } of mixers) {
    await until(`${name}'s desk`, () => page.evaluate(() => window.__e2e.tapDesk()), { timeout: DESK_LIMIT_MS });
  }
  await Promise.all(people.map(({ page }) => page.evaluate(() => window.__e2e.tapPlayed())));
}

// `seconds` of the programme's two channels, and of the own microphone before the desk, as
// Float32Arrays. The page must have been opened with `recording: true`.
export async function takeProgramme(person, seconds) {
  const source = await workletSource('sample-worklet.js');
  const channels = await person.page.evaluate(
    ([text, time]) => window.__e2e.takeProgramme(text, time), [source, seconds]);
  return channels.map((channel) => {
    const bytes = Buffer.from(channel, 'base64');
    return new Float32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
  });
}

const NEAR = 4800; // 100 ms: more than the desk's delay and a difference of two recordings

// The largest difference between neighbouring samples of `samples`, and how much was looked at.
// A machine that is too slow tears the microphone's own sound, here `source`: what is near a
// step of that above `limit` says nothing of the desk.
export function largestStep(samples, source, limit) {
  const step = (of, i) => Math.abs(of[i] - of[i - 1]);
  const torn = [];
  for (let i = 1; i < source.length; i += 1) {
    if (step(source, i) > limit && i - (torn.at(-1) ?? -NEAR) >= NEAR / 2) torn.push(i);
  }
  let largest = 0;
  let looked = 0;
  for (let i = 1; i < samples.length; i += 1) {
    if (torn.some((place) => Math.abs(place - i) < NEAR)) continue;
    looked += 1;
    largest = Math.max(largest, step(samples, i));
  }
  return { largest, looked: looked / samples.length };
}

// Loudness and true peak of an input of ffmpeg, as ffmpeg measures them.
export function loudnessOf(input) {
  const { status, stderr } = spawnSync(
    'ffmpeg', ['-hide_banner', '-nostats', ...input, '-filter_complex', 'ebur128=peak=true', '-f', 'null', '-'],
    { encoding: 'utf8' });
  if (status !== 0) throw new Error(`ffmpeg: ${stderr}`);
  const summary = stderr.slice(stderr.lastIndexOf('Summary:'));
  const number = (pattern) => Number(pattern.exec(summary)[1]);
  return { integrated: number(/I:\s+(-?[\d.]+) LUFS/), truePeak: number(/Peak:\s+(-?[\d.]+) dBFS/) };
}

// Loudness and true peak of two channels, as ffmpeg measures them.
export async function measureLoudness([left, right]) {
  const folder = await mkdtemp(join(tmpdir(), 'openstudio-loudness-'));
  try {
    const interleaved = new Float32Array(left.length * 2);
    left.forEach((sample, i) => { interleaved[2 * i] = sample; });
    right.forEach((sample, i) => { interleaved[2 * i + 1] = sample; });
    const file = join(folder, 'programme.f32');
    await writeFile(file, Buffer.from(interleaved.buffer));
    return loudnessOf(['-f', 'f32le', '-ar', '48000', '-ac', '2', '-i', file]);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
