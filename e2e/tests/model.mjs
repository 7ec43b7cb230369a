// The model of RTCPeerConnection (crates/model) against the real one: every script gives
// the trace that was recorded of it, which is what the model's own tests compare with.
// E2E_RECORD=1 records anew.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { readFile } from 'node:fs/promises';
import { collectErrors, launch } from '../lib/chromium.mjs';
import { casesOf, record, recordedThemes, recordingOf, themes } from '../lib/scripts.mjs';

const RECORDS = Boolean(process.env.E2E_RECORD);
const PAGE = new URL('../page/peer-scripts.js', import.meta.url);

let browser;
let page;
let errors;

before(async () => {
  browser = await launch();
  page = await browser.newPage();
  errors = collectErrors(page);
  await page.addScriptTag({ content: await readFile(PAGE, 'utf8') });
});
after(() => browser?.close());

const perform = ({ steps, ...script }) =>
  page.evaluate(([given, list]) => window.runPeerScript(given, list), [script, steps]);

function assertTrace(theme, { name, peers }, trace) {
  assert.deepEqual(Object.keys(trace), peers, `${theme}: ${name}: whose traces`);
  for (const [peer, lines] of Object.entries(trace)) {
    assert.ok(lines.length > 0, `${theme}: ${name}: the trace of ${peer} is empty`);
  }
}

test('every script has its recording, and every recording its script', { skip: RECORDS }, () => {
  assert.ok(themes().length > 0, 'there are no scripts');
  assert.deepEqual(recordedThemes(), themes());
  for (const theme of themes()) {
    const cases = casesOf(theme);
    assert.ok(cases.length > 0, `${theme} has no cases`);
    const named = cases.map(({ name }) => name);
    assert.equal(new Set(named).size, named.length, `${theme}: two cases have one name`);
    assert.deepEqual(Object.keys(recordingOf(theme)), named, `the recording of ${theme}`);
    for (const one of cases) assertTrace(theme, one, recordingOf(theme)[one.name]);
  }
});

for (const theme of themes()) {
  test(`Chromium does what the model is compared with: ${theme}`, { timeout: 120_000 }, async () => {
    const traces = {};
    for (const one of casesOf(theme)) {
      traces[one.name] = await perform(one);
      assertTrace(theme, one, traces[one.name]);
    }
    assert.deepEqual(errors, []);
    if (RECORDS) return record(theme, traces);
    return assert.deepEqual(traces, recordingOf(theme));
  });
}
