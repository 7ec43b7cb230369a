// The harness itself, on the bare page: it hears what is there, and it notices
// what is not. A judge that cannot say no proves nothing.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { startRelay } from '../bare/relay.mjs';
import { launch, openPage, workletSource } from '../lib/chromium.mjs';
import { countAll, everyoneHearsEveryone, hearing } from '../lib/hearing.mjs';
import { sleep, until } from '../lib/poll.mjs';
import { longestGap, toneOf } from '../lib/tones.mjs';

let browser;
let relay;
const members = [];
const tones = [0, 1, 2].map(toneOf);

before(async () => {
  browser = await launch();
  relay = await startRelay();
  for (const [index, tone] of tones.entries()) {
    const member = { name: `page ${index}`, tone, ...(await openPage(browser, { tone })) };
    await member.page.goto(relay.url);
    await member.page.evaluate(() => document.getElementById('join').click());
    members.push(member);
  }
});
after(async () => {
  await browser?.close();
  await relay?.stop();
});

test('three bare pages hear each other, and are counted', async () => {
  await everyoneHearsEveryone(members);
  const { connections, localOffers, localAnswers } = await countAll(members);
  assert.deepEqual({ connections, localOffers, localAnswers }, { connections: 6, localOffers: 3, localAnswers: 3 });
});

test('a silenced page and a gap are noticed', async () => {
  const [listener, speaker, other] = members;
  const source = await workletSource();
  await listener.page.evaluate(([text, list]) => window.__e2e.record(text, list), [source, tones]);
  const mark = () => listener.page.evaluate(() => window.__e2e.mark());
  await until('a second of recording', async () => (await mark()) >= 100);
  const enable = (enabled) =>
    speaker.page.evaluate((on) => {
      for (const connection of window.__e2e.connections) {
        for (const { track } of connection.getSenders()) if (track) track.enabled = on;
      }
    }, enabled);
  await enable(false);
  await until('silence', async () => (await hearing(listener.page, tones, listener.tone)).missing.length === 1);
  const { missing } = await hearing(listener.page, tones, listener.tone);
  assert.deepEqual(missing, [speaker.tone]);
  await sleep(300);
  await enable(true);
  await everyoneHearsEveryone(members);
  const enough = (await mark()) + 100;
  await until('the recording to go on', async () => (await mark()) >= enough);
  const rows = await listener.page.evaluate(() => window.__e2e.recorded());
  const gap = (tone) => longestGap(rows, tones.indexOf(tone));
  assert.ok(gap(speaker.tone) >= 300, `a gap of ${gap(speaker.tone)} ms is too short`);
  assert.ok(gap(other.tone) <= 100, `a gap of ${gap(other.tone)} ms where none was`);
});
