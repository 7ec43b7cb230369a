// Two homes behind NATs, a studio in the public network: pages find a direct way.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { launch } from '../lib/chromium.mjs';
import { Netlab, netlabTrouble } from '../lib/netlab.mjs';
import { Participant } from '../lib/participant.mjs';
import { until } from '../lib/poll.mjs';
import { assertNoErrors, closeAll, hearAll } from '../lib/rooms.mjs';
import { routes } from '../lib/routes.mjs';
import { Studio } from '../lib/server.mjs';

const LIMIT_MS = 120_000;
const RECOVERED_WITHIN_MS = 60_000;
// The most usual NAT that lets nobody in who was not sent to.
const NAT = { mapping: 'endpoint-independent', filtering: 'address-and-port-dependent' };

// Where a page sends its media to.
const remotes = async (page) => (await routes(page)).map(({ remote }) => remote);

async function inTwoHomes(nats, body) {
  const lab = await Netlab.start();
  let studio;
  const [browsers, people] = [[], []];
  try {
    const homes = [await lab.home('a', nats[0]), await lab.home('b', nats[1])];
    const stun = await lab.stun();
    const host = lab.public.addresses[1];
    studio = await Studio.start({ prefix: lab.prefix(), host, args: ['--stun', stun] });
    // Without it there is no microphone on a page that is not encrypted.
    const secure = `--unsafely-treat-insecure-origin-as-secure=${new URL(studio.url).origin}`;
    for (const { prefix } of homes) browsers.push(await launch({ prefix, args: [secure] }));
    for (const [index, browser] of browsers.entries()) {
      people.push(await Participant.open(browser, index));
    }
    const link = await people[0].start(studio.url);
    await people[1].join(link);
    await body({ lab, homes, people });
  } finally {
    await closeAll(people);
    await Promise.allSettled(browsers.map((browser) => browser.close()));
    await studio?.stop();
    await lab.stop();
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
