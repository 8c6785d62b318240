/**
 * How many replicas each node should hold: its part by weight, as far as distinct nodes and zones let it.
 *
 * Weight alone cannot decide: of three zones of weights 4, 1 and 1 each holds one replica of every shard, whatever the
 * weights say. So a node's part of an average shard is at most 1, a zone's part at most what the zone rule allows, and
 * what does not fit goes to the others by weight. Such parts can always be met to a whole replica: they are a fractional
 * solution of a flow, and flows have whole ones.
 */
import type { PlacementNode } from './placement.js';

/** Fewest and most replicas of one shard that a zone holds. */
export type ZoneLimits = { readonly least: number; readonly most: number };

/** The zone rule: distinct zones where there are enough; else every zone holds at least one. */
export function zoneLimits(nodesInZone: number, zoneCount: number, replication: number): ZoneLimits {
  if (zoneCount >= replication) return { least: 0, most: 1 };
  return { least: 1, most: Math.min(nodesInZone, replication - zoneCount + 1) };
}

const halvings = 100;

/** The level at which the increasing `partAt` reaches `wanted`. */
function levelOf(wanted: number, highest: number, partAt: (level: number) => number): number {
  let [low, high] = [0, highest];
  for (let at = 0; at < halvings; at++) {
    const middle = (low + high) / 2;
    if (partAt(middle) < wanted) low = middle;
    else high = middle;
  }
  return high;
}

/** The expected number of replicas on each of `nodes`, in their order; the sum is `shardCount * replication`. */
export function fairShares(
  nodes: readonly PlacementNode[],
  shardCount: number,
  replication: number,
): readonly number[] {
  const zones = new Map<string, PlacementNode[]>();
  for (const node of nodes) zones.set(node.zone, [...(zones.get(node.zone) ?? []), node]);
  const highest = 1 / Math.min(...nodes.map(({ weight }) => weight));
  const partOf = (members: readonly PlacementNode[], level: number): number =>
    members.reduce((sum, { weight }) => sum + Math.min(1, level * weight), 0);
  const zonePart = (members: readonly PlacementNode[], level: number): number => {
    const { least, most } = zoneLimits(members.length, zones.size, replication);
    return Math.min(most, Math.max(least, partOf(members, level)));
  };
  const all = [...zones.values()];
  const level = levelOf(replication, highest, (at) => all.reduce((sum, members) => sum + zonePart(members, at), 0));
  const levels = new Map(
    [...zones].map(([zone, members]) => {
      const wanted = zonePart(members, level);
      return [zone, levelOf(wanted, highest, (at) => partOf(members, at))];
    }),
  );
  return nodes.map(({ zone, weight }) => shardCount * Math.min(1, (levels.get(zone) as number) * weight));
}

/** Bisection leaves a share a hair beside its value; a whole share must round to itself. */
const hair = 1e-6;
export const wholeUp = (share: number): number => Math.ceil(share - hair);
export const wholeDown = (share: number): number => Math.floor(share + hair);
