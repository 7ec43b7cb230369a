// How our page compares with a bare mesh, run alternately in this one process:
// `node bench/join.mjs [--rounds=5] [--json] [--peers=8] [--only=bare|ours]`.
//
// - join: ms from pressing Join on seven pages at once (an eighth is in the
//   room) until the last of the 56 directions is audible in what is played;
//   `--peers` takes another number of pages;
// - cpu: cores per participant over 10 s in a room of four whose tones swell, so that
//   meters move, analysers paused;
// - memory: MiB (PSS) of the renderers per page in that room.

import { parseArgs } from 'node:util';
import { launch } from '../lib/chromium.mjs';
import { everyoneHearsEveryone, lastHeard, watchAll } from '../lib/hearing.mjs';
import { sleep, until } from '../lib/poll.mjs';
import { coresOver, rendererMemory } from '../lib/processes.mjs';
import { median } from '../lib/tones.mjs';
import { bare, ours } from './pages.mjs';

const STEADY = 4;
const SETTLE_MS = 3000;
const CPU_WINDOW_MS = 10_000;
const LIMIT_MS = 60_000;

const { values: options } = parseArgs({
  options: {
    rounds: { type: 'string', default: '5' },
    peers: { type: 'string', default: '8' },
    json: { type: 'boolean', default: false },
    only: { type: 'string' },
  },
});
const PEERS = Number(options.peers);
const say = options.json ? () => {} : console.log;

async function withBrowser(measure) {
  const browser = await launch();
  try {
    return await measure(browser);
  } finally {
    await browser.close();
  }
}

async function pressAll(members) {
  await watchAll(members);
  const pressed = Date.now();
  await Promise.all(members.slice(1).map((member) => member.join()));
  return pressed;
}

const measureJoin = (pages) => withBrowser(async (browser) => {
  const members = await pages.start(browser, PEERS);
  const pressed = await pressAll(members);
  let heard;
  const all = async () => (heard = await lastHeard(members)).at;
  const at = await until('all directions', all, { timeout: LIMIT_MS, every: 250 }).catch(() => {
    say(`      only ${heard.directions} directions audible after ${LIMIT_MS} ms: the limit counts`);
    return pressed + LIMIT_MS;
  });
  return at - pressed;
});

const measureSteady = (pages) => withBrowser(async (browser) => {
  const members = await pages.start(browser, STEADY, { swell: true });
  await pressAll(members);
  await everyoneHearsEveryone(members, { timeout: 60_000 });
  await Promise.all(members.map(({ page }) => page.evaluate(() => window.__e2e.pause(true))));
  await sleep(SETTLE_MS);
  const cores = await coresOver(CPU_WINDOW_MS);
  return { cpu: cores / STEADY, memory: rendererMemory() / STEADY };
});

async function measure(name, pages, rounds) {
  const join = await measureJoin(pages);
  const { cpu, memory } = await measureSteady(pages);
  rounds.push({ join, cpu, memory });
  say(`${name.padEnd(5)} join ${join} ms, cpu ${cpu.toFixed(3)} cores, memory ${memory.toFixed(1)} MiB`);
}

function summary(results) {
  const table = {};
  for (const what of ['join', 'cpu', 'memory']) {
    const of = (name) => results[name] && median(results[name].map((round) => round[what]));
    table[what] = { bare: of('bare'), ours: of('ours') };
    if (results.bare && results.ours) table[what].ratio = of('ours') / of('bare');
  }
  return table;
}

const names = options.only ? [options.only] : ['bare', 'ours'];
const pages = {};
const results = {};
for (const name of names) {
  pages[name] = await (name === 'bare' ? bare() : ours());
  results[name] = [];
}
try {
  for (let round = 0; round < Number(options.rounds); round += 1) {
    // Who goes first changes, so that a machine that slows down favours nobody.
    const order = round % 2 ? [...names].reverse() : names;
    for (const name of order) await measure(name, pages[name], results[name]);
  }
} finally {
  for (const page of Object.values(pages)) await page.stop();
}

const table = summary(results);
if (options.json) console.log(JSON.stringify({ medians: table, rounds: results }, null, 2));
const units = { join: 'ms', cpu: 'cores per participant', memory: 'MiB per page' };
for (const [what, { bare: theirs, ours: own, ratio }] of Object.entries(table)) {
  const figure = (value) => (value === undefined ? '-' : Number(value.toFixed(3)));
  say(`${what}: bare ${figure(theirs)}, ours ${figure(own)} ${units[what]}, ratio ${ratio?.toFixed(2) ?? '-'}`);
}
