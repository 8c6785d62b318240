/**
 * The shapes of partitions: which links between brokers a fault touches, from the hosts alone. Pure; a host is named by
 * its node. `description` is for people, the id is the caller's.
 */
import { RingraftError } from '../base/index.js';
import { brokerOf, type LinkEffect, type LinkFault } from './types.js';

/** A fault without its id. */
export type FaultPlan = Pick<LinkFault, 'description' | 'effects'>;

type Host = string;

const cut: LinkEffect = { cut: true };

const refuse = (message: string): RingraftError => new RingraftError('BAD_REQUEST', message);

const listed = (hosts: readonly Host[]): string => hosts.join(', ');

function requireDistinct(hosts: readonly Host[], least: number): void {
  const twice = hosts.find((host, at) => hosts.indexOf(host) !== at);
  if (twice !== undefined) throw refuse(`${twice} is named twice`);
  if (hosts.length < least) throw refuse(`this takes at least ${least} hosts, there are ${hosts.length}`);
}

function requireKnown(hosts: readonly Host[], host: Host): void {
  if (!hosts.includes(host)) throw refuse(`there is no host ${host}; there are ${listed(hosts)}`);
}

const between = (from: Host, to: Host, effect: LinkEffect): LinkFault['effects'][number] => ({
  from: brokerOf(from),
  to: brokerOf(to),
  effect,
});

const bothWays = (a: Host, b: Host, effect: LinkEffect): LinkFault['effects'] => [
  between(a, b, effect),
  between(b, a, effect),
];

/** Cuts, both ways, the pairs for which it holds; it is asked once a pair, the earlier host first. */
function cutPairs(hosts: readonly Host[], isCut: (a: Host, b: Host) => boolean): LinkFault['effects'] {
  return hosts.flatMap((a, at) =>
    hosts
      .slice(at + 1)
      .filter((b) => isCut(a, b))
      .flatMap((b) => bothWays(a, b, cut)),
  );
}

/** Nothing passes between hosts of different groups, either way. Hosts in no group keep all their links. */
export function split(groups: readonly (readonly Host[])[]): FaultPlan {
  const hosts = groups.flat();
  requireDistinct(hosts, 2);
  const filled = groups.filter((group) => group.length > 0);
  if (filled.length < 2) throw refuse('a split takes at least two groups');
  const groupOf = new Map(filled.flatMap((group, at) => group.map((host) => [host, at] as const)));
  return {
    description: filled.map(listed).join(' | '),
    effects: cutPairs(hosts, (a, b) => groupOf.get(a) !== groupOf.get(b)),
  };
}

/** One host alone, its node and its broker together. */
export function isolate(hosts: readonly Host[], host: Host): FaultPlan {
  requireDistinct(hosts, 2);
  requireKnown(hosts, host);
  return split([[host], hosts.filter((other) => other !== host)]);
}

/** Two halves that see each other only through one host, which sees all. */
export function bridge(hosts: readonly Host[], host: Host): FaultPlan {
  requireDistinct(hosts, 3);
  requireKnown(hosts, host);
  const others = hosts.filter((other) => other !== host);
  const middle = Math.ceil(others.length / 2);
  const [left, right] = [others.slice(0, middle), others.slice(middle)];
  return { description: `${listed(left)} | ${listed(right)}, both see ${host}`, effects: split([left, right]).effects };
}

/**
 * Every host sees a majority (itself counted), and no two see the same: on the ring of the hosts each sees its nearest.
 * Of three hosts a ring would be whole, so it is open between the last and the first.
 */
export function majoritiesRing(hosts: readonly Host[]): FaultPlan {
  requireDistinct(hosts, 3);
  const { length } = hosts;
  const eachSide = Math.ceil(Math.floor(length / 2) / 2);
  const isFar = (a: Host, b: Host): boolean => {
    const apart = Math.abs(hosts.indexOf(a) - hosts.indexOf(b));
    return length === 3 ? apart === 2 : Math.min(apart, length - apart) > eachSide;
  };
  return { description: `ring of majorities: ${listed(hosts)}`, effects: cutPairs(hosts, isFar) };
}

/** Nothing passes from one to the other; the way back is open. */
export function oneWay(from: Host, to: Host): FaultPlan {
  requireDistinct([from, to], 2);
  return { description: `${from} -> ${to} cut`, effects: [between(from, to, cut)] };
}

export type Flakiness = { readonly lossShare?: number; readonly delayMs?: number; readonly jitterMs?: number };

/** Loses and delays, both ways. */
export function flaky(a: Host, b: Host, { lossShare, delayMs, jitterMs }: Flakiness): FaultPlan {
  requireDistinct([a, b], 2);
  const effect: LinkEffect = {
    ...(lossShare === undefined ? {} : { lossShare }),
    ...(delayMs === undefined ? {} : { delayMs }),
    ...(jitterMs === undefined ? {} : { jitterMs }),
  };
  const parts = [
    ...(lossShare === undefined ? [] : [`loses ${Number((lossShare * 100).toPrecision(3))} %`]),
    ...(delayMs === undefined ? [] : [`${delayMs} ms late`]),
    ...(jitterMs === undefined ? [] : [`give or take ${jitterMs} ms`]),
  ];
  return { description: `${a} - ${b} ${parts.join(', ')}`, effects: bothWays(a, b, effect) };
}

/** So many bytes a second and no more, each way. */
export function throttle(a: Host, b: Host, bytesPerSecond: number): FaultPlan {
  requireDistinct([a, b], 2);
  return { description: `${a} - ${b} ${bytesPerSecond} bytes/s`, effects: bothWays(a, b, { bytesPerSecond }) };
}

/** The node does not take what its broker sends: its subscriptions stall until the server drops it. */
export const slowConsumer = (host: Host): FaultPlan => ({
  description: `${host} does not read from its broker`,
  effects: [{ from: brokerOf(host), to: host, effect: cut }],
});
