// Two pages on lines like a phone's in a train: slow, narrow and uneven, with packets lost a few
// at a time, doubled and out of order.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { countAll } from '../lib/hearing.mjs';
import { between, betweenHomes, streams } from '../lib/lossy.mjs';
import { netlabTrouble } from '../lib/netlab.mjs';
import { sleep } from '../lib/poll.mjs';
import { assertNoErrors, hearAll } from '../lib/rooms.mjs';

const LIMIT_MS = 60_000;
const LISTENED_MS = 8_000;
// A path that is found anew takes longer.
const PATH_MS = 500;
const LINE = {
  delayMs: 60, jitterMs: 15, rateKbit: 256, loss: 0.02, burst: 2, reorder: 0.01, reorderMs: 30, duplicate: 0.01,
};
// A fiftieth is lost, and some comes too late, most of it while the page learns what the line is like.
const MADE_UP = 0.2;

const skip = netlabTrouble() ?? false;

test('on slow, narrow and uneven lines two pages hear each other, and nothing begins anew', { skip, timeout: LIMIT_MS }, () =>
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
    const gaps = [...await host.gaps([caller]), ...await caller.gaps([host])].map(({ ms }) => ms);
    console.log(`  made up: ${(100 * concealed).toFixed(2)} %; longest gaps ${gaps} ms`);
    assert.ok(concealed < MADE_UP, `${concealed} of what is heard is made up`);
    // As many packets in a row may be lost as chance will have it, but no more than that.
    assert.ok(Math.max(...gaps) < PATH_MS, `gaps of ${gaps} ms`);
    assert.equal((await countAll(people)).iceRestarts, 0);
    await hearAll(people);
    assertNoErrors(people);
  }));
