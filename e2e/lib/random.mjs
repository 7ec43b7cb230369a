// Numbers that look random and come again with the same seed.

// A seed of one's own by E2E_SEED, to run a failure again.
export const newSeed = () => Number(process.env.E2E_SEED ?? Math.floor(Math.random() * 2 ** 32)) >>> 0;

// Returns a function that gives integers from 0 to `most`, both included (mulberry32).
export function randomOf(seed) {
  let state = seed;
  return (most) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) % (most + 1);
  };
}
