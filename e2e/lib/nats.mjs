// The nine kinds of NAT (RFC 4787 §4.1 and §5), and what Chromium makes of a pair of them.

import { everyoneHearsEveryone, lastHeard, watchAll } from './hearing.mjs';
import { sleep, until } from './poll.mjs';
import { routes } from './routes.mjs';

const RULES = { EI: 'endpoint-independent', AD: 'address-dependent', APD: 'address-and-port-dependent' };

// `name` is MAPPING/FILTERING in short.
export const KINDS = Object.entries(RULES).flatMap(([m, mapping]) =>
  Object.entries(RULES).map(([f, filtering]) => ({ name: `${m}/${f}`, nat: { mapping, filtering } })));

// All unordered pairs, those of a kind with itself included.
export const PAIRS = KINDS.flatMap((one, index) => KINDS.slice(index).map((other) => [one, other]));

// Each way, of a home's line. Without any, a relay is found as soon as a direct way, and browsers
// that have one way do not look for another at once.
export const DELAY_MS = 10;

const HEARD_MS = 30_000;
// A pair begins by the relay if that is there first, and goes over to a better one.
export const DIRECT_MS = 8_000;
// Nothing more comes of checks that had so long.
const SETTLE_MS = 1_500;

// Puts two NATs before the two homes of `all`, lets somebody in each of them meet in a room, and
// says how: { expected, found } (`direct`, `relay` or `none`), `heard` in ms after pressing Join.
export async function meet(all, kinds) {
  const { lab, homes } = all;
  const [one, other] = homes;
  for (const [index, { nat }] of kinds.entries()) await lab.nat(homes[index], nat);
  const expected = (await lab.direct(one, other)) ? 'direct' : 'relay';
  try {
    const people = [await all.person(0), await all.person(1)];
    const link = await people[0].start(all.studio.url);
    await people[1].goto(link);
    await watchAll(people);
    const pressed = Date.now();
    await people[1].button('Join session').click();
    const last = async () => (await lastHeard(people)).at;
    const at = await until('both are heard', last, { timeout: HEARD_MS }).catch(() => undefined);
    if (at === undefined) return { expected, found: 'none' };
    const found = await wayOf(people, expected);
    await everyoneHearsEveryone(people, { timeout: 5_000 });
    return { expected, found, heard: at - pressed };
  } finally {
    await all.empty();
  }
}

// How the media of both go, once it is what is expected or has had its time.
async function wayOf(people, expected) {
  const look = async () => {
    // Whoever goes through a relay has a relayed candidate of its own, or the other one has.
    // Addresses say less: browsers hide those of peer-reflexive candidates.
    const used = (await Promise.all(people.map(({ page }) => routes(page)))).flat();
    const isRelayed = ({ local, remote }) => [local, remote].some(({ candidateType }) => candidateType === 'relay');
    return used.length === people.length && !used.some(isRelayed) ? 'direct' : 'relay';
  };
  if (expected === 'relay') await sleep(SETTLE_MS);
  const direct = async () => (await look()) === 'direct';
  if (expected === 'direct') await until('a direct way', direct, { timeout: DIRECT_MS }).catch(() => {});
  return look();
}
