// What a machine can check of accessibility (axe-core), on every screen, in both themes.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tapAll } from '../lib/desk.mjs';
import { Participant } from '../lib/participant.mjs';
import { gather, hearAll, roomOf } from '../lib/rooms.mjs';
import { photograph, suite } from '../lib/suite.mjs';

const AXE = createRequire(import.meta.url).resolve('axe-core/axe.min.js');

async function violations({ page }) {
  const found = [];
  for (const colorScheme of ['dark', 'light']) {
    await page.emulateMedia({ colorScheme });
    // Evaluated by the debugger, which the page's security policy does not bind.
    await page.evaluate(await readFile(AXE, 'utf8'));
    const result = await page.evaluate(() => window.axe.run(document, { resultTypes: ['violations'] }));
    for (const { id, nodes } of result.violations) {
      found.push(`${colorScheme}: ${id}: ${nodes.map(({ html }) => html.slice(0, 120)).join(' | ')}`);
    }
  }
  await page.emulateMedia({ colorScheme: null });
  return found;
}

suite((scenario) => {
  scenario('no violation on the entry page, alone and in company', async (room) => {
    const { people, browser, studio } = room;
    const alone = await Participant.open(browser, 0);
    people.push(alone);
    await alone.goto(studio.url);
    assert.deepEqual(await violations(alone), [], 'entry page');
    await alone.page.getByText('Check microphone and loudspeaker').click();
    await alone.page.getByText('Speak:').waitFor();
    assert.deepEqual(await violations(alone), [], 'the check');
    await alone.button('Start session').click();
    await alone.inRoom();
    assert.deepEqual(await violations(alone), [], 'a room of one');
    await tapAll([alone], [alone]);
    await photograph(alone, 'desk-1');
    await alone.button('Keys').click();
    assert.deepEqual(await violations(alone), [], 'the keys');
  });

  scenario('no violation at the desk of a host, nor on a caller\'s page', async (room) => {
    await gather(room, { callers: 2 });
    await hearAll(room.people);
    const [host, caller] = room.people;
    await tapAll(room.people, [host]);
    assert.deepEqual(await violations(host), [], 'host');
    assert.deepEqual(await violations(caller), [], 'caller');
    await host.page.getByText('Microphone and loudspeaker').click();
    assert.deepEqual(await violations(host), [], 'devices');
    await photograph(host, 'desk-3-devices');
    await host.page.getByText('Microphone and loudspeaker').click();
    await photograph(host, 'desk-3');
    await photograph(caller, 'desk-3-caller');
  });

  scenario('no violation while recording and on air, in the list of recordings, nor for listeners', async (room) => {
    await gather(room, { callers: 1 });
    const [host, caller] = room.people;
    await hearAll(room.people);
    await host.button('Record').click();
    await host.button('Go on air').click();
    for (const person of room.people) {
      await person.page.locator('.topbar').getByText(/Recording \d/).waitFor();
      await person.page.locator('.topbar').getByText(/On air/).waitFor();
      assert.deepEqual(await violations(person), [], person.name);
    }
    const said = await caller.page.locator('[aria-live]').allInnerTexts();
    assert.ok(said.some((text) => /recorded|on air/.test(text)), `told: ${said}`);
    await host.button('Recordings').click();
    await host.page.getByRole('link', { name: 'Download all' }).waitFor();
    assert.deepEqual(await violations(host), [], 'the list');
    const page = await host.context.newPage();
    await page.goto(`${room.studio.url}listen/${roomOf(host.page.url())}`);
    await page.getByText('On air').waitFor();
    assert.deepEqual(await violations({ page }), [], 'the page for listeners');
    await page.close();
  });
});
