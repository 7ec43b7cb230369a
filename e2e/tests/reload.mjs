// One person, one seat: a reload, a second tab, the back button.

import assert from 'node:assert/strict';
import { collectErrors } from '../lib/chromium.mjs';
import { until } from '../lib/poll.mjs';
import { assertNoErrors, gather, hearAll } from '../lib/rooms.mjs';
import { photograph, suite } from '../lib/suite.mjs';

// A page that knows its seat enters by itself or offers to: both are a way back.
async function inAgain(person) {
  await until(`${person.name} is in the room again`, async () => {
    if ((await person.list().count()) === 1) return true;
    const way = person.page.getByRole('button', { name: /^(Join session|Rejoin)/, disabled: false });
    if ((await way.count()) > 0) await way.first().click({ timeout: 500 }).catch(() => {});
    return false;
  }, { timeout: 20_000, every: 200 });
}

suite((scenario) => {
  scenario('a reloaded page is heard by all within 3 s, its ghost gone', async (room) => {
    await gather(room, { callers: 3 });
    await hearAll(room.people);
    const [host, , reloaded] = room.people;
    await reloaded.page.reload();
    const loaded = Date.now();
    await hearAll(room.people, { timeout: 3000 });
    console.log(`  heard by all ${Date.now() - loaded} ms after the reload`);
    for (const person of room.people) {
      await until(
        async () => `${person.name} lists ${room.people.length}: ${await person.list().innerText()}`,
        async () => (await person.count()) === room.people.length,
        { timeout: 3000 },
      );
    }
    await host.showsState(reloaded.name, 'Connected', 3000);
    assertNoErrors(room.people);
  });

  scenario('a second tab takes over, the first says so', async (room) => {
    await gather(room);
    await hearAll(room.people);
    const [host, caller] = room.people;
    const first = caller.page;
    // Duplicating a tab copies its session storage.
    const stored = await first.evaluate(() => JSON.stringify({ ...sessionStorage }));
    const second = await caller.context.newPage();
    await second.addInitScript(`if (location.protocol.startsWith('http') && sessionStorage.length === 0)
      for (const [k, v] of Object.entries(${stored})) sessionStorage.setItem(k, v);`);
    collectErrors(second).length = 0;
    await second.goto(first.url());
    caller.page = second;
    await inAgain(caller);
    await until('a sentence in the first tab', async () =>
      /another tab|taken over|other tab|elsewhere/i.test(await first.locator('body').innerText()));
    await photograph({ page: first }, 'taken-over');
    await hearAll(room.people);
    assert.equal(await host.count(), 2);
  });

  scenario('the back button leaves the room, and forward comes back', async (room) => {
    await gather(room);
    await hearAll(room.people);
    const [host, caller] = room.people;
    await caller.page.goto('about:blank');
    await until('the caller is gone or reconnecting', async () =>
      (await host.state(caller.name)) !== 'Connected', { timeout: 15_000 });
    await caller.page.goBack();
    await inAgain(caller);
    await hearAll(room.people, { timeout: 15_000 });
    assert.equal(await host.count(), 2);
  });
});
