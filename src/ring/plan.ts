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
 * 4. What moves goes where loads come nearest to the fair ones, then to nodes early in the shard's walk around the ring.
 */
import { assert, type NodeId, type ShardId } from '../base/index.js';
import type { ShardArc } from './arcs.js';
import { assign } from './assignment.js';
import { loadFactor, middleOf, type PlacementNode, preferenceList, virtualPoints } from './placement.js';
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
  const least = Math.min(shardCount, wholeDown(before === 0 ? fair : leastFactor * fair));
  return { id, before, fair, least, most };
}

/** The place of every node in the preference of every shard. */
function preferenceRanks(shards: readonly PlacedShard[], nodes: readonly PlacementNode[]): Int32Array {
  const points = virtualPoints(nodes);
  const indexOf = new Map(nodes.map((node, at) => [node, at]));
  const ranks = new Int32Array(shards.length * nodes.length);
  for (const [shard, arc] of shards.entries()) {
    const preference = preferenceList(points, middleOf(arc), nodes.length);
    for (const [rank, node] of preference.entries()) ranks[shard * nodes.length + (indexOf.get(node) as number)] = rank;
  }
  return ranks;
}

/** 1 where a shard has a replica on a node. */
export function presence(shards: readonly PlacedShard[], indexOf: ReadonlyMap<NodeId, number>): Uint8Array {
  const table = new Uint8Array(shards.length * indexOf.size);
  for (const [shard, { replicas }] of shards.entries()) {
    for (const id of replicas) {
      const node = indexOf.get(id);
      if (node !== undefined) table[shard * indexOf.size + node] = 1;
    }
  }
  return table;
}

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

/**
 * Plans `replication` replicas of each shard on `nodes`, from where they are now (nodes that are not among `nodes` leave).
 * Throws when there are fewer nodes than replicas.
 */
export function planPlacement(
  current: readonly PlacedShard[],
  nodes: readonly PlacementNode[],
  replication: number,
  _options: { readonly pinned?: ReadonlySet<ShardId> } = {},
): PlacementPlan {
  assert(nodes.length >= replication, () => `${replication} replicas need as many nodes, there are ${nodes.length}`);
  const sorted = [...nodes].sort(byId);
  const shards = [...current].sort((a, b) => a.shardId - b.shardId);
  const indexOf = new Map(sorted.map(({ id }, at) => [id, at]));
  assert(indexOf.size === nodes.length, 'a node is given twice');
  const zones = [...new Set(sorted.map(({ zone }) => zone))];
  const held = new Map<NodeId, number>();
  for (const id of shards.flatMap(({ replicas }) => replicas)) held.set(id, (held.get(id) ?? 0) + 1);
  const fair = fairShares(sorted, shards.length, replication);
  const limits = sorted.map(({ id }, at) => loadOf(id, held.get(id) ?? 0, fair[at] as number, shards.length));

  const assigned = assign({
    shardCount: shards.length,
    zoneOf: sorted.map(({ zone }) => zones.indexOf(zone)),
    limits,
    copies: replication,
    present: presence(shards, indexOf),
    rank: preferenceRanks(shards, sorted),
  });

  const zoneOf = new Map(sorted.map(({ id, zone }) => [id, zone]));
  const after = sorted.map(() => 0);
  const moves: Move[] = [];
  const target = shards.map((shard, at) => {
    const now = new Set(shard.replicas);
    const then = new Set(sorted.filter((_, node) => assigned[at * sorted.length + node] === 1).map(({ id }) => id));
    for (const id of then) (after[indexOf.get(id) as number] as number)++;
    const left = shard.replicas.filter((id) => !then.has(id));
    const joined = [...then].filter((id) => !now.has(id));
    const own = movesOf(shard.shardId, left, joined, zoneOf);
    moves.push(...own);
    return applyMoves(shard, own);
  });

  const gone = [...held].filter(([id]) => !indexOf.has(id)).map(([id, before]) => ({ id, before }));
  const total = shards.length * replication;
  const comes = limits.reduce((sum, load) => sum + (load.before === 0 ? load.fair : 0), 0);
  const homeless = total - limits.reduce((sum, { before }) => sum + before, 0);
  const idealMoves = Math.max(comes, homeless);
  return {
    moves,
    target,
    replicasPerNode: [
      ...limits.map((load, at) => ({ ...load, after: after[at] as number })),
      ...gone.sort(byId).map((node) => ({ ...node, after: 0, fair: 0, least: 0, most: 0 })),
    ],
    idealMoves,
    movedShare: total === 0 ? 0 : moves.filter(({ to }) => to !== null).length / total,
    idealShare: total === 0 ? 0 : idealMoves / total,
  };
}
