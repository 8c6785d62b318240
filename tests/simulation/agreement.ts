/** Whether a cluster has come back whole and its replicas agree, and what brings it there once nothing is wrong. */
import { crc32 } from 'node:zlib';
import type { NodeId, ShardId } from '../../src/base/index.js';
import { checkHistory, type OperationRecord } from '../../src/checker/index.js';
import { allShards, isPlacedOn } from '../../src/host/index.js';
import { Violation } from './checks.js';
import type { SimNode } from './sim-node.js';

/** After so long the engine shows what was applied: a batch gathers for 250 ms. */
export const engineDelayMs = 300;
const dataTag = 0x64;
const indexTag = 0x69;

/** Every shard the map places on this node counts a replica on it among its voters, and that replica runs. */
export function isWhole(node: SimNode): boolean {
  if (node.host === undefined) return false;
  const replicas = [...node.host.replicas()];
  const shards = allShards(node.host.maps.current).filter((shard) => isPlacedOn(shard, node.id)).length;
  return (
    replicas.length === shards &&
    replicas.every(({ raft, replicaId }) => {
      const { voters, outgoing } = raft.configuration;
      return raft.isConfigurationCommitted && outgoing.length === 0 && voters.includes(replicaId);
    })
  );
}

/** All learners become voters again, so that the end finds what the beginning had. */
export function restoreMembership(nodes: readonly SimNode[]): void {
  for (const node of nodes) {
    for (const group of node.host?.replicas() ?? []) {
      const { raft } = group;
      const { voters, learners } = raft.configuration;
      if (!raft.isLeader || learners.length === 0) continue;
      const alone = learners.filter((id) => group.voterOn(group.nodes.get(id) ?? node.id) === 0);
      if (alone.length === 0) continue;
      const target = { voters: [...voters, ...alone], learners: learners.filter((id) => !alone.includes(id)) };
      node.life?.run(() => {
        if (typeof raft.proposeConfiguration(target) !== 'string') node.host?.wake(group);
      });
    }
  }
}

/** Every replica is a voter, and all of a shard have applied all there is. */
export function hasConverged(nodes: readonly SimNode[]): boolean {
  const reached = new Map<number, Set<number>>();
  for (const node of nodes) {
    if (!isWhole(node) || node.host === undefined) return false;
    for (const { shardId, raft } of node.host.replicas()) {
      let indexes = reached.get(shardId);
      if (indexes === undefined) {
        indexes = new Set();
        reached.set(shardId, indexes);
      }
      indexes.add(raft.appliedIndex).add(raft.lastIndex);
    }
  }
  for (const indexes of reached.values()) if (indexes.size !== 1) return false;
  return true;
}

/** The state of every replica, for people. */
export function describeNodes(nodes: readonly SimNode[]): string {
  return nodes
    .map((node) => {
      const groups = [...(node.host?.replicas() ?? [])].map(
        ({ shardId, raft }) =>
          `${shardId}:${raft.role}@${raft.currentTerm} leader=${raft.leader} last=${raft.lastIndex} applied=${raft.appliedIndex}`,
      );
      return `${node.id} ${node.refusal ?? (node.isServing ? groups.join(' ') : 'down')}`;
    })
    .join('; ');
}

/** Every replica of the same entries holds the same bytes. */
export function compareStates(nodes: readonly SimNode[]): void {
  const states = new Map<string, NodeId>();
  const [first] = nodes;
  const of = (node: SimNode): string => {
    const data = node.machine.engine.dump().filter(([key]) => key[0] === dataTag || key[0] === indexTag);
    return crc32(
      Buffer.concat(data.flatMap(([key, value]) => [key, Buffer.from([0]), value, Buffer.from([1])])),
    ).toString();
  };
  for (const node of nodes) {
    states.set(of(node), node.id);
    if (states.size > 1) throw new Violation('convergence', `${first?.id} and ${node.id} hold different data`);
  }
}

/** Throws when what clients saw has no order that explains it. */
export function assertLinearizable(history: readonly OperationRecord[]): void {
  const verdict = checkHistory(history);
  if (verdict.ok === true) return;
  if (verdict.ok === 'unknown') throw new Violation('linearizability', `undecided for ${verdict.key}`);
  const operations = verdict.operations.map((operation) => JSON.stringify(operation)).join('\n  ');
  throw new Violation('linearizability', `${verdict.key}:\n  ${operations}`);
}

/** Nobody is elected while the lease of an earlier leader holds, whether or not it reads anything (thesis §6.4.1). */
export function checkLeases(nodes: readonly SimNode[], elected: string, shardId: ShardId, term: number): void {
  for (const { id, host, life } of nodes) {
    for (const { raft, shardId: other } of host?.replicas() ?? []) {
      if (other !== shardId || !raft.isLeader || raft.currentTerm >= term || life === undefined) continue;
      if (!raft.leaseValid(life.clock.nowMs())) continue;
      throw new Violation('lease', `${elected} leads shard ${shardId} in term ${term}, and the lease of ${id} holds`);
    }
  }
}
