/**
 * Goal: a plan keeps every rule of placement and moves no more than it must. Method: random clusters, changed a node at
 * a time, each plan starting from the one before; and small ones where every placement there is can be tried.
 */
import test from 'ava';
import fc from 'fast-check';
import { type NodeId, nodeId, type ShardId } from '../../../src/base/index.js';
import {
  equalArcs,
  initHash,
  type PlacedShard,
  type PlacementNode,
  type PlacementPlan,
  place,
  planPlacement,
} from '../../../src/ring/index.js';
import { fairShares, wholeUp } from '../../../src/ring/shares.js';

test.before(() => initHash());

type Cluster = { readonly shards: number; readonly replication: number; readonly nodes: readonly PlacementNode[] };

const node = (at: number, zone: number, weight = 1): PlacementNode => ({
  id: nodeId(`n${at + 1}`),
  zone: `z${zone}`,
  weight,
});

const clustersOf = (mostShards: number, mostNodes: number, leastNodes = 1): fc.Arbitrary<Cluster> =>
  fc
    .record({
      shards: fc.integer({ min: 1, max: mostShards }),
      zoneCount: fc.integer({ min: 1, max: 4 }),
      made: fc.array(fc.tuple(fc.nat({ max: 3 }), fc.integer({ min: 1, max: 4 })), {
        minLength: leastNodes,
        maxLength: mostNodes,
      }),
      replication: fc.integer({ min: 1, max: 5 }),
    })
    .map(({ shards, zoneCount, made, replication }) => ({
      shards,
      replication: Math.min(replication, made.length),
      nodes: made.map(([zone, weight], at) => node(at, zone % zoneCount, weight)),
    }));

const clusters = clustersOf(512, 9);

const empty = (count: number): readonly PlacedShard[] => equalArcs(count).map((arc) => ({ ...arc, replicas: [] }));

/** As a fresh cluster has it. */
function placed({ shards, replication, nodes }: Cluster): readonly PlacedShard[] {
  const arcs = equalArcs(shards);
  const { replicas } = place(arcs, nodes, replication);
  return arcs.map((arc, at) => ({ ...arc, replicas: replicas[at] as readonly NodeId[] }));
}

const moved = ({ moves }: PlacementPlan): number => moves.filter(({ to }) => to !== null).length;

/** Every rule that holds for every plan. */
function breaches(
  plan: PlacementPlan,
  current: readonly PlacedShard[],
  nodes: readonly PlacementNode[],
  replication: number,
): readonly string[] {
  const found: string[] = [];
  const zoneOf = new Map(nodes.map(({ id, zone }) => [id, zone]));
  const zonesWanted = Math.min(replication, new Set(zoneOf.values()).size);
  const load = new Map<NodeId, number>();
  for (const { shardId, replicas } of plan.target) {
    if (new Set(replicas).size !== replication) found.push(`shard ${shardId} on ${replicas.join(' ')}`);
    if (!replicas.every((id) => zoneOf.has(id))) found.push(`shard ${shardId} on a node that is not there`);
    const zones = new Set(replicas.map((id) => zoneOf.get(id))).size;
    if (zones !== zonesWanted) found.push(`shard ${shardId} in ${zones} zones, not ${zonesWanted}`);
    for (const id of replicas) load.set(id, (load.get(id) ?? 0) + 1);
  }
  const fair = fairShares(nodes, current.length, replication);
  for (const [at, { id }] of nodes.entries()) {
    const holds = load.get(id) ?? 0;
    if (holds > wholeUp(1.1 * (fair[at] as number))) found.push(`${id} holds ${holds}, its share is ${fair[at]}`);
    if (plan.replicasPerNode.find((one) => one.id === id)?.after !== holds) found.push(`${id} is said to hold other`);
  }
  // The moves lead from the one to the other, and nothing moves twice.
  const now = new Map(current.map(({ shardId, replicas }) => [shardId, new Set(replicas)]));
  for (const { shardId, from } of plan.moves) {
    if (from !== null && !now.get(shardId)?.delete(from)) found.push(`shard ${shardId} was not on ${from}`);
  }
  for (const { shardId, to } of plan.moves) if (to !== null) now.get(shardId)?.add(to);
  for (const { shardId, replicas } of plan.target) {
    const reached = [...(now.get(shardId) ?? [])].sort();
    if (reached.join() !== [...replicas].sort().join()) found.push(`the moves leave shard ${shardId} on ${reached}`);
  }
  return found;
}

test('a plan from nothing, and from a fresh placement, keeps distinct nodes, zones and bounds', (t) => {
  fc.assert(
    fc.property(clusters, (cluster) => {
      const { shards, nodes, replication } = cluster;
      for (const current of [empty(shards), placed(cluster)]) {
        const plan = planPlacement(current, nodes, replication);
        t.deepEqual(breaches(plan, current, nodes, replication), []);
      }
    }),
    { seed: 1, numRuns: 60 },
  );
});

