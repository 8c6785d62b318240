/** Goal: the records of the system shard are the map, whole, whenever there is one. Method: fast-check draws maps and changes. */
import test from 'ava';
import fc from 'fast-check';
import { bucketId, isRingraftError, type NodeId, nodeId, systemShardId } from '../../../src/base/index.js';
import type { SystemRecord } from '../../../src/host/index.js';
import { applyChange } from '../../../src/meta/map-changes.js';
import {
  foundingRecords,
  historyOfRecords,
  keptChanges,
  mapOfRecords,
  recordsOfChange,
} from '../../../src/meta/map-records.js';
import { equalArcs } from '../../../src/ring/index.js';
import type { ClusterMap, MapChange, MapNode, MapShard, NodeCondition } from '../../../src/wire/index.js';
import { aBucket, aMapShard, usualTimings } from '../../support/maps.js';
import { aMap, n1, n2, n3 } from './fake-system.js';

const conditions: readonly NodeCondition[] = ['up', 'draining', 'drained', 'down'];
const founded = (epoch = 1): MapChange => ({ epoch, atMs: 5, kind: 'founded', summary: 'founded' });

const buckets = fc
  .uniqueArray(
    fc.record({
      id: fc.integer({ min: 1, max: 65_535 }).map(bucketId),
      name: fc.stringMatching(/^[a-z]{1,9}$/),
      ttlMs: fc.nat(),
      cacheShare: fc.constantFrom(0, 0.25, 1),
      isRemoved: fc.boolean(),
    }),
    { selector: ({ id }) => id, maxLength: 5 },
  )
  .map((all) => all.sort((a, b) => a.id - b.id).map((one, at) => aBucket({ ...one, name: `${one.name}${at}` })));

const nodes: fc.Arbitrary<readonly MapNode[]> = fc.uniqueArray(
  fc.record({
    id: fc.stringMatching(/^[a-z0-9][a-z0-9_-]{0,9}$/).map(nodeId),
    zone: fc.constantFrom('a', 'b'),
    weight: fc.integer({ min: 1, max: 1000 }),
    condition: fc.constantFrom(...conditions),
  }),
  { selector: ({ id }) => id, minLength: 3, maxLength: 12 },
);

/** Some of the nodes, the first ones home and the others leaving. */
const placement = (all: readonly MapNode[]): fc.Arbitrary<Pick<MapShard, 'replicas' | 'leaving' | 'epoch'>> =>
  fc
    .tuple(
      fc.shuffledSubarray([...all], { minLength: 1 }),
      fc.integer({ min: 1, max: 3 }),
      fc.integer({ min: 1, max: 99 }),
    )
    .map(([some, homes, epoch]) => ({
      replicas: some.slice(0, homes).map(({ id }) => ({ nodeId: id })),
      leaving: some.slice(homes, homes + 2).map(({ id }) => id),
      epoch,
    }));

const maps: fc.Arbitrary<ClusterMap> = fc
  .tuple(nodes, fc.integer({ min: 1, max: 40 }), fc.integer({ min: 1, max: 2 ** 40 }))
  .chain(([all, shards, epoch]) =>
    fc.record({
      cluster: fc.constant('test'),
      epoch: fc.constant(epoch),
      replication: fc.constantFrom(1, 3, 5),
      raft: fc.constant(usualTimings),
      system: placement(all).map((at) => ({ id: systemShardId, arcStart: 0, arcEnd: 0, ...at })),
      nodes: fc.constant([...all].sort((a, b) => (a.id < b.id ? -1 : 1))),
      shards: fc.tuple(
        ...equalArcs(shards).map(({ shardId: id, start, end }) =>
          placement(all).map((at) => ({ ...aMapShard({ id, arcStart: start, arcEnd: end }, []), ...at })),
        ),
      ),
      buckets,
      settings: fc.record({
        downAfterMs: fc.nat(),
        maxMoves: fc.nat(),
        snapshotBytesPerSecond: fc.nat(),
        leaderZones: fc.array(fc.constantFrom('a', 'b')),
        rebalance: fc.boolean(),
      }),
    }),
  );

function apply(records: Map<string, string>, written: readonly SystemRecord[]): void {
  for (const { key, value } of written) {
    if (value === undefined) records.delete(key);
    else records.set(key, value);
  }
}

function recordsOf(portions: readonly (readonly SystemRecord[])[]): Map<string, string> {
  const records = new Map<string, string>();
  for (const portion of portions) apply(records, portion);
  return records;
}

test('any map comes back from its records as it was, in whatever portions it was written', (t) => {
  fc.assert(
    fc.property(maps, fc.integer({ min: 1, max: 60 }), (map, perEntry) => {
      const portions = foundingRecords(map, founded(map.epoch), perEntry);
      t.true(portions.every((portion) => portion.length <= Math.max(2, perEntry)));
      t.deepEqual(mapOfRecords(recordsOf(portions)), map);
    }),
    { numRuns: 200 },
  );
  t.pass();
});

