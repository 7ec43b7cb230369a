// Recordings of the studio's engine, on the desk and on disk.

import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { until } from './poll.mjs';

// Presses a button that ends something: twice, for it asks first.
export async function end(person, name) {
  await person.button(name).click();
  await person.page.getByRole('button', { name: /Press again/ }).click();
}

const unlessMissing = (work) => work.catch((error) => {
  if (error.code !== 'ENOENT') throw error;
  return undefined;
});

const folderOf = (studio) => join(studio.data, 'recordings');

// The folders of a studio's recordings, the newest first.
export async function folders(studio) {
  const names = await unlessMissing(readdir(folderOf(studio))) ?? [];
  return names.filter((name) => !name.startsWith('.')).toSorted().toReversed();
}

// The newest recording of a studio: its folder and journal. A folder is there before its journal
// is, for a moment: that is no recording yet.
export async function newest(studio) {
  const [folder] = await folders(studio);
  if (!folder) return undefined;
  const path = join(folderOf(studio), folder);
  const text = await unlessMissing(readFile(join(path, 'session.json'), 'utf8'));
  return text && { path, journal: JSON.parse(text) };
}

// The same, once everybody in it is gone: then all is written.
export async function atTheEnd(studio) {
  let found;
  await until('the recording is complete', async () => {
    found = await newest(studio);
    return found?.journal.tracks.every(({ stays }) => stays.every(({ to }) => to !== null));
  });
  return found;
}
