/** Goal: an order does what it says, once however often it is given, and a wrong one is refused with a code that says why. */
import test from 'ava';
import { bucketId, isRingraftError, type NodeId, systemShardId } from '../../../src/base/index.js';
import { applyChange } from '../../../src/meta/map-changes.js';
import type { ChangeDraft } from '../../../src/meta/map-keeper.js';
import * as orders from '../../../src/meta/orders.js';
import { homesOf } from '../../../src/meta/planning.js';
import type { ClusterMap, ClusterSettings, MapNode } from '../../../src/wire/index.js';
import { aBucket, aMapNode, usualSettings } from '../../support/maps.js';
import { aMap, aReport, moving, n1, n2, n3, n4, n5 } from './fake-system.js';

const four = aMap(4, [n1, n2, n3], { nodes: [n1, n2, n3, n4].map((id) => aMapNode(id)) });

const refusal = (run: () => unknown): string => {
  try {
    return `done: ${JSON.stringify(run())}`;
  } catch (error) {
    return isRingraftError(error) ? error.code : String(error);
  }
};

/** The map after the draft, which must be one. */
function after(map: ClusterMap, draft: ChangeDraft | undefined): ClusterMap {
  if (draft === undefined) throw new Error('no change');
  return applyChange(map, { ...draft, epoch: map.epoch + 1, atMs: 0 });
}

const nodeIn = (map: ClusterMap, id: NodeId): MapNode | undefined => map.nodes.find((node) => node.id === id);
const be = (map: ClusterMap, id: NodeId, condition: MapNode['condition']): ClusterMap => ({
  ...map,
  nodes: map.nodes.map((node) => (node.id === id ? { ...node, condition } : node)),
});
const joining = (id: string, zone: unknown = 'z', weight: unknown = 1) =>
  ({ op: 'join', node: { id, zone, weight } }) as Parameters<typeof orders.join>[1];

test('join: a new node is up and has what it said; one that is in the map is left as it is', (t) => {
  const joined = after(four, orders.join(four, joining('n5', 'east', 2.5)));
  t.deepEqual(nodeIn(joined, n5), { id: n5, zone: 'east', weight: 2.5, condition: 'up' });
  t.is(orders.join(joined, joining('n5', 'west', 9)), undefined);
});

test('join: names, zones and weights that cannot be are refused', (t) => {
  for (const id of ['', 'N5', 'n 5', 'n.5', '-n5', 'x'.repeat(64)])
    t.is(
      refusal(() => orders.join(four, joining(id))),
      'BAD_REQUEST',
      id,
    );
  for (const zone of ['', 'A', 'a.b', 7, null])
    t.is(
      refusal(() => orders.join(four, joining('n5', zone))),
      'BAD_REQUEST',
      String(zone),
    );
  for (const weight of [0, -1, 1001, Number.NaN, '1', null])
    t.is(
      refusal(() => orders.join(four, joining('n5', 'z', weight))),
      'BAD_REQUEST',
      String(weight),
    );
});

test('drain: the node is draining; said again, nothing', (t) => {
  const drained = after(four, orders.drain(four, 'n2'));
  t.is(nodeIn(drained, n2)?.condition, 'draining');
  t.is(orders.drain(drained, 'n2'), undefined);
  t.is(orders.drain(be(four, n2, 'drained'), 'n2'), undefined);
});

test('drain: refused where too few nodes would be left for the replicas; a node that holds nothing may always go', (t) => {
  const three = aMap(4, [n1, n2, n3]);
  t.is(
    refusal(() => orders.drain(three, 'n2')),
    'BAD_REQUEST',
  );
  t.is(
    refusal(() => orders.drain(be(four, n4, 'down'), 'n2')),
    'BAD_REQUEST',
    'a node that is down does not count',
  );
  t.is(
    refusal(() => orders.drain(four, 'n9')),
    'NOT_FOUND',
  );
  t.is(nodeIn(after(be(four, n3, 'down'), orders.drain(be(four, n3, 'down'), 'n4')), n4)?.condition, 'draining');
});

