// Rooms full of people, and what is asked of them together.

import assert from 'node:assert/strict';
import { Participant } from './participant.mjs';
import { everyoneHearsEveryone, watchAll } from './hearing.mjs';
import { Natives } from './natives.mjs';

// Gaps up to this long are within what packet concealment and a loaded machine
// do; a mesh that drops a link is silent for seconds.
export const GAP_MS = 100;

// A host starts a room; `hosts - 1` more hosts and the callers have their pages
// loaded first, then press Join all at once. Fills `people`, host first.
// `options(index)` are for each person's page.
export async function gather(
  { browser, studio, people },
  { hosts = 1, callers = 1, options = () => ({}) } = {},
) {
  for (let index = 0; index < hosts + callers; index += 1) {
    people.push(await Participant.open(browser, index, options(index)));
  }
  const [first, ...others] = people;
  const link = await first.start(studio.url);
  const links = hosts > 1 ? await first.inviteLinks() : { caller: link };
  for (const [i, person] of others.entries()) {
    await person.goto(i + 1 < hosts ? links.host : links.caller);
  }
  await watchAll(people);
  const pressed = Date.now();
  await Promise.all(others.map((person) => person.button('Join session').click()));
  return { link, links, pressed };
}

// The id of the room that a link leads to.
export const roomOf = (link) => new URL(link).hash.slice(1).split('?')[0];

export const hearAll = (people, options) => everyoneHearsEveryone(people, options);

// Nothing red on any console, but for what `expected` matches.
export function assertNoErrors(people, expected = /(?!)/) {
  const errors = people.flatMap(({ name, errors }) => errors.map((error) => `${name}: ${error}`));
  assert.deepEqual(errors.filter((error) => !expected.test(error)), []);
}

// Nobody of `listeners` lost any of `others` for longer than `GAP_MS`. Returns
// the longest gap there was.
export async function assertNoGaps(listeners, others) {
  const gaps = (
    await Promise.all(
      listeners.map((person) => person.gaps(others.filter(({ name }) => name !== person.name))),
    )
  ).flat();
  assert.deepEqual(gaps.filter(({ ms }) => ms > GAP_MS), [], 'gaps in what is played');
  return Math.max(...gaps.map(({ ms }) => ms));
}

// Starts `count` native callers in the room of `link`, whose tones follow those of `people`;
// they are in `room.natives`, and stopped at the end. `options` are those of `Natives`.
export function callNatives(room, link, count, options = {}) {
  room.natives = new Natives(link, { count, first: room.people.length, ...options });
  return room.natives;
}

export const closeAll = (people) => Promise.allSettled(people.map((person) => person.close()));