test('what a change writes over the records of a map are the records of the next one', (t) => {
  fc.assert(
    fc.property(maps, maps, (before, other) => {
      // The other map gives new entries for shards that both have; its nodes come along.
      const had = new Map(before.shards.map((shard) => [shard.id, shard]));
      const shards = other.shards.flatMap((shard) => {
        const old = had.get(shard.id);
        return old === undefined ? [] : [{ ...old, replicas: shard.replicas, leaving: shard.leaving }];
      });
      const { nodes: added, settings } = other;
      const change: MapChange = {
        ...{ epoch: before.epoch + 1, atMs: 7, kind: 'moveBegan', summary: '' },
        ...{ nodes: added, shards, settings },
      };
      const after = applyChange(before, change);
      const records = recordsOf(foundingRecords(before, founded(before.epoch), 100));
      apply(records, recordsOfChange(after, change));
      t.deepEqual(mapOfRecords(records), after);
      t.deepEqual(historyOfRecords(records).at(-1), change);
    }),
    { numRuns: 200 },
  );
  t.pass();
});

test('until its last portion is written a founded map is none', (t) => {
  const portions = foundingRecords(aMap(10, [n1, n2, n3]), founded(), 4);
  t.is(portions.length, 5, '14 records in portions of 4, and what makes them valid');
  for (let written = 0; written < portions.length; written++) {
    t.is(mapOfRecords(recordsOf(portions.slice(0, written))), undefined, `${written} portions`);
  }
});

test('a founding that was broken off leaves nothing to the one that is begun again from another configuration', (t) => {
  const first = aMap(10, [n1, n2, n3, 'x' as NodeId]);
  const second = aMap(4, [n1, n2, n3]);
  const records = recordsOf(foundingRecords(first, founded(), 4).slice(0, -1));
  for (const portion of foundingRecords(second, founded(), 4, [...records.keys()])) apply(records, portion);
  t.deepEqual(mapOfRecords(records), second);
});

test(`the last ${keptChanges} changes are remembered, oldest first`, (t) => {
  let map = aMap(1, [n1, n2, n3]);
  const records = recordsOf(foundingRecords(map, founded(), 100));
  for (let epoch = 2; epoch <= keptChanges + 20; epoch++) {
    const change: MapChange = { epoch, atMs: epoch, kind: 'settingsChanged', summary: '', settings: map.settings };
    map = applyChange(map, change);
    apply(records, recordsOfChange(map, change));
  }
  const history = historyOfRecords(records);
  t.deepEqual([history.length, history[0]?.epoch, history.at(-1)?.epoch], [keptChanges, 21, keptChanges + 20]);
});

const isCorrupt = (records: ReadonlyMap<string, string>): boolean => {
  try {
    mapOfRecords(records);
    return false;
  } catch (error) {
    return isRingraftError(error, 'CORRUPT');
  }
};

test('records of another format, broken ones, and a map without the system shard are CORRUPT', (t) => {
  const good = recordsOf(foundingRecords(aMap(2, [n1, n2, n3]), founded(), 100));
  const cluster = JSON.parse(good.get('cluster') ?? '') as object;
  const put = (key: string, value: string): Map<string, string> => new Map([...good, [key, value]]);
  t.false(isCorrupt(good));
  t.true(isCorrupt(put('cluster', JSON.stringify({ ...cluster, formatVersion: 2 }))));
  t.true(isCorrupt(put('cluster', JSON.stringify({ ...cluster, formatVersion: undefined }))));
  t.true(isCorrupt(put('cluster', '{')));
  t.true(isCorrupt(put('node/n2', 'n2')));
  const headless = new Map(good);
  headless.delete('shard/0000000000');
  t.true(isCorrupt(headless));
});

test('fields that a later version added are passed over', (t) => {
  const map = aMap(2, [n1, n2, n3]);
  const records = recordsOf(foundingRecords(map, founded(), 100));
  const node = JSON.parse(records.get('node/n2') ?? '') as object;
  records.set('node/n2', JSON.stringify({ ...node, rack: 7 }));
  t.like(mapOfRecords(records), { epoch: 1, cluster: 'test' });
  t.is(mapOfRecords(records)?.nodes[1]?.weight, 1);
});

test('buckets of an earlier version, which had a name and an id alone, are as usual', (t) => {
  const map = aMap(2, [n1, n2, n3]);
  const records = new Map(
    foundingRecords(map, founded(), 10)
      .flat()
      .map(({ key, value }) => [key, value ?? '']),
  );
  const cluster = JSON.parse(records.get('cluster') ?? '');
  records.set('cluster', JSON.stringify({ ...cluster, buckets: [{ name: 'old', id: 7 }] }));
  t.deepEqual(mapOfRecords(records)?.buckets, [aBucket({ id: bucketId(7), name: 'old' })]);
});
