// A page in one home and a native in another, both behind NATs, and a studio with a relay in the
// public network.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { launch } from '../lib/chromium.mjs';
import { Netlab, netlabTrouble } from '../lib/netlab.mjs';
import { Participant } from '../lib/participant.mjs';
import { until } from '../lib/poll.mjs';
import { assertNoErrors, callNatives, closeAll, hearAll } from '../lib/rooms.mjs';
import { routes } from '../lib/routes.mjs';
import { Studio } from '../lib/server.mjs';

const LIMIT_MS = 120_000;
const RECOVERED_WITHIN_MS = 60_000;
// Another mapping for each destination: no direct way leads through two of them.
const SYMMETRIC = { mapping: 'address-and-port-dependent', filtering: 'address-and-port-dependent' };
const USUAL = { mapping: 'endpoint-independent', filtering: 'address-and-port-dependent' };

async function inTwoHomes(nat, body) {
  const lab = await Netlab.start();
  const room = { people: [] };
  try {
    const [page, native] = [await lab.home('a', nat), await lab.home('b', nat)];
    const host = lab.public.addresses[1];
    room.studio = await Studio.start({ prefix: lab.prefix(), host, args: ['--turn-listen', `${host}:3478`] });
    // Without it there is no microphone on a page that is not encrypted.
    const secure = `--unsafely-treat-insecure-origin-as-secure=${new URL(room.studio.url).origin}`;
    room.browser = await launch({ prefix: page.prefix, args: [secure] });
    const person = await Participant.open(room.browser, 0);
    room.people.push(person);
    const link = await person.start(room.studio.url);
    const { members } = callNatives(room, link, 1, { prefix: native.prefix });
    await hearAll(room.people, { natives: members });
    await body({ lab, native, person, members, natives: room.natives });
    await room.natives.heardAll(room.people);
  } finally {
    await room.natives?.stop();
    await closeAll(room.people);
    await room.browser?.close();
    await room.studio?.stop();
    await lab.stop();
  }
}

const skip = netlabTrouble() ?? false;

test('through two symmetric NATs, a page and a native hear each other by the relay', { skip, timeout: LIMIT_MS }, () =>
  inTwoHomes(SYMMETRIC, async ({ person }) => {
    const [{ local, remote }] = await routes(person.page);
    assert.ok([local, remote].some(({ candidateType }) => candidateType === 'relay'), JSON.stringify({ local, remote }));
    assertNoErrors([person]);
  }));

test('behind NATs that keep their mapping, a page and a native hear each other directly', { skip, timeout: LIMIT_MS }, () =>
  inTwoHomes(USUAL, async ({ native, person }) => {
    const [{ local, remote }] = await routes(person.page);
    assert.equal(remote.address, native.public, JSON.stringify(remote));
    assert.notEqual(local.candidateType, 'relay');
    assertNoErrors([person]);
  }));

for (const [nat, kind] of [[USUAL, 'directly'], [SYMMETRIC, 'by the relay']]) {
  test(`a native whose own address changes is heard again, ${kind}`, { skip, timeout: LIMIT_MS }, () =>
    inTwoHomes(nat, async ({ lab, native, person, members }) => {
      // Nowhere for a moment, while ICE starts anew.
      const remote = async () =>
        (await routes(person.page)).map(({ remote: { address, port } }) => `${address}:${port}`).join();
      const before = await remote();
      await lab.renumber(native, 'own');
      const changed = Date.now();
      await until(`another way than to ${before}`, async () => !['', before].includes(await remote()), {
        timeout: RECOVERED_WITHIN_MS,
      });
      await hearAll([person], { natives: members, timeout: RECOVERED_WITHIN_MS });
      console.log(`  heard again ${Date.now() - changed} ms after the address changed`);
    }));
}
