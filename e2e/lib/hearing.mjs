// Asking pages what they play, and waiting until it is what it should be.

import { until } from './poll.mjs';
import { judge } from './tones.mjs';

// What `page` hears at this moment of `tones`, its own being `own`.
export async function hearing(page, tones, own) {
  const heard = await page.evaluate((frequencies) => window.__e2e.hear(frequencies), tones);
  return { ...judge(heard, tones, own), ...heard };
}

// Waits until each of `members` ({ name, page, tone }) hears exactly the tones of
// all others and of `natives`, who are heard but have no page: returns after a look
// at which everything was right.
export async function everyoneHearsEveryone(members, { timeout = 30_000, natives = [] } = {}) {
  const tones = [...members, ...natives].map(({ tone }) => tone);
  let latest = [];
  const right = async () => {
    latest = await Promise.all(members.map(({ page, tone }) => hearing(page, tones, tone)));
    return latest.every(({ missing, ownAbsent }) => missing.length === 0 && ownAbsent);
  };
  const describe = () =>
    members
      .map(({ name, tone }, i) => ({ name, tone, ...latest[i] }))
      .filter(({ missing, ownAbsent }) => missing.length > 0 || !ownAbsent)
      .map(({ name, tone, missing, ownAbsent, levels, noise }) =>
        `${name} (${tone} Hz) misses [${missing}]${ownAbsent ? '' : ', hears itself'}` +
        ` levels ${levels.map(Math.round)} noise ${Math.round(noise)}`)
      .join('; ');
  await until(describe, right, { timeout, every: 200 });
}

// Starts noting, in every page, when each of the others' tones is first heard.
export async function watchAll(members) {
  const tones = members.map(({ tone }) => tone);
  await Promise.all(
    members.map(({ page, tone }) =>
      page.evaluate((others) => window.__e2e.watch(others), tones.filter((t) => t !== tone))),
  );
}

// Epoch ms at which the last of all directions was first heard, or undefined.
export async function lastHeard(members) {
  const all = await Promise.all(members.map(({ page }) => page.evaluate(() => window.__e2e.firstHeard)));
  const times = all.flatMap((heard) => Object.values(heard ?? {}));
  const directions = members.length * (members.length - 1);
  return { directions: times.length, at: times.length === directions ? Math.max(...times) : undefined };
}

// Sums of the counters of all pages.
export async function countAll(members) {
  const all = await Promise.all(members.map(({ page }) => page.evaluate(() => window.__e2e.counts)));
  const total = {};
  for (const counts of all) {
    for (const [name, value] of Object.entries(counts)) total[name] = (total[name] ?? 0) + value;
  }
  return total;
}
