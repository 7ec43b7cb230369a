// Which way two browsers find to each other, behind NATs of every kind:
// `node bench/nat.mjs [--json] [--only=EI/APD]`.
//
// Every pair of the nine kinds of RFC 4787 is judged by theory (`Behaviour::finds_direct` of
// crates/net): those that can be direct must be, the others must go through the studio's relay.

import { parseArgs } from 'node:util';
import { Homes } from '../lib/homes.mjs';
import { DELAY_MS, KINDS, PAIRS, meet } from '../lib/nats.mjs';
import { netlabTrouble } from '../lib/netlab.mjs';
import { median } from '../lib/tones.mjs';

const { values: options } = parseArgs({
  options: { json: { type: 'boolean', default: false }, only: { type: 'string' } },
});
const trouble = netlabTrouble();
if (trouble) throw new Error(trouble);
const log = console.log;
if (options.json) console.log = console.error;

const results = new Map(); // `one other`
const chosen = PAIRS.filter((pair) => !options.only || pair.some(({ name }) => name === options.only));
const all = await Homes.open({ a: {}, b: {} }, { delayMs: DELAY_MS });
try {
  for (const pair of chosen) {
    const result = await meet(all, pair);
    results.set(pair.map(({ name }) => name).join(' '), result);
    console.log(pair.map(({ name }) => name).join(' – ').padEnd(18), result.found, result.heard ?? '');
  }
} finally {
  await all.close();
}

const wrong = [...results].filter(([, { expected, found }]) => expected !== found);
const times = (way) => [...results.values()].filter(({ found }) => found === way).map(({ heard }) => heard);
if (options.json) {
  log(JSON.stringify({ pairs: Object.fromEntries(results), wrong: Object.fromEntries(wrong) }, null, 2));
} else {
  const cell = (one, other) => {
    const { found, heard, expected } = results.get(`${one} ${other}`) ?? results.get(`${other} ${one}`) ?? {};
    return found ? `${found} ${heard ?? ''}${found === expected ? '' : ' (!)'}` : '';
  };
  log(`\n| mapping/filtering | ${KINDS.map(({ name }) => name).join(' | ')} |`);
  log(`|---|${KINDS.map(() => '---|').join('')}`);
  for (const [index, { name }] of KINDS.entries()) {
    const cells = KINDS.map((other, column) => (column < index ? '' : cell(name, other.name)));
    log(`| ${name} | ${cells.join(' | ')} |`);
  }
  for (const way of ['direct', 'relay', 'none']) {
    const all = times(way);
    const known = all.filter((heard) => heard !== undefined);
    const spread = known.length ? `, heard after ${median(known)} ms (${Math.min(...known)} to ${Math.max(...known)})` : '';
    log(`${way}: ${all.length} pairs${spread}`);
  }
}
if (wrong.length > 0) {
  console.error(`against theory: ${wrong.map(([pair, { expected, found }]) => `${pair} is ${found}, not ${expected}`).join('; ')}`);
  process.exitCode = 1;
}
