// A sound server that plays into nothing. Firefox needs one: without an audio
// device its AudioContext never starts.

import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { until } from './poll.mjs';

export async function startSound() {
  const folder = await mkdtemp(join(tmpdir(), 'openstudio-sound-'));
  const env = { ...process.env, XDG_RUNTIME_DIR: folder, HOME: folder };
  const server = spawn(
    'pulseaudio',
    [
      '-n', '--exit-idle-time=-1', '--daemonize=no', '--log-target=null',
      '-L', 'module-null-sink sink_name=nul', '-L', 'module-native-protocol-unix',
    ],
    { env, stdio: 'ignore' },
  );
  await until('the sound server', () => existsSync(join(folder, 'pulse/native')));
  return {
    env,
    async stop() {
      server.kill();
      await once(server, 'exit');
      await rm(folder, { recursive: true, force: true });
    },
  };
}
