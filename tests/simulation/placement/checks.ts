/** What holds of every plan, looked at from outside, and the figures that say how good one is. */
import type { NodeId, ShardId } from '../../../src/base/index.js';
import type { PlacedShard, PlacementNode, PlacementPlan } from '../../../src/ring/index.js';

export type Figures = {
  readonly moved: number;
  /** Replicas that no plan can leave where they are: without a node, above a bound, or missing below one. */
  readonly ideal: number;
  /** Loads against the fair ones. */
  readonly highest: number;
  readonly lowest: number;
  readonly deviation: number;
  readonly zoneViolations: number;
};

const slack = 1e-6;
const kept = 5;

const sumOf = (values: Iterable<number>): number => {
  let sum = 0;
  for (const value of values) sum += value;
  return sum;
};

/** Of the shards, on these nodes; the nodes' fair loads come from a plan. */
export function spreadOf(shards: readonly PlacedShard[], fair: ReadonlyMap<NodeId, number>) {
  const load = new Map<NodeId, number>();
  for (const { replicas } of shards) for (const id of replicas) load.set(id, (load.get(id) ?? 0) + 1);
  const ratios = [...fair].map(([id, share]) => (load.get(id) ?? 0) / share);
  const mean = sumOf(ratios) / ratios.length;
  const variance = sumOf(ratios.map((ratio) => (ratio - mean) ** 2)) / ratios.length;
  return { highest: Math.max(...ratios), lowest: Math.min(...ratios), deviation: Math.sqrt(variance) };
}

/** Shards in fewer zones than there could be. */
export function zoneViolationsOf(
  shards: readonly PlacedShard[],
  nodes: readonly PlacementNode[],
  replication: number,
): number {
  const zoneOf = new Map(nodes.map(({ id, zone }) => [id, zone]));
  const wanted = Math.min(replication, new Set(zoneOf.values()).size);
  return shards.filter(({ replicas }) => new Set(replicas.map((id) => zoneOf.get(id))).size < wanted).length;
}

/** The nodes that stay or come; those that leave have no share. */
const staying = ({ replicasPerNode }: PlacementPlan) => replicasPerNode.filter(({ fair }) => fair > 0);

export function figuresOf(plan: PlacementPlan, nodes: readonly PlacementNode[], replication: number): Figures {
  const loads = staying(plan);
  const above = sumOf(loads.map(({ before, most }) => Math.max(0, before - most)));
  const homeless = sumOf(plan.replicasPerNode.map(({ before, fair }) => (fair > 0 ? 0 : before)));
  const below = sumOf(loads.map(({ before, least }) => Math.max(0, least - before)));
  return {
    moved: plan.moves.filter(({ to }) => to !== null).length,
    ideal: Math.max(plan.idealMoves, homeless + above, below),
    ...spreadOf(plan.target, new Map(loads.map(({ id, fair }) => [id, fair]))),
    zoneViolations: zoneViolationsOf(plan.target, nodes, replication),
  };
}

/** Each rule of placement that the plan breaks; the first few of each. */
export function breachesOf(
  plan: PlacementPlan,
  current: readonly PlacedShard[],
  nodes: readonly PlacementNode[],
  replication: number,
): readonly string[] {
  const known = new Set(nodes.map(({ id }) => id));
  const wrong = plan.target.filter(
    ({ replicas }) => new Set(replicas).size !== replication || !replicas.every((id) => known.has(id)),
  );
  const found = wrong.slice(0, kept).map(({ shardId, replicas }) => `shard ${shardId} is on ${replicas.join(' ')}`);
  const zoneViolations = zoneViolationsOf(plan.target, nodes, replication);
  if (zoneViolations > 0) found.push(`${zoneViolations} shards are in too few zones`);
  for (const { id, after, least, most } of plan.replicasPerNode) {
    if (after < least || after > most) found.push(`${id} holds ${after}, bounds are ${least} and ${most}`);
  }
  return [...found, ...moveBreaches(plan, current)];
}

/** The moves lead from what there was to what is planned. */
function moveBreaches(plan: PlacementPlan, current: readonly PlacedShard[]): readonly string[] {
  const reached = new Map(current.map(({ shardId, replicas }) => [shardId, new Set(replicas)]));
  const found: string[] = [];
  for (const { shardId, from } of plan.moves) {
    if (from !== null && reached.get(shardId)?.delete(from) !== true) found.push(`shard ${shardId} was not on ${from}`);
  }
  for (const { shardId, to } of plan.moves) if (to !== null) reached.get(shardId)?.add(to);
  for (const { shardId, replicas } of plan.target) {
    const nodes = reached.get(shardId);
    const isSame = nodes?.size === replicas.length && replicas.every((id) => nodes.has(id));
    if (!isSame) found.push(`the moves do not lead shard ${shardId} to where it should be`);
  }
  return found.slice(0, kept);
}

export type LeaderFigures = {
  /** Most leaders of a node less fewest. */
  readonly range: number;
  /** How far the node furthest from its part by weight is from it. */
  readonly furthest: number;
};

export function leaderFigures(leaders: ReadonlyMap<ShardId, NodeId>, nodes: readonly PlacementNode[]): LeaderFigures {
  const total = sumOf(nodes.map(({ weight }) => weight));
  const led = new Map<NodeId, number>();
  for (const leader of leaders.values()) led.set(leader, (led.get(leader) ?? 0) + 1);
  const counts = nodes.map(({ id }) => led.get(id) ?? 0);
  const distances = nodes.map(({ weight }, at) => Math.abs((counts[at] as number) - (leaders.size * weight) / total));
  return { range: Math.max(...counts) - Math.min(...counts), furthest: Math.max(...distances) };
}

/** Leaders are replicas of their shards, within one of even by weight. */
export function leaderBreaches(
  leaders: ReadonlyMap<ShardId, NodeId>,
  shards: readonly PlacedShard[],
  nodes: readonly PlacementNode[],
): readonly string[] {
  const wrong = shards.filter(({ shardId, replicas }) => !replicas.includes(leaders.get(shardId) as NodeId));
  const found = wrong.slice(0, kept).map(({ shardId }) => `shard ${shardId} is led by no replica of it`);
  const { furthest } = leaderFigures(leaders, nodes);
  if (furthest > 1 + slack) found.push(`a node leads ${furthest.toFixed(2)} more or fewer shards than its part`);
  return found;
}
