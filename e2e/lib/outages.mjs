// A line that is cut or an address that changes, and how long it takes until everybody is heard.

import { sleep, until } from './poll.mjs';
import { GAP_MS } from './rooms.mjs';
import { longestGap, silenceAfter } from './tones.mjs';

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
  await sleep(BEFORE_MS);
  const back = await TROUBLES[trouble](all.lab, home, ms);
  const deadline = back + LIMIT_MS;
  let directions = [];
  for (let quiet = false; !quiet && Date.now() < deadline;) {
    await sleep(500);
    directions = await heardAgain({ victim, others, begun, back });
    const known = directions.map(({ after }) => after);
    quiet = !known.includes(undefined) && Date.now() - back > Math.max(...known) + AFTER_MS;
  }
  const lost = directions.some(({ after }) => after === undefined);
  const heard = lost ? undefined : Math.max(...directions.map(({ after }) => after));
  return { heard, directions, gap: await gapBetween(others, begun) };
}

const rowsOf = ({ page }, from, to) =>
  until('the record', () => page.evaluate(([a, b]) => window.__e2e.recordedBetween(a, b), [from, to]), {
    every: 100,
  });

async function heardAgain({ victim, others, begun, back }) {
  const now = Date.now();
  const pairs = others.flatMap((other) => [[victim, other], [other, victim]]);
  return Promise.all(pairs.map(async ([at, of]) => {
    const rows = await rowsOf(at, begun, now);
    const from = Math.round((back - begun) / 10);
    const column = at.recordedTones.indexOf(of.tone);
    const after = silenceAfter(rows, column, { from, usual: BEFORE_MS / 10, shortest: GAP_MS });
    return { at: at.name, of: of.name, after };
  }));
}

async function gapBetween(others, begun) {
  const now = Date.now();
  const gaps = await Promise.all(others.map(async (at) => {
    const rows = await rowsOf(at, begun, now);
    return others.filter((of) => of !== at).map((of) => longestGap(rows, at.recordedTones.indexOf(of.tone)));
  }));
  return Math.max(0, ...gaps.flat());
}
