// The connection manager over and over: offers that collide a thousand times on one
// peer connection, and more peer connections in one page than Chromium has room for.

import assert from 'node:assert/strict';
import { isDeepStrictEqual } from 'node:util';
import { memoryOf } from '../lib/memory.mjs';
import { holds, until } from '../lib/poll.mjs';
import { newSeed, randomOf } from '../lib/random.mjs';
import { assertNoErrors, gather, hearAll } from '../lib/rooms.mjs';
import { suite } from '../lib/suite.mjs';

const HEAVY = Boolean(process.env.E2E_HEAVY);
const LIMIT_MS = HEAVY ? 900_000 : 240_000;

const ROUNDS = HEAVY ? 500 : 40; // in each direction
const APART_MS = 8; // at most this long after the first page does the second begin
const AHEAD_MS = 25; // time for both pages to be told when to begin
// The client sends an offer again after 5 s: a round that takes longer was stuck.
const STUCK_MS = 5000;
const PATH_MS = 500;
const COLLIDING = 0.2; // share of the rounds, at least

const COUNTERPARTS = 5;
const WARM_UP = HEAVY ? 10 : 3; // reconnects of each pair
const RECONNECTS = HEAVY ? 120 : 12;
// That a machine is slow is no fault; what is stuck never comes.
const LATE_MS = 30_000;
const HEAP_MIB = 20;
// Chromium keeps a source node, with its stream and track, for as long as the context
// runs (https://crbug.com/937231): those are counted, and limited by the heap's growth.
const KEPT = ['MediaStreamAudioSourceNode', 'MediaStream', 'MediaStreamTrack'];

