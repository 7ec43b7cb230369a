// What people type is shown, never interpreted.

import assert from 'node:assert/strict';
import { Participant } from '../lib/participant.mjs';
import { assertNoErrors, gather, hearAll } from '../lib/rooms.mjs';
import { photograph, suite } from '../lib/suite.mjs';

const MARKUP = '<img src=x onerror="window.__owned = true"><b>bold</b> & "quoted" ';

suite((scenario) => {
  scenario('a name of 300 characters with markup in it stays text', async (room) => {
    const name = MARKUP + 'n'.repeat(300 - MARKUP.length);
    await gather(room, { options: (index) => (index === 1 ? { name } : {}) });
    await hearAll(room.people);
    for (const { page } of room.people) {
      const list = page.getByRole('list', { name: 'Participants' });
      assert.equal(await list.locator('img[src="x"], b').count(), 0);
      assert.equal(await page.evaluate(() => window.__owned), undefined);
      assert.match(await list.innerText(), /<img src=x onerror|img src=x/);
      const wide = await page.evaluate(() =>
        document.documentElement.scrollWidth - document.documentElement.clientWidth);
      assert.ok(wide <= 0, `the page is ${wide} px wider than the window`);
    }
    await photograph(room.people[0], 'long-name');
    assertNoErrors(room.people);
  });

  scenario('the link of a room that does not exist gives a sentence', async (room) => {
    const { people, browser, studio } = room;
    const person = await Participant.open(browser, 0);
    people.push(person);
    await person.goto(`${studio.url}#6f1c2a34-5b6d-4e7f-8a9b-0c1d2e3f4a5b`);
    await photograph(person, 'front-join');
    await person.button('Join session').click();
    await person.page.getByText(/does not exist/i).first().waitFor();
    await photograph(person, 'no-such-room');
  });
});
