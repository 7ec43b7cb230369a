// Two homes behind NATs, a studio in the public network: pages find a direct way.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Homes } from '../lib/homes.mjs';
import { DELAY_MS, KINDS, meet } from '../lib/nats.mjs';
import { netlabTrouble } from '../lib/netlab.mjs';
import { until } from '../lib/poll.mjs';
import { assertNoErrors, hearAll } from '../lib/rooms.mjs';
import { routes } from '../lib/routes.mjs';

const LIMIT_MS = 120_000;
const RECOVERED_WITHIN_MS = 60_000;
// The most usual NAT that lets nobody in who was not sent to.
const NAT = { mapping: 'endpoint-independent', filtering: 'address-and-port-dependent' };
// Of the matrix (`cargo xtask bench nat`): what needs no more than its own checks, what needs
// those that come in, and what needs the relay though packets come in.
const SAMPLE = [['EI/APD', 'EI/APD'], ['AD/EI', 'APD/AD'], ['EI/APD', 'APD/EI']];

// Where a page sends its media to.
const remotes = async (page) => (await routes(page)).map(({ remote }) => remote);

async function inTwoHomes(nats, body) {
  const all = await Homes.open({ a: nats[0], b: nats[1] }, { relay: false });
  try {
    const [host, caller] = [await all.person(0), await all.person(1)];
    await caller.join(await host.start(all.studio.url));
    await body(all);
  } finally {
    await all.close();
  }
}

const skip = netlabTrouble() ?? false;

test('behind NATs that keep their mapping, pages hear each other directly', { skip, timeout: LIMIT_MS }, () =>
  inTwoHomes([NAT, NAT], async ({ homes, people }) => {
    await hearAll(people);
    for (const [index, { page }] of people.entries()) {
      const [other] = homes.filter((_, i) => i !== index);
      const used = await remotes(page);
      assert.deepEqual(used.map(({ address }) => address), [other.public], JSON.stringify(used));
      assert.notEqual(used[0].candidateType, 'relay');
    }
    assertNoErrors(people);
  }));

test('a home that was cut off is heard again', { skip, timeout: LIMIT_MS }, () =>
  inTwoHomes([NAT, NAT], async ({ lab, homes, people: [host, caller] }) => {
    await hearAll([host, caller]);
    await lab.outage(homes[1], true);
    await host.showsState(caller.name, 'Reconnecting…', 20_000);
    await lab.outage(homes[1], false);
    await host.showsState(caller.name, 'Connected', RECOVERED_WITHIN_MS);
    await hearAll([host, caller]);
  }));

test('a home whose public address changes is found at the new one', { skip, timeout: LIMIT_MS }, () =>
  inTwoHomes([NAT, NAT], async ({ lab, homes, people }) => {
    await hearAll(people);
    await lab.renumber(homes[1]);
    const used = () => remotes(people[0].page);
    await until(
      async () => `media go to ${homes[1].public}; they go to ${JSON.stringify(await used())}`,
      async () => (await used()).some(({ address }) => address === homes[1].public),
      { timeout: RECOVERED_WITHIN_MS },
    );
    await hearAll(people);
  }));

test('a sample of NATs: a direct way where there can be one, else the relay', { skip, timeout: LIMIT_MS }, async () => {
  const kind = (wanted) => KINDS.find(({ name }) => name === wanted);
  const all = await Homes.open({ a: {}, b: {} }, { delayMs: DELAY_MS });
  try {
    for (const names of SAMPLE) {
      const { expected, found, heard } = await meet(all, names.map(kind));
      console.log(`  ${names.join(' and ')}: ${found}, heard after ${heard} ms`);
      assert.equal(found, expected, names.join(' and '));
    }
  } finally {
    await all.close();
  }
});
