// What lost packets leave of the sound, with redundancy and without:
// `node bench/loss.mjs [--seconds=30] [--only=WORDS] [--seed=N] [--json]`.
//
// Two people in two homes, each of whose lines loses some of what is sent: single packets, or
// three at once on average. For pages, the figure is the share of the samples that were made up
// of all that were received (`concealedSamples`, `totalSamplesReceived`); for natives, that of
// the pieces of 20 ms. What in-band FEC or redundancy brought back is not made up. Everybody
// settles first, so that redundancy is on where it comes on at all. *Without*, pages do not
// learn of the loss and natives do not act on it; browsers still use in-band FEC by themselves.
//
// `--only` takes words that a row must have, with commas between them.

import { parseArgs } from 'node:util';
import { between, betweenHomes, hideReports, lose, streams } from '../lib/lossy.mjs';
import { Natives } from '../lib/natives.mjs';
import { netlabTrouble } from '../lib/netlab.mjs';
import { sleep, until } from '../lib/poll.mjs';
import { hearAll } from '../lib/rooms.mjs';

const LOSSES = [0.05, 0.1, 0.2, 0.3];
const BURST = 3;
const SETTLE_S = 25;

const { values: options } = parseArgs({
  options: {
    seconds: { type: 'string', default: '30' },
    only: { type: 'string', default: '' },
    seed: { type: 'string' },
    json: { type: 'boolean', default: false },
  },
});
const SECONDS = Number(options.seconds);
const WORDS = options.only.split(',').map((word) => word.trim());
const say = options.json ? () => {} : console.log;

const lines = LOSSES.flatMap((loss) => [
  { loss, words: `${100 * loss} % single` },
  { loss, burst: BURST, words: `${100 * loss} % in bursts` },
]);
const wanted = (words) => WORDS.every((word) => words.includes(word));

async function person(page, home, redundancy) {
  const opened = await page(home);
  if (!redundancy) await opened.context.addInitScript(hideReports);
  return opened;
}

// A native in a home, in the room of `link`. Where there is none, it makes one.
function native(home, link, index, redundancy) {
  const flags = ['--settle', `${SETTLE_S}`];
  if (!redundancy) flags.push('--no-redundancy');
  return new Natives(link, { count: 1, first: index, flags, prefix: home.prefix });
}

// Lets natives leave at one moment. Returns the shares that they made up of somebody else.
async function leave(natives) {
  const reports = await Promise.all(natives.map((one) => one.stop()));
  return reports.map((report, i) => {
    const heard = report?.directions[0];
    if (!heard) throw new Error(`a native heard nobody; it said:\n${natives[i].log}`);
    return heard.concealed / (heard.received + heard.lost);
  });
}

// Each returns the shares of what was made up, one for each who listens.
const measures = {
  async pages(line, redundancy) {
    return betweenHomes(2, async ({ lab, homes, studio, page }) => {
      const people = [];
      for (const home of homes) people.push(await person(page, home, redundancy));
      await people[1].join(await people[0].start(studio.url));
      await hearAll(people);
      await lose(lab, homes, line);
      await sleep(1000 * SETTLE_S);
      const before = await Promise.all(people.map(streams));
      await sleep(1000 * SECONDS);
      const after = await Promise.all(people.map(streams));
      return after.map((now, i) => between(before[i], now).concealed);
    }, options.seed);
  },

  async 'page and native'(line, redundancy) {
    return betweenHomes(2, async ({ lab, homes, studio, page }) => {
      const host = await person(page, homes[0], redundancy);
      const link = await host.start(studio.url);
      await lose(lab, homes, line);
      const other = native(homes[1], link, 1, redundancy);
      await sleep(1000 * SETTLE_S);
      const before = await streams(host);
      await sleep(1000 * SECONDS);
      const after = await streams(host);
      return [between(before, after).concealed, ...(await leave([other]))];
    }, options.seed);
  },

  async natives(line, redundancy) {
    return betweenHomes(2, async ({ lab, homes, studio }) => {
      await lose(lab, homes, line);
      const host = native(homes[0], studio.url, 0, redundancy);
      const made = () => host.log.match(/the session is at (\S+)/)?.[1];
      const link = await until('a native makes a room', made, { timeout: 15_000 });
      const caller = native(homes[1], link, 1, redundancy);
      await sleep(1000 * (SETTLE_S + SECONDS));
      return leave([host, caller]);
    }, options.seed);
  },
};

const trouble = netlabTrouble();
if (trouble) throw new Error(trouble);
const percent = (shares) => shares.map((share) => (100 * share).toFixed(2)).join(', ');
const rows = [];
say('| who | loss | made up without redundancy, % | with |\n|---|---|---|---|');
for (const [who, measure] of Object.entries(measures)) {
  for (const line of lines.filter(({ words }) => wanted(`${who} ${words}`))) {
    const { words, ...link } = line;
    const row = { who, loss: words, without: await measure(link, false), with: await measure(link, true) };
    rows.push(row);
    say(`| ${who} | ${words} | ${percent(row.without)} | ${percent(row.with)} |`);
  }
}
if (options.json) console.log(JSON.stringify(rows));
