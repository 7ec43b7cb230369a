// What a machine can check of accessibility (axe-core), on every screen, in both themes.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tapAll } from '../lib/desk.mjs';
import { Participant } from '../lib/participant.mjs';
import { callNatives, gather, hearAll, roomOf } from '../lib/rooms.mjs';
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

// What of all that the Tab key reaches is covered when it has the focus, by what covers it, and how
// many there are.
async function covered({ page }) {
  await page.evaluate(() => {
    document.activeElement?.blur();
    window.scrollTo(0, 0);
  });
  const seen = new Set();
  const hidden = [];
  for (;;) {
    await page.keyboard.press('Tab');
    const one = await page.evaluate(() => {
      const element = document.activeElement;
      if (!element || element === document.body) return undefined;
      const tabs = (window.__tabs ??= new Map());
      if (!tabs.has(element)) tabs.set(element, tabs.size);
      const { left, top, width, height } = element.getBoundingClientRect();
      const at = document.elementFromPoint(left + width / 2, top + height / 2);
      const label = element.labels?.[0];
      const free = at && (element.contains(at) || at.contains(element) || label?.contains(at));
      const name = element.getAttribute('aria-label') ?? element.innerText ?? element.outerHTML;
      return { id: tabs.get(element), cover: free ? undefined : `${name.slice(0, 60)} under ${at?.className}` };
    });
    if (!one || seen.has(one.id)) return { hidden, reached: seen.size };
    seen.add(one.id);
    if (one.cover) hidden.push(one.cover);
  }
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

  scenario('what has the focus is not covered, on a wide screen and on a phone', async (room) => {
    const { link } = await gather(room, { callers: 1 });
    const { members } = callNatives(room, link, 5);
    await hearAll(room.people, { natives: members });
    const [host, caller] = room.people;
    await host.button('Record').click();
    for (const person of [host, caller]) {
      for (const size of [{ width: 1280, height: 640 }, { width: 390, height: 740 }]) {
        await person.page.setViewportSize(size);
        const { hidden, reached } = await covered(person);
        assert.deepEqual(hidden, [], `${person.name}, ${size.width} px wide`);
        assert.ok(reached > members.length, `only ${reached} were reached`);
      }
    }
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
