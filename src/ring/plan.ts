/**
 * From the placement there is to the one there should be, moving as little as can be. Pure: the same input gives the
 * same plan on every machine, in whatever order nodes and shards are given. Needs `initHash()` before.
 *
 * 1. A shard's replicas are on distinct nodes, in distinct zones where there are enough zones; else every zone has one.
 * 2. No node holds more than 1.1 times its fair share, rounded up to a whole replica; nor less than 0.9 times, rounded
 *    down. A node that holds nothing yet gets its whole share. Fair is by weight, as far as rule 1 lets it
 *    (`fairShares`); then the bounds can always be met.
 * 3. Within that no plan moves fewer replicas. So a placement within its bounds stays as it is, and planning again
 *    from the target moves nothing.
 * 4. What moves goes to nodes below their fair load, early in the shard's walk around the ring; else to the node with the
 *    lowest load for its share.
 */
import { assert, type NodeId, type ShardId } from '../base/index.js';
import type { ShardArc } from './arcs.js';
import { assign } from './assignment.js';
import type { AssignmentProblem } from './holdings.js';
import { firstOnWalk, loadFactor, middleOf, type PlacementNode, type Point, virtualPoints } from './placement.js';
import { fairShares, wholeDown, wholeUp } from './shares.js';

/** A shard where it lies now; the first replica is its preferred leader. */
export type PlacedShard = ShardArc & { readonly replicas: readonly NodeId[] };

/** `from` null: one replica more than now; `to` null: one fewer. */
export type Move = { readonly shardId: ShardId; readonly from: NodeId | null; readonly to: NodeId | null };

export type NodeLoad = {
  readonly id: NodeId;
  /** Replicas now, and after the moves. */
  readonly before: number;
  readonly after: number;
  /** Replicas it should hold by weight, and the bounds; 0 for a node that leaves. */
  readonly fair: number;
  readonly least: number;
  readonly most: number;
};

export type PlacementPlan = {
  /** In order of shards. */
  readonly moves: readonly Move[];
  /** The shards as given, where they lie after the moves. */
  readonly target: readonly PlacedShard[];
  /** Nodes that stay or come, in order of their ids, then those that leave. */
  readonly replicasPerNode: readonly NodeLoad[];
  /** Replicas that any plan would have to move: the fair shares of nodes that come, or what is left without a node. */
  readonly idealMoves: number;
  /** Parts of all replicas; a replica that is only dropped does not count as moved. */
  readonly movedShare: number;
  readonly idealShare: number;
};

const leastFactor = 2 - loadFactor;

const byId = (a: { readonly id: NodeId }, b: { readonly id: NodeId }): number => (a.id < b.id ? -1 : 1);

/** Loads the node may end with. Replicas on one node are at most one per shard. */
function loadOf(id: NodeId, before: number, fair: number, shardCount: number): Omit<NodeLoad, 'after'> {
  const most = Math.min(shardCount, wholeUp(loadFactor * fair));
  // Never emptied where it should hold one: planned again it would be taken for a newcomer, and get its whole share.
  const kept = Math.max(Math.min(1, wholeDown(fair)), wholeDown(leastFactor * fair));
  const least = Math.min(shardCount, before === 0 ? wholeDown(fair) : kept);
  return { id, before, fair, least, most };
}

const walkSteps = 32;

/** The assignment's walk: the shard's, as far as it is likely to lead to something. */
function walkOf(
  shards: readonly PlacedShard[],
  nodes: readonly PlacementNode[],
): NonNullable<AssignmentProblem['walk']> {
  let points: readonly Point[] | undefined;
  const indexOf = new Map(nodes.map((node, at) => [node, at]));
  return (shard, accept) => {
    points ??= virtualPoints(nodes);
    const isOpen = (node: PlacementNode): boolean => accept(indexOf.get(node) as number);
    const found = firstOnWalk(points, middleOf(shards[shard] as PlacedShard), isOpen, walkSteps);
    return found && indexOf.get(found);
  };
}

/** The numbers of those of `ids` that are known. */
export const numbersOf = (ids: readonly NodeId[], indexOf: ReadonlyMap<NodeId, number>): readonly number[] =>
  ids.flatMap((id) => indexOf.get(id) ?? []);

/** The moves of one shard; a replica goes to a node of its own zone where it can. */
function movesOf(
  shardId: ShardId,
  left: readonly NodeId[],
  joined: readonly NodeId[],
  zoneOf: ReadonlyMap<NodeId, string>,
): readonly Move[] {
  const waiting = [...joined];
  const takeFrom = (at: number): NodeId | null => (at < 0 ? null : (waiting.splice(at, 1)[0] as NodeId));
  const paired = new Map<NodeId, NodeId | null>();
  const sameZone = (id: NodeId): number => waiting.findIndex((to) => zoneOf.get(to) === zoneOf.get(id));
  for (const id of left) paired.set(id, takeFrom(sameZone(id)));
  for (const id of left) if (paired.get(id) === null) paired.set(id, takeFrom(waiting.length === 0 ? -1 : 0));
  return [
    ...left.map((from): Move => ({ shardId, from, to: paired.get(from) ?? null })),
    ...waiting.map((to): Move => ({ shardId, from: null, to })),
  ];
}

