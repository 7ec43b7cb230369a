// What it costs to open our page: bytes over the wire, and ms from navigation
// to a Start session that can be pressed, each in a fresh browser context.
// `node bench/load.mjs [--rounds=5] [--json]`.

import { parseArgs } from 'node:util';
import { launch } from '../lib/chromium.mjs';
import { Studio } from '../lib/server.mjs';
import { median } from '../lib/tones.mjs';

const { values: options } = parseArgs({
  options: { rounds: { type: 'string', default: '5' }, json: { type: 'boolean', default: false } },
});

// Page side: notes when the button is there. It waits for a name, not for code.
function watchForStart() {
  const look = () => {
    const found = [...document.querySelectorAll('button')].some((button) =>
      button.textContent.trim() === 'Start session' && button.offsetParent !== null);
    if (found) window.__usable = performance.now();
    return found;
  };
  const observer = new MutationObserver(() => look() && observer.disconnect());
  observer.observe(document, { childList: true, subtree: true });
}

async function load(browser, url) {
  const context = await browser.newContext();
  const page = await context.newPage();
  const network = await context.newCDPSession(page);
  await network.send('Network.enable');
  let bytes = 0;
  network.on('Network.loadingFinished', ({ encodedDataLength }) => (bytes += encodedDataLength));
  await page.addInitScript(watchForStart);
  await page.goto(url);
  await page.waitForFunction(() => window.__usable);
  const ms = await page.evaluate(() => window.__usable);
  await page.waitForLoadState('networkidle');
  await context.close();
  return { bytes, ms };
}

const studio = await Studio.start();
const browser = await launch();
try {
  const rounds = [];
  for (let round = 0; round < Number(options.rounds); round += 1) rounds.push(await load(browser, studio.url));
  const [first] = rounds;
  const result = {
    bytes: first.bytes,
    firstMs: Math.round(first.ms),
    medianMs: Math.round(median(rounds.map(({ ms }) => ms))),
  };
  if (options.json) console.log(JSON.stringify(result));
  else console.log(`load: ${(result.bytes / 1000).toFixed(1)} kB, usable after ${result.medianMs} ms (the first time ${result.firstMs} ms)`);
} finally {
  await browser.close();
  await studio.stop();
}
