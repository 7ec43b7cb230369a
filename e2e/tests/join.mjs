// Everyone hears everyone: two, six, and eight who press Join within a second.

import assert from 'node:assert/strict';
import { carries } from '../lib/capacity.mjs';
import { countAll, lastHeard } from '../lib/hearing.mjs';
import { until } from '../lib/poll.mjs';
import { assertNoErrors, gather, hearAll } from '../lib/rooms.mjs';
import { photograph, suite } from '../lib/suite.mjs';

const REPEAT = Number(process.env.E2E_REPEAT ?? 1);

async function everyoneIsConnected(people) {
  for (const person of people) {
    await until(
      async () => `${person.name} shows all as connected; it shows: ${await person.list().innerText()}`,
      async () => (await person.countOf('Connected')) === people.length - 1,
      { timeout: 5000 },
    );
  }
}

// Every direction by tones, then the count of everything done to get there.
async function joined(people, pressed) {
  const peers = people.length;
  const directions = peers * (peers - 1);
  const progress = async () => JSON.stringify(await lastHeard(people));
  const { at } = await until(progress, async () => {
    const heard = await lastHeard(people);
    return heard.at && heard;
  }, { timeout: 30_000, every: 100 });
  await hearAll(people);
  await everyoneIsConnected(people);
  const { connections, localOffers, localAnswers, iceRestarts, rejected } = await countAll(people);
  assert.deepEqual(
    { connections, localOffers, localAnswers, iceRestarts, rejected },
    { connections: directions, localOffers: directions / 2, localAnswers: directions / 2, iceRestarts: 0, rejected: 0 },
  );
  assertNoErrors(people);
  return at - pressed;
}

suite((scenario) => {
  scenario('two hear each other', async (room) => {
    const { pressed } = await gather(room);
    await joined(room.people, pressed);
    const [host, caller] = room.people;
    assert.match(await host.text(caller.name), /caller/i);
    assert.match(await caller.text(host.name), /host/i);
    await photograph(host, 'two-host');
    await photograph(caller, 'two-caller');
  });

  scenario('six join at once and hear each other', async (room) => {
    const { pressed } = await gather(room, { hosts: 2, callers: 4 });
    const took = await joined(room.people, pressed);
    console.log(`  all 30 directions audible ${took} ms after pressing Join`);
  });

  for (let run = 1; run <= REPEAT; run += 1) {
    scenario(`eight join at once and hear each other (run ${run} of ${REPEAT})`, async (room) => {
      if (!(await carries(8, room))) return;
      const { pressed } = await gather(room, { hosts: 3, callers: 5 });
      const took = await joined(room.people, pressed);
      console.log(`  all 56 directions audible ${took} ms after pressing Join`);
      const [host, second, , caller] = room.people;
      assert.match(await caller.text(second.name), /host/i);
      assert.match(await second.text(caller.name), /caller/i);
      if (run === 1) await photograph(host, 'eight');
    });
  }

  const heavy = process.env.E2E_HEAVY ? false : 'only with --heavy';
  scenario('twelve join at once and hear each other', async (room) => {
    const { pressed } = await gather(room, { hosts: 3, callers: 9 });
    const took = await joined(room.people, pressed);
    console.log(`  all 132 directions audible ${took} ms after pressing Join`);
  }, { skip: heavy });
});
