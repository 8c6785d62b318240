/**
 * Which replica of each shard should lead it. Pure and deterministic like `planPlacement`.
 *
 * 1. A leader is one of the shard's replicas.
 * 2. Every node leads within one of its part by weight; where its replicas do not allow that, as near as they do.
 * 3. Within that as few leaders as possible change from the present preference, the first replica.
 */
import { assert, type NodeId, type ShardId } from '../base/index.js';
import { assign } from './assignment.js';
import type { PlacementNode } from './placement.js';
import { type PlacedShard, presence } from './plan.js';
import { wholeDown, wholeUp } from './shares.js';

/** The preferred leader of every shard. Each shard needs a replica on one of `nodes` at least. */
export function spreadLeaders(
  shards: readonly PlacedShard[],
  nodes: readonly PlacementNode[],
  _options: { readonly leaderZones?: readonly string[] } = {},
): ReadonlyMap<ShardId, NodeId> {
  const sorted = [...nodes].sort((a, b) => (a.id < b.id ? -1 : 1));
  const ordered = [...shards].sort((a, b) => a.shardId - b.shardId);
  const indexOf = new Map(sorted.map(({ id }, at) => [id, at]));
  assert(indexOf.size === nodes.length, 'a node is given twice');
  const totalWeight = sorted.reduce((sum, { weight }) => sum + weight, 0);
  const limits = sorted.map(({ weight }) => {
    const fair = (ordered.length * weight) / totalWeight;
    return { fair, least: Math.max(0, wholeUp(fair - 1)), most: wholeDown(fair + 1) };
  });
  const rank = new Int32Array(ordered.length * sorted.length);
  for (const [shard, { replicas }] of ordered.entries()) {
    for (const [place, id] of replicas.entries()) {
      const node = indexOf.get(id);
      if (node !== undefined) rank[shard * sorted.length + node] = place;
    }
  }
  const assigned = assign({
    shardCount: ordered.length,
    zoneOf: sorted.map((_, at) => at),
    limits,
    copies: 1,
    present: presence(
      ordered.map((shard) => ({ ...shard, replicas: shard.replicas.slice(0, 1) })),
      indexOf,
    ),
    allowed: presence(ordered, indexOf),
    rank,
  });
  return new Map(
    ordered.map(({ shardId }, shard) => {
      const node = sorted.find((_, at) => assigned[shard * sorted.length + at] === 1) as PlacementNode;
      return [shardId, node.id];
    }),
  );
}
