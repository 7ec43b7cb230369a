// The relay inside the studio: pages that may use nothing else hear each other through it.

import assert from 'node:assert/strict';
import { countAll } from '../lib/hearing.mjs';
import { Participant } from '../lib/participant.mjs';
import { heardAgain } from '../lib/outages.mjs';
import { until } from '../lib/poll.mjs';
import { atTheEnd, end, newest } from '../lib/recordings.mjs';
import { hearByRelay, onlyRelay, ways } from '../lib/relayed.mjs';
import { assertNoErrors, callNatives, gather, hearAll } from '../lib/rooms.mjs';
import { freePort } from '../lib/server.mjs';
import { suite } from '../lib/suite.mjs';

const port = await freePort();
// Two seconds on a machine with nothing else to do.
const SILENT_MS = 4_000;

suite((scenario) => {
  for (const transport of ['udp', 'tcp']) {
    scenario(`three pages hear each other through the relay alone, by ${transport}`, (room) => hearByRelay(room, transport));
  }

  // The relay ends with its server: what went through it is silent until it goes through the next.
  for (const end of ['killed', 'stopped']) {
    scenario(`a server that is ${end} takes its relay along, and who needs it is heard again at once`, async (room) => {
      const { people, studio } = room;
      await hearByRelay(room, 'udp', { recording: true });
      await Promise.all(people.map((person) => person.record(people)));
      const directions = people.flatMap((at) => people.filter((of) => of !== at).map((of) => [at, of]));
      const silent = await heardAgain(directions, async () => {
        const ended = Date.now();
        if (end === 'killed') {
          await studio.crash();
          await studio.boot();
        } else {
          await studio.restart();
        }
        return ended;
      });
      console.log(`  silent for ${silent} ms`);
      assert.ok(silent.every((ms) => ms > 0 && ms <= SILENT_MS), `silent for ${silent} ms`);
      for (const { page } of people) assert.deepEqual((await ways(page))[0], ['relay', 'relay', 'udp']);
    });
  }

  // Natives that lose all datagrams reach the relay by TCP.
  for (const [by, flags] of [['UDP', []], ['TCP', ['--lose', '100']]]) {
    scenario(`a page and two natives hear each other through the relay alone, natives by ${by}`, async (room) => {
      const { people, studio, browser } = room;
      people.push(await Participant.open(browser, 0));
      await people[0].page.addInitScript(onlyRelay, ['udp']);
      const link = await people[0].start(studio.url);
      const { members } = callNatives(room, link, 2, { flags: ['--relay-only', ...flags] });
      await hearAll(people, { natives: members });
      assert.deepEqual(await ways(people[0].page), Array(2).fill(['relay', 'relay', 'udp']));
      // It looked for ways to the relay, which may take longer than to be heard.
      await until('one is closed', async () => (await countAll(people)).closed > 0);
      const { connections, closed, iceRestarts, rejected } = await countAll(people);
      assert.deepEqual(
        { connections, closed, iceRestarts, rejected },
        { connections: 3, closed: 1, iceRestarts: 0, rejected: 0 },
      );
      await room.natives.heardAll(people);
      assertNoErrors(people);
    });
  }

  scenario('the studio records who may use nothing but the relay', async ({ people, studio, browser }) => {
    const host = await Participant.open(browser, 0);
    people.push(host);
    await host.page.addInitScript(onlyRelay, ['udp']);
    await host.start(studio.url);
    await host.button('Record').click();
    await until('the host has a track', async () => (await newest(studio))?.journal.tracks.length === 1);
    assert.deepEqual(await ways(host.page), [['relay', 'relay', 'udp']]);
    await end(host, 'Stop recording');
    const { journal } = await atTheEnd(studio);
    assert.deepEqual(journal.tracks.map(({ name }) => name), [host.name]);
    assertNoErrors(people);
  });

  scenario('pages that need no relay do not use it, though there is one', async (room) => {
    await gather(room, { callers: 2 });
    await hearAll(room.people);
    for (const { page } of room.people) {
      for (const way of await ways(page)) assert.ok(!way.includes('relay'), `${way}`);
    }
    assertNoErrors(room.people);
  });
}, { studioOptions: { args: ['--turn-listen', `127.0.0.1:${port}`] } });
