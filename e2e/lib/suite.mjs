// What the test files share: one browser and one server for a file, and a
// screenshot of every page when a test fails.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { mkdir } from 'node:fs/promises';
import { launch } from './chromium.mjs';
import { closeAll } from './rooms.mjs';
import { Studio } from './server.mjs';

export const RESULTS = new URL('../results/', import.meta.url).pathname;
const LIMIT_MS = 120_000;

// Declares a suite: `declare(scenario)` calls `scenario(name, body, options)`,
// where `body` gets { browser, studio, people, t }. Whoever `body` puts into
// `people` is photographed on failure and closed at the end. `launchOptions` may be a function of
// the studio.
export function suite(declare, { launchOptions, studioOptions } = {}) {
  const shared = {};
  before(async () => {
    await mkdir(RESULTS, { recursive: true });
    shared.studio = await Studio.start(studioOptions);
    const options = typeof launchOptions === 'function' ? await launchOptions(shared.studio) : launchOptions;
    shared.browser = await launch(options);
  });
  after(async () => {
    await shared.browser?.close();
    await shared.studio?.stop();
  });
  declare((name, body, options = {}) =>
    test(name, { timeout: LIMIT_MS, ...options }, async (t) => {
      const people = [];
      const room = { ...shared, people, t };
      try {
        await body(room);
      } catch (error) {
        await photographAll(name, people);
        if (shared.studio?.log) console.log(shared.studio.log.split('\n').slice(-15).join('\n'));
        throw error;
      } finally {
        await closeAll(people);
        await room.natives?.stop();
      }
    }));
}

async function photographAll(name, people) {
  const stem = name.replace(/\W+/g, '-');
  await Promise.allSettled(
    people.map((person) =>
      person.page.screenshot({ path: `${RESULTS}failed-${stem}-${person.name}.png`, timeout: 5000 })),
  );
}

// Pictures of a state at both widths, dark and light, as high as the page is: nothing lies
// behind the bar at the bottom. Nothing may stand out at the side.
export async function photograph(person, state) {
  const { page } = person;
  const size = page.viewportSize();
  for (const width of [1280, 375]) {
    await page.setViewportSize({ width, height: 800 });
    const { wide, high } = await page.evaluate(() => {
      const { scrollWidth, scrollHeight } = document.documentElement;
      return { wide: scrollWidth, high: scrollHeight };
    });
    assert.ok(wide <= width, `${state} is ${wide} pixels wide where there are ${width}`);
    await page.setViewportSize({ width, height: Math.max(800, high) });
    for (const colorScheme of ['dark', 'light']) {
      await page.emulateMedia({ colorScheme });
      await page.screenshot({ path: `${RESULTS}${state}-${width}-${colorScheme}.png` });
    }
  }
  await page.emulateMedia({ colorScheme: null });
  await page.setViewportSize(size);
}
