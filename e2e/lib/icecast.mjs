// A real Icecast server of a test's own.

import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { until } from './poll.mjs';

export const PASSWORD = 'hackme';

const PROGRAM = ['icecast2', 'icecast'].find((name) => !spawnSync(name, ['-v']).error);

export const hasIcecast = PROGRAM !== undefined;

export class Icecast {
  static async prepare(port) {
    const icecast = new Icecast();
    icecast.port = port;
    icecast.folder = await mkdtemp(join(tmpdir(), 'openstudio-icecast-'));
    // It refuses to run as root, and becomes somebody else then.
    const owner = process.getuid?.() === 0
      ? '<changeowner><user>nobody</user><group>nogroup</group></changeowner>' : '';
    await writeFile(join(icecast.folder, 'icecast.xml'), `<icecast>
      <limits><clients>20</clients><sources>2</sources><queue-size>524288</queue-size>
        <source-timeout>10</source-timeout></limits>
      <authentication><source-password>${PASSWORD}</source-password>
        <admin-user>admin</admin-user><admin-password>x</admin-password></authentication>
      <hostname>localhost</hostname>
      <listen-socket><port>${port}</port><bind-address>127.0.0.1</bind-address></listen-socket>
      <paths><logdir>${icecast.folder}</logdir><webroot>${icecast.folder}</webroot>
        <adminroot>${icecast.folder}</adminroot></paths>
      <logging><accesslog>-</accesslog><errorlog>-</errorlog><loglevel>1</loglevel></logging>
      <security><chroot>0</chroot>${owner}</security>
    </icecast>`);
    return icecast;
  }

  get url() {
    return `http://127.0.0.1:${this.port}/live`;
  }

  async start() {
    this.process = spawn(PROGRAM, ['-c', join(this.folder, 'icecast.xml')], { stdio: 'ignore' });
    await until('Icecast answers', () => fetch(`http://127.0.0.1:${this.port}/`).then(() => true, () => false));
  }

  // Puts another source on the mount: a tone, as long as the process lives.
  occupy() {
    const url = `icecast://source:${PASSWORD}@127.0.0.1:${this.port}/live`;
    return spawn('ffmpeg', ['-v', 'error', '-re', '-f', 'lavfi', '-i', 'sine=frequency=440', '-c:a', 'libopus',
      '-content_type', 'application/ogg', '-f', 'ogg', url], { stdio: 'ignore' });
  }

  // Whether a source is on the mount.
  mounted() {
    return fetch(this.url, { signal: AbortSignal.timeout(2000) }).then(async (answer) => {
      await answer.body?.cancel();
      return answer.status === 200;
    }, () => false);
  }

  async stop() {
    if (this.process?.exitCode === null && this.process.signalCode === null) {
      this.process.kill('SIGKILL');
      await once(this.process, 'exit');
    }
  }

  async remove() {
    await this.stop();
    await rm(this.folder, { recursive: true, force: true });
  }
}
