// What the browser costs: CPU time and memory of the processes that this
// process started, from /proc.

import { readdirSync, readFileSync } from 'node:fs';
import { sleep } from './poll.mjs';

const TICKS_PER_SECOND = 100; // USER_HZ, fixed in Linux's interface

const read = (pid, file) => {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8');
  } catch {
    return undefined; // it has ended
  }
};

// Fields of /proc/PID/stat after the name, which may have spaces in it.
const stat = (pid) => read(pid, 'stat')?.replace(/^.*\) /s, '').split(' ');

// All processes below this one that belong to a browser.
export function browserProcesses() {
  const children = new Map();
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    const parent = Number(stat(pid)?.[1]);
    children.set(parent, [...(children.get(parent) ?? []), Number(pid)]);
  }
  const below = (pid) => (children.get(pid) ?? []).flatMap((child) => [child, ...below(child)]);
  return below(process.pid).filter((pid) => /chrom|firefox/.test(read(pid, 'cmdline') ?? ''));
}

const cpuSeconds = (pids) => {
  let ticks = 0;
  for (const pid of pids) {
    const fields = stat(pid);
    if (fields) ticks += Number(fields[11]) + Number(fields[12]);
  }
  return ticks / TICKS_PER_SECOND;
};

// Cores in use by the browsers over `ms`.
export async function coresOver(ms) {
  const pids = browserProcesses();
  const before = cpuSeconds(pids);
  const began = performance.now();
  await sleep(ms);
  return ((cpuSeconds(pids) - before) * 1000) / (performance.now() - began);
}

// Proportional memory of all renderers in MiB.
export function rendererMemory() {
  let kilobytes = 0;
  for (const pid of browserProcesses()) {
    if (!(read(pid, 'cmdline') ?? '').includes('--type=renderer')) continue;
    kilobytes += Number(/^Pss:\s+(\d+)/m.exec(read(pid, 'smaps_rollup') ?? '')?.[1] ?? 0);
  }
  return kilobytes / 1024;
}
