// Two Firefox and two Chromium in one room. Runs where Firefox and a sound
// server are installed and `--firefox` asks for it.

import { FirefoxParticipant, firefoxPath, launchFirefox } from '../lib/firefox.mjs';
import { assertNoErrors, gather, hearAll } from '../lib/rooms.mjs';
import { startSound } from '../lib/sound.mjs';
import { suite } from '../lib/suite.mjs';

const wanted = process.env.E2E_FIREFOX ? firefoxPath() && true : false;

suite((scenario) => {
  scenario('two Firefox and two Chromium hear each other', async (room) => {
    const sound = await startSound();
    let firefox;
    try {
      firefox = await launchFirefox(sound.env);
      const { link } = await gather(room);
      for (const index of [2, 3]) {
        const person = await FirefoxParticipant.open(firefox, index);
        room.people.push(person);
        await person.join(link);
      }
      await hearAll(room.people, { timeout: 40_000 });
      assertNoErrors(room.people);
    } finally {
      await firefox?.close();
      await sound.stop();
    }
  }, { skip: wanted ? false : 'only with --firefox' });
});
