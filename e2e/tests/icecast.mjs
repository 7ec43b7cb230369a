// The programme on a real Icecast server: what a host reads, what is heard there, and how it
// comes back. Skipped, with the reason, where there is no Icecast.

import assert from 'node:assert/strict';
import { decode, level, listen, longestSilence } from '../lib/decoded.mjs';
import { Icecast, PASSWORD, hasIcecast } from '../lib/icecast.mjs';
import { sleep, until } from '../lib/poll.mjs';
import { assertNoErrors, gather, hearAll, roomOf } from '../lib/rooms.mjs';
import { freePort } from '../lib/server.mjs';
import { photograph, suite } from '../lib/suite.mjs';

const AWAY_MS = Number(process.env.E2E_HEAVY ? 20_000 : 4_000);
const BACK_MS = 2_000;
const GAP_MS = 100;

const skip = hasIcecast ? false : 'there is no Icecast on this machine (icecast2)';
const icecast = await Icecast.prepare(await freePort());
// A studio stays on air for a while in a room that everybody has left, and would take the mount
// of the next room: whoever fights for one has a server without such neighbours.
const contested = await Icecast.prepare(await freePort());
const args = (password, server = icecast) => ['--icecast-url', server.url, '--icecast-password', password];

const reads = (host, words) => until(`${host.name} reads ${words}`, async () =>
  (await host.page.getByRole('list', { name: 'Destinations' }).getByText(words).count()) > 0, { timeout: 20_000 });

suite((scenario) => {
  scenario('the programme is on Icecast, and back when Icecast is', async (room) => {
    await icecast.start();
    try {
      await gather(room, { callers: 1 });
      const { people } = room;
      const [host, caller] = people;
      await hearAll(people);
      await host.button('Go on air').click();
      await until('the mount is there', () => icecast.mounted(), { timeout: 20_000 });
      await photograph(host, 'icecast-desk');
      const { samples } = decode(icecast.url, ['-t', '4']);
      for (const { name, tone } of people) {
        assert.ok(level(samples, tone, 2, 3.5) > -26, `${name} is on Icecast`);
      }
      let took;
      const heard = await listen(`${room.studio.url}listen/${roomOf(host.page.url())}.ogg`, async () => {
        await icecast.stop();
        await reads(host, /Icecast|answer|again/);
        await sleep(AWAY_MS);
        await icecast.start();
        const started = Date.now();
        await until('the mount is back', () => icecast.mounted(), { timeout: 20_000 });
        took = Date.now() - started;
        await sleep(2000);
      });
      const gap = longestSilence(heard.samples, caller.tone, 1);
      console.log(`  the mount is back ${took} ms after Icecast answers again; the longest gap for listeners` +
        ` of the studio is ${gap} ms`);
      // How fast this machine is, is no matter of every day.
      if (process.env.E2E_HEAVY) assert.ok(took < BACK_MS, `${took} ms`);
      assert.ok(gap <= GAP_MS, `a gap of ${gap} ms`);

      const left = await listen(icecast.url, async () => {
        await sleep(2500);
        await host.page.close();
        await sleep(4000);
      });
      const without = longestSilence(left.samples, caller.tone, 1);
      console.log(`  the host is gone: the longest gap on Icecast is ${without} ms`);
      assert.ok(without <= GAP_MS, `a gap of ${without} ms`);
      people.shift();
      assertNoErrors(people);
    } finally {
      await icecast.stop();
    }
  }, { skip });
}, { studioOptions: { args: args(PASSWORD) } });

suite((scenario) => {
  scenario('a mount that is in use is a sentence on the desk, and taken once it is free', async (room) => {
    await contested.start();
    const other = contested.occupy();
    try {
      await until('somebody else is on the mount', () => contested.mounted(), { timeout: 20_000 });
      await gather(room);
      const [host] = room.people;
      await host.button('Go on air').click();
      await reads(host, /Somebody else streams/);
      other.kill('SIGKILL');
      await reads(host, /^Icecast On air/);
      assertNoErrors(room.people);
    } finally {
      other.kill('SIGKILL');
      await contested.remove();
    }
  }, { skip });
}, { studioOptions: { args: args(PASSWORD, contested) } });

suite((scenario) => {
  scenario('a wrong host is a sentence on the desk', async (room) => {
    await gather(room);
    const [host] = room.people;
    await host.button('Go on air').click();
    await reads(host, /nowhere\.invalid/);
    assert.match(room.studio.log, /WARN.*nowhere\.invalid/);
    assertNoErrors(room.people);
  });
}, { studioOptions: { args: ['--icecast-url', 'http://nowhere.invalid:8000/live', '--icecast-password', PASSWORD] } });

suite((scenario) => {
  scenario('a wrong password is a sentence on the desk', async (room) => {
    await icecast.start();
    try {
      await gather(room);
      const [host] = room.people;
      await host.button('Go on air').click();
      await reads(host, /password/i);
      await photograph(host, 'icecast-wrong-password');
      assertNoErrors(room.people);
    } finally {
      await icecast.remove();
    }
  }, { skip });
}, { studioOptions: { args: args('wrong') } });
