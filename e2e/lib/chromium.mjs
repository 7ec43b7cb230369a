// Starting Chromium and giving every participant a context of its own, with
// the harness's page scripts in it.

import { readFile } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { chromium } from 'playwright-core';
import { wrap } from './prefix.mjs';

const PAGE = new URL('../page/', import.meta.url);
const ARGUMENTS = [
  '--no-sandbox',
  '--disable-gpu',
  '--autoplay-policy=no-user-gesture-required',
  '--use-fake-ui-for-media-stream',
  '--use-fake-device-for-media-stream',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--disable-quic',
  '--no-first-run',
];
const CANDIDATES = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];

export function chromiumPath() {
  const path = process.env.CHROMIUM ?? CANDIDATES.find((candidate) => existsSync(candidate));
  if (!path) throw new Error('no Chromium found: apt-get install chromium, or set CHROMIUM');
  return path;
}

// `prefix` is a command to start it by. It is driven over a pipe, which knows no networks.
export async function launch({ executablePath = chromiumPath(), args = [], prefix = [] } = {}) {
  const options = { headless: true, args: [...ARGUMENTS, ...args] };
  if (prefix.length === 0) return chromium.launch({ executablePath, ...options });
  const { path, remove } = await wrap(prefix, executablePath);
  try {
    return await chromium.launch({ executablePath: path, ...options });
  } finally {
    await remove(); // the shell has become the browser
  }
}

// The page scripts as one text, to be run before the page's own.
export async function pageScript(options) {
  const files = ['microphone.js', 'connections.js', 'playout.js', 'recorder.js', 'desk.js'];
  if (options.signalling) files.push('signalling.js');
  const sources = await Promise.all(files.map((file) => readFile(new URL(file, PAGE), 'utf8')));
  return `window.__e2e = { options: ${JSON.stringify(options)} };\n${sources.join('\n')}`;
}

export const workletSource = (file = 'recorder-worklet.js') => readFile(new URL(file, PAGE), 'utf8');

// A fresh context and page; `source` has the other options of page/microphone.js. `errors` collects everything a person would see
// red in the console.
export async function openPage(
  browser,
  { tone, source = {}, microphone = 'granted', recording = false, signalling = false, ...context },
) {
  const permissions = microphone === 'refused' ? [] : ['microphone'];
  const own = await browser.newContext({
    viewport: { width: 1280, height: 800 },
    bypassCSP: recording, // for the recorder's worklet
    permissions: [...permissions, 'clipboard-read', 'clipboard-write'],
    ...context,
  });
  await own.addInitScript({ content: await pageScript({ tone, microphone, signalling, ...source }) });
  const page = await own.newPage();
  return { context: own, page, errors: collectErrors(page) };
}

export function collectErrors(page) {
  const errors = [];
  page.on('pageerror', (error) => errors.push(String(error)));
  page.on('console', (message) => {
    if (message.type() === 'error') errors.push(message.text());
  });
  return errors;
}
