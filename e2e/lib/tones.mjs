// Judging by tones: who is heard in a mix. Pure arithmetic on levels in dB.

export const AUDIBLE_DB = 25; // above the noise of the mix
export const OWN_BELOW_DB = 25; // own tone must lie this far below the others
export const GAP_BELOW_DB = 15; // under a tone's median level counts as a gap
const WINDOW_MS = 10;

// 600 Hz and up, 350 Hz apart: no tone is a harmonic of another within twelve.
export const toneOf = (index) => 600 + 350 * index;

// What they are called, by the same index.
export const NAMES = [
  'Ada', 'Boris', 'Cleo', 'Dorian', 'Esme', 'Felix', 'Greta', 'Hugo', 'Iris', 'Jonas', 'Kira', 'Lorenz',
];
// Which of `tones` are heard, and whether `own` is absent from the mix.
export function judge({ levels, noise }, tones, own) {
  const level = new Map(tones.map((tone, i) => [tone, levels[i]]));
  const others = tones.filter((tone) => tone !== own);
  const heard = others.filter((tone) => level.get(tone) >= noise + AUDIBLE_DB);
  const weakest = Math.min(...heard.map((tone) => level.get(tone)));
  const ownAbsent = !level.has(own) || heard.length === 0
    ? (level.get(own) ?? -120) < noise + AUDIBLE_DB
    : level.get(own) <= weakest - OWN_BELOW_DB;
  return { heard, missing: others.filter((tone) => !heard.includes(tone)), ownAbsent };
}

// The level below which a tone (column `column`) counts as missing, by rows in which it is heard.
export const limitOf = (rows, column) => median(rows.map((row) => row[column])) - GAP_BELOW_DB;

// When a tone is heard for good, in ms from the first row: at the end of the last stretch below
// `limit`. Stretches shorter than `shortest` ms count only where they begin with the first row.
// Undefined if it is not heard at the end.
export function heardFrom(rows, column, { limit, shortest }) {
  let heard = 0;
  let length = 0;
  for (const [index, row] of rows.entries()) {
    length = row[column] < limit ? length + 1 : 0;
    if (length > index || length * WINDOW_MS >= shortest) heard = index + 1;
  }
  return heard > 0 && heard === rows.length ? undefined : heard * WINDOW_MS;
}

const median = (values) => values.toSorted((a, b) => a - b)[values.length >> 1];

// All stretches during which a tone (column `column`) was missing: when, from the first row, and
// how long, in ms.
export function gapsIn(rows, column) {
  const levels = rows.map((row) => row[column]);
  const limit = median(levels) - GAP_BELOW_DB;
  const gaps = [];
  let current = 0;
  for (const [index, level] of [...levels, Infinity].entries()) {
    if (level < limit) current += 1;
    else if (current > 0) {
      gaps.push({ atMs: (index - current) * WINDOW_MS, ms: current * WINDOW_MS });
      current = 0;
    }
  }
  return gaps;
}

// The longest of them.
export const longestGap = (rows, column) => Math.max(0, ...gapsIn(rows, column).map(({ ms }) => ms));

export { median };
