// A native participant that records: each voice on a track of its own, aligned, and the
// programme; read again by ffmpeg.

import assert from 'node:assert/strict';
import { mkdtemp, readFile, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { RATE, decode, level } from '../lib/decoded.mjs';
import { Natives } from '../lib/natives.mjs';
import { Participant } from '../lib/participant.mjs';
import { sleep, until } from '../lib/poll.mjs';
import { assertNoErrors, gather, hearAll } from '../lib/rooms.mjs';
import { suite } from '../lib/suite.mjs';

const LENGTHS_DIFFER_S = 0.02;
const LOST_S = 1;

async function record(body) {
  const parent = await mkdtemp(join(tmpdir(), 'openstudio-recording-'));
  try {
    await body(parent, async () => {
      const [folder] = await readdir(parent);
      const path = join(parent, folder);
      return { path, journal: JSON.parse(await readFile(join(path, 'session.json'), 'utf8')) };
    });
  } finally {
    await rm(parent, { recursive: true, force: true });
  }
}

// A recorder in the room of `link`, whom every page shows as such.
async function recorderIn(room, link, parent) {
  const recorder = new Natives(link, { count: 1, first: 11, name: 'Recording', flags: ['--record', parent] });
  room.natives = recorder;
  for (const person of room.people) {
    await until(`${person.name} sees the recording`, async () =>
      (await person.state('Recording')) === 'Connected');
  }
  return recorder;
}

suite((scenario) => {
  scenario('every voice has its track, the programme has all, and who was away is silent there', (room) =>
    record(async (parent, read) => {
      const { link } = await gather(room, { callers: 1 });
      const [host, caller] = room.people;
      await hearAll(room.people);
      const recorder = await recorderIn(room, link, parent);
      await sleep(4000);
      await caller.leave();
      await until('the caller is gone', async () => (await host.count()) === 2);
      await sleep(3000);
      const back = await Participant.open(room.browser, 2);
      room.people.push(back);
      await back.join(link);
      await hearAll([host, back], { natives: recorder.members });
      await sleep(3000);
      await recorder.stop();

      const { path, journal } = await read();
      const lengths = [];
      for (const { name, tone } of [host, caller, back]) {
        const { file, stays } = journal.tracks.find((track) => track.name === name);
        const { samples, said } = decode(join(path, file));
        assert.equal(said, '', `${name}'s track`);
        lengths.push(samples.length / RATE);
        const [{ from, to }] = stays;
        // From a second after their coming, by which they are connected, to their going.
        const present = level(samples, tone, from / 1000 + 1, to / 1000 - 0.3);
        assert.ok(present > -26, `${name} is heard at ${present} dBFS`);
        if (from > 1000) assert.ok(level(samples, tone, 0, from / 1000) < -80, `${name} before coming`);
      }
      const programme = decode(join(path, 'programme.wav'));
      assert.equal(programme.said, '', 'the programme');
      lengths.push(programme.samples.length / RATE);
      assert.ok(Math.max(...lengths) - Math.min(...lengths) < LENGTHS_DIFFER_S, `lengths: ${lengths}`);
      const [first] = journal.tracks.find(({ name }) => name === caller.name).stays;
      assert.ok(level(programme.samples, caller.tone, 1.5, first.to / 1000 - 0.3) > -26);
      assert.ok(level(programme.samples, caller.tone, first.to / 1000 + 1, lengths[0]) < -60);
      assert.ok(level(programme.samples, host.tone, 1.5, lengths[0] - 0.3) > -26);
      assertNoErrors(room.people);
    }));

  scenario('a recording whose process is killed plays to within a second of its end', (room) =>
    record(async (parent, read) => {
      const { link } = await gather(room, { callers: 1 });
      const recorder = await recorderIn(room, link, parent);
      await sleep(6000);
      recorder.process.kill('SIGKILL');
      const now = Date.now();
      await recorder.exited;
      const { path, journal } = await read();
      const killed = (now - journal.startedAt) / 1000;
      assert.equal(journal.tracks.length, 2);
      for (const file of [...journal.tracks.map((track) => track.file), 'programme.wav']) {
        const { samples } = decode(join(path, file));
        const played = samples.length / RATE;
        assert.ok(played > killed - LOST_S, `${file} plays ${played} s of ${killed}`);
      }
    }));
});
