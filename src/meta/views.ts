/** The cluster as the manager shows it to people. */
import type { Clock, NodeId } from '../base/index.js';
import { allShards } from '../host/index.js';
import type { ClusterMap, ClusterView, MapShard, MoveView, NodeView } from '../wire/index.js';
import type { Manager } from './manager.js';
import type { NodeWatch } from './node-watch.js';
import { homesOf, isMoving, isStranded, receivers } from './planning.js';

function nodeViews(map: ClusterMap, watch: NodeWatch): readonly NodeView[] {
  const counts = new Map<NodeId, { replicas: number; leaving: number; preferred: number }>();
  for (const { id } of map.nodes) counts.set(id, { replicas: 0, leaving: 0, preferred: 0 });
  for (const shard of allShards(map)) {
    homesOf(shard).forEach((home, at) => {
      const count = counts.get(home);
      if (count === undefined) return;
      count.replicas++;
      if (at === 0) count.preferred++;
    });
    for (const node of shard.leaving) {
      const count = counts.get(node);
      if (count !== undefined) count.leaving++;
    }
  }
  return map.nodes.map(({ id, zone, weight, condition }) => {
    const { state, lastHeardAgoMs, facts } = watch.sightOf(id);
    const { replicas, leaving, preferred } = counts.get(id) ?? { replicas: 0, leaving: 0, preferred: 0 };
    return {
      id,
      zone,
      weight,
      condition,
      liveness: state,
      lastHeardAgoMs,
      replicas,
      leaving,
      preferredLeaders: preferred,
      ...(facts === undefined ? {} : { facts }),
    };
  });
}

function moveView(shard: MapShard, manager: Manager, nowMs: number): MoveView {
  const report = manager.reports.get(shard.id);
  const isCurrent = report !== undefined && report.epoch === shard.epoch;
  const beganMs = manager.moveBeganMs.get(shard.id);
  return {
    shardId: shard.id,
    from: shard.leaving,
    to: isCurrent ? report.missing : homesOf(shard),
    phase: !isCurrent ? 'waiting' : report.phase === 'settled' ? 'cleaning' : report.phase,
    ageMs: beganMs === undefined ? 0 : Math.round(nowMs - beganMs),
    progress: isCurrent ? { matchIndex: report.matchIndex, lastIndex: report.lastIndex } : null,
  };
}

function problemsOf(map: ClusterMap, watch: NodeWatch): readonly string[] {
  const problems: string[] = [];
  const up = receivers(map);
  const upIds = new Set(up.map(({ id }) => id));
  const stranded = allShards(map).filter((shard) => isStranded(shard, upIds)).length;
  if (stranded > 0 && up.length < map.replication) {
    problems.push(
      `${stranded} shards have a replica on a node that is gone or going, and nowhere to move it: ` +
        `${map.replication} replicas need as many nodes that are up, there are ${up.length}`,
    );
  }
  for (const { id, condition } of map.nodes) {
    const { state, forMs } = watch.sightOf(id);
    if (condition === 'down') problems.push(`${id} is down`);
    else if (condition === 'up' && state !== 'alive') {
      const left = Math.max(0, map.settings.downAfterMs - forMs);
      problems.push(`${id} is ${state}; its replicas are moved elsewhere in ${Math.ceil(left / 1000)} s`);
    }
  }
  return problems;
}

export function clusterView(manager: Manager, node: NodeId, watch: NodeWatch, clock: Clock): ClusterView {
  const { map } = manager;
  return {
    epoch: map.epoch,
    manager: node,
    nodes: nodeViews(map, watch),
    moves: allShards(map)
      .filter(isMoving)
      .map((shard) => moveView(shard, manager, clock.nowMs())),
    waitingMoves: manager.waitingMoves,
    problems: problemsOf(map, watch),
    settings: map.settings,
  };
}
