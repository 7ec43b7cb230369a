// Two homes on lines that lose packets, a studio in the public network, and what becomes of
// lost packets in pages.

import { launch } from './chromium.mjs';
import { Netlab } from './netlab.mjs';
import { Participant } from './participant.mjs';
import { closeAll } from './rooms.mjs';
import { Studio } from './server.mjs';

// Without it there is no microphone on a page that is not encrypted.
const secured = (studio) => `--unsafely-treat-insecure-origin-as-secure=${new URL(studio.url).origin}`;

// Calls `body` with { lab, homes, studio, page(home, options) }; `page` opens a person's page.
// Without a seed it takes any, and prints it.
export async function betweenHomes(count, body, seed) {
  const lab = await Netlab.start({ seed });
  let studio;
  const [browsers, people] = [[], []];
  try {
    const homes = [];
    for (let n = 0; n < count; n += 1) homes.push(await lab.home(`home${n}`, { kind: 'open' }));
    studio = await Studio.start({ prefix: lab.prefix(), host: lab.public.addresses[1] });
    const page = async (home, options = {}) => {
      const browser = await launch({ prefix: home.prefix, args: [secured(studio)] });
      browsers.push(browser);
      const person = await Participant.open(browser, people.length, options);
      people.push(person);
      return person;
    };
    return await body({ lab, homes, studio, page });
  } finally {
    await closeAll(people);
    await Promise.allSettled(browsers.map((browser) => browser.close()));
    await studio?.stop();
    await lab.stop();
  }
}

// What each home sends gets lost: `loss` is the share, `burst` in how many packets at once.
export async function lose(lab, homes, line) {
  for (const home of homes) await lab.link(home, { up: line });
}

// Page side: the page never learns what of its packets gets lost.
export function hideReports() {
  const native = RTCRtpSender.prototype.getStats;
  RTCRtpSender.prototype.getStats = async function () {
    const report = await native.call(this);
    return new Map([...report].filter(([, { type }]) => type !== 'remote-inbound-rtp'));
  };
}

// What a page has received and sent so far, of all connections.
export const streams = (person) => person.page.evaluate(async () => {
  const sum = { samples: 0, concealed: 0, sentPackets: 0, sentBytes: 0 };
  for (const connection of window.__e2e.connections) {
    for (const stat of (await connection.getStats()).values()) {
      if (stat.type === 'inbound-rtp') {
        sum.samples += stat.totalSamplesReceived ?? 0;
        sum.concealed += stat.concealedSamples ?? 0;
      }
      if (stat.type === 'outbound-rtp') {
        sum.sentPackets += stat.packetsSent;
        sum.sentBytes += stat.bytesSent;
      }
    }
  }
  return sum;
});

// What happened between two looks: the share of samples that were made up, and the mean size of
// a packet that was sent, in bytes.
export const between = (before, after) => ({
  concealed: (after.concealed - before.concealed) / (after.samples - before.samples),
  bytes: (after.sentBytes - before.sentBytes) / (after.sentPackets - before.sentPackets),
});
