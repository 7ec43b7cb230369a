// The server dies and comes back; the programme goes on.

import assert from 'node:assert/strict';
import {
  assertBack, assertNoGhosts, assertReported, assertRosters, killAgain, outagesOf, packetGaps, returnsFrom,
} from '../lib/crashes.mjs';
import { Participant } from '../lib/participant.mjs';
import { until } from '../lib/poll.mjs';
import { assertNoErrors, assertNoGaps, callNatives, gather, hearAll } from '../lib/rooms.mjs';
import { photograph, suite } from '../lib/suite.mjs';

// How fast a page loads on this machine is no matter of every day.
const HEARD_WITHIN_MS = process.env.E2E_HEAVY ? 5_000 : 30_000;

// Longer than what comes of a busy machine; a connection that is made anew is silent for longer.
const PACKET_GAP_MS = 500;

const lookOf = async (person, people) =>
  Promise.all(people.map(async ({ name }) => /host|caller/i.exec(await person.text(name))?.[0].toLowerCase()));

suite((scenario) => {
  scenario('a server that crashes and comes back is not heard', async (room) => {
    const options = () => ({ recording: true });
    const { link } = await gather(room, { hosts: 2, callers: 2, options });
    const { people, studio } = room;
    await hearAll(people);
    const roles = await lookOf(people[0], people);
    assert.deepEqual(roles, ['host', 'host', 'caller', 'caller']);
    // Whoever joins has the page open already: what is looked at is the way into the room.
    const late = await Participant.open(room.browser, people.length, { recording: true });
    await late.goto(link);
    await Promise.all(people.map((person) => person.record(people)));

    await studio.crash();
    for (const person of people) {
      await until(`${person.name} says Reconnecting…`, async () =>
        (await person.page.getByText(/Reconnecting/).count()) > 0);
      const states = await Promise.all(
        people.filter((other) => other !== person).map((other) => person.state(other.name)));
      assert.deepEqual(states, ['Connected', 'Connected', 'Connected'], 'media is said to be gone');
    }
    await photograph(people[2], 'server-gone');
    await hearAll(people);
    await studio.boot();
    const booted = Date.now();

    await late.join();
    await hearAll([...people, late], { timeout: HEARD_WITHIN_MS - (Date.now() - booted) });
    console.log(`  a new caller hears all ${Date.now() - booted} ms after the server is back`);
    for (const person of people) {
      await until(`${person.name} no longer says Reconnecting…`, async () =>
        (await person.page.getByText(/Reconnecting/).count()) === 0, { timeout: 15_000 });
      assert.equal(await person.count(), people.length + 1);
      assert.deepEqual(await lookOf(person, people), roles);
    }
    const longest = await assertNoGaps(people, people);
    console.log(`  longest gap: ${longest} ms`);
    people.push(late);
    // The browser itself reports sockets that could not connect.
    assertNoErrors(people, /WebSocket connection|ERR_CONNECTION_REFUSED/);
  });

  const skip = process.env.E2E_HEAVY ? false : 'only with --heavy';
  scenario('a server that dies three times in a row, and is stopped then, is not heard', async (room) => {
    const { studio, people } = room;
    const { link } = await gather(room, { options: () => ({ recording: true, signalling: true }) });
    const natives = callNatives(room, link, 3);
    const everybody = [...people, ...natives.members];
    const names = everybody.map(({ name }) => name);
    await natives.hearAll(people);
    await assertRosters(people, names);
    await Promise.all(people.map((person) => person.record(everybody)));
    const begun = Date.now();

    const returned = async (lost) => {
      await assertBack(people, lost);
      await assertRosters(people, names);
    };
    const ends = await killAgain(studio, 3, { then: returned });
    const stopped = Date.now();
    await studio.restart();
    ends.push({ killed: stopped, answered: Date.now() });
    await returned(stopped);
    await hearAll(people, { natives: natives.members });
    const window = { since: begun, until: Date.now() };

    const longest = await assertNoGaps(people, everybody);
    const report = await natives.stop();
    assertReported(report, natives.members, names);
    assert.deepEqual(packetGaps(report, window, PACKET_GAP_MS), [], 'times without a packet');
    await assertNoGhosts(people, people.map(({ name }) => name));
    const returns = returnsFrom(ends, await outagesOf(people, report), names).map(({ fromKill }) => fromKill);
    console.log(`  longest gap: ${longest} ms; back after ${Math.max(...returns)} ms at most`);
    assertNoErrors(people, /WebSocket connection|ERR_CONNECTION_REFUSED/);
  }, { skip });
});
