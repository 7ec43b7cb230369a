// On a line that loses packets, what was lost comes again with the packets that follow.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { between, betweenHomes, lose, streams } from '../lib/lossy.mjs';
import { netlabTrouble } from '../lib/netlab.mjs';
import { sleep, until } from '../lib/poll.mjs';
import { assertNoErrors, assertNoGaps, hearAll } from '../lib/rooms.mjs';

const LIMIT_MS = 200_000;
// Receiver reports come about every five seconds, and are looked at as often.
const ON_WITHIN_MS = 20_000;
const OFF_WITHIN_MS = 60_000;
const MEASURED_MS = 8_000;
// A tenth is lost; in-band FEC alone leaves half of that and more.
const MADE_UP = 0.03;
// A browser sends less while packets get lost; it is itself again some seconds after, and
// redundancy stays on for half a minute.
const RECOVERED_MS = 14_000;

const skip = netlabTrouble() ?? false;

// What the page says of its links under *Connection details*.
const details = (person) => person.page.locator('details.details dd').allInnerTexts();
const isRedundant = async (person) => (await details(person)).some((facts) => facts.includes('redundancy'));

async function measured(person) {
  const before = await streams(person);
  await sleep(MEASURED_MS);
  return between(before, await streams(person));
}

async function comes(people, redundant, timeout) {
  const begun = Date.now();
  await until(
    async () => `redundancy is ${redundant ? 'on' : 'off'} at all; pages say ${await Promise.all(people.map(details))}`,
    async () => (await Promise.all(people.map(isRedundant))).every((is) => is === redundant),
    { timeout },
  );
  console.log(`  redundancy ${redundant ? 'on' : 'off'} after ${Date.now() - begun} ms`);
}

test('redundancy comes with loss and goes without it, and nobody hears a gap', { skip, timeout: LIMIT_MS }, () =>
  betweenHomes(2, async ({ lab, homes, studio, page }) => {
    const people = [];
    for (const home of homes) people.push(await page(home, { recording: true }));
    const [host, caller] = people;
    await caller.join(await host.start(studio.url));
    await hearAll(people);
    for (const { page: shown } of people) await shown.getByText('Connection details').click();
    assert.deepEqual(await Promise.all(people.map(isRedundant)), [false, false]);
    const plain = (await measured(host)).bytes;
    for (const person of people) await person.record(people);

    await lose(lab, homes, { loss: 0.1 });
    await comes(people, true, ON_WITHIN_MS);
    await sleep(1_000); // the round that begins it
    const { concealed } = await measured(host);
    assert.ok(concealed < MADE_UP, `${concealed} of what is heard is made up`);

    await lose(lab, homes, { loss: 0 });
    await sleep(RECOVERED_MS);
    const twice = (await measured(host)).bytes;
    assert.ok(twice > 1.6 * plain, `packets of ${plain} bytes have become ${twice}`);
    await comes(people, false, OFF_WITHIN_MS);
    await sleep(1_000);
    const once = (await measured(host)).bytes;
    assert.ok(once < 1.2 * plain, `packets of ${plain} bytes were ${twice}, and are ${once}`);

    const sizes = [plain, twice, once].map(Math.round);
    console.log(`  made up: ${(100 * concealed).toFixed(2)} %; packets of ${sizes} bytes`);
    console.log(`  longest gap ${await assertNoGaps(people, people)} ms`);
    await hearAll(people);
    assertNoErrors(people);
  }));
