/**
 * Which replica of each shard should lead it. Pure and deterministic like `planPlacement`.
 *
 * 1. A leader is one of the shard's replicas, in the first of the preferred zones that has one; where none has, any.
 * 2. Of the shards led in one preferred zone, and of those led elsewhere, every node there leads within one of its part
 *    by weight; where its replicas do not allow that, as near as they do.
 * 3. Within that as few leaders as possible change from the present preference, the first replica.
 */
import { assert, type NodeId, type ShardId } from '../base/index.js';
import { assign } from './assignment.js';
import type { PlacementNode } from './placement.js';
import { numbersOf, type PlacedShard } from './plan.js';
import { wholeDown, wholeUp } from './shares.js';

export type LeaderOptions = {
  /** Zones that should lead, the most wanted first. Without it, every zone is as good as any other. */
  readonly leaderZones?: readonly string[];
};

/** Leaders of `shards` among those of their replicas that are on `nodes`; each has one at least. */
function spreadAmong(
  shards: readonly PlacedShard[],
  nodes: readonly PlacementNode[],
): readonly (readonly [ShardId, NodeId])[] {
  if (shards.length === 0) return [];
  const indexOf = new Map(nodes.map(({ id }, at) => [id, at]));
  const totalWeight = nodes.reduce((sum, { weight }) => sum + weight, 0);
  const limits = nodes.map(({ weight }) => {
    const fair = (shards.length * weight) / totalWeight;
    return { fair, least: Math.max(0, wholeUp(fair - 1)), most: wholeDown(fair + 1), fixed: 0 };
  });
  const allowed = shards.map(({ replicas }) => numbersOf(replicas, indexOf));
  const assigned = assign({
    shardCount: shards.length,
    zoneOf: nodes.map((_, at) => at),
    limits,
    copies: 1,
    present: shards.map(({ replicas }) => numbersOf(replicas.slice(0, 1), indexOf)),
    allowed,
  });
  return shards.map(({ shardId }, shard) => {
    const [node] = assigned[shard] as readonly number[];
    assert(node !== undefined, () => `shard ${shardId} has no replica that could lead`);
    return [shardId, (nodes[node] as PlacementNode).id];
  });
}

/** The preferred leader of every shard. Each shard needs a replica on one of `nodes` at least. */
export function spreadLeaders(
  shards: readonly PlacedShard[],
  nodes: readonly PlacementNode[],
  { leaderZones = [] }: LeaderOptions = {},
): ReadonlyMap<ShardId, NodeId> {
  const sorted = [...nodes].sort((a, b) => (a.id < b.id ? -1 : 1));
  const zoneOf = new Map(sorted.map(({ id, zone }) => [id, zone]));
  assert(zoneOf.size === nodes.length, 'a node is given twice');
  const leaders: (readonly [ShardId, NodeId])[] = [];
  let left: readonly PlacedShard[] = [...shards].sort((a, b) => a.shardId - b.shardId);
  for (const zone of leaderZones) {
    const isHere = ({ replicas }: PlacedShard): boolean => replicas.some((id) => zoneOf.get(id) === zone);
    const members = sorted.filter((node) => node.zone === zone);
    leaders.push(...spreadAmong(left.filter(isHere), members));
    left = left.filter((shard) => !isHere(shard));
  }
  const others = sorted.filter(({ zone }) => !leaderZones.includes(zone));
  leaders.push(...spreadAmong(left, others));
  return new Map(leaders.sort(([a], [b]) => a - b));
}
