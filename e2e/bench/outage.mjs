// How soon somebody is heard again whose line was cut, or whose address changed:
// `node bench/outage.mjs [--trouble=outage|address] [--seconds=5] [--rounds=20] [--json]`.
//
// Two pages at the studio hear each other all the time; a third one, behind a NAT at home, has
// the trouble. An outage loses every packet both ways, signalling included, and nothing tells the
// browser; an address changes as an interface does that goes down and comes up with another one.

import { parseArgs } from 'node:util';
import { everyoneHearsEveryone } from '../lib/hearing.mjs';
import { Homes } from '../lib/homes.mjs';
import { netlabTrouble } from '../lib/netlab.mjs';
import { suffer } from '../lib/outages.mjs';
import { median } from '../lib/tones.mjs';

// The most usual NAT that lets nobody in who was not sent to.
const NAT = { filtering: 'address-and-port-dependent' };

const { values: options } = parseArgs({
  options: {
    trouble: { type: 'string', default: 'outage' },
    seconds: { type: 'string', default: '5' },
    rounds: { type: 'string', default: '20' },
    json: { type: 'boolean', default: false },
  },
});
const trouble = netlabTrouble();
if (trouble) throw new Error(trouble);
const log = console.log;
if (options.json) console.log = console.error;

const results = [];
const all = await Homes.open({ studio: NAT, caller: NAT });
try {
  const recording = { recording: true };
  const others = [await all.person(0, recording), await all.person(0, recording)];
  const victim = await all.person(1, recording);
  const link = await others[0].start(all.studio.url);
  await others[1].join(link);
  await victim.join(link);
  await everyoneHearsEveryone(all.people);
  for (const person of all.people) await person.record(all.people);
  const home = all.homes[1];
  for (let round = 0; round < Number(options.rounds); round += 1) {
    const ms = Number(options.seconds) * 1000;
    const result = await suffer(all, { victim, others, home, trouble: options.trouble, ms });
    results.push(result);
    const ways = result.directions.map(({ at, of, heard }) => `${of}→${at} ${heard ?? '-'}`).join(', ');
    console.log(`heard again after ${result.heard ?? 'never'} ms (${ways}), gap of the others ${result.gap} ms`);
  }
} finally {
  await all.close();
}

const times = results.map(({ heard }) => heard ?? Infinity).toSorted((a, b) => a - b);
const p95 = times[Math.ceil(times.length * 0.95) - 1];
const gap = Math.max(...results.map((result) => result.gap));
const summary = { rounds: times.length, median: median(times), p95, worst: times.at(-1), gap };
if (options.json) log(JSON.stringify({ ...summary, times }, null, 2));
else log(`${times.length} rounds: half within ${summary.median} ms, 95 % within ${p95} ms, all within ${summary.worst} ms; gap of the others ${gap} ms`);