test('planning again from the target moves nothing', (t) => {
  fc.assert(
    fc.property(clusters, (cluster) => {
      const { nodes, replication } = cluster;
      const plan = planPlacement(placed(cluster), nodes, replication);
      t.deepEqual(planPlacement(plan.target, nodes, replication).moves, []);
    }),
    { seed: 1, numRuns: 60 },
  );
});

test('the order of nodes and shards does not matter', (t) => {
  fc.assert(
    fc.property(clustersOf(128, 9), fc.infiniteStream(fc.nat()), ({ shards, nodes, replication }, keys) => {
      const shuffled = <T>(items: readonly T[]): T[] =>
        items
          .map((item) => [keys.next().value as number, item] as const)
          .sort((a, b) => a[0] - b[0])
          .map(([, item]) => item);
      const plan = planPlacement(empty(shards), nodes, replication);
      t.deepEqual(planPlacement(shuffled(empty(shards)), shuffled(nodes), replication), plan);
      const fewer = nodes.slice(0, Math.max(replication, nodes.length - 1));
      const next = planPlacement(plan.target, fewer, replication);
      t.deepEqual(planPlacement(shuffled(plan.target), shuffled(fewer), replication), next);
    }),
    { seed: 1, numRuns: 40 },
  );
});

test('one node more moves at most 1.1 times its share, whatever came and went before', (t) => {
  let worst = 0;
  fc.assert(
    fc.property(clustersOf(512, 9, 2), fc.array(fc.nat(), { maxLength: 4 }), ({ shards, nodes, replication }, gone) => {
      let members: readonly PlacementNode[] = nodes.slice(0, Math.min(replication, nodes.length - 1));
      const copies = Math.min(replication, members.length);
      let current = planPlacement(empty(shards), members, copies).target;
      const change = (next: readonly PlacementNode[]): PlacementPlan => {
        const plan = planPlacement(current, next, copies);
        t.deepEqual(breaches(plan, current, next, copies), []);
        current = plan.target;
        members = next;
        return plan;
      };
      const add = (joins: PlacementNode): void => {
        const plan = change([...members, joins]);
        worst = Math.max(worst, moved(plan) / Math.max(1, plan.idealMoves));
        const most = wholeUp(1.1 * plan.idealMoves);
        t.true(moved(plan) <= most, `${moved(plan)} moved, ${plan.idealMoves} ideal`);
      };
      for (const joins of nodes.slice(members.length)) add(joins);
      for (const pick of gone) {
        const leaves = members[pick % members.length] as PlacementNode;
        if (members.length === copies) break;
        change(members.filter((one) => one !== leaves));
        if (pick % 2 === 0) add(leaves);
      }
    }),
    { seed: 1, numRuns: 40 },
  );
  t.log(`worst ratio ${worst.toFixed(3)}`);
});

/** Most shards that can be given one of their options each, no option to more shards than its room. */
function mostMatched(options: readonly (readonly NodeId[])[], roomOf: (id: NodeId) => number): number {
  const taken = new Map<NodeId, number[]>();
  const give = (shard: number, seen: Set<NodeId>): boolean =>
    (options[shard] as readonly NodeId[]).some((id) => {
      if (seen.has(id)) return false;
      seen.add(id);
      const shards = taken.get(id) ?? [];
      taken.set(id, shards);
      if (shards.length < roomOf(id)) return shards.push(shard) > 0;
      const at = shards.findIndex((other) => give(other, seen));
      if (at >= 0) shards[at] = shard;
      return at >= 0;
    });
  return options.filter((_, shard) => give(shard, new Set())).length;
}

/**
 * Whether what lost its node can be placed within the bounds without touching anything else: all of it fits under the
 * upper bounds, and enough of it can go to each node below its lower one (then both can be had at once: Mendelsohn and
 * Dulmage).
 */
function canAllStay(
  current: readonly PlacedShard[],
  nodes: readonly PlacementNode[],
  replication: number,
  { replicasPerNode }: PlacementPlan,
): boolean {
  const zoneOf = new Map(nodes.map(({ id, zone }) => [id, zone]));
  const zonesWanted = Math.min(replication, new Set(zoneOf.values()).size);
  const kept = current.map(({ replicas }) => replicas.filter((id) => zoneOf.has(id)));
  const zonesOf = (replicas: readonly NodeId[]): number => new Set(replicas.map((id) => zoneOf.get(id))).size;
  if (kept.some((replicas) => replicas.length === replication && zonesOf(replicas) < zonesWanted)) return false;
  const options = kept
    .filter(({ length }) => length < replication)
    .map((replicas) =>
      nodes.map(({ id }) => id).filter((id) => !replicas.includes(id) && zonesOf([...replicas, id]) === zonesWanted),
    );
  const holds = (id: NodeId): number => kept.filter((replicas) => replicas.includes(id)).length;
  const room = new Map<NodeId, number>();
  const lacks = new Map<NodeId, number>();
  for (const { id, least, most } of replicasPerNode) {
    room.set(id, most - holds(id));
    lacks.set(id, Math.max(0, least - holds(id)));
    if (most < holds(id)) return false;
  }
  const wanted = [...lacks.values()].reduce((sum, count) => sum + count, 0);
  return (
    mostMatched(options, (id) => room.get(id) as number) === options.length &&
    mostMatched(options, (id) => lacks.get(id) as number) === wanted
  );
}