/** Each move's replica in the place of the one it replaces, so that the preferred leader changes only with its node. */
function applyMoves(shard: PlacedShard, moves: readonly Move[]): PlacedShard {
  const kept = shard.replicas.flatMap((id) => {
    const move = moves.find(({ from }) => from === id);
    if (move === undefined) return [id];
    return move.to === null ? [] : [move.to];
  });
  return {
    ...shard,
    replicas: [...kept, ...moves.flatMap(({ from, to }) => (from === null && to !== null ? [to] : []))],
  };
}

export type PlanOptions = {
  /** Shards that stay as they are, even where that is wrong: they are being moved, say. They count as load. */
  readonly pinned?: ReadonlySet<ShardId>;
};

const countById = (shards: readonly PlacedShard[]): ReadonlyMap<NodeId, number> => {
  const counts = new Map<NodeId, number>();
  for (const { replicas } of shards) for (const id of replicas) counts.set(id, (counts.get(id) ?? 0) + 1);
  return counts;
};

/** Where the shards that may move should lie: for each the numbers of its nodes, ascending. */
function assigned(
  shards: readonly PlacedShard[],
  nodes: readonly PlacementNode[],
  replication: number,
  limits: AssignmentProblem['limits'],
): readonly (readonly number[])[] {
  const indexOf = new Map(nodes.map(({ id }, at) => [id, at]));
  const zones = new Map([...new Set(nodes.map(({ zone }) => zone))].map((zone, at) => [zone, at]));
  const chosen = assign({
    shardCount: shards.length,
    zoneOf: nodes.map(({ zone }) => zones.get(zone) as number),
    limits,
    copies: replication,
    present: shards.map(({ replicas }) => numbersOf(replicas, indexOf)),
    walk: walkOf(shards, nodes),
  });
  return chosen.map((numbers) => [...numbers].sort((a, b) => a - b));
}

/**
 * Plans `replication` replicas of each shard on `nodes`, from where they are now (nodes that are not among `nodes` leave).
 * Throws when there are fewer nodes than replicas.
 */
export function planPlacement(
  current: readonly PlacedShard[],
  nodes: readonly PlacementNode[],
  replication: number,
  { pinned = new Set() }: PlanOptions = {},
): PlacementPlan {
  assert(nodes.length >= replication, () => `${replication} replicas need as many nodes, there are ${nodes.length}`);
  const sorted = [...nodes].sort(byId);
  const zoneOf = new Map(sorted.map(({ id, zone }) => [id, zone]));
  assert(zoneOf.size === nodes.length, 'a node is given twice');
  const shards = [...current].sort((a, b) => a.shardId - b.shardId);
  const free = shards.filter(({ shardId }) => !pinned.has(shardId));
  const held = countById(shards);
  const fixed = countById(shards.filter(({ shardId }) => pinned.has(shardId)));
  const fair = fairShares(sorted, shards.length, replication);
  const limits = sorted.map(({ id }, at) => loadOf(id, held.get(id) ?? 0, fair[at] as number, shards.length));
  const nodesOf = assigned(
    free,
    sorted,
    replication,
    limits.map((load) => ({ ...load, fixed: fixed.get(load.id) ?? 0 })),
  );

  const planned = new Map<ShardId, readonly Move[]>();
  for (const [at, { shardId, replicas }] of free.entries()) {
    const then = (nodesOf[at] as readonly number[]).map((node) => (sorted[node] as PlacementNode).id);
    const left = replicas.filter((id) => !then.includes(id));
    const joined = then.filter((id) => !replicas.includes(id));
    if (left.length + joined.length > 0) planned.set(shardId, movesOf(shardId, left, joined, zoneOf));
  }
  const target = shards.map((shard) => {
    const own = planned.get(shard.shardId);
    return own === undefined ? shard : applyMoves(shard, own);
  });
  const moves = [...planned.values()].flat();
  const after = countById(target);
  const gone = [...held].filter(([id]) => !zoneOf.has(id)).map(([id, before]) => ({ id, before }));
  const total = shards.length * replication;
  const comes = limits.reduce((sum, load) => sum + (load.before === 0 ? load.fair : 0), 0);
  const homeless = free.reduce(
    (sum, { replicas }) => sum + Math.max(0, replication - replicas.filter((id) => zoneOf.has(id)).length),
    0,
  );
  const idealMoves = Math.max(comes, homeless);
  return {
    moves,
    target,
    replicasPerNode: [
      ...limits.map((load) => ({ ...load, after: after.get(load.id) ?? 0 })),
      ...gone.sort(byId).map((node) => ({ ...node, after: after.get(node.id) ?? 0, fair: 0, least: 0, most: 0 })),
    ],
    idealMoves,
    movedShare: total === 0 ? 0 : moves.filter(({ to }) => to !== null).length / total,
    idealShare: total === 0 ? 0 : idealMoves / total,
  };
}
