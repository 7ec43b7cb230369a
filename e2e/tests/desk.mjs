// The desk, measured by tones: faders, mute, on air, solo, loudness.

import assert from 'node:assert/strict';
import {
  fader, largestStep, measureLoudness, monitor, muteKey, onAirBox, programme, setGain, soloKey,
  takeProgramme, tapAll,
} from '../lib/desk.mjs';
import { holds, sleep, until } from '../lib/poll.mjs';
import { assertNoErrors, gather, hearAll } from '../lib/rooms.mjs';
import { suite } from '../lib/suite.mjs';
import { median } from '../lib/tones.mjs';

const SILENT_DB = -90;
const MUTES = 20;

// A host at the desk and callers, who all hear each other.
async function studioOf(room, setup = {}) {
  await gather(room, setup);
  await hearAll(room.people);
  await tapAll(room.people, room.people.slice(0, 1));
  // Jitter buffers settle; levels are compared to a tenth of a decibel.
  await sleep(1500);
  return room.people;
}

// Waits until a level is where it belongs, and stays a moment for the long window to fill.
async function levelOf(person, members, index, where = programme) {
  await sleep(600);
  return (await where(person, members))[index];
}

suite((scenario) => {
  scenario('a fader is what it says, in the programme and for every listener', async (room) => {
    const people = await studioOf(room, { callers: 2 });
    const [host, caller, listener] = people;
    for (const index of [0, 1]) {
      const name = people[index].name;
      const unity = await levelOf(host, people, index);
      const heard = await levelOf(listener, people, index, monitor);
      for (const [percent, expected] of [[200, 6.02], [50, -6.02], [100, 0]]) {
        await setGain(host, name, percent);
        const change = (await levelOf(host, people, index)) - unity;
        const atListener = (await monitor(listener, people))[index] - heard;
        console.log(`  ${name} at ${percent} %: ${change.toFixed(2)} dB, ${atListener.toFixed(2)} dB at a listener`);
        assert.ok(Math.abs(change - expected) < 0.5, `${percent} % of ${name}: ${change} dB`);
        assert.ok(Math.abs(atListener - expected) < 0.5, `${percent} % of ${name}: ${atListener} dB`);
      }
      await setGain(host, name, 0);
      assert.ok((await levelOf(host, people, index)) < SILENT_DB, '0 % is silence');
      await fader(host, name).dblclick();
      await until('a double click resets', async () => (await fader(host, name).inputValue()) === '100');
    }
    assert.match(await caller.text(caller.name), /On air/);
    assertNoErrors(people);
  });

  scenario('a moved fader does not click', async (room) => {
    const people = await studioOf(room, { callers: 1, options: () => ({ recording: true }) });
    const [host] = people;
    // The key is pressed before the desk has heard of it; a second tone is a steeper step.
    await onAirBox(host, people[1].name).click();
    await until('the host is alone on air', async () => (await programme(host, people))[1] < SILENT_DB);
    const move = async () => {
      for (const percent of [200, 0, 150, 30, 100]) {
        await sleep(500);
        await setGain(host, host.name, percent);
      }
    };
    const [[left, , own]] = await Promise.all([takeProgramme(host, 4), move()]);
    // The microphone is a tone of 0.1; at 200 % its own steepest step, and 20 ms for the ramp.
    const slope = 0.2 * 2 * Math.sin((Math.PI * host.tone) / 48000);
    const ramp = (2 * 0.1) / 960;
    const { largest: step, looked } = largestStep(left, own, slope / 2 * 1.02);
    console.log(`  largest step ${step.toFixed(5)}, the tone's own ${slope.toFixed(5)}; ${Math.round(100 * looked)} % looked at`);
    assert.ok(looked > 0.5, 'the machine tears the microphone\'s own sound');
    assert.ok(step > slope / 2, 'there is a tone');
    assert.ok(step <= (slope + ramp) * 1.02, `a step of ${step}`);
    assertNoErrors(people);
  });

  scenario('a host mutes within 100 ms, whatever the muted page sends', async (room) => {
    const people = await studioOf(room, { callers: 2 });
    const [host, caller, listener] = people;
    const times = [];
    for (let round = 0; round < MUTES; round += 1) {
      const silent = [host, listener].map(({ page }) =>
        page.evaluate((tone) => window.__e2e.untilSilent(tone, -65, 3000), caller.tone));
      const pressed = await muteKey(host, caller.name).evaluate((key) => {
        const now = Date.now();
        key.click();
        return now;
      });
      const ends = await Promise.all(silent);
      for (const end of ends) {
        assert.ok(end, 'a muted tone is heard on');
        times.push(end - pressed);
      }
      await muteKey(host, caller.name).click();
      await until('the tone is back', async () => {
        const levels = await Promise.all([host, listener].map((person) => monitor(person, [caller])));
        return levels.every(([level]) => level > -45);
      });
    }
    console.log(`  silent after ${median(times)} ms (median of ${times.length}), ${Math.max(...times)} ms at most`);
    assert.ok(median(times) <= 100, `${median(times)} ms`);

    await muteKey(host, caller.name).click();
    await until('the caller is told', async () => /Muted by a host/.test(await caller.text(caller.name)));
    await until('silence', async () => !(await listener.hearsTone(caller)));
    await caller.page.evaluate(() => {
      for (const connection of window.__e2e.connections) {
        for (const { track } of connection.getSenders()) if (track) track.enabled = true;
      }
    });
    await caller.button('Mute myself').click();
    await caller.button('Mute myself').click();
    await holds('a muted client that sends is heard', async () =>
      !(await listener.hearsTone(caller)) && !(await host.hearsTone(caller)), 2000);
    await muteKey(host, caller.name).click();
    await until('the voice is back', () => listener.hearsTone(caller));
    assertNoErrors(people);
  });

  scenario('what a person closed, no host opens', async (room) => {
    const people = await studioOf(room);
    const [host, caller] = people;
    await caller.button('Mute myself').click();
    await until('silence', async () => !(await host.hearsTone(caller)));
    await muteKey(host, caller.name).click();
    await until('pressed', async () => (await muteKey(host, caller.name).getAttribute('aria-pressed')) === 'true');
    await muteKey(host, caller.name).click();
    await holds('a closed microphone stays closed', async () => !(await host.hearsTone(caller)), 1000);
    await caller.button('Mute myself').click();
    await until('its owner opens it', () => host.hearsTone(caller));
    assertNoErrors(people);
  });

  scenario('off air is off the programme alone; solo is for oneself alone', async (room) => {
    const people = await studioOf(room, { callers: 2 });
    const [host, caller, listener] = people;
    await onAirBox(host, caller.name).click();
    await until('the listener sees it', async () => /Off air/.test(await listener.text(caller.name)));
    assert.ok((await levelOf(host, people, 1)) < SILENT_DB, 'out of the programme');
    assert.ok((await programme(host, people))[2] > -40, 'others stay in it');
    assert.ok(await listener.hearsTone(caller), 'the talk goes on');
    await onAirBox(host, caller.name).click();
    assert.ok((await levelOf(host, people, 1)) > -40, 'back in the programme');

    await soloKey(host, caller.name).click();
    await until('the host hears one alone', async () =>
      (await host.hearsTone(caller)) && !(await host.hearsTone(listener)));
    assert.ok((await levelOf(host, people, 2)) > -40, 'solo leaves the programme alone');
    assert.ok(await caller.hearsTone(listener));
    await soloKey(host, caller.name).click();
    await until('all again', () => host.hearsTone(listener));
    assertNoErrors(people);
  });

  scenario('the programme can be listened to, one\'s own voice in it', async (room) => {
    const people = await studioOf(room);
    const [host] = people;
    assert.ok((await levelOf(host, people, 0, monitor)) < SILENT_DB, 'not in the conversation');
    await host.page.getByLabel('Listen to').selectOption('programme');
    assert.ok((await levelOf(host, people, 0, monitor)) > -40);
    assert.equal(await people[1].page.getByLabel('Listen to').count(), 0, 'callers have no such choice');
    await host.page.getByLabel('Listening volume').fill('0');
    assert.ok((await levelOf(host, people, 1, monitor)) < SILENT_DB);
    assert.ok((await programme(host, people))[1] > -40);
    assertNoErrors(people);
  });

  scenario('loudness and true peak are those that ffmpeg measures', async (room) => {
    const people = await studioOf(room, { callers: 1, options: () => ({ recording: true }) });
    const [host, caller] = people;
    await host.button('Reset loudness').click();
    const rise = async () => {
      await sleep(4000);
      await setGain(host, caller.name, 200);
      await setGain(host, host.name, 150);
    };
    const [samples] = await Promise.all([takeProgramme(host, 10), rise()]);
    const [, , integrated, , truePeak] = await host.page.evaluate(() => window.__e2e.loudness);
    const measured = await measureLoudness(samples);
    console.log(`  page ${integrated.toFixed(2)} LUFS, ${truePeak.toFixed(2)} dBTP; ffmpeg ${measured.integrated} LUFS, ${measured.truePeak} dBTP`);
    assert.ok(Math.abs(integrated - measured.integrated) <= 0.2);
    assert.ok(Math.abs(truePeak - measured.truePeak) <= 0.3);
    assertNoErrors(people);
  });

  scenario('the keys: mute, cough, mute a strip, help', async (room) => {
    const people = await studioOf(room);
    const [host, caller] = people;
    await host.page.locator('body').click({ position: { x: 5, y: 5 } });
    await host.page.keyboard.down(' ');
    await until('nobody hears a cough', async () => !(await caller.hearsTone(host)));
    await host.page.keyboard.up(' ');
    await until('the voice is back', () => caller.hearsTone(host));
    await host.page.keyboard.press('m');
    await until('muted', async () => !(await caller.hearsTone(host)));
    await host.page.keyboard.press('m');
    await until('open', () => caller.hearsTone(host));
    await host.page.keyboard.press('2');
    await until('the second strip is muted', async () => !(await host.hearsTone(caller)));
    // A key that was clicked does not answer to the cough key.
    await muteKey(host, caller.name).click();
    await until('the second strip is open', () => host.hearsTone(caller));
    await host.page.keyboard.press(' ');
    await holds('a cough presses no button', () => host.hearsTone(caller), 500);
    await host.page.keyboard.press('?');
    await host.page.getByRole('dialog', { name: 'Keys' }).waitFor();
    await host.page.keyboard.press('Escape');
    await fader(host, caller.name).focus();
    await host.page.keyboard.press('ArrowRight');
    await until('an arrow moves a fader', async () => (await fader(host, caller.name).inputValue()) === '101');
    assertNoErrors(people);
  });
});
