// A server that dies again and again, and who is back how soon.

import assert from 'node:assert/strict';
import { sleep, until } from './poll.mjs';

// From when everybody should be back to when it is looked.
const SETTLE_MS = 8_000;

// Kills `studio` `times` times and starts it again at once; before the next time it waits for
// `then`, and until `every` ms are over. Returns when it died and when it answered again:
// [{ killed, answered }].
export async function killAgain(studio, times, { every = 0, then = () => {}, say = () => {} }) {
  const kills = [];
  for (let time = 0; time < times; time += 1) {
    const killed = Date.now();
    await studio.crash();
    await studio.boot();
    kills.push({ killed, answered: Date.now() });
    say(`kill ${time + 1} of ${times}: answered after ${Date.now() - killed} ms`);
    await then(killed);
    await sleep(Math.max(0, killed + every - Date.now()));
  }
  return kills;
}

// When the pages of `people`, opened with `signalling: true`, and the natives of `report` were
// without the server: [{ of, lostMs, backMs }].
export async function outagesOf(people, report) {
  const pages = await Promise.all(people.map(async ({ name, page }) => {
    const outages = await page.evaluate(() => window.__e2e.outages);
    return outages.map((outage) => ({ of: name, ...outage }));
  }));
  return [...pages.flat(), ...(report?.outages ?? [])];
}

// For each kill and each of `names`, ms until the seat was there again, from the kill and from
// the server's first answer. Everybody must have come back from every kill.
export function returnsFrom(kills, outages, names) {
  return kills.flatMap(({ killed, answered }, index) => {
    const next = kills[index + 1]?.killed ?? Infinity;
    return names.map((of) => {
      const own = outages.filter((one) => one.of === of && one.lostMs >= killed && one.lostMs < next);
      const back = own.at(-1)?.backMs;
      assert.ok(back, `${of} has not come back from kill ${index + 1}: ${JSON.stringify(own)}`);
      return { of, kill: index + 1, fromKill: back - killed, fromAnswer: Math.max(0, back - answered) };
    });
  });
}

// The value below which `share` of `values` lie.
export const quantile = (values, share) =>
  values.toSorted((a, b) => a - b)[Math.ceil(values.length * share) - 1];

// Natives note the latest so many gaps of each direction.
const NOTED_GAPS = 512;

// Times above `limit` ms without a packet at natives that began between two moments.
export const packetGaps = (report, { since, until: end }, limit) =>
  report.directions.flatMap(({ from, to, gaps }) => {
    assert.ok(gaps.length < NOTED_GAPS, `${to} had more gaps of ${from} than are noted`);
    return gaps
      .map(({ ms, untilMs }) => ({ at: to, of: from, ms, atMs: untilMs - ms - since }))
      .filter(({ ms, atMs }) => ms > limit && atMs >= 0 && atMs < end - since);
  });

// Each of `people` has come back since `lost`, a moment when the server was killed.
export async function assertBack(people, lost) {
  for (const person of people) {
    const latest = () => person.page.evaluate(() => window.__e2e.outages.at(-1));
    await until(
      async () => `${person.name} is back; the latest outage is ${JSON.stringify(await latest())}`,
      async () => (await latest())?.lostMs >= lost && (await latest()).backMs,
      { timeout: SETTLE_MS },
    );
  }
}

// The server has told each of `people`, whose pages were opened with `signalling: true`, of just
// as many seats as `names`, all of them taken; every page lists exactly `names`, and says of all
// others that they are connected.
export async function assertRosters(people, names) {
  const others = names.length - 1;
  for (const person of people) {
    const seats = () => person.page.evaluate(() => [...window.__e2e.seats.values()]);
    await until(
      async () => `${person.name} is told of ${names.length} taken seats; there are ${await seats()}`,
      async () => (await seats()).length === names.length && (await seats()).every(Boolean),
      { timeout: SETTLE_MS },
    );
    await until(
      async () => `${person.name} lists ${names}; there are ${await person.list().getByRole('listitem').allInnerTexts()}`,
      async () => (await person.count()) === names.length && (await person.countOf('Connected')) === others,
      { timeout: SETTLE_MS },
    );
    for (const name of names) assert.equal(await person.card(name).count(), 1, `${person.name} lists ${name}`);
  }
}

// Each of the natives `of` whom the report is knew exactly `names`.
export function assertReported(report, natives, names) {
  for (const { name } of natives) {
    const known = report.directions.filter(({ to }) => to === name).map(({ from }) => from);
    assert.deepEqual(known.toSorted(), names.filter((other) => other !== name).toSorted(), `at ${name}`);
  }
}

// Nobody but `names` is listed any more, and nobody else has a seat.
export async function assertNoGhosts(people, names) {
  for (const person of people) {
    const seats = () => person.page.evaluate(() => window.__e2e.seats.size);
    await until(
      async () => `${person.name} lists ${names} alone; there are ${await person.count()}, and ${await seats()} seats`,
      async () => (await person.count()) === names.length && (await seats()) === names.length,
      { timeout: SETTLE_MS },
    );
  }
}
