// People in homes of their own, and a studio with its relay in the public network between them.

import { launch } from './chromium.mjs';
import { Netlab } from './netlab.mjs';
import { Participant } from './participant.mjs';
import { closeAll } from './rooms.mjs';
import { Studio } from './server.mjs';

export class Homes {
  // `nats` by the homes' names. Each home gets a browser, and a line with a delay each way.
  static async open(nats, { seed, relay = true, delayMs = 0 } = {}) {
    const all = new Homes();
    all.people = [];
    all.browsers = [];
    try {
      all.lab = await Netlab.start({ seed });
      const { lab } = all;
      all.homes = [];
      for (const [name, nat] of Object.entries(nats)) all.homes.push(await lab.home(name, nat));
      const line = { up: { delayMs }, down: { delayMs } };
      for (const home of all.homes) await lab.link(home, line);
      const host = lab.public.addresses[1];
      const args = relay ? ['--turn-server', 'true', '--turn-public-ip', host] : ['--stun', await lab.stun()];
      all.studio = await Studio.start({ prefix: lab.prefix(), host, args });
      // Without it there is no microphone on a page that is not encrypted.
      const secure = `--unsafely-treat-insecure-origin-as-secure=${new URL(all.studio.url).origin}`;
      for (const { prefix } of all.homes) all.browsers.push(await launch({ prefix, args: [secure] }));
      return all;
    } catch (error) {
      await all.close();
      throw error;
    }
  }

  // Somebody new in the home of this number.
  async person(home, options) {
    const person = await Participant.open(this.browsers[home], this.people.length, options);
    this.people.push(person);
    return person;
  }

  // Everybody's pages are closed; homes and browsers stay.
  async empty() {
    await closeAll(this.people);
    this.people = [];
  }

  async close() {
    await this.empty();
    await Promise.allSettled(this.browsers.map((browser) => browser.close()));
    await this.studio?.stop();
    await this.lab?.stop();
  }
}