test('drain: a node that is down may be drained, so that it is not waited for', (t) => {
  const down = be(four, n3, 'down');
  t.is(nodeIn(after(down, orders.drain(down, 'n3')), n3)?.condition, 'draining');
});

test('recommission: a drained or draining node is up again; one that is up stays, one that is down is refused', (t) => {
  for (const condition of ['draining', 'drained'] as const) {
    const gone = be(four, n2, condition);
    t.is(nodeIn(after(gone, orders.recommission(gone, 'n2')), n2)?.condition, 'up');
  }
  t.is(orders.recommission(four, 'n2'), undefined);
  t.is(
    refusal(() => orders.recommission(be(four, n2, 'down'), 'n2')),
    'BAD_REQUEST',
  );
  t.is(
    refusal(() => orders.recommission(four, 'n9')),
    'NOT_FOUND',
  );
});

test('decommission: a node that holds something is drained, one that holds nothing is removed, the last one never', (t) => {
  const draining = after(four, orders.decommission(four, 'n2'));
  t.is(nodeIn(draining, n2)?.condition, 'draining');
  t.is(orders.decommission(draining, 'n2'), undefined, 'it is being drained already');
  const without = after(four, orders.decommission(four, 'n4'));
  t.is(nodeIn(without, n4), undefined);
  const alone = aMap(1, [n1], { replication: 1, nodes: [aMapNode(n1)] });
  const empty = { ...alone, shards: [], system: { ...alone.system, replicas: [] } };
  t.is(
    refusal(() => orders.decommission(empty, 'n1')),
    'BAD_REQUEST',
  );
  t.is(
    refusal(() => orders.decommission(four, 'n9')),
    'NOT_FOUND',
  );
});

test('decommission: a node that something still leaves is not removed', (t) => {
  const map = moving(be(four, n4, 'draining'), 1, [n1, n2, n3], [n4]);
  t.is(orders.decommission(map, 'n4'), undefined);
});

test('setNode: zone and weight are changed, together or alone; the same again is nothing', (t) => {
  const set = (fields: object) => orders.setNode(four, { op: 'setNode', node: 'n2', ...fields });
  t.like(nodeIn(after(four, set({ zone: 'b' })), n2), { zone: 'b', weight: 1 });
  t.like(nodeIn(after(four, set({ weight: 3 })), n2), { zone: 'z', weight: 3 });
  t.like(nodeIn(after(four, set({ zone: 'b', weight: 3 })), n2), { zone: 'b', weight: 3 });
  t.is(set({}), undefined);
  t.is(set({ zone: 'z', weight: 1 }), undefined);
  t.is(
    refusal(() => set({ weight: 0 })),
    'BAD_REQUEST',
  );
  t.is(
    refusal(() => set({ zone: 'B' })),
    'BAD_REQUEST',
  );
  t.is(
    refusal(() => orders.setNode(four, { op: 'setNode', node: 'n9', weight: 2 })),
    'NOT_FOUND',
  );
});

const move = (map: ClusterMap, shard: number, from: string, to: string) =>
  orders.move(map, { op: 'move', shard, from, to });

test('move: the replica goes, its place in the order stays; said again, nothing', (t) => {
  const moved = after(four, move(four, 1, 'n2', 'n4'));
  const [shard] = moved.shards;
  t.deepEqual(shard === undefined ? [] : [homesOf(shard), shard.leaving], [[n1, n4, n3], [n2]]);
  t.is(move(moved, 1, 'n2', 'n4'), undefined);
  t.deepEqual(after(four, move(four, systemShardId, 'n1', 'n4')).system.leaving, [n1], 'the system shard too');
});

