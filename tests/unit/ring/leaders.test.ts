/** Goal: leaders are spread by weight with few changes. Method: random placements, and every spread of small ones. */
import test from 'ava';
import fc from 'fast-check';
import { type NodeId, nodeId } from '../../../src/base/index.js';
import {
  equalArcs,
  initHash,
  type PlacedShard,
  type PlacementNode,
  planPlacement,
  spreadLeaders,
} from '../../../src/ring/index.js';

test.before(() => initHash());

const nodesOf = (weights: readonly number[]): readonly PlacementNode[] =>
  weights.map((weight, at) => ({ id: nodeId(`n${at + 1}`), zone: `z${at}`, weight }));

const planned = (count: number, nodes: readonly PlacementNode[], replication: number): readonly PlacedShard[] => {
  const shards = equalArcs(count).map((arc) => ({ ...arc, replicas: [] }));
  return planPlacement(shards, nodes, replication).target;
};

/** How far the node furthest from its part by weight is from it. */
function furthest(leaders: readonly NodeId[], nodes: readonly PlacementNode[]): number {
  const total = nodes.reduce((sum, { weight }) => sum + weight, 0);
  const distances = nodes.map(({ id, weight }) => {
    const led = leaders.filter((leader) => leader === id).length;
    return Math.abs(led - (leaders.length * weight) / total);
  });
  return Math.max(...distances);
}

const preferringFirst = (shards: readonly PlacedShard[], leaders: ReadonlyMap<number, NodeId>): PlacedShard[] =>
  shards.map((shard) => {
    const leader = leaders.get(shard.shardId) as NodeId;
    return { ...shard, replicas: [leader, ...shard.replicas.filter((id) => id !== leader)] };
  });

test('nodes of the same weight lead within one of the same number of shards', (t) => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 512 }), fc.integer({ min: 3, max: 9 }), (count, nodeCount) => {
      const nodes = nodesOf(Array.from({ length: nodeCount }, () => 1));
      const shards = planned(count, nodes, 3);
      const leaders = spreadLeaders(shards, nodes);
      for (const { shardId, replicas } of shards) t.true(replicas.includes(leaders.get(shardId) as NodeId));
      t.true(furthest([...leaders.values()], nodes) <= 1 + 1e-9);
    }),
    { numRuns: 60 },
  );
});

test('spreading again changes nothing, and the order of what is given does not matter', (t) => {
  const weights = fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 3, maxLength: 9 });
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 256 }), weights, (count, given) => {
      const nodes = nodesOf(given);
      const shards = planned(count, nodes, 3);
      const leaders = spreadLeaders(shards, nodes);
      t.deepEqual(spreadLeaders([...shards].reverse(), [...nodes].reverse()), leaders);
      t.deepEqual(spreadLeaders(preferringFirst(shards, leaders), nodes), leaders);
    }),
    { numRuns: 60 },
  );
});

test('no spread within one of even changes fewer leaders', (t) => {
  const weights = fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 2, maxLength: 4 });
  const picks = fc.array(fc.nat(), { minLength: 5, maxLength: 5 });
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 5 }), weights, picks, (count, given, pick) => {
      const nodes = nodesOf(given);
      const shards = planned(count, nodes, Math.min(3, nodes.length)).map((shard, at) => {
        const first = (pick[at] as number) % shard.replicas.length;
        return { ...shard, replicas: [...shard.replicas.slice(first), ...shard.replicas.slice(0, first)] };
      });
      let fewest = Number.POSITIVE_INFINITY;
      const search = (chosen: readonly NodeId[]): void => {
        const shard = shards[chosen.length];
        if (shard !== undefined) {
          for (const id of shard.replicas) search([...chosen, id]);
        } else if (furthest(chosen, nodes) <= 1 + 1e-9) {
          const changed = chosen.filter((id, at) => shards[at]?.replicas[0] !== id).length;
          fewest = Math.min(fewest, changed);
        }
      };
      search([]);
      if (fewest === Number.POSITIVE_INFINITY) return;
      const leaders = spreadLeaders(shards, nodes);
      t.true(furthest([...leaders.values()], nodes) <= 1 + 1e-9);
      t.is(shards.filter(({ shardId, replicas }) => replicas[0] !== leaders.get(shardId)).length, fewest);
    }),
    { numRuns: 150 },
  );
});

