/** Goal: replicas on distinct nodes and zones, loads bounded, few moves when a node comes. */
import { crc32 } from 'node:zlib';
import test from 'ava';
import fc from 'fast-check';
import { nodeId } from '../../../src/base/index.js';
import { equalArcs, initHash, type PlacementNode, place } from '../../../src/ring/index.js';

test.before(() => initHash());

const nodesOf = (zones: readonly number[], weights: readonly number[] = []): readonly PlacementNode[] =>
  zones.map((zone, at) => ({ id: nodeId(`n${at + 1}`), zone: `z${zone}`, weight: weights[at] ?? 1 }));

const clusters = fc
  .record({
    shards: fc.integer({ min: 1, max: 64 }),
    replication: fc.constantFrom(1, 3, 5),
    zones: fc.array(fc.integer({ min: 1, max: 6 }), { minLength: 5, maxLength: 12 }),
    weights: fc.array(fc.constantFrom(0.5, 1, 2), { maxLength: 12 }),
  })
  .map(({ shards, replication, zones, weights }) => ({ shards, replication, nodes: nodesOf(zones, weights) }));

test('replicas of a shard are on distinct nodes, and in as many zones as there can be', (t) => {
  fc.assert(
    fc.property(clusters, ({ shards, replication, nodes }) => {
      const zoneOf = new Map(nodes.map(({ id, zone }) => [id, zone]));
      const possible = Math.min(replication, new Set(zoneOf.values()).size);
      for (const replicas of place(equalArcs(shards), nodes, replication).replicas) {
        t.is(new Set(replicas).size, replication);
        t.is(new Set(replicas.map((id) => zoneOf.get(id))).size, possible);
      }
    }),
  );
});

test('the same nodes give the same placement', (t) => {
  fc.assert(
    fc.property(clusters, ({ shards, replication, nodes }) => {
      const arcs = equalArcs(shards);
      t.deepEqual(place(arcs, nodes, replication), place(arcs, [...nodes], replication));
    }),
    { numRuns: 30 },
  );
});

test('golden placements: data directories carry the layout, it never changes', (t) => {
  const golden: readonly (readonly [number, number, number, readonly number[], number, number])[] = [
    [16, 3, 3, [1], 3, 0x9cf3bb8a],
    [512, 12, 3, [1, 2, 4], 3, 0x82920519],
    [1000, 30, 5, [1, 2], 5, 0x97780e3f],
    [333, 9, 2, [1, 4], 3, 0xf64b47e2],
    [2048, 60, 60, [0.5, 1, 3], 3, 0x4886ed8d],
    [256, 10, 4, [1, 1, 1, 9], 2, 0x108b4de0],
  ];
  for (const [shards, count, zones, weights, replication, checksum] of golden) {
    const nodes = Array.from({ length: count }, (_, at) => ({
      id: nodeId(`n${at + 1}`),
      zone: `z${at % zones}`,
      weight: weights[at % weights.length] as number,
    }));
    const { replicas } = place(equalArcs(shards), nodes, replication);
    t.is(crc32(JSON.stringify(replicas)), checksum, `${shards} shards on ${count} nodes`);
  }
});

test('no node holds more than 1.1 times its share where every node is a zone of its own', (t) => {
  for (const count of [3, 4, 5, 7, 10, 12]) {
    const nodes = nodesOf(Array.from({ length: count }, (_, at) => at));
    for (const shards of [16, 64, 256]) {
      const load = new Map<string, number>();
      const leaders = new Map<string, number>();
      for (const replicas of place(equalArcs(shards), nodes, 3).replicas) {
        for (const id of replicas) load.set(id, (load.get(id) ?? 0) + 1);
        leaders.set(replicas[0] as string, (leaders.get(replicas[0] as string) ?? 0) + 1);
      }
      const bound = Math.ceil((1.1 * shards * 3) / count);
      for (const { id } of nodes) t.true((load.get(id) ?? 0) <= bound + 1, `${id} of ${count}, ${shards} shards`);
      // Leaders: at most half again their share.
      for (const { id } of nodes) t.true((leaders.get(id) ?? 0) <= Math.ceil((1.5 * shards) / count) + 1, id);
    }
  }
});

test('a node of twice the weight holds about twice as much', (t) => {
  const nodes = nodesOf([0, 1, 2, 3, 4, 5], [2, 1, 1, 1, 1, 1]);
  const load = new Map<string, number>();
  for (const replicas of place(equalArcs(256), nodes, 3).replicas) {
    for (const id of replicas) load.set(id, (load.get(id) ?? 0) + 1);
  }
  const share = (256 * 3) / 7;
  t.true((load.get('n1') ?? 0) > 1.4 * share, `${load.get('n1')} of ${2 * share}`);
  t.true((load.get('n1') ?? 0) <= Math.ceil(1.1 * 2 * share) + 1);
});

test('one node more moves few replicas', (t) => {
  const arcs = equalArcs(256);
  for (const count of [4, 6, 9]) {
    const zones = Array.from({ length: count + 1 }, (_, at) => at);
    const before = place(arcs, nodesOf(zones.slice(0, count)), 3).replicas;
    const after = place(arcs, nodesOf(zones), 3).replicas;
    let moved = 0;
    after.forEach((replicas, at) => {
      moved += replicas.filter((id) => !before[at]?.includes(id)).length;
    });
    // The new node's share has to move; bounded loads make others move too, not most of them.
    const least = (256 * 3) / (count + 1);
    t.true(moved >= 0.7 * least, `${moved} of at least ${least}`);
    t.true(moved <= 2.5 * least, `${moved}, where ${least} are the least`);
  }
});

test('fewer nodes than replicas is refused', (t) => {
  t.throws(() => place(equalArcs(4), nodesOf([1, 2]), 3), { message: /3 replicas need as many nodes/ });
});
