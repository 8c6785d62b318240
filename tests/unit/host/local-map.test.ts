/** Goal: a node's map only ever gets newer, and keys never lie elsewhere than they did. */
import test from 'ava';
import {
  type BucketId,
  bucketId,
  isRingraftError,
  type NodeId,
  shardId,
  systemShardId,
} from '../../../src/base/index.js';
import { allShards, isPlacedOn, LocalMap } from '../../../src/host/local-map.js';
import { equalArcs } from '../../../src/ring/index.js';
import type { ClusterMap } from '../../../src/wire/index.js';
import { aClusterMap, aMapShard } from '../../support/maps.js';

const [n1, n2, n3, n4] = ['n1', 'n2', 'n3', 'n4'] as [NodeId, NodeId, NodeId, NodeId];
const shards = equalArcs(4).map(({ shardId: id, start, end }) =>
  aMapShard({ id, arcStart: start, arcEnd: end }, [n1, n2, n3]),
);
const map = aClusterMap([n1, n2, n3], shards, { epoch: 3 });

const outcome = (maps: LocalMap, next: ClusterMap): string => {
  try {
    return maps.adopt(next) ? 'adopted' : 'older';
  } catch (error) {
    return isRingraftError(error) ? error.code : String(error);
  }
};

test('a newer map replaces the copy whole, an older or equal one changes nothing', (t) => {
  const maps = new LocalMap(map);
  const [first, ...others] = shards;
  const moved = { ...map, epoch: 5, shards: [{ ...(first as (typeof shards)[number]), leaving: [n4] }, ...others] };
  for (const epoch of [0, 2, 3]) t.is(outcome(maps, { ...moved, epoch }), 'older');
  t.is(maps.current, map);
  t.is(outcome(maps, moved), 'adopted');
  t.is(maps.current, moved);
  t.deepEqual(maps.shard(shardId(1))?.leaving, [n4]);
});

test('a map of another cluster, other shards, arcs, buckets or times is CONFIG, and changes nothing', (t) => {
  const otherArc = shards.map((shard, at) => (at === 1 ? { ...shard, arcStart: shard.arcStart + 1 } : shard));
  const wrong: readonly Partial<ClusterMap>[] = [
    { cluster: 'other' },
    { shards: shards.slice(1) },
    { shards: otherArc },
    { shards: shards.map((shard) => ({ ...shard, id: shardId(shard.id + 1) })) },
    { buckets: [] },
    { buckets: [{ name: 'default', id: bucketId(2) }] },
    { raft: { ...map.raft, leaseMs: map.raft.leaseMs + 1 } },
    { raft: { ...map.raft, voteHoldMs: map.raft.voteHoldMs - 1 } },
  ];
  for (const fields of wrong) {
    const maps = new LocalMap(map);
    t.is(outcome(maps, { ...map, epoch: 9, ...fields }), 'CONFIG', JSON.stringify(fields));
    t.is(maps.current, map);
  }
});

test('what may change does: nodes, settings, placement, epochs', (t) => {
  const maps = new LocalMap({ ...map, epoch: 0 });
  t.false(maps.isFounded);
  const next = aClusterMap(
    [n1, n2, n3, n4],
    shards.map((shard) => ({ ...shard, epoch: 8, replicas: [{ nodeId: n4 }] })),
    { epoch: 9, settings: { ...map.settings, maxMoves: 1 } },
  );
  t.is(outcome(maps, next), 'adopted');
  t.true(maps.isFounded);
});

test('a position belongs to the shard of its arc, the system shard has none of the ring', (t) => {
  const maps = new LocalMap(map);
  for (const { id, arcStart, arcEnd } of shards) {
    t.is(maps.shardAt(arcStart), id);
    t.is(maps.shardAt(arcEnd - 1), id);
  }
  t.is(maps.shard(systemShardId)?.id, systemShardId);
  t.is(maps.shard(shardId(99)), undefined);
  t.true(maps.hasBucket(bucketId(1)));
  t.false(maps.hasBucket(0 as BucketId), 'the bucket of the system shard is for nobody');
  t.deepEqual(
    allShards(map).map(({ id }) => Number(id)),
    [0, 1, 2, 3, 4],
  );
});

test('a replica is placed where the map wants it or still tolerates it', (t) => {
  const shard = { ...(shards[0] as (typeof shards)[number]), leaving: [n4] };
  for (const node of [n1, n2, n3, n4]) t.true(isPlacedOn(shard, node));
  t.false(isPlacedOn(shard, 'n5' as NodeId));
});
