// People come and go; those who stay hear no gap.

import assert from 'node:assert/strict';
import { Participant } from '../lib/participant.mjs';
import { until } from '../lib/poll.mjs';
import { assertNoErrors, assertNoGaps, gather, hearAll } from '../lib/rooms.mjs';
import { photograph, suite } from '../lib/suite.mjs';

// Where pages fill the cores, a pause of the machine is heard as well, in several directions at
// once. The eight are for machines that carry them.
const [HOSTS, CALLERS] = process.env.E2E_HEAVY ? [3, 5] : [2, 3];

suite((scenario) => {
  scenario('two leave, the others go on without a gap, both join again', async (room) => {
    const options = () => ({ recording: true });
    const { link } = await gather(room, { hosts: HOSTS, callers: CALLERS, options });
    await hearAll(room.people);
    const [leaver, closer] = room.people.slice(-2);
    const staying = room.people.slice(0, -2);
    // Whoever comes back has the page open already: loading it is no part of joining.
    const back = await Participant.open(room.browser, room.people.length - 1, { recording: true });
    await back.goto(link);
    await Promise.all(staying.map((person) => person.record(staying)));

    await leaver.leave();
    await closer.close();
    for (const person of staying) {
      await until(
        () => `${person.name} no longer lists ${leaver.name}`,
        async () => (await person.state(leaver.name)) === undefined,
      );
      await until(
        () => `${closer.name}'s tone is gone at ${person.name}'s`,
        async () => !(await person.hearsTone(closer)),
        { timeout: 15_000 },
      );
    }
    await hearAll(staying);

    await leaver.join(link);
    room.people[room.people.indexOf(closer)] = back;
    await back.join();
    await hearAll(room.people);
    const longest = await assertNoGaps(staying, staying);
    console.log(`  longest gap at those who stayed: ${longest} ms`);
    await leaver.leave();
    await photograph(leaver, 'left');
    assertNoErrors(room.people);
  });

  scenario('a host ends the session for everybody', async (room) => {
    await gather(room);
    await hearAll(room.people);
    const [host, caller] = room.people;
    await host.button('End session').click();
    const confirm = host.page.getByRole('dialog').getByRole('button', { name: 'End session', exact: true });
    if (await confirm.isVisible().catch(() => false)) await confirm.click();
    await until('the caller is out of the room', async () => (await caller.list().count()) === 0);
    await photograph(caller, 'ended');
    assert.equal((await caller.button('End session').count()), 0);
  });
});
