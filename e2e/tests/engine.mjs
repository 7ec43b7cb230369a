// The studio's engine, as hosts and listeners meet it: Record, Go on air, what everybody sees,
// what is on disk, and what a killed server leaves of both.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { decode, level, listen, longestSilence } from '../lib/decoded.mjs';
import { loudnessOf } from '../lib/desk.mjs';
import { sleep, until } from '../lib/poll.mjs';
import { atTheEnd, end, folders, newest } from '../lib/recordings.mjs';
import { assertNoErrors, gather, hearAll, roomOf } from '../lib/rooms.mjs';
import { photograph, suite } from '../lib/suite.mjs';

const PRESENT_DB = -26;
const GAP_MS = 100;
const LOST_S = 1;
const LOUDNESS_LU = 0.3;

async function everybodyReads(people, words) {
  for (const person of people) {
    await until(`${person.name} reads ${words}`, async () =>
      (await person.page.locator('.topbar').getByText(words).count()) > 0);
  }
}

async function nobodyReads(people, words) {
  for (const person of people) {
    await until(`${person.name} no longer reads ${words}`, async () => {
      const found = await person.page.locator('.topbar').getByText(words).all();
      return (await Promise.all(found.map((one) => one.isVisible()))).every((visible) => !visible);
    });
  }
}

