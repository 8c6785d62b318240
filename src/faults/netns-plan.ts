/**
 * Names and addresses of the network namespaces of a cluster: a router, and one for each host, joined to it by a pair of
 * virtual interfaces with a network of four addresses. Pure. (No bridge: what passes is routed, so that the router's
 * rules see every packet, and not every kernel has bridges.)
 *
 * The plan is made, and recorded by whoever asked for it, before anything is created: what a crashed run left can be
 * removed by it.
 */
import { type Random, RingraftError, randomBetween } from '../base/index.js';

export type NetnsHost = {
  readonly node: string;
  readonly namespace: string;
  /** The router's end of the pair. */
  readonly device: string;
  readonly address: string;
  readonly gatewayAddress: string;
};

export type NetnsPlan = {
  readonly id: string;
  /** The router's namespace. */
  readonly router: string;
  /** All addresses of the cluster. */
  readonly subnet: string;
  /** This machine's way in. */
  readonly rootDevice: string;
  readonly rootAddress: string;
  readonly gatewayAddress: string;
  readonly hosts: readonly NetnsHost[];
};

/** A /24 holds 64 networks of four addresses; the first is this machine's. */
const mostHosts = 63;
const tries = 1000;

const toNumber = (address: string): number =>
  address.split('.').reduce((number, part) => number * 256 + Number(part), 0);

/** `a.b.c.d/bits`, or one address. */
function rangeOf(subnet: string): { readonly first: number; readonly last: number } {
  const [address = '', bits = '32'] = subnet.split('/');
  const size = 2 ** (32 - Number(bits));
  const first = Math.floor(toNumber(address) / size) * size;
  return { first, last: first + size - 1 };
}

export function overlaps(one: string, other: string): boolean {
  const [a, b] = [rangeOf(one), rangeOf(other)];
  return a.first <= b.last && b.first <= a.last;
}

/** `occupied`: the subnets this machine has routes to. BAD_REQUEST when 10.0.0.0/8 has no room beside them. */
export function planNetns(nodes: readonly string[], occupied: readonly string[], random: Random): NetnsPlan {
  if (nodes.length > mostHosts) {
    throw new RingraftError('BAD_REQUEST', `network namespaces take ${mostHosts} hosts at most`);
  }
  const id = random.nextU32().toString(16).padStart(8, '0');
  for (let tried = 0; tried < tries; tried++) {
    const prefix = `10.${randomBetween(random, 0, 255)}.${randomBetween(random, 0, 255)}`;
    const subnet = `${prefix}.0/24`;
    if (occupied.some((other) => overlaps(subnet, other))) continue;
    return {
      id,
      router: `rr-${id}-router`,
      subnet,
      // Names of interfaces have 15 characters at most.
      rootDevice: `rr${id}`,
      rootAddress: `${prefix}.2`,
      gatewayAddress: `${prefix}.1`,
      hosts: nodes.map((node, at) => ({
        node,
        namespace: `rr-${id}-${node}`,
        device: `host${at}`,
        address: `${prefix}.${4 * (at + 1) + 2}`,
        gatewayAddress: `${prefix}.${4 * (at + 1) + 1}`,
      })),
    };
  }
  throw new RingraftError('BAD_REQUEST', 'every network of 10.0.0.0/8 overlaps with one this machine has a route to');
}
