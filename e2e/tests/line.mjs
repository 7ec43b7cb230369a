// Two pages on lines like a phone's in a train: slow, narrow and uneven, with packets lost a few
// at a time, doubled and out of order.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { between, betweenHomes, streams } from '../lib/lossy.mjs';
import { netlabTrouble } from '../lib/netlab.mjs';
import { sleep } from '../lib/poll.mjs';
import { assertNoErrors, assertNoGaps, hearAll } from '../lib/rooms.mjs';

const LIMIT_MS = 60_000;
const LISTENED_MS = 8_000;
const LINE = {
  delayMs: 60, jitterMs: 15, rateKbit: 256, loss: 0.02, burst: 2, reorder: 0.01, reorderMs: 30, duplicate: 0.01,
};
// A fiftieth is lost, and some comes too late.
const MADE_UP = 0.1;

const skip = netlabTrouble() ?? false;

test('on slow, narrow and uneven lines two pages hear each other without a gap', { skip, timeout: LIMIT_MS }, () =>
  betweenHomes(2, async ({ lab, homes, studio, page }) => {
    const people = [];
    for (const home of homes) people.push(await page(home, { recording: true }));
    const [host, caller] = people;
    // How long the page itself takes on such a line is another matter.
    await caller.goto(await host.start(studio.url));
    for (const home of homes) await lab.link(home, { up: LINE, down: LINE });
    const joining = Date.now();
    await caller.join();
    await hearAll(people);
    console.log(`  heard after ${Date.now() - joining} ms`);
    for (const person of people) await person.record(people);
    const before = await streams(host);
    await sleep(LISTENED_MS);
    const { concealed } = between(before, await streams(host));
    console.log(`  made up: ${(100 * concealed).toFixed(2)} %; longest gap ${await assertNoGaps(people, people)} ms`);
    assert.ok(concealed < MADE_UP, `${concealed} of what is heard is made up`);
    assertNoErrors(people);
  }));
