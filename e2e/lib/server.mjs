// The real server: the binary named by OPENSTUDIO_BIN, in a process of its own
// with a data folder of its own, on a free port.

import { spawn } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { until } from './poll.mjs';
import { answers } from './prefix.mjs';

// Where the system gives no program a port by itself, so that nothing takes the port of a
// server that is away for a while.
const PORTS = { first: 31_000, count: 1_000 };
let asked = process.pid * 20;

// A port that was free a moment ago by TCP and by UDP.
export async function freePort() {
  for (let tries = 0; tries < PORTS.count; tries += 1) {
    const port = PORTS.first + (asked++ % PORTS.count);
    if ((await isFree(createServer(), 'listen', port)) && (await isFree(createSocket('udp4'), 'bind', port))) {
      return port;
    }
  }
  throw new Error(`no port is free from ${PORTS.first} on`);
}

function isFree(probe, open, port) {
  return new Promise((resolve) => {
    probe.once('error', () => resolve(false));
    probe[open](port, '127.0.0.1', () => probe.close(() => resolve(true)));
  });
}

export class Studio {
  // `prefix` is a command to start it by, and `host` the address it has there. `scheme` is what
  // `args` make it speak.
  static async start({ args = [], prefix = [], host = '127.0.0.1', scheme = 'http' } = {}) {
    const binary = process.env.OPENSTUDIO_BIN;
    if (!binary) throw new Error('OPENSTUDIO_BIN names no binary: use `cargo xtask e2e`');
    const studio = new Studio();
    studio.binary = binary;
    Object.assign(studio, { args, prefix, host, scheme });
    studio.data = await mkdtemp(join(tmpdir(), 'openstudio-e2e-'));
    studio.port = await freePort();
    await studio.boot();
    return studio;
  }

  get url() {
    return `${this.scheme}://${this.host}:${this.port}/`;
  }

  // Starts the process and waits until it answers. The port stays the same
  // over a restart, as it does at a station.
  async boot() {
    const listen = ['serve', '--listen', `${this.host}:${this.port}`, '--data-dir', this.data];
    // Many servers run at once, and there is one port of TURN.
    if (!this.args.some((arg) => arg.startsWith('--turn-'))) listen.push('--turn-server', 'false');
    this.log = '';
    const [program, ...args] = [...this.prefix, this.binary, ...listen, ...this.args];
    this.process = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    for (const stream of [this.process.stdout, this.process.stderr]) {
      stream.on('data', (data) => (this.log += data));
    }
    const { process: child } = this;
    await until(
      () => `the server answers on ${this.url}; it said:\n${this.log}`,
      () => {
        if (child.exitCode !== null) throw new Error(`the server ended:\n${this.log}`);
        return answers(this.prefix, `${this.url}health`);
      },
      { timeout: 15_000 },
    );
  }

  // Ends the process as a crash would.
  async crash() {
    this.process.kill('SIGKILL');
    await once(this.process, 'exit');
  }

  // Stops it as a service manager would, and starts it again.
  async restart() {
    this.process.kill('SIGTERM');
    await once(this.process, 'exit');
    await this.boot();
  }

  async stop() {
    if (this.process.exitCode === null && this.process.signalCode === null) {
      this.process.kill('SIGTERM');
      const killer = setTimeout(() => this.process.kill('SIGKILL'), 5000);
      await once(this.process, 'exit');
      clearTimeout(killer);
    }
    await rm(this.data, { recursive: true, force: true });
  }
}
