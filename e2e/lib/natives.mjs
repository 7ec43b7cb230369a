// Participants without a browser: `openstudio join`, a tone for each, in one process. They
// cost a fraction of a page, so that a machine carries full rooms with them.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { until } from './poll.mjs';
import { NAMES, toneOf } from './tones.mjs';

const HEARD_LIMIT_MS = 20_000;
const NEAREST_HZ = 100; // tones are 350 Hz apart; a torn one is a little off

export class Natives {
  // Without `first` they play what `flags` say. `prefix` is a command to start them by.
  constructor(link, { count, first, name, flags: more = [], prefix = [] }) {
    this.members = Array.from({ length: count }, (_, i) => ({
      name: name ?? NAMES[first + i],
      tone: toneOf(first + i),
    }));
    const tone = first === undefined ? [] : ['--tone', String(toneOf(first))];
    const flags = ['--count', String(count), ...tone, '--json', ...more];
    for (const { name } of this.members) flags.push('--name', name);
    const [program, ...args] = [...prefix, process.env.OPENSTUDIO_BIN, 'join', link, ...flags];
    this.process = spawn(program, args, {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.printed = '';
    this.log = '';
    this.process.stdout.on('data', (data) => (this.printed += data));
    this.process.stderr.on('data', (data) => (this.log += data));
    this.exited = once(this.process, 'close');
  }

  // Lets them leave. Returns what they reported at that moment; undefined if they had gone.
  async stop() {
    if (this.stopped) return undefined;
    this.stopped = true;
    this.process.kill('SIGTERM');
    await this.exited;
    return this.printed ? JSON.parse(this.printed) : undefined;
  }

  // Waits until each hears everybody, `members` too. Returns how many directions that are.
  async hearAll(members) {
    const directions = this.members.length * (this.members.length + members.length - 1);
    const all = `heard ${directions} of ${directions}`;
    await until(() => `the natives say \`${all}\`; they said:\n${this.log}`, () =>
      this.log.trimEnd().split('\n').at(-1).includes(all), { timeout: HEARD_LIMIT_MS });
    return directions;
  }

  // Waits until each hears everybody, then lets them leave; each must have heard everybody:
  // other natives by their frequency, pages by `members`' tones.
  async heardAll(members) {
    const directions = await this.hearAll(members);
    const report = await this.stop();
    assert.ok(report, `the natives ended early: ${this.log}`);
    const tones = new Map([...members, ...this.members].map(({ name, tone }) => [name, tone]));
    // That all were heard at one moment was seen above; of the last moment, a busy machine may
    // have made up a part.
    const right = ({ from, hz }) => hz !== null && Math.abs(hz - tones.get(from)) < NEAREST_HZ;
    const wrong = report.directions.filter((one) => !right(one));
    assert.deepEqual(wrong, [], 'what natives do not hear');
    assert.equal(report.directions.length, directions);
    return report;
  }
}
