/**
 * What the manager would do next: from the map as it is to the map as it should be, a few safe steps at a time. Pure.
 *
 * A step never takes from a shard what it has: it names where replicas should be, and the nodes that have one too many
 * stay listed as leaving until the shard's leader has reported the new ones in place.
 */
import { type NodeId, type ShardId, systemShardId } from '../base/index.js';
import { allShards } from '../host/index.js';
import { type PlacedShard, planPlacement, spreadLeaders } from '../ring/index.js';
import type { ClusterMap, MapNode, MapShard } from '../wire/index.js';

/** Where a shard's replicas should come to be. */
export type PlannedShard = { readonly shardId: ShardId; readonly homes: readonly NodeId[] };

export const homesOf = (shard: MapShard): readonly NodeId[] => shard.replicas.map(({ nodeId }) => nodeId);
export const isMoving = (shard: MapShard): boolean => shard.leaving.length > 0;

/** Nodes that may hold replicas. */
export const receivers = (map: ClusterMap): readonly MapNode[] =>
  map.nodes.filter(({ condition }) => condition === 'up');

/** Whether the shard has a replica where none should be. */
export const isStranded = (shard: MapShard, up: ReadonlySet<NodeId>): boolean =>
  shard.replicas.some(({ nodeId }) => !up.has(nodeId));

const placed = (shard: MapShard): PlacedShard => ({
  shardId: shard.id,
  start: shard.arcStart,
  end: shard.arcEnd,
  replicas: homesOf(shard),
});

/**
 * Every shard whose replicas should be elsewhere, the most urgent first: those on nodes that are gone, those on nodes
 * that go, then those that even out the load. Empty when there are too few nodes. Shards that are being moved stay out,
 * unless what they move to has gone meanwhile.
 */
export function plannedShards(map: ClusterMap): readonly PlannedShard[] {
  const up = receivers(map);
  if (up.length < map.replication) return [];
  const upIds = new Set(up.map(({ id }) => id));
  const byShard = new Map(map.shards.map((shard) => [shard.id, shard]));
  const conditionOf = new Map(map.nodes.map(({ id, condition }) => [id, condition]));
  const isFixed = (shard: MapShard): boolean => isMoving(shard) && !isStranded(shard, upIds);
  const pinned = new Set(map.shards.filter(isFixed).map(({ id }) => id));
  const { target } = planPlacement(map.shards.map(placed), up, map.replication, { pinned });
  const planned: (PlannedShard & { readonly urgency: number })[] = [];
  for (const { shardId, replicas } of target) {
    const shard = byShard.get(shardId) as MapShard;
    const now = homesOf(shard);
    if (pinned.has(shardId) || replicas.every((node) => now.includes(node))) continue;
    const leavers = now.filter((node) => !replicas.includes(node));
    if (!map.settings.rebalance && !isStranded(shard, upIds)) continue;
    const down = leavers.filter((node) => conditionOf.get(node) === 'down').length;
    const going = leavers.filter((node) => !upIds.has(node)).length;
    planned.push({ shardId, homes: replicas, urgency: 100 * down + going });
  }
  const system = plannedSystem(map, up);
  if (system !== undefined) planned.push({ shardId: systemShardId, homes: system, urgency: 1000 });
  return planned.sort((a, b) => b.urgency - a.urgency || a.shardId - b.shardId);
}

/** Where the system shard should be; undefined: where it is. It moves only when it must. */
function plannedSystem(
  { system, replication, shards }: ClusterMap,
  up: readonly MapNode[],
): readonly NodeId[] | undefined {
  const upIds = new Set(up.map(({ id }) => id));
  if (!isStranded(system, upIds)) return undefined;
  const zoneOf = new Map(up.map(({ id, zone }) => [id, zone]));
  const load = new Map<NodeId, number>();
  for (const shard of shards) for (const id of homesOf(shard)) load.set(id, (load.get(id) ?? 0) + 1);
  const homes = homesOf(system).filter((id) => upIds.has(id));
  while (homes.length < replication) {
    const zones = new Set(homes.map((id) => zoneOf.get(id)));
    const [next] = up
      .filter(({ id }) => !homes.includes(id))
      .sort(
        (a, b) =>
          Number(zones.has(a.zone)) - Number(zones.has(b.zone)) ||
          (load.get(a.id) ?? 0) / a.weight - (load.get(b.id) ?? 0) / b.weight ||
          (a.id < b.id ? -1 : 1),
      );
    if (next === undefined) return undefined;
    homes.push(next.id);
  }
  return homes;
}

/** The map's entry of a shard that is to be on other nodes: what it has stays until that is in place. */
export function redirected(shard: MapShard, homes: readonly NodeId[]): MapShard {
  const before = [...homesOf(shard), ...shard.leaving];
  return {
    ...shard,
    replicas: homes.map((nodeId) => ({ nodeId })),
    leaving: before.filter((node) => !homes.includes(node)),
  };
}

/** Replicas that are on their way, all shards together. */
export const movesUnderWay = (map: ClusterMap): number =>
  allShards(map).reduce((sum, { leaving }) => sum + leaving.length, 0);

/** The entries of shards whose leaders should be elsewhere; every shard must have its replicas in place. */
export function leadersToSpread(map: ClusterMap): readonly MapShard[] {
  const up = receivers(map);
  const upIds = new Set(up.map(({ id }) => id));
  const led = map.shards.filter((shard) => homesOf(shard).some((id) => upIds.has(id)));
  if (led.length === 0) return [];
  const { leaderZones } = map.settings;
  const leaders = spreadLeaders(led.map(placed), up, leaderZones.length === 0 ? {} : { leaderZones });
  return led.flatMap((shard) => {
    const leader = leaders.get(shard.id) as NodeId;
    if (shard.replicas[0]?.nodeId === leader) return [];
    const others = shard.replicas.filter(({ nodeId }) => nodeId !== leader);
    return [{ ...shard, replicas: [{ nodeId: leader }, ...others] }];
  });
}

/** Whether nothing of the map places a replica on the node, or waits for one to be removed from it. */
export const holdsNothing = (map: ClusterMap, node: NodeId): boolean =>
  allShards(map).every((shard) => !homesOf(shard).includes(node) && !shard.leaving.includes(node));
