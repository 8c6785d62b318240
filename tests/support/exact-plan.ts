/** What the oracle (`exact-assignment.ts`) makes of a placement: how few moves its rules and bounds allow. */
import type { PlacedShard, PlacementNode, PlacementPlan } from '../../src/ring/index.js';
import { assign, type NodeLimits } from './exact-assignment.js';

/** 1 where one of the shard's first `take` replicas is on the node, at `shard * nodes.length + node`. */
export const tableOf = (
  shards: readonly PlacedShard[],
  nodes: readonly PlacementNode[],
  take = Number.POSITIVE_INFINITY,
): Uint8Array =>
  Uint8Array.from(
    shards.flatMap(({ replicas }) => nodes.map(({ id }) => (replicas.slice(0, take).includes(id) ? 1 : 0))),
  );

/** Holdings of an assignment that are none at present. */
export const placedAnew = (held: Uint8Array, present: Uint8Array): number =>
  held.filter((value, at) => value === 1 && present[at] === 0).length;

/** Fewest replicas that any plan within the bounds of `plan` moves. */
export function fewestMoves(
  { replicasPerNode }: PlacementPlan,
  shards: readonly PlacedShard[],
  nodes: readonly PlacementNode[],
  replication: number,
): number {
  const zones = [...new Set(nodes.map(({ zone }) => zone))];
  const present = tableOf(shards, nodes);
  const held = assign({
    shardCount: shards.length,
    zoneOf: nodes.map(({ zone }) => zones.indexOf(zone)),
    limits: nodes.map(({ id }) => replicasPerNode.find((load) => load.id === id) as NodeLimits),
    copies: replication,
    present,
    rank: new Int32Array(present.length),
  });
  return placedAnew(held, present);
}