test('move: each thing that is wrong has its code', (t) => {
  t.is(
    refusal(() => move(four, 99, 'n1', 'n4')),
    'WRONG_SHARD',
  );
  t.is(
    refusal(() => move(four, 1, 'n9', 'n4')),
    'NOT_FOUND',
  );
  t.is(
    refusal(() => move(four, 1, 'n1', 'n9')),
    'NOT_FOUND',
  );
  t.is(
    refusal(() => move(four, 1, 'n1', 'n2')),
    'BAD_REQUEST',
    'there is one already',
  );
  t.is(
    refusal(() => move(four, 1, 'n1', 'n1')),
    'BAD_REQUEST',
    'to where it is',
  );
  const five = { ...four, nodes: [...four.nodes, aMapNode(n5)] };
  t.is(
    refusal(() => move(five, 1, 'n5', 'n4')),
    'BAD_REQUEST',
    'there is none to move',
  );
  for (const condition of ['down', 'draining', 'drained'] as const)
    t.is(
      refusal(() => move(be(four, n4, condition), 1, 'n1', 'n4')),
      'BAD_REQUEST',
      condition,
    );
  t.is(
    refusal(() => move(moving(five, 1, [n1, n2, n5], [n3]), 1, 'n1', 'n4')),
    'BUSY',
  );
});

const early = aReport(1, { phase: 'copying', missing: [n4], epoch: 1 });
const underWay = moving(four, 1, [n4, n2, n3], [n1]);

test('cancelMove: the replicas are to be where they were; said again, or of a shard that stays, nothing', (t) => {
  for (const phase of ['waiting', 'copying'] as const) {
    const cancelled = after(underWay, orders.cancelMove(underWay, 1, { ...early, phase }));
    const [shard] = cancelled.shards;
    t.deepEqual(shard === undefined ? [] : [homesOf(shard), shard.leaving], [[n1, n2, n3], [n4]]);
  }
  t.is(orders.cancelMove(four, 1, undefined), undefined);
});

test('cancelMove: CONFLICT once voters change, or while no leader has told, or when what it leaves is going', (t) => {
  const cancel = (report: Parameters<typeof orders.cancelMove>[2], map = underWay): string =>
    refusal(() => orders.cancelMove(map, 1, report));
  t.is(cancel({ ...early, phase: 'swapping' }), 'CONFLICT');
  t.is(cancel({ ...early, phase: 'settled', missing: [] }), 'CONFLICT');
  t.is(cancel({ ...early, missing: [] }), 'CONFLICT', 'the new one votes already');
  t.is(cancel({ ...early, epoch: 0 }), 'CONFLICT', 'a report about an earlier entry');
  t.is(cancel(undefined), 'CONFLICT');
  for (const condition of ['draining', 'down'] as const)
    t.is(cancel(early, be(underWay, n1, condition)), 'CONFLICT', condition);
  t.is(
    refusal(() => orders.cancelMove(underWay, 99, early)),
    'WRONG_SHARD',
  );
});

test('settings: those that are named change, together; the same again is nothing', (t) => {
  const set: Partial<ClusterSettings> = {
    downAfterMs: 5000,
    maxMoves: 9,
    snapshotBytesPerSecond: 65_536,
    leaderZones: ['a', 'b'],
    rebalance: false,
  };
  t.deepEqual(after(four, orders.settings(four, set)).settings, set);
  t.deepEqual(after(four, orders.settings(four, { maxMoves: 2 })).settings, { ...usualSettings, maxMoves: 2 });
  t.is(orders.settings(four, {}), undefined);
  t.is(orders.settings(four, usualSettings), undefined);
});

