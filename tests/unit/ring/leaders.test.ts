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