// Runs in the page: restarts ICE at `at` (epoch ms), as another hand than the client's.
// Returns once that is carried through (webrtc-pc §4.7.3: none of the credentials of
// then is left) and the path in use is a new one; or says what is stuck. Which path is
// in use is the browser's choice alone, and Chromium may stay with one of an earlier
// round that works: after `patience` ms that is told as `kept`.
async function restartIce([at, limit, patience]) {
  const [connection] = window.__e2e.connections;
  const ufrag = (description) => /a=ice-ufrag:(\S+)/.exec(description?.sdp)?.[1];
  const early = at - Date.now();
  if (early > 0) await new Promise((resolve) => setTimeout(resolve, early));
  const began = Date.now();
  const old = [connection.currentLocalDescription, connection.pendingLocalDescription].map(ufrag);
  connection.restartIce();
  const { iceTransport } = connection.getSenders()[0].transport;
  const look = () => {
    const pair = iceTransport.getSelectedCandidatePair();
    return {
      began,
      signalling: connection.signalingState,
      connection: connection.connectionState,
      local: ufrag(connection.currentLocalDescription),
      remote: ufrag(connection.currentRemoteDescription),
      path: [pair?.local.usernameFragment, pair?.remote.usernameFragment],
    };
  };
  for (;;) {
    const now = look();
    const settled = now.signalling === 'stable' && now.connection === 'connected';
    const done = settled && !old.includes(now.local);
    const kept = now.path[0] !== now.local && now.path[1] !== now.remote;
    const took = Date.now() - began;
    if (done && (!kept || took > patience)) return { ...now, took, kept };
    if (took > limit) return { ...now, stuck: true, old };
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

// Runs in the page: the credentials of both ends, as this one knows them.
function credentials() {
  const [{ currentLocalDescription, currentRemoteDescription }] = window.__e2e.connections;
  const of = ({ sdp }) => /a=ice-ufrag:(\S+)/.exec(sdp)[1];
  return { own: of(currentLocalDescription), other: of(currentRemoteDescription) };
}

// Both restart ICE, the second `offset` ms after the first. Returns how long it took.
async function round(first, second, offset) {
  const at = Date.now() + AHEAD_MS;
  const ends = await Promise.all([
    first.page.evaluate(restartIce, [at, STUCK_MS, PATH_MS]),
    second.page.evaluate(restartIce, [at + offset, STUCK_MS, PATH_MS]),
  ]);
  const [one, other] = ends;
  const said = () => `${first.name} first by ${offset} ms: ${JSON.stringify(ends)}`;
  assert.ok(!one.stuck && !other.stuck, `stuck: ${said()}`);
  const [here, there] = await Promise.all([first, second].map(({ page }) => page.evaluate(credentials)));
  assert.deepEqual(here, { own: there.other, other: there.own }, `the ends disagree: ${said()}`);
  const kept = one.kept || other.kept;
  return { took: Math.max(one.took, other.took), inOrder: one.began <= other.began, kept };
}

// Offers that a page made and that were rolled back, and offers that it did not apply.
async function yielded({ page }) {
  const { counts, received } = await page.evaluate(() => {
    const { counts, received } = window.__e2e;
    return { counts, received };
  });
  return {
    rolledBack: counts.localOffers - counts.remoteAnswers,
    ignored: (received.offer ?? 0) - counts.remoteOffers,
  };
}

async function collisions(people) {
  const each = await Promise.all(people.map(yielded));
  const sum = (key) => each.reduce((total, one) => total + one[key], 0);
  return { each, rolledBack: sum('rolledBack'), ignored: sum('ignored') };
}

async function glare(people, first, second, random) {
  const before = await collisions(people);
  const rounds = [];
  for (let number = 0; number < ROUNDS; number += 1) {
    rounds.push(await round(first, second, random(APART_MS)));
  }
  const after = await collisions(people);
  const collided = after.rolledBack - before.rolledBack;
  const kept = rounds.filter((one) => one.kept).length;
  const times = rounds.map(({ took }) => took).toSorted((a, b) => a - b);
  console.log(
    `  ${first.name} first: ${ROUNDS} rounds (${rounds.filter(({ inOrder }) => inOrder).length} in order),` +
      ` ${collided} collisions, in ${after.ignored - before.ignored} of them both offers were sent;` +
      ` a round took ${times[times.length >> 1]} ms, at most ${times.at(-1)} ms; ${kept} kept an earlier path`,
  );
  assert.ok(collided > COLLIDING * ROUNDS, `only ${collided} of ${ROUNDS} rounds were collisions`);
  return after;
}

// `tested` and its counterpart get `times` new peer connections, one after the other.
// Which of the two is polite, and so asks for them, is a matter of their ids.
async function reconnect(tested, counterpart, times) {
  const pair = [tested, counterpart].toSorted((a, b) => (a.id < b.id ? -1 : 1));
  const [polite, impolite] = pair;
  for (let time = 0; time < times; time += 1) {
    const generation = await polite.page.evaluate((peer) => window.__e2e.renew(peer), impolite.id);
    const states = () =>
      Promise.all(
        [[polite, impolite], [impolite, polite]].map(([{ page }, { id }]) =>
          page.evaluate(([peer, number]) => window.__e2e.stateOf(peer, number), [id, generation])),
      );
    await until(
      async () => `${tested.name} and ${counterpart.name} connect anew (${time}): ${await states()}`,
      async () => (await states()).every((state) => state === 'connected'),
      { timeout: LATE_MS },
    );
  }
}

// The classes of which more objects are left than before.
const grown = (before, after) =>
  Object.keys(before.objects).filter((name) => !KEPT.includes(name) && after.objects[name] > before.objects[name]);

const rounded = (value) => Math.round(value * 10) / 10;
const told = ({ heap, embedder, buffers, objects }) =>
  `heap ${rounded(heap)} MiB, DOM ${rounded(embedder)} MiB, buffers ${rounded(buffers)} MiB, ` +
  JSON.stringify(objects).replaceAll('"', '');

const offersOf = async (people) => {
  const counts = await Promise.all(people.map((person) => person.counts()));
  return counts.map(({ localOffers, localAnswers }) => ({ localOffers, localAnswers }));
};

suite((scenario) => {
  // What an offer changes at the other side must not call for an offer of that side:
  // the two would go on for ever.
  scenario('regression: an ICE restart is one offer and one answer', async (room) => {
    await gather(room);
    await hearAll(room.people);
    for (const [index, { page }] of room.people.entries()) {
      const expected = await offersOf(room.people);
      expected[index].localOffers += 1;
      expected[1 - index].localAnswers += 1;
      const end = await page.evaluate(restartIce, [Date.now(), STUCK_MS, PATH_MS]);
      assert.ok(!end.stuck, JSON.stringify(end));
      await holds(
        async () => `one more offer and answer; there were ${JSON.stringify(await offersOf(room.people))}`,
        async () => isDeepStrictEqual(await offersOf(room.people), expected),
        500,
      );
    }
    assertNoErrors(room.people);
  });

  scenario('offers that collide are carried through, every time', async (room) => {
    const seed = newSeed();
    console.log(`  seed ${seed}`);
    await gather(room, { options: () => ({ signalling: true }) });
    const { people } = room;
    await hearAll(people);
    const [one, other] = people;
    const random = randomOf(seed);
    await glare(people, one, other, random);
    const { each } = await glare(people, other, one, random);
    await hearAll(people);

    const yielding = each.filter(({ rolledBack }) => rolledBack > 0);
    const ignoring = each.filter(({ ignored }) => ignored > 0);
    assert.ok(yielding.length === 1 && ignoring.length <= 1, `both yield: ${JSON.stringify(each)}`);
    assert.ok(!ignoring.includes(yielding[0]), `who yields ignores: ${JSON.stringify(each)}`);
    for (const person of people) {
      const { connections, closed, iceRestarts, rejected, localOffers } = await person.counts();
      assert.ok(localOffers <= 1 + 2 * ROUNDS, `${person.name} made ${localOffers} offers`);
      assert.deepEqual(
        { connections, closed, iceRestarts, rejected },
        { connections: 1, closed: 0, iceRestarts: 2 * ROUNDS, rejected: 0 },
      );
    }
    assertNoErrors(people);
  }, { timeout: LIMIT_MS });

  // Each reconnect is a new RTCPeerConnection at both ends, asked for as a counterpart
  // asks whose own attempts to recover failed. Chromium refuses more than 500 in a page,
  // and counts those that are closed until they are collected.
  scenario('a page that reconnects over and over stays as it was', async (room) => {
    await gather(room, { callers: COUNTERPARTS, options: () => ({ signalling: true }) });
    const { people } = room;
    await hearAll(people);
    for (const person of people) person.id = await person.page.evaluate(() => window.__e2e.peerId);
    const [tested, ...counterparts] = people;
    const reconnectAll = (times) =>
      Promise.all(counterparts.map((counterpart) => reconnect(tested, counterpart, times)));

    await reconnectAll(WARM_UP);
    await hearAll(people);
    const before = await memoryOf(tested.page);
    const began = Date.now();
    await reconnectAll(RECONNECTS);
    const took = Date.now() - began;
    await hearAll(people);
    const after = await memoryOf(tested.page);

    const counts = await tested.counts();
    const forced = COUNTERPARTS * RECONNECTS;
    console.log(`  ${forced} reconnects in ${took} ms, ${counts.connections} peer connections in all`);
    console.log(`  before: ${told(before)}`);
    console.log(`  after: ${told(after)}`);
    const made = COUNTERPARTS * (1 + WARM_UP + RECONNECTS);
    assert.deepEqual(
      { connections: counts.connections, open: counts.connections - counts.closed, rejected: counts.rejected },
      { connections: made, open: COUNTERPARTS, rejected: 0 },
    );
    assert.ok(after.heap - before.heap < HEAP_MIB, `the heap grew by ${after.heap - before.heap} MiB`);
    assert.deepEqual(grown(before, after), [], 'objects that nothing uses any more are left');
    assert.equal(after.objects.RTCPeerConnection, COUNTERPARTS);
    for (const person of people) {
      await until(`${person.name} shows all as connected`, async () =>
        (await person.countOf('Connected')) === people.length - 1);
    }
    assertNoErrors(people);
  }, { timeout: LIMIT_MS });
});
