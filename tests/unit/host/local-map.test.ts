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
import { aBucket, aClusterMap, aMapShard } from '../../support/maps.js';

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

test('a map of another cluster, other shards, arcs or times, or without a known bucket, is CONFIG, and changes nothing', (t) => {
  const otherArc = shards.map((shard, at) => (at === 1 ? { ...shard, arcStart: shard.arcStart + 1 } : shard));
  const wrong: readonly Partial<ClusterMap>[] = [
    { cluster: 'other' },
    { shards: shards.slice(1) },
    { shards: otherArc },
    { shards: shards.map((shard) => ({ ...shard, id: shardId(shard.id + 1) })) },
    { buckets: [] },
    { buckets: [aBucket({ id: bucketId(2) })] },
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
  t.is(maps.bucket(bucketId(1))?.name, 'default');
  t.is(maps.bucket(0 as BucketId), undefined, 'the bucket of the system shard is for nobody');
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

test('buckets come and are removed; a map that lacks one, or brings a removed one back, is CONFIG', (t) => {
  const maps = new LocalMap(map);
  const [one, two] = [aBucket(), aBucket({ id: bucketId(2), name: 'two' })];
  t.is(outcome(maps, { ...map, epoch: 4, buckets: [one, two] }), 'adopted');
  t.deepEqual(maps.bucket(two.id), two);
  t.deepEqual(maps.removedBuckets, []);
  const removed = { ...two, isRemoved: true };
  t.is(outcome(maps, { ...map, epoch: 5, buckets: [one, removed] }), 'adopted');
  t.is(maps.bucket(two.id), undefined);
  t.deepEqual(maps.removedBuckets, [two.id]);
  t.is(outcome(maps, { ...map, epoch: 6, buckets: [one] }), 'CONFIG');
  t.is(outcome(maps, { ...map, epoch: 6, buckets: [one, two] }), 'CONFIG');
  const again = aBucket({ id: bucketId(3), name: 'two' });
  t.is(outcome(maps, { ...map, epoch: 6, buckets: [one, removed, again] }), 'adopted');
  t.deepEqual(maps.bucket(again.id), again);
});

test('an unknown bucket is BUSY for whoever has a newer map, and NOT_FOUND otherwise; a removed one is NOT_FOUND', (t) => {
  const removed = aBucket({ id: bucketId(2), name: 'two', isRemoved: true });
  const maps = new LocalMap({ ...map, buckets: [aBucket(), removed] });
  t.is(maps.refusalOf(bucketId(3), map.epoch + 1).code, 'BUSY');
  t.is(maps.refusalOf(bucketId(3), map.epoch).code, 'NOT_FOUND');
  for (const epoch of [0, map.epoch, map.epoch + 1]) {
    const { code, message } = maps.refusalOf(removed.id, epoch);
    t.is(code, 'NOT_FOUND');
    t.regex(message, /two \(2\) was removed/);
  }
});
