// Credentials for relays that run out while a show goes on, and one relayed address a connection.

import assert from 'node:assert/strict';
import { Participant } from '../lib/participant.mjs';
import { until } from '../lib/poll.mjs';
import { allocations, areGood, expiryAt, onlyRelay, past, relaysOf } from '../lib/relayed.mjs';
import { assertNoErrors, hearAll } from '../lib/rooms.mjs';
import { freePort } from '../lib/server.mjs';
import { suite } from '../lib/suite.mjs';

const port = await freePort();
const SECONDS = 8;

// The names by which ICE knows the far ends of a page's connections.
const ufrags = (page) => page.evaluate(() => [...window.__e2e.connections]
  .flatMap(({ currentRemoteDescription }) => currentRemoteDescription ?? [])
  .map(({ sdp }) => /a=ice-ufrag:(\S+)/.exec(sdp)[1]));

// Somebody in the room who may use nothing but the relay.
async function enter({ browser, studio, people }, link) {
  const person = await Participant.open(browser, people.length);
  await person.page.addInitScript(onlyRelay, ['udp', 'tcp']);
  people.push(person);
  if (link) await person.join(link);
  else return person.start(studio.url);
}

suite((scenario) => {
  scenario('who is heard through the relay is heard when credentials have run out', async (room) => {
    const { people } = room;
    const link = await enter(room);
    await enter(room, link);
    await hearAll(people);
    const [host, caller] = people;
    const first = await expiryAt(caller.page);
    const [expired] = await relaysOf(caller.page);
    await past(first, SECONDS);
    assert.equal(await areGood(caller.page, expired), false, 'they have run out');
    await hearAll(people);

    // For each who was there, a new connection: with credentials that came meanwhile.
    await enter(room, link);
    await hearAll(people);
    for (const { page } of [host, caller]) {
      assert.ok((await expiryAt(page)) > first + SECONDS, 'connections have newer credentials');
    }
    const [current] = await relaysOf(caller.page);
    assert.equal(await areGood(caller.page, current), true);

    // A restart of ICE allocates anew, on connections that are older than the credentials.
    const before = await ufrags(host.page);
    for (const { page } of people) {
      await page.evaluate(() => window.__e2e.connections.forEach((connection) => { connection.isOld = true; }));
    }
    await host.page.evaluate(() => window.__e2e.connections.forEach((connection) => connection.restartIce()));
    await until('ICE credentials of all the others', async () => {
      const now = await ufrags(host.page);
      return now.length === before.length && now.every((ufrag) => !before.includes(ufrag));
    });
    await hearAll(people);
    for (const { name, page } of people) {
      // One that looks for ways to the relay carries no media.
      const anew = await page.evaluate(() => [...window.__e2e.connections].filter((connection) =>
        !connection.isOld && connection.getTransceivers().length > 0).length);
      assert.equal(anew, 0, `connections that ${name} made anew`);
    }
    assertNoErrors(people);
  });

  scenario('three pages have one relayed address for each connection', async (room) => {
    const { people } = room;
    const link = await enter(room);
    await enter(room, link);
    await enter(room, link);
    await hearAll(people);
    for (const { page } of people) {
      await until(
        async () => `one address a connection; there are ${await allocations(page)}`,
        async () => `${await allocations(page)}` === '1,1',
      );
      for (const [{ urls }] of await relaysOf(page)) {
        assert.deepEqual([urls].flat(), [`turn:127.0.0.1:${port}?transport=udp`]);
      }
    }
    assertNoErrors(people);
  });
}, { studioOptions: { args: ['--turn-listen', `127.0.0.1:${port}`, '--turn-seconds', `${SECONDS}`] } });