test('a leader whose node is gone goes to another replica', (t) => {
  const nodes = nodesOf([1, 1, 1, 1]);
  const shards = planned(16, nodes, 3);
  const leaders = spreadLeaders(shards, nodes.slice(1));
  for (const { shardId, replicas } of shards) {
    const leader = leaders.get(shardId) as NodeId;
    t.not(leader, nodeId('n1'));
    t.true(replicas.includes(leader));
  }
});

test('with leader zones each shard is led in the first that has a replica, evenly there; others elsewhere', (t) => {
  const zones = ['a', 'b', 'c', 'd', 'e'];
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 200 }),
      fc.array(fc.tuple(fc.nat({ max: 4 }), fc.integer({ min: 1, max: 4 })), { minLength: 3, maxLength: 12 }),
      fc.uniqueArray(fc.constantFrom(...zones, 'nowhere'), { maxLength: 3 }),
      (count, made, leaderZones) => {
        const nodes = made.map(([zone, weight], at) => ({ id: nodeId(`n${at}`), zone: zones[zone] as string, weight }));
        const zoneOf = new Map(nodes.map(({ id, zone }) => [id, zone]));
        const shards = planned(count, nodes, 3);
        const leaders = spreadLeaders(shards, nodes, { leaderZones });
        for (const { shardId, replicas } of shards) {
          const held = replicas.map((id) => zoneOf.get(id) as string);
          const wanted = leaderZones.find((zone) => held.includes(zone));
          const leader = leaders.get(shardId) as NodeId;
          t.true(replicas.includes(leader));
          if (wanted !== undefined) t.is(zoneOf.get(leader), wanted);
        }
        t.deepEqual(spreadLeaders(preferringFirst(shards, leaders), [...nodes].reverse(), { leaderZones }), leaders);
      },
    ),
    { seed: 1, numRuns: 100 },
  );
});

test('leaders of a zone are within one of even by weight where its nodes hold enough of the shards', (t) => {
  const weights = [1, 1, 2];
  const nodes = ['a', 'a', 'a', 'b'].map((zone, at) => ({ id: nodeId(`n${at}`), zone, weight: weights[at] ?? 1 }));
  const shards = planned(120, nodes, 3);
  const leaders = [...spreadLeaders(shards, nodes, { leaderZones: ['a'] }).values()];
  t.is(leaders.length, 120);
  t.true(furthest(leaders, nodes.slice(0, 3)) <= 1 + 1e-9);
  // Zone b has one node, which holds a replica of every shard.
  t.deepEqual(new Set(spreadLeaders(shards, nodes, { leaderZones: ['b', 'a'] }).values()), new Set([nodeId('n3')]));
  t.deepEqual(spreadLeaders(shards, nodes, { leaderZones: ['nowhere'] }), spreadLeaders(shards, nodes));
});

test('a shard without a replica in a leader zone is led elsewhere, evenly by weight', (t) => {
  const weights = [1, 1, 2, 2, 2, 1];
  const nodes = weights.map((weight, at) => ({ id: nodeId(`n${at}`), zone: `z${at}`, weight }));
  const shards = planned(600, nodes, 3);
  const leaders = spreadLeaders(shards, nodes, { leaderZones: ['z0'] });
  const first = nodeId('n0');
  const elsewhere = shards.filter(({ replicas }) => !replicas.includes(first));
  t.true(elsewhere.length > 100);
  t.is([...leaders.values()].filter((leader) => leader === first).length, 600 - elsewhere.length);
  const led = elsewhere.map(({ shardId }) => leaders.get(shardId) as NodeId);
  t.true(furthest(led, nodes.slice(1)) <= 1 + 1e-9, `${furthest(led, nodes.slice(1))}`);
});