test('one node less moves what it held, and what bounds force', (t) => {
  let worst = 0;
  fc.assert(
    fc.property(clustersOf(512, 9, 2), fc.nat(), ({ shards, nodes, replication }, pick) => {
      let current = planPlacement(empty(shards), nodes, replication).target;
      let members: readonly PlacementNode[] = nodes;
      while (members.length > replication) {
        const leaves = members[pick % members.length] as PlacementNode;
        members = members.filter((one) => one !== leaves);
        const held = current.filter(({ replicas }) => replicas.includes(leaves.id)).length;
        const plan = planPlacement(current, members, replication);
        t.deepEqual(breaches(plan, current, members, replication), []);
        t.true(moved(plan) >= held);
        t.is(moved(plan) === held, canAllStay(current, members, replication, plan), `${moved(plan)} for ${held}`);
        worst = Math.max(worst, moved(plan) / Math.max(1, held));
        current = plan.target;
      }
    }),
    { seed: 1, numRuns: 40 },
  );
  t.log(`worst ratio ${worst.toFixed(3)}`);
});

const combinations = <T>(items: readonly T[], count: number): readonly (readonly T[])[] => {
  if (count === 0) return [[]];
  return items.flatMap((item, at) => combinations(items.slice(at + 1), count - 1).map((rest) => [item, ...rest]));
};

/** Fewest replicas to place anew over all placements within the rules; infinite where there is none. */
function fewestMoves(
  current: readonly PlacedShard[],
  nodes: readonly PlacementNode[],
  replication: number,
  { replicasPerNode }: PlacementPlan,
): number {
  const zonesWanted = Math.min(replication, new Set(nodes.map(({ zone }) => zone)).size);
  const choices = combinations(nodes, replication).filter(
    (chosen) => new Set(chosen.map(({ zone }) => zone)).size === zonesWanted,
  );
  const load = new Map(nodes.map(({ id }) => [id, 0]));
  const isWithin = (): boolean =>
    replicasPerNode.every(({ id, least, most }) => (load.get(id) ?? 0) >= least && (load.get(id) ?? 0) <= most);
  const search = (at: number): number => {
    const shard = current[at];
    if (shard === undefined) return isWithin() ? 0 : Number.POSITIVE_INFINITY;
    let fewest = Number.POSITIVE_INFINITY;
    for (const chosen of choices) {
      for (const { id } of chosen) load.set(id, (load.get(id) as number) + 1);
      const own = chosen.filter(({ id }) => !shard.replicas.includes(id)).length;
      fewest = Math.min(fewest, own + search(at + 1));
      for (const { id } of chosen) load.set(id, (load.get(id) as number) - 1);
    }
    return fewest;
  };
  return search(0);
}

test('no placement within the rules is nearer, from any placement however bad', (t) => {
  fc.assert(
    fc.property(clustersOf(4, 4), fc.array(fc.nat(), { minLength: 20, maxLength: 20 }), (cluster, picks) => {
      const { shards, nodes, replication } = cluster;
      const known = [...nodes.map(({ id }) => id), nodeId('gone')];
      const current = empty(shards).map((shard, at) => {
        const replicas = picks.slice(at * 4, at * 4 + replication).map((pick) => known[pick % known.length] as NodeId);
        return { ...shard, replicas: [...new Set(replicas)] };
      });
      const plan = planPlacement(current, nodes, replication);
      t.deepEqual(breaches(plan, current, nodes, replication), []);
      t.is(moved(plan), fewestMoves(current, nodes, replication, plan));
    }),
    { seed: 1, numRuns: 200 },
  );
});

test('another replication adds or drops replicas and moves no other', (t) => {
  const nodes = [0, 1, 2, 3, 4].map((at) => node(at, at));
  const three = planPlacement(empty(30), nodes, 3).target;
  const five = planPlacement(three, nodes, 5);
  t.is(moved(five), 60);
  t.true(five.moves.every(({ from, to }) => from === null && to !== null));
  const back = planPlacement(five.target, nodes, 3);
  t.is(moved(back), 0);
  t.is(back.moves.length, 60);
  t.deepEqual(breaches(back, five.target, nodes, 3), []);
});

