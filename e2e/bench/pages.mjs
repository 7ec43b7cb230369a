// The two pages that are compared, behind one interface:
// `{ start(browser, count, options), stop() }`, where `start` gives members whose pages
// are loaded with these options, the first in the room, and `join()` of each other one presses Join.

import { startRelay } from '../bare/relay.mjs';
import { openPage } from '../lib/chromium.mjs';
import { Participant } from '../lib/participant.mjs';
import { Studio } from '../lib/server.mjs';
import { toneOf } from '../lib/tones.mjs';

const press = (handle) => handle.evaluate((button) => button.click());

export async function bare() {
  const relay = await startRelay();
  return {
    async start(browser, count, options = {}) {
      const members = [];
      for (let index = 0; index < count; index += 1) {
        const tone = toneOf(index);
        const member = { name: `page ${index}`, tone, ...(await openPage(browser, { tone, ...options })) };
        await member.page.goto(relay.url);
        const button = await member.page.waitForSelector('button');
        member.join = () => press(button);
        members.push(member);
      }
      await members[0].join();
      await members[0].page.waitForFunction(() => window.__e2e.microphoneRequests > 0);
      return members;
    },
    stop: () => relay.stop(),
  };
}

export async function ours() {
  const studio = await Studio.start();
  return {
    async start(browser, count, options = {}) {
      const members = [];
      for (let index = 0; index < count; index += 1) {
        members.push(await Participant.open(browser, index, options));
      }
      const link = await members[0].start(studio.url);
      for (const member of members.slice(1)) {
        await member.goto(link);
        const button = await member.button('Join session').elementHandle();
        member.join = () => press(button);
      }
      return members;
    },
    stop: () => studio.stop(),
  };
}
