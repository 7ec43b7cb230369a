// Firefox through WebDriver BiDi, and a participant in it: the part of
// `Participant` that a mixed room needs.

import { existsSync } from 'node:fs';
import puppeteer from 'puppeteer-core';
import { pageScript } from './chromium.mjs';
import { until } from './poll.mjs';
import { NAMES, toneOf } from './tones.mjs';

const CANDIDATES = ['/usr/bin/firefox-esr', '/usr/bin/firefox'];
const PREFERENCES = {
  'media.autoplay.default': 0,
  'media.autoplay.blocking_policy': 0,
  'media.navigator.permission.disabled': true,
  'media.navigator.streams.fake': true,
  'media.peerconnection.ice.obfuscate_host_addresses': false,
  'media.peerconnection.ice.loopback': true,
};

export const firefoxPath = () =>
  process.env.FIREFOX ?? CANDIDATES.find((candidate) => existsSync(candidate));

export const launchFirefox = (env) =>
  puppeteer.launch({
    browser: 'firefox',
    executablePath: firefoxPath(),
    headless: true,
    env,
    extraPrefsFirefox: PREFERENCES,
  });

const role = (kind, name) => `::-p-aria([name="${name}"][role="${kind}"])`;

export class FirefoxParticipant {
  static async open(browser, index) {
    const person = new FirefoxParticipant();
    person.name = NAMES[index];
    person.tone = toneOf(index);
    person.context = await browser.createBrowserContext();
    person.page = await person.context.newPage();
    person.errors = [];
    person.page.on('pageerror', (error) => person.errors.push(String(error)));
    await person.page.evaluateOnNewDocument(await pageScript({ tone: person.tone }));
    return person;
  }

  async goto(url) {
    await this.page.goto(url);
    await this.page.locator(role('textbox', 'Your name')).fill(this.name);
  }

  async join(link) {
    await this.goto(link);
    await this.page.locator(role('button', 'Join session')).click();
    await until(`${this.name} is in the room`, () =>
      this.page.evaluate(() => document.querySelector('[aria-label="Participants"]') !== null));
  }

  close() {
    return this.context.close();
  }
}
