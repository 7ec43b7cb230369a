// Pages and native participants in one room: the same connection manager on two stacks.

import assert from 'node:assert/strict';
import { countAll } from '../lib/hearing.mjs';
import { setGain } from '../lib/desk.mjs';
import { until } from '../lib/poll.mjs';
import { assertNoErrors, callNatives, gather, hearAll } from '../lib/rooms.mjs';
import { Participant } from '../lib/participant.mjs';
import { suite } from '../lib/suite.mjs';

const REPEAT = Number(process.env.E2E_REPEAT ?? 1);

// `pages` and `natives` join at once; all directions by tones, each connection made once.
async function mixedRoom(room, pages, natives) {
  const host = await Participant.open(room.browser, 0);
  room.people.push(host);
  const link = await host.start(room.studio.url);
  for (let index = 1; index < pages; index += 1) {
    const person = await Participant.open(room.browser, index);
    room.people.push(person);
    await person.goto(link);
  }
  const pressed = Date.now();
  const { members } = callNatives(room, link, natives);
  await Promise.all(room.people.slice(1).map((person) => person.button('Join session').click()));
  await hearAll(room.people, { natives: members });
  const took = Date.now() - pressed;
  const { connections, iceRestarts, rejected } = await countAll(room.people);
  assert.deepEqual(
    { connections, iceRestarts, rejected },
    { connections: pages * (pages + natives - 1), iceRestarts: 0, rejected: 0 },
  );
  // A browser that probes the way to a native mixes padding into what it says.
  const descriptions = await host.page.evaluate(() =>
    [...window.__e2e.connections].map(({ remoteDescription }) => remoteDescription.sdp));
  const unprobed = descriptions.filter((sdp) => !sdp.includes('transport-wide-cc'));
  assert.equal(unprobed.length, natives);
  for (const person of room.people) {
    await until(`${person.name} shows all as connected`, async () =>
      (await person.countOf('Connected')) === pages + natives - 1);
  }
  const { allConnectedMs } = await room.natives.heardAll(room.people);
  assertNoErrors(room.people);
  console.log(`  ${pages} + ${natives}: heard after ${took} ms; natives connected to all after ${allConnectedMs} ms`);
}

suite((scenario) => {
  for (let run = 1; run <= REPEAT; run += 1) {
    const times = `(run ${run} of ${REPEAT})`;
    scenario(`one page and seven natives hear each other ${times}`, (room) => mixedRoom(room, 1, 7));
    scenario(`four pages and four natives hear each other ${times}`, (room) => mixedRoom(room, 4, 4));
  }

  scenario('a page restarts ICE with a native, who offers or answers', async (room) => {
    const { link } = await gather(room, { callers: 0 });
    const [host] = room.people;
    const { members } = callNatives(room, link, 4);
    await hearAll(room.people, { natives: members });
    const ufrags = () => host.page.evaluate(() => [...window.__e2e.connections].map(({ currentRemoteDescription }) =>
      /a=ice-ufrag:(\S+)/.exec(currentRemoteDescription.sdp)[1]));
    for (let round = 0; round < 5; round += 1) {
      const before = await ufrags();
      await host.page.evaluate(() => window.__e2e.connections.forEach((connection) => connection.restartIce()));
      await until('new credentials of all natives', async () => {
        const now = await ufrags();
        return now.length === before.length && now.every((ufrag) => !before.includes(ufrag));
      });
      await hearAll(room.people, { natives: members });
    }
    const { connections } = await countAll(room.people);
    assert.equal(connections, 4, 'no connection was made anew');
    await room.natives.heardAll(room.people);
    assertNoErrors(room.people);
  });

  scenario('a host mutes a native, and the native knows of faders', async (room) => {
    const { link } = await gather(room, { callers: 0 });
    const [host] = room.people;
    const [native] = callNatives(room, link, 1).members;
    await hearAll(room.people, { natives: [native] });
    const mute = host.page.getByRole('button', { name: `Mute ${native.name}`, exact: true });
    await mute.click();
    await until('silence', async () => !(await host.hearsTone(native)));
    await mute.click();
    await until('the voice again', () => host.hearsTone(native));
    await setGain(host, host.name, 150);
    await until('the fader as everybody has it', async () => /150/.test(await host.text(host.name)));
    const { directions: [direction] } = await room.natives.heardAll(room.people);
    assert.equal(direction.gain, 150, 'the fader as the native has it');
    await until('the native is gone', async () => (await host.count()) === 1);
    assertNoErrors(room.people);
  });
});
