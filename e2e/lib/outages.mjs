// A line that is cut or an address that changes, and how long it takes until everybody is heard.

import { sleep, until } from './poll.mjs';
import { GAP_MS } from './rooms.mjs';
import { heardFrom, limitOf, longestGap } from './tones.mjs';

// What is heard before the trouble is what counts as heard after it.
const BEFORE_MS = 1_500;
// Whoever was heard again is listened to for so long: what is heard may go again.
const AFTER_MS = 4_000;
const LIMIT_MS = 45_000;

// What happens to a home; returns when (epoch ms) its path is there again.
export const TROUBLES = {
  async outage(lab, home, ms) {
    await lab.outage(home, true);
    await sleep(ms);
    await lab.outage(home, false);
    return Date.now();
  },
  async address(lab, home) {
    await lab.renumber(home, 'own');
    return Date.now();
  },
};

// Lets `trouble` happen to the home of `victim`. Returns { heard, gap }: ms from the return of the
// path until the victim and all of `others` hear each other for good (undefined if that is not
// within the limit), and the longest gap that the others had of each other meanwhile.
export async function suffer(all, { victim, others, home, trouble, ms }) {
  const begun = Date.now();
  const directions = others.flatMap((other) => [[victim, other], [other, victim]]);
  const heard = await heardAgain(directions, () => TROUBLES[trouble](all.lab, home, ms));
  return {
    heard: heard.includes(undefined) ? undefined : Math.max(...heard),
    directions: directions.map(([at, of], i) => ({ at: at.name, of: of.name, heard: heard[i] })),
    gap: await gapBetween(others, begun),
  };
}

// Lets `trouble` happen, which returns the moment (epoch ms) from which it counts, and waits until
// in all of `directions`, who listens and to whom, somebody is heard for good. Returns after how
// many ms that was in each; undefined if not within the limit.
export async function heardAgain(directions, trouble) {
  const begun = Date.now();
  await sleep(BEFORE_MS);
  const limits = await Promise.all(directions.map(([at, of]) => limitBefore(at, of, begun)));
  const back = await trouble();
  let heard = [];
  for (let quiet = false; !quiet && Date.now() < back + LIMIT_MS;) {
    await sleep(500);
    const look = async ([at, of], i) => heardFrom(
      await rowsOf(at, back, Date.now()), columnOf(at, of), { limit: limits[i], shortest: GAP_MS });
    heard = await Promise.all(directions.map(look));
    quiet = !heard.includes(undefined) && Date.now() - back > Math.max(...heard) + AFTER_MS;
  }
  return heard;
}

const columnOf = (at, of) => at.recordedTones.indexOf(of.tone);

const rowsOf = ({ page }, from, to) =>
  until('the record', () => page.evaluate(([a, b]) => window.__e2e.recordedBetween(a, b), [from, to]), {
    every: 100,
  });

const limitBefore = async (at, of, begun) =>
  limitOf(await rowsOf(at, begun, begun + BEFORE_MS - 200), columnOf(at, of));

async function gapBetween(others, begun) {
  const now = Date.now();
  const gaps = await Promise.all(others.map(async (at) => {
    const rows = await rowsOf(at, begun, now);
    return others.filter((of) => of !== at).map((of) => longestGap(rows, columnOf(at, of)));
  }));
  return Math.max(0, ...gaps.flat());
}
