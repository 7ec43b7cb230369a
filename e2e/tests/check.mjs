// The check in front of the room: what it says of good and bad microphones.

import assert from 'node:assert/strict';
import { Participant } from '../lib/participant.mjs';
import { until } from '../lib/poll.mjs';
import { assertNoErrors } from '../lib/rooms.mjs';
import { photograph, suite } from '../lib/suite.mjs';

const WIDE_HZ = 20_000;
const HEADSET = 0.15; // the filtered noise's peaks stay below half of full scale

async function atTheCheck({ browser, studio, people }, source) {
  const person = await Participant.open(browser, people.length, { source });
  people.push(person);
  await person.goto(studio.url);
  await person.page.getByText('Check microphone and loudspeaker').click();
  await person.page.getByText('Speak:').waitFor();
  return person;
}

const level = async ({ page }) =>
  Number(await page.getByRole('meter', { name: 'Level of your microphone' }).getAttribute('aria-valuenow'));

async function recorded(person) {
  await person.button('Record 3 seconds').click();
  await person.page.getByText('This is how you sound.').waitFor();
  const found = await person.page.locator('.check-words li').allInnerTexts();
  return found;
}

suite((scenario) => {
  scenario('a good microphone is heard back and called good', async (room) => {
    const person = await atTheCheck(room, { noise: WIDE_HZ });
    await until('a level', async () => (await level(person)) > 30);
    assert.deepEqual(await recorded(person), ['Your microphone sounds good.']);
    await until('the recording is played', () => person.page.evaluate(() => {
      const samples = new Float32Array(2048);
      return [...window.__e2e.buses.values()].some(({ analyser }) => {
        analyser.getFloatTimeDomainData(samples);
        return samples.some((sample) => Math.abs(sample) > 0.01);
      });
    }));
    await person.page.getByText('Speak:').waitFor();
    await photograph(person, 'check');
    await person.button('Play a test tone').click();
    await person.page.getByText('No echo:').waitFor();
    assertNoErrors(room.people);
  });

  const sources = [
    ['silence', { level: 0 }, /gives no sound/],
    ['a whisper', { level: 0.004, noise: WIDE_HZ }, /hard to hear/],
    ['overload', { level: 8, noise: WIDE_HZ }, /overdriven/],
    ['a headset at 8 kHz', { level: HEADSET, noise: 3500 }, /telephone/],
    ['a headset at 16 kHz', { level: HEADSET, noise: 7300 }, /telephone/],
  ];
  for (const [name, source, sentence] of sources) {
    scenario(`${name} is told`, async (room) => {
      const person = await atTheCheck(room, source);
      const found = await recorded(person);
      assert.equal(found.length, 1, found.join(' | '));
      assert.match(found[0], sentence);
      assertNoErrors(room.people);
    });
  }

  scenario('a microphone that hears the loudspeaker is told', async (room) => {
    const person = await atTheCheck(room, { level: 0, echo: true });
    await person.button('Play a test tone').click();
    await person.page.getByText('Put on headphones').waitFor();
    assertNoErrors(room.people);
  });

  scenario('the check is left with one press, and its microphone with it', async (room) => {
    const person = await atTheCheck(room, { noise: WIDE_HZ });
    const tracks = () => person.page.evaluate(() => window.__e2e.liveTracks());
    assert.equal(await tracks(), 1);
    await person.button('Start session').click();
    await person.inRoom();
    await until('one microphone, the session\'s', async () => (await tracks()) === 1);
    assertNoErrors(room.people);
  });
});
