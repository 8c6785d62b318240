/**
 * Whether a node may be stopped, and whether it is back. Pure.
 *
 * Invariants of a rolling restart: 1. a node is stopped only while, without it, every shard it holds keeps a majority of
 * replicas that follow their leader closely; 2. a node counts as back only when all its own replicas do.
 */
import type { ClusterMap, ClusterView, MapShard, ShardStatus } from '../wire/index.js';
import { leaderAmong, replicaOf, type SurveyedNode } from './survey.js';
import { formatCount } from './values.js';

export type Situation = {
  readonly map: ClusterMap;
  readonly view: ClusterView;
  readonly nodes: readonly SurveyedNode[];
};

/** Under load followers are some hundred entries behind at any moment. */
const muchEntries = 1000;

const nameOf = ({ id }: MapShard): string => (id === 0 ? 'the system shard' : `shard ${id}`);

/** Shards with a replica on the node. The system shard only where nodes tell of it. */
function shardsOn(id: string, { map, nodes }: Situation): readonly MapShard[] {
  const isTold = nodes.some((node) => replicaOf(node, map.system.id) !== undefined);
  return [...(isTold ? [map.system] : []), ...map.shards].filter(({ replicas }) =>
    replicas.some(({ nodeId }) => nodeId === id),
  );
}

const leaderOf = (shard: MapShard, { nodes }: Situation): ShardStatus | undefined =>
  leaderAmong(
    nodes.flatMap((node) => {
      const replica = replicaOf(node, shard.id);
      return replica === undefined ? [] : [replica];
    }),
  );

/** What keeps the node's replica of a shard from taking part fully; undefined: nothing. */
function replicaProblem(id: string, shard: MapShard, situation: Situation): string | undefined {
  const leader = leaderOf(shard, situation);
  if (leader === undefined) return `${nameOf(shard)} has no leader`;
  const node = situation.nodes.find((each) => each.id === id);
  const replica = node && replicaOf(node, shard.id);
  if (replica === undefined) return `it tells nothing of ${nameOf(shard)}`;
  if (replica.role === 'damaged') return `its replica of ${nameOf(shard)} is damaged`;
  if (replica.role === 'learner') return `its replica of ${nameOf(shard)} does not vote yet`;
  if (replica.role === 'leader') return undefined;
  if (replica.role !== 'follower' || replica.leaderNode === null) return `it knows of no leader of ${nameOf(shard)}`;
  const lacks = leader.commitIndex - replica.appliedIndex;
  return lacks > muchEntries ? `it lacks ${formatCount(lacks)} entries of ${nameOf(shard)}` : undefined;
}

/** Why the node does not count as back yet; undefined: it does. */
export function missingOf(id: string, situation: Situation): string | undefined {
  const { view, nodes } = situation;
  if (nodes.find((node) => node.id === id)?.state !== 'up') return 'it does not answer';
  const found = view.nodes.find((node) => node.id === id);
  if (found === undefined) return 'the map does not have it';
  if (found.liveness !== 'alive') return `to the manager it is ${found.liveness}`;
  const coming = new Set(view.moves.filter(({ to }) => to.some((node) => node === id)).map(({ shardId }) => shardId));
  for (const shard of shardsOn(id, situation)) {
    if (coming.has(shard.id)) continue;
    const problem = replicaProblem(id, shard, situation);
    if (problem !== undefined) return problem;
  }
  return undefined;
}

/** Why stopping the node now would take a shard away; undefined: it would not. A shard of one replica always goes. */
export function reasonToKeep(id: string, situation: Situation): string | undefined {
  for (const shard of shardsOn(id, situation)) {
    const others = shard.replicas.filter(({ nodeId }) => nodeId !== id);
    if (others.length === 0) continue;
    const problems = others.flatMap(({ nodeId }) => {
      const problem = replicaProblem(nodeId, shard, situation);
      return problem === undefined ? [] : [`${nodeId}: ${problem}`];
    });
    const sound = others.length - problems.length;
    if (2 * sound > shard.replicas.length) continue;
    return `without it ${nameOf(shard)} would have no majority (${problems.join('; ')})`;
  }
  return undefined;
}
