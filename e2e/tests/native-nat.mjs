// A page in one home and a native in another, both behind NATs, and a studio with a relay in the
// public network.

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { launch } from '../lib/chromium.mjs';
import { DIRECT_MS } from '../lib/nats.mjs';
import { Netlab, netlabTrouble } from '../lib/netlab.mjs';
import { Participant } from '../lib/participant.mjs';
import { until } from '../lib/poll.mjs';
import { ways } from '../lib/relayed.mjs';
import { assertNoErrors, callNatives, closeAll, hearAll } from '../lib/rooms.mjs';
import { routes } from '../lib/routes.mjs';
import { Studio } from '../lib/server.mjs';
import { trusting } from '../lib/trust.mjs';

const LIMIT_MS = 120_000;
const RECOVERED_WITHIN_MS = 60_000;
const TURN_PORT = 3478;
const TURN_TLS_PORT = 5349;
// Another mapping for each destination: no direct way leads through two of them.
const SYMMETRIC = { mapping: 'address-and-port-dependent', filtering: 'address-and-port-dependent' };
const USUAL = { mapping: 'endpoint-independent', filtering: 'address-and-port-dependent' };

// Two homes behind such a NAT, and a studio outside that speaks http, or https.
async function inTwoHomes(nat, body, { scheme = 'http', prepare = () => {} } = {}) {
  const lab = await Netlab.start();
  const room = { people: [] };
  try {
    const homes = [await lab.home('a', nat), await lab.home('b', nat)];
    for (const home of homes) prepare(lab, home);
    const [page, native] = homes;
    room.studio = await startStudio(lab, scheme);
    const { arg, flags } = await believing(room.studio);
    room.browser = await launch({ prefix: page.prefix, args: [arg] });
    const person = await Participant.open(room.browser, 0);
    room.people.push(person);
    const link = await person.start(room.studio.url);
    const { members } = callNatives(room, link, 1, { prefix: native.prefix, flags });
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

function startStudio(lab, scheme) {
  const host = lab.public.addresses[1];
  const tls = ['--tls', 'self-signed', '--turn-tls-listen', `${host}:${TURN_TLS_PORT}`];
  const args = ['--turn-listen', `${host}:${TURN_PORT}`, ...(scheme === 'https' ? tls : [])];
  return Studio.start({ prefix: lab.prefix(), host, scheme, args });
}

// What makes a browser, and a native, take a studio for the one that it says it is.
async function believing({ scheme, data, url }) {
  // Without it there is no microphone on a page that is not encrypted.
  const secure = `--unsafely-treat-insecure-origin-as-secure=${new URL(url).origin}`;
  if (scheme === 'http') return { arg: secure, flags: [] };
  const certificate = join(data, 'tls/self-signed.pem');
  return { arg: await trusting(certificate), flags: ['--ca', certificate] };
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
    let now;
    const isDirect = async () => {
      now = await routes(person.page);
      const [{ local, remote } = {}] = now;
      return remote?.address === native.public && local.candidateType !== 'relay';
    };
    await until(() => `the way is direct: ${JSON.stringify(now)}`, isDirect, { timeout: DIRECT_MS });
    assertNoErrors([person]);
  }));

test('where nothing but TLS gets out, a page and a native hear each other by the relay', { skip, timeout: LIMIT_MS }, () =>
  inTwoHomes({ ...USUAL, blocksUdp: true }, async ({ person }) => {
    assert.deepEqual(await ways(person.page), [['relay', 'relay', 'tls']]);
    assertNoErrors([person]);
  }, { scheme: 'https', prepare: (lab, home) => lab.blockTcp(home, TURN_PORT) }));

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
