/** From one cluster map to the next. Pure. */
import { assert, systemShardId } from '../base/index.js';
import type { ClusterMap, MapBucket, MapChange, MapShard } from '../wire/index.js';

const byId = (a: { readonly id: string }, b: { readonly id: string }): number => (a.id < b.id ? -1 : 1);

/** The map after the change. The change must be the one that follows the map. */
export function applyChange(map: ClusterMap, change: MapChange): ClusterMap {
  assert(change.epoch === map.epoch + 1, () => `change ${change.epoch} does not follow map ${map.epoch}`);
  const changed = new Map((change.shards ?? []).map((shard) => [shard.id, shard]));
  const shardAfter = (shard: MapShard): MapShard => changed.get(shard.id) ?? shard;
  const gone = new Set([...(change.removedNodes ?? []), ...(change.nodes ?? []).map(({ id }) => id)]);
  const kept = map.nodes.filter(({ id }) => !gone.has(id));
  const added = change.nodes ?? [];
  const next: ClusterMap = {
    ...map,
    epoch: change.epoch,
    nodes: added.length === 0 ? kept : [...kept, ...added].sort(byId),
    system: changed.get(systemShardId) ?? map.system,
    shards: changed.size === 0 ? map.shards : map.shards.map(shardAfter),
    settings: change.settings ?? map.settings,
    buckets: bucketsAfter(map.buckets, change.buckets ?? []),
  };
  checkMap(next);
  return next;
}

function bucketsAfter(buckets: readonly MapBucket[], changed: readonly MapBucket[]): readonly MapBucket[] {
  if (changed.length === 0) return buckets;
  const ids = new Set(changed.map(({ id }) => id));
  return [...buckets.filter(({ id }) => !ids.has(id)), ...changed].sort((a, b) => a.id - b.id);
}

/** What must hold of every map. */
export function checkMap(map: ClusterMap): void {
  const nodes = new Set(map.nodes.map(({ id }) => id));
  assert(nodes.size === map.nodes.length, 'a node is in the map twice');
  checkBuckets(map);
  for (const { id, replicas, leaving } of [map.system, ...map.shards]) {
    const homes = replicas.map(({ nodeId }) => nodeId);
    assert(homes.length > 0, () => `shard ${id} has no replica`);
    assert(
      new Set([...homes, ...leaving]).size === homes.length + leaving.length,
      () => `shard ${id} is twice on a node`,
    );
    for (const home of [...homes, ...leaving])
      assert(nodes.has(home), () => `shard ${id} is on ${home}, which is not there`);
  }
}

function checkBuckets({ buckets }: ClusterMap): void {
  const live = buckets.filter(({ isRemoved }) => !isRemoved);
  assert(new Set(buckets.map(({ id }) => id)).size === buckets.length, 'a bucket id is in the map twice');
  assert(new Set(live.map(({ name }) => name)).size === live.length, 'two buckets have one name');
}
