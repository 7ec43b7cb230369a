// Waiting for something to become true, with a sentence when it does not.

export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

// Calls `probe` until it returns something truthy, which is returned. `what`
// is what was waited for: a string, or a function giving one (with the latest
// state in it) when time is up.
export async function until(what, probe, { timeout = 10_000, every = 50 } = {}) {
  const deadline = Date.now() + timeout;
  for (;;) {
    const value = await probe();
    if (value) return value;
    if (Date.now() > deadline) {
      const text = typeof what === 'function' ? await what() : what;
      throw new Error(`not within ${timeout} ms: ${text}`);
    }
    await sleep(every);
  }
}

// Checks that `probe` stays truthy for `ms`.
export async function holds(what, probe, ms, every = 100) {
  const deadline = Date.now() + ms;
  while (Date.now() < deadline) {
    if (!(await probe())) {
      throw new Error(typeof what === 'function' ? await what() : what);
    }
    await sleep(every);
  }
}
