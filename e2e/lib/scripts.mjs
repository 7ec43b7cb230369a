// The scripts of crates/model/scripts and the traces that were recorded of them: reading,
// and writing a recording in one form, so that a new one shows what has changed.

import { existsSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';

const FOLDER = new URL('../../crates/model/scripts/', import.meta.url);
const RECORDED = new URL('recorded/', FOLDER);

const json = (url) => JSON.parse(readFileSync(url, 'utf8'));
const names = (folder) =>
  readdirSync(folder).filter((name) => name.endsWith('.json')).map((name) => name.slice(0, -5)).toSorted();

export const themes = () => names(FOLDER);
export const recordedThemes = () => (existsSync(RECORDED) ? names(RECORDED) : []);

// The cases of a theme with all their steps: those of the prelude, then their own.
export function casesOf(theme) {
  const { preludes = {}, cases } = json(new URL(`${theme}.json`, FOLDER));
  return cases.map(({ after, repeat = 1, peers = ['a', 'b'], steps, ...rest }) => {
    if (after && !preludes[after]) throw new Error(`${theme}: no prelude is called ${after}`);
    const own = Array.from({ length: repeat }, () => steps).flat();
    return { peers, ...rest, steps: [...(preludes[after] ?? []), ...own] };
  });
}

// The traces of a theme by the names of its cases; nothing where there is no recording.
export function recordingOf(theme) {
  const url = new URL(`${theme}.json`, RECORDED);
  return existsSync(url) ? json(url) : {};
}

export function record(theme, traces) {
  writeFileSync(new URL(`${theme}.json`, RECORDED), `${JSON.stringify(traces, null, 1)}\n`);
}