suite((scenario) => {
  scenario('a host records: everybody sees it, and the list gives all of it back', async (room) => {
    await gather(room, { callers: 2 });
    const { people, studio } = room;
    const [host, caller] = people;
    await hearAll(people);
    assert.equal(await caller.button('Record').count(), 0, 'a caller cannot record');
    await host.button('Record').click();
    await everybodyReads(people, /Recording \d/);
    await until('everybody has a track', async () => (await newest(studio))?.journal.tracks.length === 3);
    await host.button('Reset loudness').click();
    await sleep(6000);
    const desk = await host.page.evaluate(() => window.__e2e.loudness[2]);
    await host.page.getByRole('textbox', { name: /mark/i }).fill('the jingle');
    await host.button('Mark').click();
    await photograph(host, 'recording-desk');
    await photograph(caller, 'recording-caller');
    await end(host, 'Stop recording');
    await nobodyReads(people, /Recording \d/);

    const { path, journal } = await atTheEnd(studio);
    assert.deepEqual(journal.marks.map(({ text }) => text), ['the jingle']);
    for (const { name, tone } of people) {
      const { file } = journal.tracks.find((track) => track.name === name);
      const { samples, said } = decode(join(path, file));
      assert.equal(said, '', `${name}'s track`);
      assert.ok(level(samples, tone, 2, 4) > PRESENT_DB, name);
    }
    const programme = decode(join(path, 'programme.wav'));
    for (const { name, tone } of people) {
      assert.ok(level(programme.samples, tone, 2, 4) > PRESENT_DB, `${name} in the programme`);
    }

    // Both have everybody from the third second on.
    const engine = loudnessOf(['-ss', '3', '-t', '5', '-i', join(path, 'programme.wav')]).integrated;
    console.log(`  the desk has ${desk.toFixed(2)} LUFS, the recorded programme ${engine} LUFS`);
    assert.ok(Math.abs(desk - engine) <= LOUDNESS_LU, `${desk} and ${engine} LUFS`);

    await host.button('Recordings').click();
    const all = host.page.getByRole('link', { name: 'Download all' });
    await all.waitFor();
    await photograph(host, 'recordings');
    const [download] = await Promise.all([host.page.waitForEvent('download'), all.click()]);
    const zip = await readFile(await download.path());
    assert.equal(zip.subarray(0, 2).toString(), 'PK');
    assert.ok(zip.includes(`${host.name} (host).opus`), 'names for people');
    const remove = host.page.getByRole('button', { name: /Delete recording of/ });
    await remove.click();
    await host.page.getByRole('button', { name: /Press again/ }).click();
    await until('it is deleted', async () => (await folders(studio)).length === 0);
    assertNoErrors(people);
  }, { timeout: 120_000 });

  scenario('on air: listeners hear the programme, though the host is gone', async (room) => {
    const { link } = await gather(room, { callers: 1 });
    const { people, studio } = room;
    const [host, caller] = people;
    await hearAll(people);
    await host.button('Go on air').click();
    await everybodyReads(people, /On air/);
    const listener = await room.browser.newContext();
    const page = await listener.newPage();
    await page.goto(`${studio.url}listen/${roomOf(link)}`);
    await page.getByText('On air').waitFor();
    await page.locator('audio').evaluate((audio) => audio.play());
    await until('the player plays', () => page.locator('audio').evaluate((audio) => audio.currentTime > 2));
    await photograph({ page }, 'listen');
    await photograph(host, 'on-air-desk');

    let gone;
    const { samples } = await listen(`${studio.url}listen/${roomOf(link)}.ogg`, async () => {
      await sleep(3000);
      gone = Date.now();
      await host.page.close();
      await sleep(5000);
    });
    const seconds = samples.length / 48000;
    assert.ok(seconds > 7, `${seconds} s were heard`);
    const gap = longestSilence(samples, caller.tone, 1);
    console.log(`  ${seconds.toFixed(1)} s heard, the longest gap is ${gap} ms; the host went at ${gone}`);
    assert.ok(gap <= GAP_MS, `a gap of ${gap} ms`);
    assert.ok(level(samples, host.tone, 1, 2.5) > PRESENT_DB, 'the host, before');
    await until('the listener still plays', () =>
      page.locator('audio').evaluate((audio) => !audio.paused && !audio.ended && audio.currentTime > 8));
    await listener.close();
    people.shift();
    assertNoErrors(people);
  });

  scenario('a killed server: files play to the last second, and the session goes on in them', async (room) => {
    const { link } = await gather(room, { callers: 1 });
    const { people, studio } = room;
    const [host] = people;
    await hearAll(people);
    await host.button('Record').click();
    await host.button('Go on air').click();
    await everybodyReads(people, /Recording \d/);
    await until('everybody has a track', async () => (await newest(studio))?.journal.tracks.length === 2);
    await sleep(4000);
    const killed = Date.now();
    await studio.crash();
    const { path, journal } = await newest(studio);
    const length = (killed - journal.startedAt) / 1000;
    for (const file of [...journal.tracks.map((track) => track.file), 'programme.wav']) {
      const played = decode(join(path, file)).samples.length / 48000;
      assert.ok(played > length - LOST_S, `${file} plays ${played} s of ${length}`);
    }
    await studio.boot();
    await everybodyReads(people, /Recording \d/);
    await everybodyReads(people, /On air/);
    const answer = await fetch(`${studio.url}listen/${roomOf(link)}.ogg`);
    assert.equal(answer.status, 200);
    await answer.body.cancel();
    await sleep(4000);
    await end(host, 'Stop recording');
    const after = await atTheEnd(studio);
    assert.equal(after.path, path, 'the same recording');
    const total = after.journal.length / 1000;
    for (const { name, tone } of people) {
      const tracks = after.journal.tracks.filter((track) => track.name === name);
      assert.equal(tracks.length, 1, `${name} has one track`);
      const { samples, said } = decode(join(path, tracks[0].file));
      assert.equal(said, '', `${name}'s track`);
      assert.ok(Math.abs(samples.length / 48000 - total) < 0.05, `${samples.length / 48000} s of ${total}`);
      assert.ok(level(samples, tone, 2, length - LOST_S) > PRESENT_DB, `${name} before`);
      assert.ok(level(samples, tone, total - 2, total - 0.3) > PRESENT_DB, `${name} after`);
    }
    assertNoErrors(people, /WebSocket connection|ERR_CONNECTION_REFUSED/);
  });
});
