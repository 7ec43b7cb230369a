// The microphone that comes late, and the one that never comes.

import assert from 'node:assert/strict';
import { countAll } from '../lib/hearing.mjs';
import { holds, until } from '../lib/poll.mjs';
import { assertNoErrors, gather, hearAll } from '../lib/rooms.mjs';
import { photograph, suite } from '../lib/suite.mjs';

const LATE_MS = 15_000;

// Everyone but the last has a microphone; the last hears all of them.
async function lastListens(people) {
  const speakers = people.slice(0, -1);
  const listener = people.at(-1);
  await until('the listener hears the others', async () =>
    (await listener.hears(people)).missing.length === 0, { timeout: 20_000 });
  await hearAll(speakers);
  for (const person of speakers) await person.showsState(listener.name, 'Connected', 10_000);
}

suite((scenario) => {
  scenario('a microphone granted 15 s late is heard by all, with no new offer', async (room) => {
    const options = (index) => ({ microphone: index === 2 ? 'held' : 'granted' });
    await gather(room, { callers: 2, options });
    const { people } = room;
    const late = people.at(-1);
    const began = Date.now();
    await lastListens(people);
    await photograph(late, 'microphone-awaited');
    await holds('nothing changes while the microphone is awaited', async () =>
      (await people[0].state(late.name)) === 'Connected', Math.max(0, LATE_MS - (Date.now() - began)));
    const before = await countAll(people);
    await late.page.evaluate(() => window.__e2e.grant());
    const granted = Date.now();
    await hearAll(people, { timeout: 5000 });
    console.log(`  heard by all ${Date.now() - granted} ms after the microphone was granted`);
    assert.deepEqual(await countAll(people), before, 'something was negotiated anew');
    assertNoErrors(people);
  });

  scenario('who refuses the microphone joins as a listener and is told how to allow it', async (room) => {
    const options = (index) => ({ microphone: index === 1 ? 'refused' : 'granted' });
    await gather(room, { options });
    const listener = room.people.at(-1);
    await lastListens(room.people);
    await until('a sentence about the microphone', async () =>
      /microphone/i.test(await listener.page.getByRole('main').innerText()));
    await photograph(listener, 'microphone-refused');
    assertNoErrors(room.people);
  });

  scenario('mute silences at the listener at once, and unmute brings the voice back', async (room) => {
    await gather(room);
    await hearAll(room.people);
    const [host, caller] = room.people;
    await caller.button('Mute myself').click();
    const pressed = Date.now();
    await until('silence', async () => !(await host.hearsTone(caller)), { timeout: 2000, every: 10 });
    console.log(`  silent ${Date.now() - pressed} ms after pressing, measured over 85 ms`);
    await photograph(caller, 'muted');
    await caller.page.getByRole('button', { name: /unmute|mute myself/i }).click();
    await hearAll(room.people, { timeout: 2000 });
    assertNoErrors(room.people);
  });
});
