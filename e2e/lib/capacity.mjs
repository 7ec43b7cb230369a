// What this machine carries. Pages of sound are bound by the processor: with too many of them even
// a mesh with nothing around it falls silent, and a test of ours would judge the machine.

import { bare } from '../bench/pages.mjs';
import { lastHeard, watchAll } from './hearing.mjs';
import { sleep, until } from './poll.mjs';

// A machine that takes longer for the bare page has nothing left for a desk and its meters.
const LIMIT_MS = 3500;

// Skips a test whose `count` pages are too many even for the bare page, and says so. Returns
// whether the test is to go on. `--heavy` does not ask.
export async function carries(count, { browser, t }) {
  if (process.env.E2E_HEAVY) return true;
  const { at, directions, pressed } = await joinBare(browser, count);
  if (at) {
    console.log(`  the bare page: ${directions} directions audible after ${at - pressed} ms`);
    return true;
  }
  const all = count * (count - 1);
  t.skip(`too much for this machine: of the bare page ${directions} of ${all} directions after ${LIMIT_MS} ms; --heavy runs it`);
  return false;
}

async function joinBare(browser, count) {
  const pages = await bare();
  const members = await pages.start(browser, count);
  try {
    await watchAll(members);
    const pressed = Date.now();
    await Promise.all(members.slice(1).map((member) => member.join()));
    let heard;
    const all = async () => (heard = await lastHeard(members)).at;
    await until('all directions', all, { timeout: LIMIT_MS, every: 100 }).catch(() => {});
    return { ...heard, pressed };
  } finally {
    await Promise.all(members.map(({ context }) => context.close()));
    await pages.stop();
    await sleep(2000); // what was closed still ends
  }
}
