// Starting programs by a command that puts them somewhere else, such as into a network
// namespace: `[...prefix, program, ...arguments]`.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const quote = (word) => `'${word.replaceAll("'", `'\\''`)}'`;

// A script that starts `program` by `prefix`, for those who take no more than a path.
export async function wrap(prefix, program) {
  const folder = await mkdtemp(join(tmpdir(), 'openstudio-prefix-'));
  const path = join(folder, 'program');
  const words = [...prefix, program].map(quote).join(' ');
  await writeFile(path, `#!/bin/sh\nexec ${words} "$@"\n`);
  await chmod(path, 0o755);
  return { path, remove: () => rm(folder, { recursive: true, force: true }) };
}

// Whether an address answers well, asked from where `prefix` leads to; by https, whoever it says
// it is.
export async function answers(prefix, url) {
  if (prefix.length === 0 && !url.startsWith('https:')) return fetch(url).then((answer) => answer.ok, () => false);
  const script = `fetch(${JSON.stringify(url)}).then((answer) => process.exit(answer.ok ? 0 : 1), () => process.exit(1))`;
  const [program, ...args] = [...prefix, process.execPath, '-e', script];
  const env = { ...process.env, NODE_TLS_REJECT_UNAUTHORIZED: '0' };
  const [code] = await once(spawn(program, args, { stdio: 'ignore', env }), 'exit');
  return code === 0;
}
