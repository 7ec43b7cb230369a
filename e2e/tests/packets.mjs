// A peer whose media packets are dropped, while its signalling goes on.

import assert from 'node:assert/strict';
import { launch } from '../lib/chromium.mjs';
import { Namespace, namespaceTrouble } from '../lib/namespace.mjs';
import { Participant } from '../lib/participant.mjs';
import { holds, until } from '../lib/poll.mjs';
import { assertNoErrors, assertNoGaps, gather, hearAll } from '../lib/rooms.mjs';
import { photograph, suite } from '../lib/suite.mjs';

const FAILED_WITHIN_MS = 90_000;
const CLICK_MS = 15_000;
const FAILED_LASTS_MS = 15_000; // longer than any delay between attempts

suite((scenario) => {
  scenario('dropped packets: Reconnecting…, Failed with a reason, Retry; others untouched', async (room) => {
    const space = await Namespace.create(room.studio.port);
    let apart;
    try {
      apart = await launch({ executablePath: space.chromium });
      const options = () => ({ recording: true });
      const { link } = await gather(room, { callers: 2, options });
      const untouched = [...room.people];
      const lost = await Participant.open(apart, untouched.length, { recording: true });
      room.people.push(lost);
      await lost.join(link);
      await hearAll(room.people);
      await Promise.all(untouched.map((person) => person.record(untouched)));

      const [host] = untouched;
      space.drop(true);
      await host.showsState(lost.name, 'Reconnecting…', 20_000);
      await photograph(host, 'peer-reconnecting');
      // Each end of a pair counts its own attempts, and one that has given up takes part in those of
      // the other.
      const ends = untouched.flatMap((person) => [[person, lost], [lost, person]]);
      for (const [one, other] of ends) await one.showsState(other.name, 'Failed', FAILED_WITHIN_MS);
      const said = await host.text(lost.name);
      await Promise.all(ends.map(([one, other]) => holds(
        async () => `Failed lasts until Retry; ${one.name} has: ${await one.text(other.name)}`,
        async () => (await one.state(other.name)) === 'Failed',
        FAILED_LASTS_MS,
      )));
      assert.ok(said.split('\n').some((line) => line.trim().split(' ').length >= 4), `no reason in: ${said}`);
      await photograph(host, 'peer-failed');
      await hearAll(untouched);

      space.drop(false);
      for (const person of untouched) {
        await person.card(lost.name).getByRole('button', { name: 'Retry' }).click({ timeout: CLICK_MS });
      }
      await hearAll(room.people, { timeout: 30_000 });
      await assertNoGaps(untouched, untouched);
      assertNoErrors(room.people);
    } finally {
      await apart?.close();
      await space.destroy();
    }
  }, { skip: namespaceTrouble() ?? false, timeout: 240_000 });
});
