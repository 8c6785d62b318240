/**
 * Goal: the planner of real clusters finds what an exact one over whole tables finds. Method: random clusters that are
 * placed and led badly; bounds kept as well, and the same number of moves, not one more.
 */
import test from 'ava';
import fc from 'fast-check';
import { nodeId } from '../../../src/base/index.js';
import {
  equalArcs,
  initHash,
  type PlacedShard,
  type PlacementNode,
  planPlacement,
  spreadLeaders,
} from '../../../src/ring/index.js';
import { wholeDown, wholeUp } from '../../../src/ring/shares.js';
import { assign, type NodeLimits } from '../../support/exact-assignment.js';
import { fewestMoves, placedAnew, tableOf } from '../../support/exact-plan.js';

test.before(() => initHash());

type Cluster = {
  readonly nodes: readonly PlacementNode[];
  readonly replication: number;
  readonly shards: readonly PlacedShard[];
};

/** Replicas anywhere: too many, too few, in one zone, on nodes that are gone. */
const clusters: fc.Arbitrary<Cluster> = fc
  .record({
    made: fc.array(fc.tuple(fc.nat({ max: 4 }), fc.constantFrom(1, 1, 2, 4, 9)), { minLength: 2, maxLength: 9 }),
    zoneCount: fc.integer({ min: 1, max: 5 }),
    replication: fc.integer({ min: 1, max: 4 }),
    count: fc.integer({ min: 1, max: 40 }),
    most: fc.integer({ min: 0, max: 5 }),
    skew: fc.boolean(),
    picks: fc.infiniteStream(fc.nat({ max: 1000 })),
  })
  .map(({ made, zoneCount, replication, count, most, skew, picks }) => {
    const nodes = made.map(([zone, weight], at) => ({ id: nodeId(`n${at}`), zone: `z${zone % zoneCount}`, weight }));
    const known = [...nodes.map(({ id }) => id), nodeId('gone')];
    const pick = (below: number): number => (picks.next().value as number) % below;
    const shards = equalArcs(count).map((arc) => {
      const replicas = Array.from({ length: pick(most + 1) }, () => {
        const [first, second] = [pick(known.length), pick(known.length)];
        return known[skew ? Math.min(first, second) : first] as PlacementNode['id'];
      });
      return { ...arc, replicas: [...new Set(replicas)] };
    });
    return { nodes, replication: Math.min(replication, nodes.length), shards };
  });

test('a plan from any placement is within its bounds, and moves as few replicas as the exact one', (t) => {
  let kept = 0;
  fc.assert(
    fc.property(clusters, (cluster) => {
      const { nodes, replication, shards } = cluster;
      const plan = planPlacement(shards, nodes, replication);
      for (const { id, after, least, most } of plan.replicasPerNode) {
        t.true(after >= least && after <= most, `${id}: ${after} is not within ${least} and ${most}`);
      }
      const zones = [...new Set(nodes.map(({ zone }) => zone))];
      const zoneOf = new Map(nodes.map(({ id, zone }) => [id, zone]));
      for (const { replicas } of plan.target) {
        t.is(new Set(replicas).size, replication);
        t.is(new Set(replicas.map((id) => zoneOf.get(id))).size, Math.min(replication, zones.length));
      }
      t.is(plan.moves.filter(({ to }) => to !== null).length, fewestMoves(plan, shards, nodes, replication));
      kept++;
    }),
    { seed: 6, numRuns: 300 },
  );
  t.is(kept, 300);
});

/** How far loads are from their limits, by the square: what both look for the least of. */
const breach = (loads: readonly number[], limits: readonly NodeLimits[]): number =>
  loads.reduce((sum, load, at) => {
    const { least, most } = limits[at] as NodeLimits;
    return sum + Math.max(0, load - most, least - load) ** 2;
  }, 0);

test('leaders are as near to even as the exact ones, and change as seldom where they can be even', (t) => {
  let even = 0;
  fc.assert(
    fc.property(clusters, ({ nodes, shards: given }) => {
      const ids = nodes.map(({ id }) => id);
      const shards = given.filter(({ replicas }) => replicas.some((id) => ids.includes(id)));
      if (shards.length === 0) return;
      const total = nodes.reduce((sum, { weight }) => sum + weight, 0);
      const limits = nodes.map(({ weight }) => {
        const fair = (shards.length * weight) / total;
        return { fair, least: Math.max(0, wholeUp(fair - 1)), most: wholeDown(fair + 1) };
      });
      const present = tableOf(shards, nodes, 1);
      const exact = assign({
        shardCount: shards.length,
        zoneOf: nodes.map((_, at) => at),
        limits,
        copies: 1,
        present,
        allowed: tableOf(shards, nodes),
        rank: new Int32Array(present.length),
      });
      const leaders = spreadLeaders(shards, nodes);
      const exactLoads = nodes.map(
        (_, at) => exact.filter((value, index) => value === 1 && index % nodes.length === at).length,
      );
      const loads = ids.map((id) => [...leaders.values()].filter((leader) => leader === id).length);
      const best = breach(exactLoads, limits);
      t.is(breach(loads, limits), best, `${loads} instead of ${exactLoads}`);
      if (best > 0) return;
      even++;
      const changed = shards.filter(({ shardId, replicas }) => replicas[0] !== leaders.get(shardId)).length;
      t.is(changed, placedAnew(exact, present));
    }),
    { seed: 3, numRuns: 300 },
  );
  t.true(even > 30, `${even} clusters could be led evenly`);
});
