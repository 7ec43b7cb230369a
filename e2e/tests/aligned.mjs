// A session in which people leave and return and one has a bad network: all tracks stay on one
// zero. Native participants click at each full second of the clock, and so at the same moment.

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { RATE, decode } from '../lib/decoded.mjs';
import { Natives } from '../lib/natives.mjs';
import { sleep, until } from '../lib/poll.mjs';
import { atTheEnd, end, newest } from '../lib/recordings.mjs';
import { gather } from '../lib/rooms.mjs';
import { suite } from '../lib/suite.mjs';

const MINUTES = process.env.E2E_HEAVY ? 10 : 0.6;
const LOSS_PERCENT = 5;
const APART_MS = 5;
const LENGTHS_DIFFER_S = 0.02;
// Some are missing as people come and go. One in twenty of the lossy one's is lost on purpose, by
// chance; that ten of forty are has a chance of 1 in 100,000.
const foundOf = (name) => (name === 'Lossy' ? 0.75 : 0.85);

// Where the clicks of a track are, in seconds.
function clicks(samples) {
  const found = [];
  for (let i = 0; i < samples.length; i += 1) {
    if (Math.abs(samples[i]) < 0.3) continue;
    let peak = i;
    for (let j = i; j < Math.min(i + 240, samples.length); j += 1) {
      if (Math.abs(samples[j]) > Math.abs(samples[peak])) peak = j;
    }
    found.push(peak / RATE);
    i = peak + RATE / 2;
  }
  return found;
}

const median = (values) => values.toSorted((a, b) => a - b)[values.length >> 1];

suite((scenario) => {
  scenario(`tracks are aligned after ${MINUTES} minutes of coming, going and loss`, async (room) => {
    const { studio } = room;
    const { link } = await gather(room, { callers: 0 });
    const [host] = room.people;
    const here = new Set();
    const enter = (name, flags = []) => {
      const native = new Natives(link, { count: 1, name, flags: ['--clicks', ...flags] });
      here.add(native);
      return native;
    };
    const connected = (name) => host.showsState(name, 'Connected', 15_000);
    try {
      enter('Steady');
      enter('Lossy', ['--lose', String(LOSS_PERCENT)]);
      let restless = enter('Restless');
      for (const name of ['Steady', 'Lossy', 'Restless']) await connected(name);
      await host.button('Record').click();
      await until('three tracks', async () => (await newest(studio))?.journal.tracks.length >= 4);

      // Twice somebody goes, and comes back with another clock.
      for (const part of [1, 2]) {
        await sleep((MINUTES * 60_000) / 3);
        await restless.stop();
        here.delete(restless);
        await until('gone', async () => (await host.count()) === 3);
        restless = enter(`Restless ${part}`);
        await connected(`Restless ${part}`);
      }
      await sleep((MINUTES * 60_000) / 3);
      await end(host, 'Stop recording');
      const { path, journal } = await atTheEnd(studio);

      const tracks = journal.tracks.map(({ name, file, stays }) => {
        const { samples, said } = decode(join(path, file));
        assert.equal(said, '', `${name}'s track`);
        return { name, stays, seconds: samples.length / RATE, clicks: clicks(samples) };
      });
      const programme = decode(join(path, 'programme.wav'));
      assert.equal(programme.said, '', 'the programme');
      const lengths = [...tracks.map(({ seconds }) => seconds), programme.samples.length / RATE];
      const differ = Math.max(...lengths) - Math.min(...lengths);
      assert.ok(differ < LENGTHS_DIFFER_S, `lengths: ${lengths}`);

      const steady = tracks.find(({ name }) => name === 'Steady');
      for (const track of tracks.filter(({ name }) => name !== host.name)) {
        const there = track.stays.reduce((sum, { from, to }) => sum + (to - from) / 1000, 0);
        const share = track.clicks.length / there;
        // How far each click is from the one that should be simultaneous.
        const apart = track.clicks.map((at) =>
          1000 * Math.min(...steady.clicks.map((other) => Math.abs(other - at)))).filter((ms) => ms < 500);
        const last = apart.slice(-10);
        console.log(`  ${track.name}: ${track.clicks.length} clicks in ${there.toFixed(0)} s, apart by` +
          ` ${median(apart).toFixed(2)} ms (median), ${Math.max(...apart).toFixed(2)} ms (most)`);
        assert.ok(share > foundOf(track.name), `${track.name}: ${share} of the clicks are found`);
        assert.ok(Math.max(...last) < APART_MS, `${track.name} at the end: ${last}`);
      }
      console.log(`  ${lengths[0].toFixed(1)} s, lengths differ by ${(1000 * differ).toFixed(1)} ms`);
    } finally {
      await Promise.all([...here].map((native) => native.stop()));
    }
  }, { timeout: MINUTES * 60_000 + 120_000 });
});
