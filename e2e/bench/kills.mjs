// A room whose server is killed every ten seconds: two pages and eight natives.
// `node bench/kills.mjs [--minutes=5] [--json]`.
//
// - gaps: the longest time without a packet at any native, and without a tone in what a page
//   plays, and how many of them are above 100 ms;
// - moments: those of natives, which share a process, by the time since the latest kill;
// - resume: ms until a participant has the seat again, from the kill and from the server's first
//   answer;
// - at the end everybody knows the same ten, and nobody is listed who has left.

import assert from 'node:assert/strict';
import { parseArgs } from 'node:util';
import { launch } from '../lib/chromium.mjs';
import {
  assertBack, assertNoGhosts, assertReported, assertRosters, killAgain, outagesOf, packetGaps, quantile, returnsFrom,
} from '../lib/crashes.mjs';
import { sleep } from '../lib/poll.mjs';
import { callNatives, closeAll, gather, hearAll } from '../lib/rooms.mjs';
import { Studio } from '../lib/server.mjs';

const EVERY_MS = 10_000;
const NATIVES = 8;
const GAP_MS = 100;
const SETTLE_MS = 8_000;
const MOMENT_MS = 300;

const { values: options } = parseArgs({
  options: { minutes: { type: 'string', default: '5' }, json: { type: 'boolean', default: false } },
});
const say = options.json ? () => {} : console.log;

async function measure(room) {
  const { studio, people } = room;
  const { link } = await gather(room, { options: () => ({ recording: true, signalling: true }) });
  const natives = callNatives(room, link, NATIVES);
  const everybody = [...people, ...natives.members];
  const names = everybody.map(({ name }) => name);
  await hearAll(people, { natives: natives.members });
  await natives.hearAll(people);
  await assertRosters(people, names);
  await Promise.all(people.map((person) => person.record(everybody)));
  const begun = Date.now();

  const times = Math.round((Number(options.minutes) * 60_000) / EVERY_MS);
  const kills = await killAgain(studio, times, { every: EVERY_MS, say });
  const last = kills.at(-1).killed;
  await assertBack(people, last);
  await assertRosters(people, names);
  await sleep(Math.max(0, last + SETTLE_MS - Date.now()));
  await hearAll(people, { natives: natives.members });
  // To look through minutes of recorded sound takes a core for a while, and to leave is no gap.
  const window = { since: begun, until: Date.now() };

  const pageGaps = (await Promise.all(people.map((person) =>
    person.allGaps(everybody.filter(({ name }) => name !== person.name))))).flat();
  const report = await natives.stop();
  assertReported(report, natives.members, names);
  await assertNoGhosts(people, people.map(({ name }) => name));
  const returns = returnsFrom(kills, await outagesOf(people, report), names);
  const nativeGaps = packetGaps(report, window, 0);
  return { kills, returns, pageGaps, nativeGaps, moments: momentsOf(nativeGaps, kills, begun) };
}

// The moments at which gaps that are too long began: of whom and at how many, how long the longest
// was, and how long after the latest kill the first one ended.
function momentsOf(gaps, kills, begun) {
  const moments = [];
  for (const { at, of, atMs, ms } of gaps.filter((gap) => gap.ms > GAP_MS).toSorted((a, b) => a.atMs - b.atMs)) {
    let latest = moments.at(-1);
    if (!latest || atMs >= latest.atMs + MOMENT_MS) {
      const end = atMs + ms;
      const before = kills.map(({ killed }) => killed - begun).filter((killed) => killed <= end);
      latest = { atMs, directions: 0, of: [], at: [], longestMs: 0, sinceKillMs: end - (before.at(-1) ?? 0) };
      moments.push(latest);
    }
    latest.directions += 1;
    latest.of = [...new Set([...latest.of, of])];
    latest.at = [...new Set([...latest.at, at])];
    latest.longestMs = Math.max(latest.longestMs, ms);
  }
  return moments;
}

function summary({ kills, returns, pageGaps, nativeGaps, moments }) {
  const longest = (gaps) => Math.max(0, ...gaps.map(({ ms }) => ms));
  const above = (gaps) => gaps.filter(({ ms }) => ms > GAP_MS);
  const share = (key, part) => quantile(returns.map((one) => one[key]), part);
  const of = (key) => ({ p50: share(key, 0.5), p95: share(key, 0.95), max: share(key, 1) });
  return {
    kills: kills.length,
    answeredMs: quantile(kills.map(({ killed, answered }) => answered - killed), 0.5),
    returns: returns.length,
    resumeFromKillMs: of('fromKill'),
    resumeFromAnswerMs: of('fromAnswer'),
    longestPacketGapMs: longest(nativeGaps),
    packetGapsAbove: above(nativeGaps),
    moments,
    longestToneGapMs: longest(pageGaps),
    toneGapsAbove: above(pageGaps),
  };
}

const room = { browser: await launch(), studio: await Studio.start(), people: [] };
let result;
try {
  result = summary(await measure(room));
} finally {
  await closeAll(room.people);
  await room.natives?.stop();
  await room.browser.close();
  await room.studio.stop();
}
if (options.json) console.log(JSON.stringify(result, null, 2));
const times = ({ p50, p95, max }) => `${p50} ms half, ${p95} ms 95 %, ${max} ms the last`;
const gaps = (longest, above) =>
  `${longest} ms the longest, ${above.length} above ${GAP_MS} ms ${above.length ? JSON.stringify(above.slice(0, 8)) : ''}`;
say(`${result.kills} kills, the server answered after ${result.answeredMs} ms (median); ${result.returns} returns`);
say(`  seat again, from the kill:        ${times(result.resumeFromKillMs)}`);
say(`  seat again, from the first answer: ${times(result.resumeFromAnswerMs)}`);
say(`  without a packet, at natives:     ${gaps(result.longestPacketGapMs, result.packetGapsAbove)}`);
for (const { directions, of, at, longestMs, sinceKillMs } of result.moments) {
  say(`    until ${sinceKillMs} ms after a kill: ${longestMs} ms, in ${directions} directions, of ${of} at ${at}`);
}
say(`  without a tone, in pages:         ${gaps(result.longestToneGapMs, result.toneGapsAbove)}`);
assert.ok(result.returns > 0);
