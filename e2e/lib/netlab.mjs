// A small internet for a test: homes behind NATs, on lines that delay and lose, and a public
// namespace. The program is `openstudio-netlab`; its documentation has the orders.

import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';

const program = () => process.env.OPENSTUDIO_NETLAB;

// Why there can be no such network here, or undefined.
export function netlabTrouble() {
  if (!program()) return 'OPENSTUDIO_NETLAB names no binary: use `cargo xtask e2e`';
  const { status, stderr } = spawnSync(program(), { input: '', encoding: 'utf8' });
  return status === 0 ? undefined : stderr.trim() || 'openstudio-netlab ended at once';
}

export class Netlab {
  // Without a seed it takes any, and prints it.
  static async start({ seed } = {}) {
    const lab = new Netlab();
    const args = seed === undefined ? [] : ['--seed', `${seed}`];
    lab.process = spawn(program(), args, { stdio: ['pipe', 'pipe', 'inherit'] });
    lab.waiting = [];
    lab.lines = createInterface({ input: lab.process.stdout });
    lab.lines.on('line', (line) => lab.waiting.shift()?.resolve(JSON.parse(line)));
    lab.process.on('exit', () => lab.waiting.forEach(({ reject }) => reject(new Error('the netlab has ended'))));
    const ready = await lab.answer();
    lab.seed = ready.seed;
    // { namespace, addresses }
    lab.public = ready.public;
    console.log(`netlab seed ${lab.seed}`);
    return lab;
  }

  answer() {
    return new Promise((resolve, reject) => this.waiting.push({ resolve, reject }));
  }

  // Gives an order, and returns the fields of its answer.
  async order(order) {
    this.process.stdin.write(`${JSON.stringify(order)}\n`);
    const answer = await this.answer();
    if (!answer.ok) throw new Error(`${JSON.stringify(order)}: ${answer.error}`);
    return answer;
  }

  // A home; `nat` has `kind`, `mapping`, `filtering` and so on. Returns its name, namespace,
  // addresses (`address`, `public`) and the `prefix` that starts programs in it.
  async home(name, nat = {}) {
    const { namespace, address, public: seen } = await this.order({ do: 'home', name, ...nat });
    return { name, namespace, address, public: seen, prefix: this.prefix(namespace) };
  }

  // Puts another NAT before a home, whose addresses stay; nothing is mapped any more.
  nat(home, nat) {
    return this.order({ do: 'nat', name: home.name, ...nat });
  }

  // Whether the two can find a direct way, by theory.
  async direct(one, other) {
    return (await this.order({ do: 'direct', homes: [one.name, other.name] })).direct;
  }

  // `up` and `down` have `delayMs`, `jitterMs`, `loss`, `burst`, `rateKbit` and so on.
  link(home, { up, down }) {
    return this.order({ do: 'link', home: home.name, up, down });
  }

  outage(home, on) {
    return this.order({ do: 'outage', home: home.name, on });
  }

  // Changes the `public` address of a home, or its machine's `own`.
  async renumber(home, what = 'public') {
    const { address, public: seen } = await this.order({ do: 'renumber', home: home.name, what });
    Object.assign(home, { address, public: seen });
  }

  // From now on nothing that a home sends to a port by TCP arrives.
  blockTcp(home, port) {
    const run = (...words) => execFileSync(home.prefix[0], [...home.prefix.slice(1), 'ip', ...words]);
    const table = `${port}`;
    // Its own loopback takes nothing that is for somebody else.
    run('route', 'add', 'default', 'dev', 'lo', 'table', table);
    run('rule', 'add', 'ipproto', 'tcp', 'dport', `${port}`, 'lookup', table);
  }

  // Starts a STUN server in the public namespace, and returns its URL.
  async stun(options = {}) {
    return (await this.order({ do: 'stun', ...options })).url;
  }

  counters() {
    return this.order({ do: 'counters' });
  }

  // What starts programs in a namespace, the public one if none is named.
  prefix(namespace = this.public.namespace) {
    return [program(), 'exec', namespace, '--'];
  }

  async stop() {
    this.waiting = [];
    this.process.stdin.end();
    if (this.process.exitCode === null && this.process.signalCode === null) await once(this.process, 'exit');
  }
}