test('what a node that leaves held goes to nodes below their fair load', (t) => {
  const nodes = Array.from({ length: 12 }, (_, at) => node(at, at));
  const current = planPlacement(empty(1000), nodes, 3).target;
  const { replicasPerNode } = planPlacement(current, nodes.slice(1), 3);
  for (const { id, after, fair } of replicasPerNode) t.true(after <= Math.ceil(fair), `${id}: ${after} of ${fair}`);
});

test('a move keeps the zone where it can, and the preferred leader where its replica stays', (t) => {
  const nodes = [0, 1, 2, 3, 4, 5].map((at) => node(at, at % 3));
  const current = planPlacement(empty(64), nodes, 3).target;
  const plan = planPlacement(current, nodes.slice(1), 3);
  for (const { from, to } of plan.moves) t.deepEqual([from, to], ['n1', 'n4']);
  for (const [at, { replicas }] of plan.target.entries()) {
    const before = current[at]?.replicas[0];
    t.is(replicas[0], before === 'n1' ? nodeId('n4') : before);
  }
});

test('pinned shards stay as they are, even on a node that leaves, and count as load', (t) => {
  fc.assert(
    fc.property(
      clustersOf(128, 9, 2),
      fc.array(fc.nat(), { maxLength: 40 }),
      ({ shards, nodes, replication }, picks) => {
        const current = planPlacement(empty(shards), nodes, replication).target;
        const members = nodes.length > replication ? nodes.slice(1) : nodes;
        const pinned = new Set(picks.map((pick) => current[pick % shards]?.shardId as ShardId));
        const plan = planPlacement(current, members, replication, { pinned });
        t.deepEqual(
          plan.moves.filter(({ shardId }) => pinned.has(shardId)),
          [],
        );
        const counted = new Map<NodeId, number>();
        for (const { shardId, replicas } of plan.target) {
          if (pinned.has(shardId)) t.deepEqual(replicas, current.find((shard) => shard.shardId === shardId)?.replicas);
          else t.true(replicas.every((id) => members.some((one) => one.id === id)));
          for (const id of replicas) counted.set(id, (counted.get(id) ?? 0) + 1);
        }
        for (const { id, after } of plan.replicasPerNode) t.is(after, counted.get(id) ?? 0);
      },
    ),
    { seed: 1, numRuns: 60 },
  );
});

test('around pinned shards loads keep their bounds where the others can make up for them', (t) => {
  const nodes = [0, 1, 2, 3, 4].map((at) => node(at, at));
  const current = planPlacement(empty(100), nodes, 3).target;
  // The first half of what the first node holds was put there by hand.
  const byHand = current.map((shard, at) => (at < 30 ? { ...shard, replicas: ['n1', 'n2', 'n3'] as NodeId[] } : shard));
  const pinned = new Set(byHand.slice(0, 30).map(({ shardId }) => shardId));
  const plan = planPlacement(byHand, nodes, 3, { pinned });
  t.deepEqual(breaches(plan, byHand, nodes, 3), []);
  for (const { id, after, least, most } of plan.replicasPerNode) t.true(after >= least && after <= most, id);
  t.deepEqual(planPlacement(plan.target, nodes, 3, { pinned }).moves, []);
  const all = new Set(current.map(({ shardId }) => shardId));
  t.deepEqual(planPlacement(current, nodes.slice(1), 3, { pinned: all }).moves, []);
  t.is(planPlacement(current, nodes.slice(1), 3, { pinned: all }).idealMoves, 0);
});

test('shares are by weight, and what distinct zones do not allow goes to the others', (t) => {
  const shares = (nodes: readonly PlacementNode[], replication: number): readonly number[] =>
    fairShares(nodes, 12, replication).map((share) => Math.round(share * 1000) / 1000);
  t.deepEqual(shares([node(0, 0, 1), node(1, 1, 2), node(2, 2, 3)], 1), [2, 4, 6]);
  t.deepEqual(shares([node(0, 0, 4), node(1, 1, 1), node(2, 2, 1)], 3), [12, 12, 12]);
  t.deepEqual(shares([node(0, 0, 4), node(1, 1, 1), node(2, 2, 1)], 2), [12, 6, 6]);
  t.deepEqual(shares([node(0, 0, 1), node(1, 0, 3), node(2, 1, 1)], 2), [3, 9, 12]);
  t.deepEqual(shares([node(0, 0), node(1, 0), node(2, 0), node(3, 1)], 3), [8, 8, 8, 12]);
});

test('fewer nodes than replicas, and a node given twice, are refused', (t) => {
  t.throws(() => planPlacement(empty(4), [node(0, 0), node(1, 1)], 3), { message: /3 replicas need as many nodes/ });
  t.throws(() => planPlacement(empty(4), [node(0, 0), node(0, 1)], 1), { message: /a node is given twice/ });
});
