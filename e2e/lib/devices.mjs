// A person and their devices for sound.

import { sleep } from './poll.mjs';

// Opens the list of devices in the room.
export const showDevices = (person) => person.page.getByText('Microphone and loudspeaker').click();

export const select = (person, label) => person.page.getByLabel(label, { exact: true });

// A device goes, or comes.
export const unplug = (person, id) => person.page.evaluate((device) => window.__e2e.unplug(device), id);
export const plug = (person, id) => person.page.evaluate((device) => window.__e2e.plug(device), id);

// The id of the microphone whose track goes to everybody; undefined if there is none, or several.
export const sentFrom = (person) => person.page.evaluate(() => {
  const senders = [...window.__e2e.connections]
    .filter(({ connectionState }) => connectionState !== 'closed')
    .flatMap((connection) => connection.getSenders());
  const ids = new Set(senders.map(({ track }) => track?.getSettings().deviceId));
  return ids.size === 1 ? [...ids][0] : undefined;
});

// Bits per second of sound that a person sends to each other, over `ms`.
export async function sentBitrate(person, ms = 3000) {
  const read = () => person.page.evaluate(async () => {
    const rows = [];
    for (const connection of window.__e2e.connections) {
      for (const row of (await connection.getStats()).values()) {
        if (row.type === 'outbound-rtp') rows.push([row.timestamp, row.bytesSent]);
      }
    }
    return rows;
  });
  const before = await read();
  await sleep(ms);
  const after = await read();
  return after.map(([at, bytes], i) => (8000 * (bytes - before[i][1])) / (at - before[i][0]));
}
