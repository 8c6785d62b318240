/** Goal: a change makes the next map and no other one, and nothing that cannot be is taken for a map. */
import test from 'ava';
import { bucketId, type NodeId, systemShardId } from '../../../src/base/index.js';
import { applyChange, checkMap } from '../../../src/meta/map-changes.js';
import type { ClusterMap, MapChange } from '../../../src/wire/index.js';
import { aBucket, aMapNode, usualSettings } from '../../support/maps.js';
import { aMap, moving, n1, n2, n3, n4 } from './fake-system.js';

const map = aMap(4, [n1, n2, n3]);
const change = (fields: Partial<MapChange>): MapChange => ({
  epoch: 2,
  atMs: 1,
  kind: 'nodeChanged',
  summary: '',
  ...fields,
});
const idsOf = ({ nodes }: ClusterMap): readonly NodeId[] => nodes.map(({ id }) => id);

test('a change replaces the nodes and shards it names and leaves all others as they are', (t) => {
  const [first, ...others] = map.shards;
  const moved = { ...(first as ClusterMap['shards'][number]), epoch: 2, leaving: [n4] };
  const node = aMapNode(n4, { zone: 'z4' });
  const next = applyChange(map, change({ nodes: [node], shards: [moved] }));
  t.is(next.epoch, 2);
  t.deepEqual(next.shards, [moved, ...others]);
  t.deepEqual(next.nodes, [...map.nodes, node]);
  t.deepEqual([next.settings, next.buckets, next.raft], [map.settings, map.buckets, map.raft]);
  t.is(map.nodes.length, 3, 'the map before is as it was');
});

test('the system shard is changed by its number', (t) => {
  const system = { ...map.system, epoch: 2, replicas: [{ nodeId: n2 }] };
  const next = applyChange(map, change({ shards: [system] }));
  t.deepEqual(next.system, system);
  t.deepEqual(next.shards, map.shards);
});

test('nodes are in order of their ids, and one that is named again is replaced', (t) => {
  const early = aMapNode('a' as NodeId);
  const drained = aMapNode(n2, { condition: 'draining' });
  const next = applyChange(map, change({ nodes: [drained, early] }));
  t.deepEqual(idsOf(next), ['a' as NodeId, n1, n2, n3]);
  t.is(next.nodes[2]?.condition, 'draining');
});

test('a node is removed, and settings are replaced', (t) => {
  const larger = applyChange(map, change({ nodes: [aMapNode(n4)] }));
  t.deepEqual(idsOf(applyChange(larger, change({ epoch: 3, removedNodes: [n4] }))), [n1, n2, n3]);
  const settings = { ...usualSettings, maxMoves: 9 };
  t.deepEqual(applyChange(map, change({ settings })).settings, settings);
});

test('a change that does not follow the map is refused', (t) => {
  for (const epoch of [0, 1, 3]) t.throws(() => applyChange(map, change({ epoch })), { message: /does not follow/ });
});

test('what cannot be is refused: nodes and replicas twice, replicas nowhere, none at all', (t) => {
  const wrong: readonly (readonly [ClusterMap, RegExp])[] = [
    [{ ...map, nodes: [...map.nodes, aMapNode(n1)] }, /a node is in the map twice/],
    [moving(map, 1, [n1, n1, n2], []), /shard 1 is twice on a node/],
    [moving(map, 1, [n1, n2, n3], [n3]), /shard 1 is twice on a node/],
    [moving(map, 1, [n1, n2, n4], []), /shard 1 is on n4, which is not there/],
    [moving(map, 1, [n1, n2], [n4]), /shard 1 is on n4, which is not there/],
    [moving(map, systemShardId, [n4], []), /shard 0 is on n4/],
    [moving(map, 3, [], [n1]), /shard 3 has no replica/],
  ];
  for (const [each, message] of wrong) t.throws(() => checkMap(each), { message });
  t.throws(() => applyChange(map, change({ removedNodes: [n3] })), { message: /n3, which is not there/ });
  t.notThrows(() => checkMap(map));
});

test('buckets come in order of their ids, one that is named again is replaced, and two of one name cannot be', (t) => {
  const five = aBucket({ id: bucketId(5), name: 'five' });
  const next = applyChange(map, change({ kind: 'bucketCreated', buckets: [five] }));
  t.deepEqual(next.buckets, [...map.buckets, five]);
  const removed = { ...five, isRemoved: true };
  const third = applyChange(next, change({ epoch: 3, kind: 'bucketRemoved', buckets: [removed] }));
  t.deepEqual(third.buckets, [...map.buckets, removed]);
  const again = { ...five, id: bucketId(4) };
  t.deepEqual(applyChange(third, change({ epoch: 4, buckets: [again] })).buckets, [...map.buckets, again, removed]);
  t.throws(() => applyChange(next, change({ epoch: 3, buckets: [again] })), { message: /two buckets have one name/ });
  t.throws(() => checkMap({ ...map, buckets: [five, removed] }), { message: /a bucket id is in the map twice/ });
});
