// Microphones and loudspeakers that are chosen, plugged in and unplugged, and what the
// microphone is used for.

import assert from 'node:assert/strict';
import { plug, select, sentBitrate, sentFrom, showDevices, unplug } from '../lib/devices.mjs';
import { sleep, until } from '../lib/poll.mjs';
import { assertNoErrors, gather, hearAll } from '../lib/rooms.mjs';
import { suite } from '../lib/suite.mjs';

const GAP_MS = 200;
const RIGHT_HZ = 6000; // nobody's tone

async function studio(room, setup) {
  await gather(room, { options: (i) => ({ recording: true, source: i === 0 ? setup : {} }) });
  await hearAll(room.people);
  const [host, listener] = room.people;
  await showDevices(host);
  await listener.record(room.people);
  return room.people;
}

// Does something to the host's microphone; the listener's longest gap meanwhile.
async function gapDuring(listener, host, act) {
  await act();
  await until(`${host.name} is heard`, () => listener.hearsTone(host));
  await sleep(500);
  const [{ ms }] = await listener.gaps([host]);
  return ms;
}

const offers = async (people) =>
  (await Promise.all(people.map((person) => person.counts()))).reduce((sum, { localOffers }) => sum + localOffers, 0);

suite((scenario) => {
  scenario('a microphone is chosen, unplugged and plugged in with no gap and no offer', async (room) => {
    const people = await studio(room, { devices: ['built-in', 'headset'] });
    const [host, listener] = people;
    const before = await offers(people);
    const gap = await gapDuring(listener, host, async () => {
      await select(host, 'Microphone').selectOption('headset');
      await until('the headset', async () => (await sentFrom(host)) === 'headset');
      await unplug(host, 'headset');
      await until('the other one', async () => (await sentFrom(host)) === 'built-in');
      await plug(host, 'headset');
      await until('the headset again', async () => (await sentFrom(host)) === 'headset');
    });
    console.log(`  longest gap at the listener: ${gap} ms`);
    assert.ok(gap <= GAP_MS, `${gap} ms`);
    assert.equal(await offers(people), before, 'no new offer');
    assertNoErrors(people);
  });

  scenario('the last microphone goes, and is taken again when it comes back', async (room) => {
    const people = await studio(room, { devices: ['only'] });
    const [host, listener] = people;
    const before = await offers(people);
    await unplug(host, 'only');
    await host.page.getByText('Your microphone is gone').waitFor();
    await until('silence', async () => !(await listener.hearsTone(host)));
    await plug(host, 'only');
    await until('the voice is back', () => listener.hearsTone(host));
    assert.equal(await offers(people), before, 'no new offer');
    assertNoErrors(people);
  });

  scenario('music goes as it is, in stereo and at 128 kbit/s or more; a voice is cleaned', async (room) => {
    const people = await studio(room, { right: RIGHT_HZ });
    const [host, listener] = people;
    const asked = () => host.page.evaluate(() => {
      const { echoCancellation, noiseSuppression, autoGainControl, channelCount } = window.__e2e.constraints;
      return [echoCancellation, noiseSuppression, autoGainControl, channelCount];
    });
    assert.deepEqual(await asked(), [true, true, true, 1]);
    const [voice] = await sentBitrate(host);

    const gap = await gapDuring(listener, host, () => select(host, 'Sound').selectOption('music'));
    assert.deepEqual(await asked(), [false, false, false, 2]);
    const separation = async () => {
      const [left, right] = await listener.page.evaluate((tones) => window.__e2e.sideLevels(tones), [host.tone, RIGHT_HZ]);
      return Math.min(left[0] - right[0], right[1] - left[1]);
    };
    await until('two channels', async () => (await separation()) > 40);
    const [music] = await sentBitrate(host);
    console.log(`  voice ${Math.round(voice / 1000)} kbit/s, music ${Math.round(music / 1000)} kbit/s; channels ${(await separation()).toFixed(0)} dB apart; gap ${gap} ms`);
    assert.ok(voice <= 60_000, `voice at ${voice} bit/s`);
    assert.ok(music >= 128_000, `music at ${music} bit/s`);
    assert.ok(gap <= GAP_MS, `${gap} ms`);

    await select(host, 'Sound').selectOption('voice');
    await until('one channel', async () => (await separation()) < 1);
    assert.deepEqual(await asked(), [true, true, true, 1]);
    assertNoErrors(people);
  });

  scenario('a caller with music is heard in stereo by who offered', async (room) => {
    await gather(room, { options: () => ({ source: { right: RIGHT_HZ } }) });
    await hearAll(room.people);
    for (const [person, other] of [room.people, [...room.people].reverse()]) {
      await showDevices(person);
      await select(person, 'Sound').selectOption('music');
      await until(`two channels at ${other.name}'s`, async () => {
        const [left, right] = await other.page.evaluate((tones) => window.__e2e.sideLevels(tones), [person.tone, RIGHT_HZ]);
        return left[0] - right[0] > 40;
      });
    }
    const { rejected } = await room.people[0].counts();
    assert.equal(rejected, 0);
    // Somebody who comes later hears both channels, whoever makes the offer.
    assertNoErrors(room.people);
  });

  scenario('the sound goes to the chosen loudspeaker', async (room) => {
    const [host] = await studio(room);
    const outputs = await host.page.evaluate(async () =>
      (await navigator.mediaDevices.enumerateDevices())
        .filter(({ kind, deviceId }) => kind === 'audiooutput' && deviceId !== 'default')
        .map(({ deviceId }) => deviceId));
    assert.ok(outputs.length > 0, 'this browser has several loudspeakers');
    await select(host, 'Loudspeaker').selectOption(outputs.at(-1));
    await until('it plays there', () => host.page.evaluate((id) =>
      [...window.__e2e.buses.keys()].some(({ sinkId }) => sinkId === id), outputs.at(-1)));
    await hearAll(room.people);
    assertNoErrors(room.people);
  });
});