test('settings: values that cannot be and names that are none are refused, inherited ones too', (t) => {
  const wrong: readonly (readonly [string, unknown])[] = [
    ...[999, 1.5, '5000', null, -1].map((value) => ['downAfterMs', value] as const),
    ...[0, 1.5, Number.POSITIVE_INFINITY].map((value) => ['maxMoves', value] as const),
    ['snapshotBytesPerSecond', 65_535],
    ...['a', ['A'], [7], {}].map((value) => ['leaderZones', value] as const),
    ['rebalance', 'yes'],
    ...['maxmoves', 'constructor', 'toString', '__proto__'].map((name) => [name, 1] as const),
  ];
  for (const [name, value] of wrong) {
    const set = JSON.parse(`{${JSON.stringify(name)}: ${JSON.stringify(value)}}`) as Partial<ClusterSettings>;
    t.is(
      refusal(() => orders.settings(four, set)),
      'BAD_REQUEST',
      `${name} ${JSON.stringify(value)}`,
    );
  }
});

test('createBucket: a new id above all that ever were, settings as said, and a change that tells', (t) => {
  const marks = aMap(1, [n1, n2, n3], {
    buckets: [aBucket(), aBucket({ id: bucketId(9), name: 'old', isRemoved: true })],
  });
  const draft = orders.createBucket(marks, { op: 'createBucket', name: 'old', cacheShare: 0.5 });
  t.is(draft.summary, 'bucket old (10): cacheShare=0.5');
  const next = after(marks, draft);
  t.deepEqual(next.buckets[2], aBucket({ id: bucketId(10), name: 'old', cacheShare: 0.5 }));
  t.is(
    refusal(() => orders.createBucket(next, { op: 'createBucket', name: 'old' })),
    'CONFLICT',
  );
  for (const name of ['', 'A', 'a.b', '-a', 'x'.repeat(64), 'a b', '*'])
    t.is(
      refusal(() => orders.createBucket(next, { op: 'createBucket', name })),
      'BAD_REQUEST',
      name,
    );
});

test('createBucket: after the last id the first that nobody ever had; at most 1000 buckets in a life', (t) => {
  const top = aMap(1, [n1, n2, n3], {
    buckets: [1, 2, 0xffff].map((id) => aBucket({ id: bucketId(id), name: `b${id}` })),
  });
  t.is(orders.createBucket(top, { op: 'createBucket', name: 'x' }).buckets?.[0]?.id, bucketId(3));
  const buckets = Array.from({ length: 1000 }, (_, at) =>
    aBucket({ id: bucketId(at + 1), name: `b${at}`, isRemoved: at > 0 }),
  );
  const full = aMap(1, [n1, n2, n3], { buckets });
  t.is(
    refusal(() => orders.createBucket(full, { op: 'createBucket', name: 'x' })),
    'BAD_REQUEST',
  );
  t.true(JSON.stringify(full).length < 250_000, 'so many fit into a message beside 4096 shards');
});

test('configureBucket and removeBucket: the live bucket of the name changes, its id and mark stay', (t) => {
  const old = aBucket({ id: bucketId(2), name: 'b', isRemoved: true });
  const map = aMap(1, [n1, n2, n3], { buckets: [aBucket(), old, aBucket({ id: bucketId(3), name: 'b', ttlMs: 9 })] });
  const changed = after(map, orders.configureBucket(map, { op: 'configureBucket', name: 'b', maxValueBytes: 5 }));
  t.deepEqual(changed.buckets[1], old);
  t.deepEqual(changed.buckets[2], aBucket({ id: bucketId(3), name: 'b', ttlMs: 9, maxValueBytes: 5 }));
  t.is(orders.configureBucket(map, { op: 'configureBucket', name: 'b', ttlMs: 9 }), undefined);
  const removed = after(map, orders.removeBucket(map, { op: 'removeBucket', name: 'b' }));
  t.deepEqual(
    removed.buckets.map(({ id, isRemoved }) => [Number(id), isRemoved]),
    [
      [1, false],
      [2, true],
      [3, true],
    ],
  );
  for (const run of [
    () => orders.removeBucket(removed, { op: 'removeBucket', name: 'b' }),
    () => orders.configureBucket(removed, { op: 'configureBucket', name: 'b' }),
  ])
    t.is(refusal(run), 'NOT_FOUND');
});
