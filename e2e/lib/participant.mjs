// A person in front of the page: does what a person does, by the names that
// are on the screen, and reads what a person reads.

import { openPage, workletSource } from './chromium.mjs';
import { hearing } from './hearing.mjs';
import { until } from './poll.mjs';
import { NAMES, gapsIn, longestGap, toneOf } from './tones.mjs';

const STATES = ['Connected', 'Connecting…', 'Waiting…', 'Reconnecting…', 'Disconnected', 'Failed'];

export class Participant {
  static async open(browser, index, { name = NAMES[index], ...options } = {}) {
    const person = new Participant();
    person.tone = toneOf(index);
    person.name = name;
    Object.assign(person, await openPage(browser, { tone: person.tone, ...options }));
    return person;
  }

  // Opens a room's link (or the front page), ready to press the button.
  async goto(url) {
    await this.page.goto(url);
    const field = this.page.getByRole('textbox', { name: 'Your name' });
    await field.waitFor({ timeout: 15_000 });
    await field.fill(this.name);
  }

  button(name) {
    return this.page.getByRole('button', { name, exact: true });
  }

  // Makes a room and returns its link.
  async start(url) {
    await this.goto(url);
    await this.button('Start session').click();
    await this.inRoom();
    return this.page.url();
  }

  async join(link) {
    if (link) await this.goto(link);
    await this.button('Join session').click();
    await this.inRoom();
  }

  inRoom() {
    return this.list().waitFor({ timeout: 15_000 });
  }

  // { caller, host }: the links of the Invite panel.
  async inviteLinks() {
    await this.button('Invite').click();
    const link = async (label) => {
      const field = this.page.getByLabel(label, { exact: true });
      await field.waitFor();
      return until(`a ${label}`, () => field.inputValue());
    };
    const links = { caller: await link('Caller link'), host: await link('Host link') };
    await this.page.keyboard.press('Escape');
    return links;
  }

  async leave() {
    await this.button('Leave').click();
    const confirm = this.page.getByRole('dialog').getByRole('button', { name: 'Leave', exact: true });
    if (await confirm.isVisible().catch(() => false)) await confirm.click();
  }

  close() {
    return this.context.close();
  }

  list() {
    return this.page.getByRole('list', { name: 'Participants' });
  }

  card(name) {
    return this.list().getByRole('listitem', { name });
  }

  // How many participants the page lists.
  count() {
    return this.list().getByRole('listitem').count();
  }

  // How many cards show a state, at one look.
  async countOf(state) {
    const texts = await this.list().getByRole('listitem').allInnerTexts();
    return texts.filter((text) => text.split('\n').some((line) => line.trim() === state)).length;
  }

  // Which of the states a card shows; undefined if there is none.
  async state(name) {
    const card = this.card(name);
    if ((await card.count()) === 0) return undefined;
    const text = await card.first().innerText();
    // Whole lines first, so that a sentence with one of these words does not count.
    const lines = text.split('\n').map((line) => line.trim());
    return STATES.find((state) => lines.includes(state)) ?? STATES.find((state) => text.includes(state));
  }

  async text(name) {
    return (await this.card(name).count()) ? this.card(name).first().innerText() : '(no such card)';
  }

  async showsState(name, state, timeout) {
    await until(
      async () => `${this.name} shows ${state} for ${name}; it shows: ${await this.text(name)}`,
      async () => (await this.state(name)) === state,
      { timeout },
    );
  }

  // What is played at this moment, judged against the tones of `members`.
  hears(members) {
    return hearing(this.page, members.map(({ tone }) => tone), this.tone);
  }

  // Whether exactly one of `members` other than this one is heard now.
  async hearsTone(other) {
    return (await hearing(this.page, [other.tone], this.tone)).heard.length === 1;
  }

  counts() {
    return this.page.evaluate(() => window.__e2e.counts);
  }

  // Starts recording the levels of all members' tones, without holes. The page
  // must have been opened with `recording: true`.
  async record(members) {
    const source = await workletSource();
    this.recordedTones = members.map(({ tone }) => tone);
    await this.page.evaluate(([text, tones]) => window.__e2e.record(text, tones), [source, this.recordedTones]);
    await until(`a recording at ${this.name}'s`, () => this.page.evaluate(() => window.__e2e.mark()), {
      timeout: 15_000,
    });
  }

  // Gaps in ms of each of `others` since the recording began, and when in it they were.
  async allGaps(others) {
    const rows = await this.page.evaluate(() => window.__e2e.recorded());
    return others.flatMap(({ name, tone }) =>
      gapsIn(rows, this.recordedTones.indexOf(tone)).map((gap) => ({ at: this.name, of: name, ...gap })));
  }

  // Longest gap in ms of each of `others` since the recording began.
  async gaps(others) {
    const rows = await this.page.evaluate(() => window.__e2e.recorded());
    return others.map(({ name, tone }) => ({
      at: this.name,
      of: name,
      ms: longestGap(rows, this.recordedTones.indexOf(tone)),
      windows: rows.length,
    }));
  }
}
