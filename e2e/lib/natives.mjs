// Participants without a browser: `openstudio join`, a tone for each, in one process. They
// cost a fraction of a page, so that a machine carries full rooms with them.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
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
    this.lines = createInterface({ input: this.process.stdout });
    this.process.stderr.on('data', (data) => (this.log += data));
    this.exited = once(this.process, 'close');
  }

  // Lets them leave. Returns what they reported at that moment; undefined if they had gone.
  async stop() {
    if (this.stopped) return undefined;
    this.stopped = true;
    this.process.kill('SIGTERM');
    await this.exited;
    const latest = this.printed.trimEnd().split('\n').at(-1);
    return latest ? JSON.parse(latest) : undefined;
  }

  // What they report of this moment.
  async report() {
    const line = once(this.lines, 'line');
    this.process.kill('SIGUSR1');
    const ended = this.exited.then(() => assert.fail(`the natives ended early: ${this.log}`));
    const [latest] = await Promise.race([line, ended]);
    return JSON.parse(latest);
  }

  // Waits until each hears everybody, `members` too. Returns how many directions that are.
  async hearAll(members) {
    const directions = this.members.length * (this.members.length + members.length - 1);
    const all = `heard ${directions} of ${directions}`;
    await until(() => `the natives say \`${all}\`; they said:\n${this.log}`, () =>
      this.log.trimEnd().split('\n').at(-1).includes(all), { timeout: HEARD_LIMIT_MS });
    return directions;
  }

  // Waits until each is connected with everybody and hears them at that moment, other natives by
  // their frequency, pages by `members`' tones; then lets them leave.
  async heardAll(members) {
    const directions = await this.hearAll(members);
    const tones = new Map([...members, ...this.members].map(({ name, tone }) => [name, tone]));
    const right = ({ from, hz, heard, state }) =>
      heard && state === 'connected' && hz !== null && Math.abs(hz - tones.get(from)) < NEAREST_HZ;
    let wrong = [];
    await until(() => `the natives hear all; they do not: ${JSON.stringify(wrong)}`, async () => {
      const report = await this.report();
      assert.equal(report.directions.length, directions);
      wrong = report.directions.filter((one) => !right(one));
      return wrong.length === 0;
    }, { timeout: HEARD_LIMIT_MS });
    const report = await this.stop();
    assert.ok(report, `the natives ended early: ${this.log}`);
    return report;
  }
}
