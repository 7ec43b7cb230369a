// A network of its own for one Chromium, whose media packets can be dropped
// silently while its signalling goes on.
//
// The namespace has one link to the host, for media only. HTTP and WebSocket
// go through a UNIX socket, which knows no namespaces, so that the page has the
// same address (and is a secure context) inside. Packets are dropped by giving
// both ends of the link a wrong hardware address for the other: they are sent
// and never arrive, and no interface goes down. Needs root and `ip`.

import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { chromiumPath } from './chromium.mjs';

const HOST = '10.231.47.1';
const INSIDE = '10.231.47.2';
const NOWHERE = '02:00:00:00:00:99';
const ip = (...args) => execFileSync('ip', args, { stdio: ['ignore', 'pipe', 'pipe'] }).toString();

// Why there can be no namespace here, or undefined.
export function namespaceTrouble() {
  if (process.getuid() !== 0) return 'needs root for a network namespace';
  const name = `os-try-${process.pid}`;
  try {
    ip('netns', 'add', name);
    ip('netns', 'del', name);
    return undefined;
  } catch (error) {
    return `no network namespaces here: ${error.message.split('\n')[0]}`;
  }
}

export class Namespace {
  // `port` is where the server listens, outside and inside alike.
  static async create(port) {
    const space = new Namespace();
    space.name = `os-e2e-${process.pid}`;
    space.outer = `os${process.pid}a`;
    space.inner = `os${process.pid}b`;
    space.folder = await mkdtemp(join(tmpdir(), 'openstudio-netns-'));
    space.connectLink();
    await space.forwardSignalling(port);
    space.chromium = join(space.folder, 'chromium');
    await writeFile(space.chromium, `#!/bin/sh\nexec ip netns exec ${space.name} ${chromiumPath()} "$@"\n`);
    await chmod(space.chromium, 0o755);
    return space;
  }

  connectLink() {
    const { name, outer, inner } = this;
    ip('netns', 'add', name);
    ip('link', 'add', outer, 'type', 'veth', 'peer', 'name', inner, 'netns', name);
    execFileSync('ip', ['netns', 'exec', name, 'sh', '-c', 'echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6']);
    ip('addr', 'add', `${HOST}/30`, 'dev', outer);
    ip('link', 'set', outer, 'up');
    ip('-n', name, 'addr', 'add', `${INSIDE}/30`, 'dev', inner);
    ip('-n', name, 'link', 'set', inner, 'up');
    ip('-n', name, 'link', 'set', 'lo', 'up');
  }

  async forwardSignalling(port) {
    const socket = join(this.folder, 'signalling');
    this.outside = createServer((from) => pipe(from, connect(port, '127.0.0.1'))).listen(socket);
    await once(this.outside, 'listening');
    const script = new URL('forward.mjs', import.meta.url).pathname;
    this.inside = spawn('ip', ['netns', 'exec', this.name, process.execPath, script, `${port}`, socket], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    await once(this.inside.stdout, 'data');
  }

  // Drops (or again delivers) every media packet in both directions.
  drop(dropping) {
    const { name, outer, inner } = this;
    if (dropping) {
      ip('neigh', 'replace', INSIDE, 'lladdr', NOWHERE, 'dev', outer, 'nud', 'permanent');
      ip('-n', name, 'neigh', 'replace', HOST, 'lladdr', NOWHERE, 'dev', inner, 'nud', 'permanent');
    } else {
      ip('neigh', 'del', INSIDE, 'dev', outer);
      ip('-n', name, 'neigh', 'del', HOST, 'dev', inner);
    }
  }

  async destroy() {
    this.inside?.kill();
    this.outside?.close();
    ip('netns', 'del', this.name);
    await rm(this.folder, { recursive: true, force: true });
  }
}

export function pipe(from, to) {
  from.pipe(to).pipe(from);
  for (const end of [from, to]) end.on('error', () => (from.destroy(), to.destroy()));
}
